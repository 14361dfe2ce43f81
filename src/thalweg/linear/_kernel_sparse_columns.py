"""Sparse columns less their projection, compiled: taken over some rows, scaled, multiplied.

X = A - Q P' is what is left of sparse columns A after the projection on a few orthonormal ones, Q (an intercept and
unpenalised inputs), and P = A'Q. X is never formed. Two vectors stand for the residual: `rest` = y - A b, to which a
step adds a sparse column, and `beside` = Q'rest, of few numbers; y is orthogonal to Q.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from thalweg.linear._kernel import MATH, kept_in_cache


class Columns(NamedTuple):
    """The matrix X = A - Q P'.

    Args:
        data: (nnz,) entries of A. indices: (nnz,) their rows. indptr: (p + 1,) where columns start.
        side: (p, k) P.
        norms: (p,) squared norms of the columns of X.
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    side: np.ndarray
    norms: np.ndarray


with kept_in_cache():

    @njit(cache=True, nogil=True)
    def take_rows(data, indices, indptr, number, root):
        """Returns entries, rows and starts of the columns over some rows, each row multiplied by its root.

        Args:
            data: (nnz,). indices: (nnz,). indptr: (p + 1,).
            number: (n,) what a row is called among those that are taken; -1 where it is not.
            root: (n,) square roots of weights.
        """
        taken, rows = np.empty(data.size), np.empty(data.size, np.int32)
        starts = np.empty(indptr.size, np.int64)
        num = 0
        for j in range(indptr.size - 1):
            starts[j] = num
            for t in range(indptr[j], indptr[j + 1]):
                i = indices[t]
                # written in any case, and kept by the count: a branch on every entry would be mispredicted
                taken[num] = data[t] * root[i]
                rows[num] = number[i]
                num += number[i] >= 0
        starts[-1] = num
        return taken[:num], rows[:num], starts

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def moments(data, indices, indptr, root, mean, variance):
        """Writes weighted means of columns and their variances.

        Args:
            data: (nnz,) multiplied by the root of the weight of the row. indices: (nnz,). indptr: (p + 1,).
            root: (n,) its square sums to 1.
            mean: (p,) written. variance: (p,) written.
        """
        for j in range(mean.size):
            total, squares, share = 0.0, 0.0, 0.0
            for t in range(indptr[j], indptr[j + 1]):
                by = root[indices[t]]
                total += data[t] * by
                squares += data[t] * data[t]
                share += by * by
            spread = 0.0
            for t in range(indptr[j], indptr[j + 1]):
                away = data[t] - total * root[indices[t]]
                spread += away * away
            mean[j] = total
            full = indptr[j + 1] - indptr[j] == root.size  # then no weight is left, whatever rounding says
            variance[j] = spread + (0.0 if full else total * total * max(1.0 - share, 0.0))
            if variance[j] <= 1e-24 * squares:  # a column of equal numbers, but for rounding
                variance[j] = 0.0

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def scale_columns(data, indptr, scale):
        """Divides columns by their scale, in place."""
        for j in range(scale.size):
            by = 1.0 / scale[j]
            for t in range(indptr[j], indptr[j + 1]):
                data[t] *= by

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def add_sizes(data, indptr, total):
        """Adds the absolute entries of every column to (p,) total."""
        for j in range(total.size):
            for t in range(indptr[j], indptr[j + 1]):
                total[j] += abs(data[t])

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy", inline="always")
    def column_product(x, j, rest, beside):
        """Returns the product of a column of X and the residual."""
        found = 0.0
        for t in range(x.indptr[j], x.indptr[j + 1]):
            found += x.data[t] * rest[x.indices[t]]
        for i in range(beside.size):
            found -= x.side[j, i] * beside[i]
        return found

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy", inline="always")
    def subtract_column(x, j, by, rest, beside):
        """Subtracts a multiple of a column of A from the residual."""
        for t in range(x.indptr[j], x.indptr[j + 1]):
            rest[x.indices[t]] -= by * x.data[t]
        for i in range(beside.size):
            beside[i] -= by * x.side[j, i]

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def products(x, which, rest, beside, found):
        """Writes the products of some columns of X and the residual."""
        for s in range(which.size):
            found[s] = column_product(x, which[s], rest, beside)

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def all_products(x, rest, found):
        """Writes A'rest, which is X'rest where rest is orthogonal to Q."""
        for j in range(found.size):
            total = 0.0
            for t in range(x.indptr[j], x.indptr[j + 1]):
                total += x.data[t] * rest[x.indices[t]]
            found[j] = total

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def two_products(x, first, second, found):
        """Writes (p, 2) products A'r of two residuals (n,), which are X'r where they are orthogonal to Q."""
        both = np.empty((first.size, 2))  # side by side, so that a row is found once
        both[:, 0], both[:, 1] = first, second
        for j in range(found.shape[0]):
            a = b = 0.0
            for t in range(x.indptr[j], x.indptr[j + 1]):
                i, by = x.indices[t], x.data[t]
                a += by * both[i, 0]
                b += by * both[i, 1]
            found[j, 0], found[j, 1] = a, b

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def gram_of(x, which, num_rows):
        """Returns the (m, m) products of some columns of X."""
        found, line = np.empty((which.size, which.size)), np.zeros(num_rows)
        for s in range(which.size):
            j = which[s]
            for t in range(x.indptr[j], x.indptr[j + 1]):
                line[x.indices[t]] = x.data[t]
            for r in range(s + 1):
                i, total = which[r], 0.0
                for t in range(x.indptr[i], x.indptr[i + 1]):
                    total += x.data[t] * line[x.indices[t]]
                for k in range(x.side.shape[1]):
                    total -= x.side[i, k] * x.side[j, k]
                found[s, r] = total
                found[r, s] = total
            for t in range(x.indptr[j], x.indptr[j + 1]):
                line[x.indices[t]] = 0.0
        return found

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def fresh_residual(x, y, basis, coef, which, rest, beside, projected):
        """Writes y - A b, its part in the basis and what is left, from b alone: no rounding of earlier steps is left.

        Args:
            y: (n,). basis: (k, n) Q'. coef: (m,). which: (m,) columns.
            rest: (n,) written. beside: (k,) written. projected: (n,) written.
        """
        rest[:] = y
        for s in range(which.size):
            if coef[s] != 0.0:
                subtract_column(x, which[s], coef[s], rest, beside)
        projected[:] = rest
        for i in range(basis.shape[0]):
            beside[i] = np.dot(basis[i], rest)
            for t in range(rest.size):
                projected[t] -= beside[i] * basis[i, t]

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def held_out_errors(data, indices, indptr, y, root, values, columns, starts, intercepts, errors):
        """Writes the weighted mean squared errors of a path.

        Args:
            data: (nnz,) multiplied by the root of the weight of the row. indices: (nnz,). indptr: (p + 1,).
            y: (n,). root: (n,) its square sums to 1.
            values: Coefficients in CSR format. columns: Of them. starts: (L + 1,).
            intercepts: (L,). errors: (L,) written.
        """
        for k in range(errors.size):
            rest = root * (y - intercepts[k])
            for s in range(starts[k], starts[k + 1]):
                j = columns[s]
                for t in range(indptr[j], indptr[j + 1]):
                    rest[indices[t]] -= values[s] * data[t]
            errors[k] = np.dot(rest, rest)
