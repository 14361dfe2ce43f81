"""The rows of a problem, the sets of them that are trained on, and the parts of which those sets are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import pinvh

#: parts for a set, at most; where sets overlap at random, each is summed by itself
_MOST = 4
#: an input is constant where its deviation is this share of its mean, or its variance this share of its mean square
ROUNDING = 1e-13


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What is fitted.

    Args:
        x: (n, p) float64: an array, or a sparse matrix in CSC format.
        y: (n,) float64; classes as 0, 1, ..., C - 1.
        weights: (n,) at least 0, of sum 1.
    """

    x: np.ndarray | sparse.csc_array
    y: np.ndarray
    weights: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(n, p)."""
        num, size = self.x.shape  # pyright: ignore[reportGeneralTypeIssues]
        return num, size

    @property
    def equal_weights(self) -> bool:
        """Whether all rows weigh the same."""
        return bool((self.weights == self.weights[0]).all())


@dataclass(frozen=True, kw_only=True)
class RowSet:
    """Rows that one fit is trained on, and those that it is measured on.

    Args:
        train: (n,) bool. test: (n,) bool, or None where nothing is held out.
    """

    train: np.ndarray
    test: np.ndarray | None = None

    @classmethod
    def whole(cls, num: int) -> RowSet:
        """Returns the set of all rows."""
        return cls(train=np.ones(num, bool))


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Rows in groups that every set holds whole or not at all: sums over a set are sums of those over its parts.

    Args:
        rows: For each of A parts, a slice or the numbers of its rows.
        trained: (F, A) bool: whether a set trains on a part. tested: (F, A) bool: whether it is measured on it.
    """

    rows: Sequence[slice | np.ndarray]
    trained: np.ndarray
    tested: np.ndarray

    @classmethod
    def of(cls, sets: Sequence[RowSet]) -> Parts:
        """Returns the fewest parts of which some sets are made.

        Example:
            >>> first = np.array([True, True, False])
            >>> Parts.of([RowSet.whole(3), RowSet(train=first, test=~first)]).trained
            array([[ True,  True],
                   [ True, False]])
        """
        code = np.zeros(len(sets[0].train), np.uint64)
        for each in sets:
            # of odd factors, so that no digit is lost when the number overflows
            code = code * np.uint64(0x9E3779B97F4A7C15) + each.train
            if each.test is not None:
                code = code * np.uint64(0x9E3779B97F4A7C15) + each.test
        starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])
        if len(np.unique(code[starts])) == len(starts):  # every part is one stretch of rows
            ends = [*starts[1:].tolist(), len(code)]
            rows: list[slice | np.ndarray] = [slice(int(a), int(b)) for a, b in zip(starts, ends, strict=True)]
            first = starts
        else:
            _, first, which = np.unique(code, return_index=True, return_inverse=True)
            if len(first) > _MOST * len(sets):
                return cls._of_each(sets)
            order = np.argsort(which, kind="stable")
            rows = list(np.split(order, np.cumsum(np.bincount(which))[:-1]))
        none = np.zeros(len(first), bool)
        return cls(
            rows=rows,
            trained=np.array([each.train[first] for each in sets]),
            tested=np.array([none if each.test is None else each.test[first] for each in sets]),
        )

    @classmethod
    def _of_each(cls, sets: Sequence[RowSet]) -> Parts:
        """Returns every set's rows as parts of their own, which overlap."""
        held_out = [k for k, each in enumerate(sets) if each.test is not None]
        rows = [np.flatnonzero(each.train) for each in sets]
        rows += [np.flatnonzero(np.asarray(sets[k].test)) for k in held_out]
        trained, tested = np.zeros((2, len(sets), len(rows)), bool)
        trained[range(len(sets)), range(len(sets))] = True
        tested[held_out, range(len(sets), len(rows))] = True
        return cls(rows=rows, trained=trained, tested=tested)


def inverse_of(moments: np.ndarray) -> np.ndarray:
    """Returns the pseudo-inverse of (k, k) second moments, which may be of no column at all."""
    return np.asarray(pinvh(moments)) if len(moments) else moments


def scales(variances: np.ndarray, means: np.ndarray, squares: np.ndarray | float = 0.0) -> np.ndarray:
    """Returns the (p,) standard deviations of inputs, and 1 for those that do not vary beyond rounding.

    Args:
        variances: (p,) as computed. means: (p,) of the inputs as they were given.
        squares: (p,) means of squares, where the variances are what is left of these.
    """
    rounding = np.maximum((ROUNDING * means) ** 2, ROUNDING * squares)
    return np.where(variances > rounding, np.sqrt(np.maximum(variances, 0.0)), 1.0)
