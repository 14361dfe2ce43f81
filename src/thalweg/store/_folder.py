"""The run folder: what a run wrote, in files that anything can read.

run.json          kind, format, version, what was asked, the plan
events.jsonl      append-only log: id, seconds, kind, detail
history/          immutable Parquet segments of evaluations, merged into history.parquet at the end
checkpoint/       the state of populations that still run
result.json       the result, as `--json` prints it
SHA256SUMS        digests of the files of the result, as `sha256sum` writes them
timing.json       seconds; outside the equality of two runs
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from thalweg.core import InputError, RunError, describe_os_error, write_text

#: of the folder; raised when an older reader could not read it
FORMAT = 1
#: files that say what was asked: a resume reads them and cannot write them again
_ASKED = ("run.json", "size.json")
_SUMS = "SHA256SUMS"


class RunFolder:
    """One run on disk.

    Args:
        path: An existing run folder; `create` makes a new one.

    Raises:
        RunError: where the folder is no run, is damaged, or was written by a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._started = time.monotonic()
        self.about = self.read_json("run.json")
        if not isinstance(self.about, dict) or type(self.about.get("format")) is not int:
            raise self.damaged("run.json", "no format number")
        if self.about["format"] > FORMAT:
            raise RunError(
                f"{self.path} has format {self.about['format']}; this version reads up to {FORMAT}. Upgrade thalweg."
            )
        if not isinstance(self.about.get("kind"), str):
            raise self.damaged("run.json", "it does not say what kind of run it is")

    @classmethod
    def create(cls, path: str | Path, kind: str, about: dict[str, Any]) -> RunFolder:
        """Makes the folder and writes what was asked.

        Raises:
            InputError: where the folder exists already or cannot be made; nothing is written then.
        """
        path = Path(path)
        check_new(path)
        made = [p for p in (path, *path.parents) if not p.exists()]
        try:
            path.mkdir(parents=True, exist_ok=True)
            from thalweg import __version__

            # the first file of all: a folder is empty, or it is a run that can be resumed
            write_text(path / "run.json", _dump({"format": FORMAT, "kind": kind, "version": __version__, **about}))
            made = [path / "history", path / "checkpoint", *made]
            _make_parts(path)
            folder = cls(path)
            folder.log("created", {"at": datetime.now().astimezone().isoformat(timespec="seconds")})
        except (OSError, RunError) as error:
            with contextlib.suppress(OSError):
                for name in ("events.jsonl", "run.json"):
                    (path / name).unlink(missing_ok=True)
                for part in made:
                    part.rmdir()
            if isinstance(error, RunError):
                raise
            raise _not_writable(path, error) from None
        return folder

    def damaged(self, name: str, detail: object) -> RunError:
        """Returns the error for a file of the run that does not hold what it should."""
        remedy = "Restore it from a copy, or run again."
        if name not in _ASKED:
            remedy = f"Restore it from a copy, or write it again with: thalweg {self.kind} --resume {self.path}"
        return RunError(f"{self.path / name} is damaged ({detail}). {remedy}")

    @property
    def kind(self) -> str:
        """What kind of run it is: tune, train, ..."""
        return str(self.about["kind"])

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the run for this process, so that no other goes on with it at the same time.

        What a killed process left half-written is removed first.

        Raises:
            RunError: where another process holds it, or nothing can be written there.
        """
        try:
            # opened to read: a file that is open to write would keep the file system from being made read-only
            handle = os.open(self.path / ".lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise describe_os_error(error, self.path / ".lock") from error
        try:
            _take_lock(handle, self.path)
            try:
                _make_parts(self.path)
                for path in self.path.rglob(".*.part"):
                    path.unlink(missing_ok=True)
            except OSError as error:
                raise describe_os_error(error, self.path) from error
            yield
        finally:
            os.close(handle)  # as the end of the process does, it lets the lock go

    # ---- plain data ---------------------------------------------------------------------------------------------

    def write_json(self, name: str, value: Any) -> None:
        """Writes one JSON file atomically."""
        write_text(self.path / name, _dump(value))

    def read_json(self, name: str) -> Any:
        """Returns the content of one JSON file.

        Raises:
            RunError: where it is missing or damaged.
        """
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            if name == "run.json":
                raise RunError(f"{self.path} is not a run folder: it holds no run.json.") from None
            raise RunError(f"{path} is missing. The run did not finish: use --resume {self.path}.") from None
        except (OSError, ValueError) as error:
            raise self.damaged(name, error) from None

    def has(self, name: str) -> bool:
        """Returns whether a file of the run exists."""
        return (self.path / name).exists()

    # ---- events -------------------------------------------------------------------------------------------------

    def log(self, kind: str, detail: dict[str, Any] | None = None) -> None:
        """Appends one event; its id is its line number, so a reader can ask for events after an id.

        A last line that was cut off (by a kill, or a full disk) is taken away first: no reader has seen it.

        Raises:
            RunError: where the file system refuses.
        """
        event = {"seconds": round(time.monotonic() - self._started, 3), "kind": kind, **(detail or {})}
        try:
            with open(self.path / "events.jsonl", "ab+") as handle:
                _drop_cut_line(handle)
                handle.write(json.dumps(event).encode() + b"\n")
        except OSError as error:
            raise describe_os_error(error, self.path / "events.jsonl") from error

    def events(self, after: int = 0) -> Iterator[dict[str, Any]]:
        """Yields the events whose id is above `after`; a last line that was cut off is left out.

        Raises:
            RunError: where a line is no event.
        """
        path = self.path / "events.jsonl"
        if not path.exists():
            return
        try:
            with open(path, encoding="utf-8") as handle:
                for number, line in enumerate(handle, start=1):
                    if number > after and line.endswith("\n"):
                        yield {"id": number, **json.loads(line)}
        except (OSError, ValueError, TypeError) as error:
            raise RunError(f"{path} is damaged ({error}). Delete it: a run goes on without it.") from None

    # ---- files --------------------------------------------------------------------------------------------------

    def remove(self, name: str) -> None:
        """Removes a file of the run, where it is there.

        Raises:
            RunError: where the file system refuses.
        """
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise describe_os_error(error, self.path / name) from error

    def seal(self, names: Sequence[str]) -> None:
        """Writes `SHA256SUMS`, by which `check` finds a file that has changed since.

        Raises:
            RunError: where the file system refuses.
        """
        lines = [f"{_digest(self.path / name)}  {name}\n" for name in names]
        write_text(self.path / _SUMS, "".join(lines))

    def check(self, *names: str) -> None:
        """Checks files against `SHA256SUMS`; what is not listed there, or is missing, passes.

        Raises:
            RunError: naming the first file that is not as it was written.
        """
        try:
            listed = (self.path / _SUMS).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise self.damaged(_SUMS, error) from None
        sums = {name: digest for digest, _, name in (line.partition("  ") for line in listed)}
        for name in names:
            try:
                same = name not in sums or _digest(self.path / name) == sums[name]
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self.damaged(name, error) from None
            if not same:
                raise self.damaged(name, f"it is not as the run wrote it, by {_SUMS}")

    def checkpoint_path(self, population: str) -> Path:
        """Returns where the state of a population is kept while it runs."""
        return self.path / "checkpoint" / f"{population}.safetensors"

    def segment_path(self, population: str, first: int) -> Path:
        """Returns the path of an immutable piece of history that starts at a record number."""
        return self.path / "history" / f"{population}-{first:08d}.parquet"

    def segments(self, population: str) -> list[Path]:
        """Returns the pieces of a population's history, in order."""
        return sorted((self.path / "history").glob(f"{population}-*.parquet"))


