"""Weighted sums over rows: all that a least-squares fit reads of them, and the error on rows that are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core import share_out
from thalweg.linear._rows import Parts, Rows

#: rows that are shifted and multiplied at a time: they stay in cache
_CHUNK = 1024
#: chunks that a thread sums before it hands its sums over
_PIECE = 8
#: rows from which a shift near the mean is taken
_SAMPLE = 1000
#: means of so many deviations cost two digits of the centred products
_FAR = 10.0


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Sums over F sets of rows, of inputs x and a target y from which a shift was taken.

    The shift is near the mean: products of large numbers would cancel in the centred ones.

    Args:
        weight: (F,) sum w.
        x: (F, p) sum w x. y: (F,) sum w y.
        xx: (F, p, p) sum w x x'. xy: (F, p) sum w x y. yy: (F,) sum w y^2.
    """

    weight: np.ndarray
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray

    def of(self, member: np.ndarray) -> Sums:
        """Returns the sums over unions of sets.

        Args:
            member: (U, F) bool: which sets make up a union.
        """
        num, size = member.shape
        mixed = {}
        for name, value in vars(self).items():
            flat = member.astype(np.float64) @ value.reshape(size, -1)
            mixed[name] = flat.reshape(num, *value.shape[1:])
        return Sums(**mixed)


@dataclass(frozen=True, kw_only=True)
class Shift:
    """What was taken from inputs and target.

    Args:
        x: (p,). y: of the target.
    """

    x: np.ndarray
    y: float


def sum_parts(rows: Rows, parts: Parts, *, shifted: bool, threads: int) -> tuple[Sums, Shift]:
    """Returns the sums over every part, and the shift, in one pass over the inputs.

    Args:
        rows: Inputs in an array.
        parts: A of them.
        shifted: Whether a shift is taken; else it is 0.
        threads: Cores to use.
    """
    x: Any = rows.x
    num, size = len(parts.rows), x.shape[1]
    shift = _find_shift(rows) if shifted else Shift(x=np.zeros(size), y=0.0)
    root = np.sqrt(rows.weights)
    y = (rows.y - shift.y) * root
    found = Sums(
        weight=np.array([rows.weights[which].sum() for which in parts.rows]),
        x=np.zeros((num, size)),
        y=np.array([y[which] @ root[which] for which in parts.rows]),
        xx=np.zeros((num, size, size)),
        xy=np.zeros((num, size)),
        yy=np.array([y[which] @ y[which] for which in parts.rows]),
    )
    pieces = [
        (a, chunks[k : k + _PIECE])
        for a, which in enumerate(parts.rows)
        for chunks in [_chunks(which)]
        for k in range(0, len(chunks), _PIECE)
    ]
    sums: list[Any] = [None] * len(pieces)

    def work(k: int) -> None:
        sums[k] = _sum_chunks(x, y, root, shift.x, pieces[k][1], equal=rows.equal_weights)

    share_out(work, range(len(pieces)), threads)
    for (a, _), (gram, linear, cross) in zip(pieces, sums, strict=True):  # in order: the same bits on any threads
        found.xx[a] += gram
        found.x[a] += linear
        found.xy[a] += cross
    return found, shift


def _find_shift(rows: Rows) -> Shift:
    """Returns what lies near the means of inputs and target, from some rows; 0 where no input is far from 0."""
    x: Any = rows.x
    step = max(1, len(x) // _SAMPLE)
    middle, spread = x[::step].mean(0), x[::step].std(0)
    if not (np.abs(middle) > _FAR * spread).any():
        middle = np.zeros_like(middle)
    return Shift(x=middle, y=float(rows.y[::step].mean()))


def _sum_chunks(
    x: np.ndarray,
    y: np.ndarray,
    root: np.ndarray,
    shift: np.ndarray,
    chunks: Sequence[slice | np.ndarray],
    *,
    equal: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (p, p), (p,) and (p,) sums over some rows: of products of inputs, of inputs, and of products with y."""
    gram, both = np.zeros((x.shape[1], x.shape[1])), np.zeros((2, x.shape[1]))
    for part in chunks:
        chunk = x[part]
        if shift.any():
            chunk = chunk - shift
        if not equal:
            chunk = chunk * root[part, None]
        gram += chunk.T @ chunk
        both += np.stack([root[part], y[part]]) @ chunk
    scale = root[0] if equal else 1.0
    return gram * scale**2, both[0] * scale, both[1] * scale


def _chunks(which: slice | np.ndarray) -> list[slice | np.ndarray]:
    if isinstance(which, slice):
        return [slice(k, min(k + _CHUNK, which.stop)) for k in range(which.start, which.stop, _CHUNK)]
    return [which[k : k + _CHUNK] for k in range(0, len(which), _CHUNK)]
