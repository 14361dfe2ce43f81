"""Penalised least squares with sparse inputs, compiled: coordinate descent on the residual over working sets.

The objective is 1/2 |y - X b|^2 + sum_j l1_j |b_j| + l2_j b_j^2 / 2 with lower <= b <= upper, where X = A - Q P' is
what is left of sparse columns A after the projection on a few orthonormal ones, Q (an intercept and unpenalised
inputs), and P = A'Q. X is never formed. Two vectors stand for the residual: `rest` = y - A b, to which a step adds a
sparse column, and `beside` = Q'rest, of few numbers; y is orthogonal to Q.

References:
    Massias, Gramfort and Salmon, Celer: a fast solver for the lasso with dual extrapolation, 2018 (working sets).
    Tibshirani et al., Strong rules for discarding predictors in lasso-type problems, 2012, equation 15.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from thalweg.linear._kernel import MATH, kept_in_cache
from thalweg.linear._kernel_quadratic import kkt_violation, quadratic_gap, room_left
from thalweg.optim import soft_threshold

#: sweeps over the candidates in a round
_SWEEPS = 3
#: the gap to reach within a working set, as a share of what is left to reach over all columns
_INNER = 0.3
#: columns that a working set may grow to at once, where its support is small
_FEW = 100
#: steps of conjugate gradients in a round, and the share of the gradient that is enough
_STEPS, _ENOUGH = 20, 0.03

_shrink = njit(soft_threshold, inline="always")


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


class Limits(NamedTuple):
    """The penalty and the bounds of some columns, each (m,)."""

    l1: np.ndarray
    l2: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


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
    def moments(data, indices, indptr, root, centred, mean, variance):
        """Writes weighted means of columns and their variances; where not centred, 0 and mean squares.

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
            mean[j], variance[j] = 0.0, squares
            if centred:
                spread = 0.0
                for t in range(indptr[j], indptr[j + 1]):
                    away = data[t] - total * root[indices[t]]
                    spread += away * away
                mean[j] = total
                variance[j] = spread + total * total * max(1.0 - share, 0.0)
                if variance[j] <= 1e-24 * squares:  # a column of equal numbers, but for rounding
                    variance[j] = 0.0

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def scale_columns(data, indptr, scale):
        """Divides columns by their scale, in place."""
        for j in range(scale.size):
            by = 1.0 / scale[j]
            for t in range(indptr[j], indptr[j + 1]):
                data[t] *= by

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy", inline="always")
    def _product(x, j, rest, beside):
        """Returns the product of a column of X and the residual."""
        found = 0.0
        for t in range(x.indptr[j], x.indptr[j + 1]):
            found += x.data[t] * rest[x.indices[t]]
        for i in range(beside.size):
            found -= x.side[j, i] * beside[i]
        return found

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy", inline="always")
    def _subtract(x, j, by, rest, beside):
        """Subtracts a multiple of a column of A from the residual."""
        for t in range(x.indptr[j], x.indptr[j + 1]):
            rest[x.indices[t]] -= by * x.data[t]
        for i in range(beside.size):
            beside[i] -= by * x.side[j, i]

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def products(x, which, rest, beside, found):
        """Writes the products of some columns of X and the residual."""
        for s in range(which.size):
            found[s] = _product(x, which[s], rest, beside)

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def all_products(x, rest, found):
        """Writes A'rest, which is X'rest where rest is orthogonal to Q."""
        for j in range(found.size):
            total = 0.0
            for t in range(x.indptr[j], x.indptr[j + 1]):
                total += x.data[t] * rest[x.indices[t]]
            found[j] = total

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def sweep_columns(x, which, places, coef, limits, rest, beside):
        """Minimises over some columns in turn; changes coef, rest and beside.

        Args:
            which: (m,) columns of the working set. places: Of those in it that are gone over.
            coef: (m,). limits: Of (m,).
            rest: (n,). beside: (k,).
        """
        for s in places:
            j = which[s]
            curvature = x.norms[j] + limits.l2[s]
            if curvature <= 0.0:
                continue
            old = coef[s]
            slope = _product(x, j, rest, beside) + x.norms[j] * old
            new = min(max(_shrink(slope, limits.l1[s]) / curvature, limits.lower[s]), limits.upper[s])
            if new != old:
                coef[s] = new
                _subtract(x, j, new - old, rest, beside)

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _multiply(x, which, places, by, l2, image, beside, found):
        """Writes (X'X + diag l2) by, of some columns; image and beside are written on the way."""
        image[:] = 0.0
        beside[:] = 0.0
        for s in range(places.size):
            _subtract(x, which[places[s]], -by[s], image, beside)
        for s in range(places.size):
            found[s] = _product(x, which[places[s]], image, beside) + l2[places[s]] * by[s]

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _conjugate_gradients(x, which, places, right, l2, image, beside):
        """Returns a step towards the solution of (X'X + diag l2) step = right; each lowers the quadratic more."""
        step, slope = np.zeros(places.size), right.copy()
        inverse = np.empty(places.size)
        for s in range(places.size):
            curvature = x.norms[which[places[s]]] + l2[places[s]]
            inverse[s] = 1.0 / curvature if curvature > 0.0 else 0.0
        towards = inverse * slope
        image_of = np.empty(places.size)
        length = np.dot(slope, towards)
        enough = _ENOUGH * _ENOUGH * length
        for _ in range(_STEPS):
            if length <= enough:
                break
            _multiply(x, which, places, towards, l2, image, beside, image_of)
            bend = np.dot(towards, image_of)
            if bend <= 0.0:
                break
            step += (length / bend) * towards
            slope -= (length / bend) * image_of
            before = length
            length = np.dot(inverse * slope, slope)
            towards = inverse * slope + (length / before) * towards
        return step

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def move_support(x, which, coef, corr, limits, rest, beside):
        """Moves the support towards the minimum of its quadratic; changes coef, rest and beside.

        Coefficients that would change sign stop at 0 and others at bounds, all where that lowers the objective, else
        the step ends with the first of them.

        Args:
            which: (m,). coef: (m,). corr: (m,) X'(y - X b). limits: Of (m,).
            rest: (n,). beside: (k,).
        """
        places = np.flatnonzero((coef != 0.0) & (coef > limits.lower) & (coef < limits.upper))
        num = places.size
        if num == 0:
            return
        right, room = np.empty(num), np.empty(num)
        for s in range(num):
            b = places[s]
            right[s] = corr[b] - limits.l2[b] * coef[b] - np.sign(coef[b]) * limits.l1[b]
        image, aside, image_of = np.empty(rest.size), np.empty(beside.size), np.empty(num)
        step = _conjugate_gradients(x, which, places, right, limits.l2, image, aside)
        first = 1.0
        for s in range(num):
            b = places[s]
            room[s] = room_left(coef[b], step[s], limits.l1[b], limits.lower[b], limits.upper[b])
            first = min(first, room[s])
        stopped = step * np.minimum(room, 1.0)
        _multiply(x, which, places, stopped, limits.l2, image, aside, image_of)
        lowers = 0.5 * np.dot(stopped, image_of) <= np.dot(right, stopped)
        for s in range(num):
            b = places[s]
            share = min(room[s], 1.0) if lowers else first
            end = coef[b] + share * step[s]
            if room[s] <= share:  # exactly there, not by rounding
                end = 0.0 if coef[b] * step[s] < 0.0 else (limits.upper[b] if step[s] > 0.0 else limits.lower[b])
            _subtract(x, which[b], end - coef[b], rest, beside)
            coef[b] = end

    @njit(cache=True, nogil=True)
    def solve_within(x, which, q, corr, coef, square, limits, tol, max_rounds, rest, beside):
        """Lowers the objective over a working set until its gap is at most `tol`; returns the number of rounds.

        A round is some sweeps over what is not 0 or violates its condition there; from the second on, a step of the
        support goes before them.

        Args:
            which: (m,) columns. q: (m,) X'y. corr: (m,) changed with b. coef: (m,) changed. square: y'y.
            limits: Of (m,).
            tol: In units of the objective.
            max_rounds: At most so many.
            rest: (n,) changed with b. beside: (k,) likewise.
        """
        for used in range(max_rounds):
            gap = quadratic_gap(
                q, corr, coef, square, limits.l1, limits.l2, limits.lower, limits.upper, 0.0
            )
            if gap <= tol:
                return used
            if used > 0:
                move_support(x, which, coef, corr, limits, rest, beside)
                products(x, which, rest, beside, corr)
            places = np.flatnonzero((coef != 0.0) | (np.abs(corr) > limits.l1))
            for _ in range(_SWEEPS):
                sweep_columns(x, which, places, coef, limits, rest, beside)
            products(x, which, rest, beside, corr)
        return max_rounds

    @njit(cache=True, nogil=True, error_model="numpy")
    def _steepness(coef, corr, limits):
        """Returns |corr_j| / l1_j of what is 0 and may move that way; else 0. Above 1 it would move."""
        found = np.zeros(coef.size)
        for j in range(coef.size):
            if coef[j] == 0.0 and ((corr[j] > 0.0 and limits.upper[j] > 0.0) or (corr[j] < 0.0 and limits.lower[j] < 0.0)):
                found[j] = abs(corr[j]) / limits.l1[j]
        return found

    @njit(cache=True, nogil=True)
    def _working_set(coef, steepness, share, most):
        """Returns what is not 0, and at most so many of the other columns that are steeper than a share."""
        wanted = np.flatnonzero(steepness > share)
        if wanted.size > most:
            worst = np.sort(steepness[wanted])[wanted.size - most]
            wanted = wanted[steepness[wanted] >= worst]
        inside = coef != 0.0
        inside[wanted] = True
        return np.flatnonzero(inside)

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def fresh_residual(x, y, basis, coef, rest, found):
        """Writes y - A b and X'(y - X b), from b alone: no rounding of earlier steps is left.

        Args:
            y: (n,). basis: (k, n) Q'. coef: (p,).
            rest: (n,) written. found: (p,) written.
        Returns:
            (k,) Q'rest.
        """
        rest[:] = y
        beside = np.zeros(basis.shape[0])
        for j in np.flatnonzero(coef):
            _subtract(x, j, coef[j], rest, beside)
        projected = rest.copy()
        for i in range(basis.shape[0]):
            beside[i] = np.dot(basis[i], rest)
            for t in range(rest.size):
                projected[t] -= beside[i] * basis[i, t]
        all_products(x, projected, found)
        return beside

    @njit(cache=True, nogil=True, error_model="numpy")
    def sparse_path(x, y, basis, q, strengths, limits, tol, max_rounds, coef, coefs, gaps, kkts):
        """Writes the solutions for falling strengths, each from the one before.

        Args:
            x: Of p columns over n rows.
            y: (n,) orthogonal to the basis. basis: (k, n) Q'. q: (p,) X'y.
            strengths: (L,) what l1 and l2 are multiplied by.
            limits: Of (p,), at strength 1.
            tol: In units of the objective.
            max_rounds: For every strength.
            coef: (p,) where to start; changed.
            coefs: (L, p) written. gaps: (L,) written. kkts: (L,) written.
        """
        square = np.dot(y, y)
        rest, corr = np.empty(y.size), np.empty(coef.size)
        beside = fresh_residual(x, y, basis, coef, rest, corr)
        for t in range(strengths.size):
            s = strengths[t]
            now = Limits(s * limits.l1, s * limits.l2, limits.lower, limits.upper)
            # the strong rule; at the first strength what violates its condition at the start
            share = max(2.0 - strengths[t - 1] / s, 0.0) if t > 0 else 1.0
            inner, left = _INNER * tol, max_rounds
            gap = quadratic_gap(q, corr, coef, square, now.l1, now.l2, now.lower, now.upper, 0.0)
            while gap > tol and left > 0:
                steepness = _steepness(coef, corr, now)
                if share == 1.0 and steepness.max() <= 1.0:
                    inner *= 0.1
                which = _working_set(coef, steepness, share, max(_FEW, np.count_nonzero(coef)))
                part = Limits(now.l1[which], now.l2[which], now.lower[which], now.upper[which])
                inside, slopes = coef[which], corr[which]
                used = solve_within(x, which, q[which], slopes, inside, square, part, inner, left, rest, beside)
                left -= max(used, 1)
                coef[which] = inside
                beside = fresh_residual(x, y, basis, coef, rest, corr)
                gap = quadratic_gap(q, corr, coef, square, now.l1, now.l2, now.lower, now.upper, 0.0)
                share = 1.0
            gaps[t] = gap
            coefs[t] = coef
            kkts[t] = kkt_violation(corr, coef, now.l1, now.l2, now.lower, now.upper)

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def held_out_errors(data, indices, indptr, y, root, coefs, intercepts, errors):
        """Writes the weighted mean squared errors of a path.

        Args:
            data: (nnz,) multiplied by the root of the weight of the row. indices: (nnz,). indptr: (p + 1,).
            y: (n,). root: (n,) its square sums to 1.
            coefs: (L, p). intercepts: (L,). errors: (L,) written.
        """
        for k in range(errors.size):
            rest = root * (y - intercepts[k])
            for j in np.flatnonzero(coefs[k]):
                for t in range(indptr[j], indptr[j + 1]):
                    rest[indices[t]] -= coefs[k, j] * data[t]
            errors[k] = np.dot(rest, rest)
