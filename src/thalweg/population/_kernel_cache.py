"""Where compiled kernels live: in the user's cache, named by the text of all that they are made of."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numba


def _find_cache() -> Path:
    """Returns the folder of compiled code: in the user's cache, named by the text of all pieces.

    numba watches only the file of the function that it compiles; the pieces come from other files. The folder also
    serves where the package itself is installed read-only.
    """
    package = Path(__file__).resolve().parents[1]
    pieces = [package / "core/_elementwise.py", package / "core/_float32.py", package / "tasks/_losses.py"]
    pieces += sorted((package / "population").glob("_kernel*.py"))
    for room in ("models", "optim"):
        pieces += sorted((package / room).glob("_*.py"))
    digest = hashlib.sha256(sys.version.encode())
    for file in pieces:
        digest.update(file.read_bytes())
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "thalweg" / f"kernel-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    # a home that cannot be written: compiled code lives as long as the process
    return Path(tempfile.mkdtemp(prefix="thalweg-kernel-"))


CACHE = _find_cache()


def is_compiled() -> bool:
    """Returns whether this machine holds the compiled kernel; where not, the first training step takes longer."""
    return any(CACHE.rglob("*_train*.nbc"))


@contextmanager
def kept_in_cache() -> Iterator[None]:
    """Makes numba keep what is declared inside in `CACHE`."""
    saved = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = str(CACHE)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.config.CACHE_DIR = saved  # type: ignore[attr-defined]