def check_new(path: str | Path) -> None:
    """Checks that a run folder can be made; makes nothing.

    Raises:
        InputError: where the folder holds something already, or a file stands in the way.
    """
    path = Path(path)
    try:
        # a run that was killed before its first file was whole has left nothing but that half
        if path.exists() and (not path.is_dir() or any(not p.match(".run.json.*.part") for p in path.iterdir())):
            raise InputError(
                "--out", "a folder that is new or empty", str(path), "Choose another one, or use --resume."
            )
        nearest_there = next((p for p in path.parents if p.exists()), None)
        if nearest_there is not None and not nearest_there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{nearest_there} is a file")
    except OSError as error:
        raise _not_writable(path, error) from None


def _not_writable(path: Path, error: OSError) -> InputError:
    return InputError("--out", f"a folder that can be written ({error.strerror})", str(path), "Choose another one.")


def _take_lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(f"{path} is being written by another process. Wait for it, or stop it.") from None


def _make_parts(path: Path) -> None:
    for part in ("history", "checkpoint"):
        (path / part).mkdir(exist_ok=True)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _drop_cut_line(handle: BinaryIO) -> None:
    size = handle.seek(0, os.SEEK_END)
    if not size:
        return
    handle.seek(size - 1)
    if handle.read(1) != b"\n":
        handle.seek(0)
        handle.truncate(handle.read().rfind(b"\n") + 1)


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def new_run_path(parent: str | Path, name: str) -> Path:
    """Returns a path for a new run under `parent`, named by what it is and when, that does not exist yet."""
    stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    parent = Path(parent)
    path, number = parent / stem, 2
    while path.exists():
        path, number = parent / f"{stem}-{number}", number + 1
    return path


def find_runs(parent: str | Path) -> list[Path]:
    """Returns the run folders directly under `parent`, newest first."""
    parent = Path(parent)
    if not parent.is_dir():
        return []
    found = [entry for entry in parent.iterdir() if (entry / "run.json").is_file()]
    return sorted(found, key=lambda entry: os.stat(entry / "run.json").st_mtime, reverse=True)
