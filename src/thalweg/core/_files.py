"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from thalweg.core._errors import RunError

#: writers in Rust (safetensors, polars) raise classes of their own, with the number in the text
_RUST_NUMBER = re.compile(r"\(os error (\d+)\)")
_UNWRITABLE = "Make it writable, or choose another folder."
_CAUSES = {
    errno.ENOSPC: ("the disk is full", "Free some space and resume the run."),
    errno.EFBIG: ("the file may not grow any larger", "Raise the limit (ulimit -f) and resume the run."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space and resume the run."),
    errno.EROFS: ("the file system is read-only", _UNWRITABLE),
    errno.EACCES: ("there is no permission to write", _UNWRITABLE),
    errno.EPERM: ("there is no permission to write", _UNWRITABLE),
}


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Writes a file so that it holds the old bytes or the new ones, never a part.

    Args:
        path: The file.
        write: Writes all bytes to the temporary path that it is given.

    Raises:
        RunError: where the file system refuses (full, read-only, no permission); the old file stays as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(temporary)
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # some writers make files that only their owner reads
        os.replace(temporary, path)
    except OSError as error:
        _discard(temporary)
        raise describe_os_error(error, path) from error
    except BaseException as error:
        _discard(temporary)
        if not isinstance(error, Exception) or _RUST_NUMBER.search(str(error)) is None:
            raise
        raise describe_os_error(error, path) from error


def _discard(temporary: Path) -> None:
    # where the file system turned read-only the half stays there, and what is told must be the cause, not this
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


@cache
def _umask() -> int:
    mask = os.umask(0o022)  # there is no call that only asks
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str) -> None:
    """Writes a UTF-8 text file atomically.

    Raises:
        RunError: where the file system refuses; the old file stays as it was.
    """
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def describe_os_error(error: Exception, path: str | Path) -> RunError:
    """Returns one line for what the file system said."""
    number = getattr(error, "errno", None)
    if number is None and (found := _RUST_NUMBER.search(str(error))) is not None:
        number = int(found[1])
    cause, remedy = _CAUSES.get(number or 0, (str(error) if number is None else os.strerror(number), ""))
    return RunError(f"cannot write {path}: {cause}. {remedy}".rstrip())
