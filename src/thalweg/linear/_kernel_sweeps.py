"""Coordinate descent on the quadratic model of a likelihood, compiled: it goes through the columns, and keeps no Gram.

For working sets whose Gram would cost more than many sweeps do: columns of few entries, or more columns than rows.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from thalweg.linear._kernel import MATH, kept_in_cache
from thalweg.linear._kernel_columns import add_column, slope_of, squares_of
from thalweg.optim import soft_threshold

#: sweeps on one quadratic, at most; and the share of its first violation at which it is left
_SWEEPS, _SHARE = 100, 1e-2

_shrink = njit(soft_threshold, inline="always")

with kept_in_cache():

    @njit(cache=True, nogil=True)
    def _across(problem, state, weighted, free_scores, free_columns, scores, columns):
        """Returns (F, m) second moments of unpenalised coordinates and others.

        Args:
            weighted: (K, n) w p.
        """
        num, n = state.prob.shape
        found = np.empty((free_columns.size, columns.size))
        for f in range(free_columns.size):
            values, mean = np.zeros((num, n)), np.zeros(n)
            k = free_scores[f]
            add_column(problem.x, free_columns[f], 1.0, values[k], state.prob[k], mean)
            for t in range(columns.size):
                found[f, t] = slope_of(problem.x, columns[t], weighted[scores[t]], values[scores[t]], mean)
        return found

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def minimise_by_sweeps(
        problem, state, free_scores, free_columns, scores, columns, corr, coef, l1, l2, lower, upper
    ):
        """Minimises the penalised quadratic model over some coordinates, with the unpenalised ones projected out.

        Args:
            free_scores: (F,). free_columns: (F,) coordinates without penalty.
            scores: (m,). columns: (m,) the others.
            corr: (m,) at the start. coef: (m,) changed.
            l1: (m,). l2: (m,). lower: (m,). upper: (m,).

        Returns:
            (F, m) what every coefficient takes from the unpenalised ones.
        """
        num, n = state.prob.shape
        weighted = state.prob * problem.weights
        across = _across(problem, state, weighted, free_scores, free_columns, scores, columns)
        carried = np.dot(state.inverse, across)
        # along each row: the scores' moves, their mean over classes; and the moves of the unpenalised coefficients
        moved, mean, aside = np.zeros((num, n)), np.zeros(n), np.zeros(free_columns.size)
        curvature = np.empty(columns.size)
        for t in range(columns.size):
            k = scores[t]
            curvature[t] = squares_of(problem.x, columns[t], state.curve[k])
            for f in range(free_columns.size):
                curvature[t] -= across[f, t] * carried[f, t]
        goal = 0.0
        for s in range(_SWEEPS):
            most = 0.0
            for t in range(columns.size):
                whole, k, old = curvature[t] + l2[t], scores[t], coef[t]
                if whole <= 0.0:
                    continue
                slope = corr[t] - slope_of(problem.x, columns[t], weighted[k], moved[k], mean)
                for f in range(free_columns.size):
                    slope += across[f, t] * aside[f]
                new = _shrink(slope + curvature[t] * old, l1[t]) / whole
                new = min(max(new, lower[t]), upper[t])
                if new != old:
                    most = max(most, abs(new - old) * whole)
                    coef[t] = new
                    add_column(problem.x, columns[t], new - old, moved[k], state.prob[k], mean)
                    for f in range(free_columns.size):
                        aside[f] += carried[f, t] * (new - old)
            if s == 0:
                goal = _SHARE * most
            if most <= goal and s > 0:
                break
        return carried
