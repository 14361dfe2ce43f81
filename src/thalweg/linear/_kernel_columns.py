"""Products with columns of inputs, compiled for both kinds: arrays, and the three arrays of a sparse matrix.

`x` is (q, n), a line for each column, or (data, indices, starts) of a CSC matrix (n, q). Values of rows come as (K, n):
one line for each linear score that a row has. Coordinates are pairs (k, j) of a score and a column, sorted by k.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from thalweg.linear._kernel import MATH, kept_in_cache

#: rows that are weighted and multiplied at a time: they stay in cache
_CHUNK = 512
_OPTIONS: Any = {"nogil": True, "fastmath": MATH, "error_model": "numpy"}


def correlate(x: Any, columns: np.ndarray, values: np.ndarray, found: np.ndarray) -> None:
    """Writes the products found[k, j] of some columns j with values[k].

    Args:
        x: Columns. columns: Which.
        values: (K, n). found: (K, q) written.
    """
    raise NotImplementedError  # compiled code takes one of those below


@overload(correlate, jit_options=_OPTIONS)
def _correlate(x, columns, values, found):
    def dense(x, columns, values, found):
        if columns.size == x.shape[0]:
            for k in range(values.shape[0]):
                found[k] = np.dot(x, values[k])
            return
        for j in columns:
            for k in range(values.shape[0]):
                found[k, j] = np.dot(x[j], values[k])

    def csc(x, columns, values, found):
        data, indices, starts = x
        for k in range(values.shape[0]):
            line = values[k]
            for j in columns:
                total = 0.0
                for t in range(starts[j], starts[j + 1]):
                    total += data[t] * line[indices[t]]
                found[k, j] = total

    return dense if isinstance(x, types.Array) else csc


def add_columns(x: Any, scores: np.ndarray, columns: np.ndarray, by: np.ndarray, values: np.ndarray) -> None:
    """Adds by[t] times column columns[t] to values[scores[t]].

    Args:
        x: Columns. scores: (m,). columns: (m,). by: (m,).
        values: (K, n) changed.
    """
    raise NotImplementedError


@overload(add_columns, jit_options=_OPTIONS)
def _add_columns(x, scores, columns, by, values):
    def dense(x, scores, columns, by, values):
        for start in range(0, values.shape[1], 8 * _CHUNK):
            end = min(start + 8 * _CHUNK, values.shape[1])
            for t in range(columns.size):
                if by[t] != 0.0:
                    line, column, share = values[scores[t]], x[columns[t]], by[t]
                    for i in range(start, end):
                        line[i] += share * column[i]

    def csc(x, scores, columns, by, values):
        data, indices, starts = x
        for t in range(columns.size):
            if by[t] != 0.0:
                line, share, j = values[scores[t]], by[t], columns[t]
                for s in range(starts[j], starts[j + 1]):
                    line[indices[s]] += share * data[s]

    return dense if isinstance(x, types.Array) else csc


def second_moments(
    x: Any, scores: np.ndarray, columns: np.ndarray, last: np.ndarray, curve: np.ndarray, beside: np.ndarray
) -> np.ndarray:
    """Returns the (m, m) sums over rows of x_ij h_i(k, l) x_ih for pairs of coordinates (k, j) and (l, h).

    Args:
        x: Columns. scores: (m,) rising. columns: (m,).
        last: (m,) bool: coordinates of long columns, which a sparse matrix goes through once only.
        curve: (K, n) h_i(k, k). beside: (K, n) of u, where h_i(k, l) = -u_i(k) u_i(l) for two scores; not read for one.
    """
    raise NotImplementedError


with kept_in_cache():

    @njit(cache=True, **_OPTIONS)
    def _weighted_lines(x, columns, start, end, by, lines):
        """Writes lines[t] = by * x[:, columns[t]] over a stretch of rows."""
        for t in range(columns.size):
            line, column = lines[t], x[columns[t], start:end]
            for i in range(end - start):
                line[i] = by[i] * column[i]

    @njit(cache=True, **_OPTIONS)
    def _gather(found, product, sign, row, column):
        for s in range(product.shape[0]):
            for t in range(product.shape[1]):
                found[row + s, column + t] += sign * product[s, t]


@overload(second_moments, jit_options=_OPTIONS)
def _second_moments(x, scores, columns, last, curve, beside):
    def dense(x, scores, columns, last, curve, beside):
        num, n, size = curve.shape[0], curve.shape[1], columns.size
        found = np.zeros((size, size))
        starts = np.searchsorted(scores, np.arange(num + 1))
        for start in range(0, n, _CHUNK):
            end = min(start + _CHUNK, n)
            own, cross = np.empty((size, end - start)), np.empty((size if num > 1 else 0, end - start))
            for k in range(num):
                a, b = starts[k], starts[k + 1]
                if a == b:
                    continue
                _weighted_lines(x, columns[a:b], start, end, np.sqrt(curve[k, start:end]), own[a:b])
                # lines are taken by 128, so that little of the upper half is computed
                for s in range(a, b, 128):
                    t = min(s + 128, b)
                    _gather(found, np.dot(own[s:t], own[a:t].T), 1.0, s, a)
                if num > 1:
                    _weighted_lines(x, columns[a:b], start, end, beside[k, start:end], cross[a:b])
                    if a > 0:
                        _gather(found, np.dot(cross[a:b], cross[:a].T), -1.0, a, 0)
        for s in range(size):
            for t in range(s):
                found[t, s] = found[s, t]
        return found

    def csc(x, scores, columns, last, curve, beside):
        data, indices, starts = x
        num, n, size = curve.shape[0], curve.shape[1], columns.size
        found, lines = np.zeros((size, size)), np.zeros((num, n))
        for t in range(size):
            k, j = scores[t], columns[t]
            for s in range(starts[j], starts[j + 1]):
                i = indices[s]
                for o in range(num):
                    h = curve[k, i] if o == k else -beside[k, i] * beside[o, i]
                    lines[o, i] = h * data[s]
            for r in range(size):
                if r > t if last[r] == last[t] else not last[t]:
                    continue
                line, h, total = lines[scores[r]], columns[r], 0.0
                for s in range(starts[h], starts[h + 1]):
                    total += data[s] * line[indices[s]]
                found[t, r] = total
                found[r, t] = total
            for s in range(starts[j], starts[j + 1]):
                lines[:, indices[s]] = 0.0
        return found

    return dense if isinstance(x, types.Array) else csc


def slope_of(x: Any, column: int, by: np.ndarray, values: np.ndarray, less: np.ndarray) -> float:
    """Returns the sum over rows of x_ij by_i (values_i - less_i).

    Args:
        x: Columns. column: j.
        by: (n,). values: (n,). less: (n,).
    """
    raise NotImplementedError


@overload(slope_of, jit_options=_OPTIONS)
def _slope_of(x, column, by, values, less):
    def dense(x, column, by, values, less):
        line, total = x[column], 0.0
        for i in range(by.size):
            total += line[i] * by[i] * (values[i] - less[i])
        return total

    def csc(x, column, by, values, less):
        data, indices, starts = x
        total = 0.0
        for t in range(starts[column], starts[column + 1]):
            i = indices[t]
            total += data[t] * by[i] * (values[i] - less[i])
        return total

    return dense if isinstance(x, types.Array) else csc


def add_column(x: Any, column: int, share: float, values: np.ndarray, by: np.ndarray, also: np.ndarray) -> None:
    """Adds share x_ij to values_i, and by_i times that to also_i.

    Args:
        x: Columns. column: j. share: A number.
        values: (n,) changed. by: (n,). also: (n,) changed.
    """
    raise NotImplementedError


@overload(add_column, jit_options=_OPTIONS)
def _add_column(x, column, share, values, by, also):
    def dense(x, column, share, values, by, also):
        line = x[column]
        for i in range(by.size):
            values[i] += share * line[i]
            also[i] += share * line[i] * by[i]

    def csc(x, column, share, values, by, also):
        data, indices, starts = x
        for t in range(starts[column], starts[column + 1]):
            i = indices[t]
            values[i] += share * data[t]
            also[i] += share * data[t] * by[i]

    return dense if isinstance(x, types.Array) else csc


def squares_of(x: Any, column: int, by: np.ndarray) -> float:
    """Returns the sum over rows of by_i x_ij^2.

    Args:
        x: Columns. column: j. by: (n,).
    """
    raise NotImplementedError


@overload(squares_of, jit_options=_OPTIONS)
def _squares_of(x, column, by):
    def dense(x, column, by):
        line, total = x[column], 0.0
        for i in range(by.size):
            total += by[i] * line[i] * line[i]
        return total

    def csc(x, column, by):
        data, indices, starts = x
        total = 0.0
        for t in range(starts[column], starts[column + 1]):
            total += by[indices[t]] * data[t] * data[t]
        return total

    return dense if isinstance(x, types.Array) else csc


def sweeps_pay(x: Any, columns: np.ndarray) -> bool:
    """Returns whether sweeps that go through the columns cost less than second moments of them and their factors.

    A sweep reads every entry, about 60 times in all; sums of products run several times as fast in arrays.

    Args:
        x: Columns. columns: (m,) which.
    """
    raise NotImplementedError


@overload(sweeps_pay, jit_options=_OPTIONS)
def _sweeps_pay(x, columns):
    def dense(x, columns):
        m, n = float(columns.size), float(x.shape[1])
        return m / 10.0 + m * m / (12.0 * n) > 250.0

    def csc(x, columns):
        entries, m = 1.0, float(columns.size)
        for j in columns:
            entries += x[2][j + 1] - x[2][j]
        return m + m * m * m / (12.0 * entries) > 250.0

    return dense if isinstance(x, types.Array) else csc
