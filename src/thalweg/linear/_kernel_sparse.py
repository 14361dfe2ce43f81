"""Penalised least squares over a working set of sparse columns, compiled: coordinate descent on the residual.

The objective is 1/2 |y - X b|^2 + sum_j l1_j |b_j| + l2_j b_j^2 / 2 with lower <= b <= upper.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from thalweg.linear._kernel import MATH, kept_in_cache
from thalweg.linear._kernel_quadratic import quadratic_gap, solve_quadratic
from thalweg.linear._kernel_sparse_columns import column_product, gram_of, products, subtract_column
from thalweg.optim import soft_threshold

#: sweeps over the candidates in a round
_SWEEPS = 5
#: rounds after which working sets of at most so many columns go on by Newton steps
_PATIENCE, _MOST = 12, 1500
#: added to the products of steps, as a share of their trace: as sweeps converge these become dependent
_LEVEL = 1e-12

_shrink = njit(soft_threshold, inline="always")


class Limits(NamedTuple):
    """The penalty and the bounds of some columns, each (m,)."""

    l1: np.ndarray
    l2: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


with kept_in_cache():

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
            slope = column_product(x, j, rest, beside) + x.norms[j] * old
            new = min(max(_shrink(slope, limits.l1[s]) / curvature, limits.lower[s]), limits.upper[s])
            if new != old:
                coef[s] = new
                subtract_column(x, j, new - old, rest, beside)

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
                subtract_column(x, which[s], mixed[s] - coef[s], rest, beside)
        products(x, which, rest, beside, trial)
        if _objective(q, trial, mixed, limits) < _objective(q, corr, coef, limits):
            coef[:], corr[:] = mixed, trial
            return True
        rest[:], beside[:] = rest_before, beside_before
        return False

    @njit(cache=True, nogil=True)
    def solve_by_gram(x, which, q, corr, coef, square, limits, tol, max_rounds, rest, beside):
        """Lowers the objective by Newton steps on the support, which sweeps alone reach slowly if columns are alike.

        Args:
            which: (m,). q: (m,). corr: (m,) changed with b. coef: (m,) changed. square: y'y.
            limits: Of (m,). tol: In units of the objective. max_rounds: At most so many.
            rest: (n,) changed with b. beside: (k,) likewise.
        """
        before, tangent = coef.copy(), np.zeros(coef.size)
        gram, limit = gram_of(x, which, rest.size), (limits.l1, limits.l2, limits.lower, limits.upper)
        solve_quadratic(gram, q, corr, coef, square, *limit, 0.0, tol, max_rounds, tangent, np.empty(coef.size**2))
        for s in range(which.size):
            if coef[s] != before[s]:
                subtract_column(x, which[s], coef[s] - before[s], rest, beside)

    @njit(cache=True, nogil=True)
    def solve_within(x, which, q, coef, square, limits, tol, max_rounds, rest, beside):
        """Lowers the objective over a working set until its gap is at most `tol`; returns the number of rounds.

        A round is some sweeps over what is not 0 or violates its condition there; between rounds they are accelerated.
        Where they are slow, Newton steps end it.

        Args:
            which: (m,) columns. q: (m,) X'y. coef: (m,) changed. square: y'y.
            limits: Of (m,).
            tol: In units of the objective.
            max_rounds: At most so many.
            rest: (n,) changed with b. beside: (k,) likewise.
        """
        l1, l2, lower, upper = limits.l1, limits.l2, limits.lower, limits.upper
        history, corr = np.empty((_SWEEPS + 1, coef.size)), np.empty(coef.size)
        products(x, which, rest, beside, corr)
        for used in range(max_rounds):
            gap = quadratic_gap(q, corr, coef, square, l1, l2, lower, upper, 0.0)
            if gap > tol and used > 0 and accelerate(x, which, q, corr, coef, limits, history, rest, beside):
                gap = quadratic_gap(q, corr, coef, square, l1, l2, lower, upper, 0.0)
            if gap <= tol:
                return used
            if used >= _PATIENCE and which.size <= _MOST:
                solve_by_gram(x, which, q, corr, coef, square, limits, tol, max_rounds - used, rest, beside)
                return used + 1
            places = np.flatnonzero((coef != 0.0) | (np.abs(corr) > l1))
            history[0] = coef
            for k in range(_SWEEPS):
                sweep_columns(x, which, places, coef, limits, rest, beside)
                history[k + 1] = coef
            products(x, which, rest, beside, corr)
        return max_rounds
