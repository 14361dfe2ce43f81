"""Where the compiled solvers live, and how they are compiled."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from thalweg.core import compiled_folder, kept_in

#: sums may be added in another order; nothing that is not finite is assumed away
MATH = {"contract", "nsz", "arcp", "reassoc"}


def _pieces() -> list[Path]:
    room = Path(__file__).resolve().parent
    return [
        room.parent / "core/_elementwise.py",
        room.parent / "optim/_penalties.py",
        *sorted(room.glob("_kernel*.py")),
    ]


CACHE = compiled_folder("linear", _pieces())


def kept_in_cache() -> AbstractContextManager[None]:
    """Makes numba keep what is declared inside in `CACHE`."""
    return kept_in(CACHE)
