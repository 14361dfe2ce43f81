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
from thalweg.linear._kernel_quadratic import kkt_violation, quadratic_gap, solve_quadratic
from thalweg.optim import soft_threshold

#: sweeps over the candidates in a round
_SWEEPS = 5
#: the gap to reach within a working set, as a share of what is left to reach over all columns
_INNER = 0.3
#: rounds after which working sets of at most so many columns go on by Newton steps
_PATIENCE, _MOST = 12, 1500
#: columns that a working set may grow to at once, where its support is small
_FEW = 100
#: added to the products of steps, as a share of their trace: as sweeps converge these become dependent
_LEVEL = 1e-12

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


class Screen(NamedTuple):
    """What bounds the products of columns and a residual that has moved.

    Args:
        inverse: (p,) 1 / l1 at strength 1. up: (p,) bool: whether b may be above 0. down: (p,) bool: below.
        norm: (p,) 2-norms of the columns of X. total: (p,) 1-norms of those of A.
        way: (2,) how far the residual has moved in all, in the 2-norm and in the largest row.
        far: (p,) the first, when a column was last looked at. high: (p,) the second.
    """

    inverse: np.ndarray
    up: np.ndarray
    down: np.ndarray
    norm: np.ndarray
    total: np.ndarray
    way: np.ndarray
    far: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, x: Columns, limits: Limits) -> Screen:
        """Returns the screen of columns none of which has been looked at since the residual was y."""
        size, barred = len(x.norms), limits.lower == limits.upper
        total = np.zeros(size)
        add_sizes(x.data, x.indptr, total)
        with np.errstate(divide="ignore"):
            inverse = np.where(barred, 0.0, 1.0 / limits.l1)
        return cls(
            inverse=inverse,
            up=limits.upper > 0,
            down=limits.lower < 0,
            norm=np.sqrt(x.norms),
            total=total,
            way=np.zeros(2),
            far=np.zeros(size),
            high=np.zeros(size),
        )


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
    def _objective(q, corr, coef, limits):
        """Returns the objective less its value at 0."""
        found = 0.0
        for s in range(coef.size):
            b = coef[s]
            found += limits.l1[s] * abs(b) + 0.5 * b * (limits.l2[s] * b - q[s] - corr[s])
        return found

    @njit(cache=True, nogil=True, error_model="numpy")
    def _mixed(history, limits):
        """Returns the mix of coefficients after some sweeps whose step would be shortest; within bounds."""
        steps = history[1:] - history[:-1]
        gram = np.dot(steps, steps.T)
        trace = np.trace(gram)
        found = history[-1].copy()
        if trace > 0.0:
            for k in range(_SWEEPS):
                gram[k, k] += _LEVEL * trace
            share = np.linalg.solve(gram, np.ones(_SWEEPS))
            found = np.dot(share / share.sum(), history[1:])
            for s in range(found.size):
                # beyond a kink the sweeps go another way
                kept = found[s] * history[-1, s] > 0.0
                found[s] = min(max(found[s], limits.lower[s]), limits.upper[s]) if kept else 0.0
        return found

    @njit(cache=True, nogil=True, error_model="numpy")
    def accelerate(x, which, q, corr, coef, limits, history, rest, beside):
        """Goes on to a mix of the coefficients after some sweeps, if that lowers the objective; returns whether.

        Args:
            which: (m,) columns. q: (m,). corr: (m,) changed. coef: (m,) changed. limits: Of (m,).
            history: (_SWEEPS + 1, m) coefficients before and after each of the last sweeps.
            rest: (n,) changed. beside: (k,) changed.

        References:
            Bertrand and Massias, Anderson acceleration of coordinate descent, 2021, algorithm 2.
        """
        mixed, trial = _mixed(history, limits), corr.copy()
        rest_before, beside_before = rest.copy(), beside.copy()
        for s in range(which.size):
            if mixed[s] != coef[s]:
                _subtract(x, which[s], mixed[s] - coef[s], rest, beside)
        products(x, which, rest, beside, trial)
        if _objective(q, trial, mixed, limits) < _objective(q, corr, coef, limits):
            coef[:], corr[:] = mixed, trial
            return True
        rest[:], beside[:] = rest_before, beside_before
        return False

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _gram_of(x, which, num_rows):
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

    @njit(cache=True, nogil=True)
    def solve_by_gram(x, which, q, corr, coef, square, limits, tol, max_rounds, rest, beside):
        """Lowers the objective by Newton steps on the support, which sweeps alone reach slowly if columns are alike.

        Args:
            which: (m,). q: (m,). corr: (m,) changed with b. coef: (m,) changed. square: y'y.
            limits: Of (m,). tol: In units of the objective. max_rounds: At most so many.
            rest: (n,) changed with b. beside: (k,) likewise.
        """
        before, tangent = coef.copy(), np.zeros(coef.size)
        gram, limit = _gram_of(x, which, rest.size), (limits.l1, limits.l2, limits.lower, limits.upper)
        solve_quadratic(gram, q, corr, coef, square, *limit, 0.0, tol, max_rounds, tangent)
        for s in range(which.size):
            if coef[s] != before[s]:
                _subtract(x, which[s], coef[s] - before[s], rest, beside)

    @njit(cache=True, nogil=True)
    def solve_within(x, which, q, corr, coef, square, limits, tol, max_rounds, rest, beside):
        """Lowers the objective over a working set until its gap is at most `tol`; returns the number of rounds.

        A round is some sweeps over what is not 0 or violates its condition there; between rounds they are accelerated.
        Where they are slow, Newton steps end it.

        Args:
            which: (m,) columns. q: (m,) X'y. corr: (m,) changed with b. coef: (m,) changed. square: y'y.
            limits: Of (m,).
            tol: In units of the objective.
            max_rounds: At most so many.
            rest: (n,) changed with b. beside: (k,) likewise.
        """
        l1, l2, lower, upper = limits.l1, limits.l2, limits.lower, limits.upper
        history = np.empty((_SWEEPS + 1, coef.size))
        for used in range(max_rounds):
            gap = quadratic_gap(q, corr, coef, square, l1, l2, lower, upper, 0.0)
            if gap > tol and used > 0 and accelerate(x, which, q, corr, coef, limits, history, rest, beside):
                gap = quadratic_gap(q, corr, coef, square, l1, l2, lower, upper, 0.0)
            if gap <= tol:
                return used
            if used >= _PATIENCE and which.size <= _MOST:
                solve_by_gram(x, which, q, corr, coef, square, limits, tol, max_rounds - used, rest, beside)
                products(x, which, rest, beside, corr)
                return used + 1
            places = np.flatnonzero((coef != 0.0) | (np.abs(corr) > l1))
            history[0] = coef
            for k in range(_SWEEPS):
                sweep_columns(x, which, places, coef, limits, rest, beside)
                history[k + 1] = coef
            products(x, which, rest, beside, corr)
        return max_rounds

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
                _subtract(x, which[s], coef[s], rest, beside)
        projected[:] = rest
        for i in range(basis.shape[0]):
            beside[i] = np.dot(basis[i], rest)
            for t in range(rest.size):
                projected[t] -= beside[i] * basis[i, t]

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def note_move(screen, residual, last):
        """Adds how far the residual has moved; afterwards last is the residual."""
        squares, most = 0.0, 0.0
        for i in range(residual.size):
            away = residual[i] - last[i]
            squares += away * away
            most = max(most, abs(away))
            last[i] = residual[i]
        screen.way[0] += np.sqrt(squares)
        screen.way[1] += most

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def survey(x, screen, residual, corr, inside, reach, near):
        """Bounds |x_j'r| / l1_j of all columns outside a working set; looks only at those whose bound is too large.

        A column whose product was c when it was last looked at is bounded by |c| + |x_j|_2 d_2 and by
        |c| + |x_j|_1 d_max, where the residual has since moved by at most d_2 and, in every row, d_max.

        Args:
            screen: Of all columns; its stamps change.
            residual: (n,) orthogonal to the basis.
            corr: (p,) products when last looked at; changed.
            inside: (p,) bool: the working set.
            reach: What is steeper is looked at.
            near: (p,) Written: columns that are steeper.

        Returns:
            The largest bound, and the number of columns in near.
        """
        most, num, steep = 0.0, 0, 0
        far, high = screen.way[0], screen.way[1]
        for j in range(corr.size):
            moved = min(screen.norm[j] * (far - screen.far[j]), screen.total[j] * (high - screen.high[j]))
            bound = 0.0 if inside[j] else (abs(corr[j]) + moved) * screen.inverse[j]
            near[num] = j  # written in any case, and kept by the count: a branch would often be mispredicted
            num += bound >= reach
            most = max(most, 0.0 if bound >= reach else bound)
        for i in range(num):
            j = near[i]
            found = 0.0
            for t in range(x.indptr[j], x.indptr[j + 1]):
                found += x.data[t] * residual[x.indices[t]]
            corr[j], screen.far[j], screen.high[j] = found, far, high
            bound = screen.inverse[j] * max(found if screen.up[j] else 0.0, -found if screen.down[j] else 0.0)
            most = max(most, bound)
            near[steep] = j
            steep += bound >= reach
        return most, steep

    @njit(cache=True, nogil=True, error_model="numpy")
    def _steepest(near, corr, inverse, share, most):
        """Returns at most so many columns, of those that are steeper than a share the steepest."""
        steep = np.abs(corr[near]) * inverse[near]
        wanted = steep > share
        if np.count_nonzero(wanted) > most:
            wanted = steep >= np.sort(steep)[steep.size - most]
        return near[wanted]

    @njit(cache=True, nogil=True, error_model="numpy")
    def sparse_path(x, y, basis, q, screen, strengths, limits, tol, max_rounds, coef, coefs, gaps, kkts):
        """Writes the solutions for falling strengths, each from the one before.

        Args:
            x: Of p columns over n rows.
            y: (n,) orthogonal to the basis. basis: (k, n) Q'. q: (p,) X'y.
            screen: Of the columns; new.
            strengths: (L,) what l1 and l2 are multiplied by.
            limits: Of (p,), at strength 1.
            tol: In units of the objective.
            max_rounds: For every strength.
            coef: (p,) where to start; changed.
            coefs: (L, p) of zeros, written. gaps: (L,) written. kkts: (L,) written.
        """
        size, square = coef.size, np.dot(y, y)
        rest, last, projected, beside = y.copy(), y.copy(), y.copy(), np.zeros(basis.shape[0])
        corr, inside, near = q.copy(), coef != 0.0, np.empty(size, np.int64)
        which = np.flatnonzero(inside)
        if which.size > 0:
            fresh_residual(x, y, basis, coef[which], which, rest, beside, projected)
            note_move(screen, projected, last)
            found = np.empty(which.size)
            products(x, which, rest, beside, found)
            corr[which] = found
        _, num = survey(x, screen, projected, corr, inside, strengths[0], near)
        for t in range(strengths.size):
            s, left, inner = strengths[t], max_rounds, _INNER * tol
            # the strong rule for the next strength, by steepness at this one
            reach = max(2.0 * strengths[t + 1] - s, 0.5 * s) if t + 1 < strengths.size else s
            share = 0.0
            while True:
                added = _steepest(near[:num], corr, screen.inverse, share, max(_FEW, which.size))
                inside[added] = True
                which = np.flatnonzero(inside)
                part = Limits(s * limits.l1[which], s * limits.l2[which], limits.lower[which], limits.upper[which])
                b, q_in, corr_in = coef[which], q[which], corr[which]
                left -= solve_within(x, which, q_in, corr_in, b, square, part, inner, left, rest, beside)
                fresh_residual(x, y, basis, b, which, rest, beside, projected)
                note_move(screen, projected, last)
                products(x, which, rest, beside, corr_in)
                coef[which], corr[which] = b, corr_in
                screen.far[which], screen.high[which] = screen.way
                outside, num = survey(x, screen, projected, corr, inside, reach, near)
                gap = quadratic_gap(q_in, corr_in, b, square, part.l1, part.l2, part.lower, part.upper, outside / s)
                if gap <= tol or left <= 0:
                    break
                if outside <= s:
                    inner *= 0.1
                share, left = s, left - 1
            gaps[t] = gap
            kkts[t] = kkt_violation(corr_in, b, part.l1, part.l2, part.lower, part.upper, np.ones(b.size))
            for j in near[:num]:
                steep = max(corr[j] if screen.up[j] else 0.0, -corr[j] if screen.down[j] else 0.0)
                kkts[t] = max(kkts[t], steep - s * limits.l1[j])
            for i in range(which.size):
                coefs[t, which[i]] = b[i]
                inside[which[i]] = b[i] != 0.0 or abs(corr_in[i]) >= reach * limits.l1[which[i]]

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
