"""Where the compiled kernel lives."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from thalweg.core import compiled_folder, kept_in


def _pieces() -> list[Path]:
    package = Path(__file__).resolve().parents[1]
    pieces = [package / "core/_elementwise.py", package / "core/_float32.py", package / "tasks/_losses.py"]
    pieces += sorted((package / "population").glob("_kernel*.py"))
    for room in ("models", "optim"):
        pieces += sorted((package / room).glob("_*.py"))
    return pieces


CACHE = compiled_folder("kernel", _pieces())


def is_compiled() -> bool:
    """Returns whether this machine holds the compiled kernel; where not, the first training step takes longer."""
    return any(CACHE.rglob("*_train*.nbc"))


def kept_in_cache() -> AbstractContextManager[None]:
    """Makes numba keep what is declared inside in `CACHE`."""
    return kept_in(CACHE)
