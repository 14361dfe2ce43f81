"""Where compiled functions live: in the user's cache, in folders named by the text of what they are made of."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numba


def compiled_folder(name: str, files: Iterable[Path]) -> Path:
    """Returns the folder for what is compiled from some files.

    numba watches only the file of the function that it compiles; pieces may come from other files. The folder also
    serves where the package itself is installed read-only.

    Args:
        name: Begins the name of the folder.
        files: All whose text the compiled code depends on.
    """
    digest = hashlib.sha256(sys.version.encode())
    for file in files:
        digest.update(file.read_bytes())
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "thalweg" / f"{name}-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    # a home that cannot be written: compiled code lives as long as the process
    return Path(tempfile.mkdtemp(prefix=f"thalweg-{name}-"))


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Makes numba keep what is declared inside in a folder."""
    saved = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.config.CACHE_DIR = saved  # type: ignore[attr-defined]
