"""Proximal Newton steps for penalised logistic and softmax regression, compiled.

A step minimises the penalised quadratic of the true Hessian on the coordinates that matter, with unpenalised ones
projected out; a line search on the objective makes it safe.

References:
    Friedman, Hastie and Tibshirani, Regularization paths for generalized linear models via coordinate descent, 2010.
    Lee, Sun and Saunders, Proximal Newton-type methods for minimizing composite functions, 2014.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from thalweg.linear._kernel import MATH, kept_in_cache
from thalweg.linear._kernel_columns import add_columns, second_moments, sweeps_pay
from thalweg.linear._kernel_likelihood import beside_of, refresh
from thalweg.linear._kernel_quadratic import kkt_violation, newton, sweep
from thalweg.linear._kernel_sweeps import minimise_by_sweeps

#: rounds on one quadratic, at most; and the share of its first violation at which it is left
_QUADRATIC_ROUNDS, _QUADRATIC_SHARE = 30, 1e-4
#: share of the predicted decrease that a step must reach, and how often it may be halved
_DECREASE, HALVINGS = 1e-4, 40
#: an objective that rises by no more, as a share of it, has not risen but was rounded
ROUNDING = 4e-16

with kept_in_cache():

    @njit(cache=True, nogil=True)
    def _coordinates(problem, strength, state, columns):
        """Returns scores and columns of coefficients that are not 0, should not be, or are free; and whether free."""
        most = state.coef.shape[0] * (columns.size + problem.free.size)
        scores, which, free = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.bool_)
        num = 0
        for k in range(state.coef.shape[0]):
            for j in problem.free:
                scores[num], which[num], free[num] = k, j, True
                num += 1
            for j in columns:
                c, l1 = state.corr[k, j], strength * problem.l1[j]
                leads = (c > l1 and problem.upper[j] > 0.0) or (c < -l1 and problem.lower[j] < 0.0)
                if problem.held[j] and (state.coef[k, j] != 0.0 or leads):
                    scores[num], which[num], free[num] = k, j, False
                    num += 1
        return scores[:num], which[:num], free[:num]

    @njit(cache=True, nogil=True)
    def _block(matrix, rows, columns):
        found = np.empty((rows.size, columns.size))
        for s in range(rows.size):
            for t in range(columns.size):
                found[s, t] = matrix[rows[s], columns[t]]
        return found

    @njit(cache=True, nogil=True)
    def _minimise(gram, corr, coef, l1, l2, lower, upper, tangent):
        """Minimises a penalised quadratic by sweeps and Newton steps; changes corr and coef, and writes tangent."""
        every, ones, room = np.arange(coef.size), np.ones(coef.size), np.empty(coef.size**2)
        goal = _QUADRATIC_SHARE * kkt_violation(corr, coef, l1, l2, lower, upper, ones)
        for _ in range(_QUADRATIC_ROUNDS):
            sweep(gram, corr, coef, l1, l2, lower, upper, every)
            newton(gram, corr, coef, l1, l2, lower, upper, tangent, room)
            if kkt_violation(corr, coef, l1, l2, lower, upper, ones) <= goal:
                break

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _penalty(problem, strength, state, scores, columns, move, share):
        total = 0.0
        for t in range(columns.size):
            j = columns[t]
            b = state.coef[scores[t], j] + share * move[t]
            total += problem.l1[j] * abs(b) + 0.5 * problem.l2[j] * b * b
        return strength * total

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def advance(problem, strength, state, loss, scores, columns, move, halvings):
        """Moves coefficients as far as the objective falls enough; returns the loss and whether anything moved.

        Args:
            scores: (m,). columns: (m,). move: (m,) of the coefficients.
            halvings: How often the step may be halved.
        """
        moved = np.zeros_like(state.score)
        add_columns(problem.x, scores, columns, move, moved)
        slope = -np.sum(state.residual * moved)
        before = _penalty(problem, strength, state, scores, columns, move, 0.0)
        predicted = slope + _penalty(problem, strength, state, scores, columns, move, 1.0) - before
        share, total = 1.0, loss + before
        state.score[:] += moved
        for _ in range(halvings + 1):
            new = refresh(problem, state)
            after = new + _penalty(problem, strength, state, scores, columns, move, share)
            if after <= total + _DECREASE * share * min(predicted, 0.0) + ROUNDING * total:
                for t in range(columns.size):
                    state.coef[scores[t], columns[t]] += share * move[t]
                return new, True
            share *= 0.5
            state.score[:] -= share * moved
        state.score[:] -= share * moved
        return refresh(problem, state), False

    @njit(cache=True, nogil=True)
    def step(problem, strength, state, loss, columns):
        """Makes one proximal Newton step from a settled state; returns the loss and whether anything moved."""
        scores, which, free = _coordinates(problem, strength, state, columns)
        beside, held = np.flatnonzero(free), np.flatnonzero(~free)
        coef, corr, tangent = np.empty(held.size), np.empty(held.size), np.zeros(held.size)
        for t in range(held.size):
            coef[t] = state.coef[scores[held[t]], which[held[t]]]
            corr[t] = state.corr[scores[held[t]], which[held[t]]]
        old, penalised = coef.copy(), which[held]
        l1, l2 = strength * problem.l1[penalised], strength * problem.l2[penalised]
        lower, upper = problem.lower[penalised], problem.upper[penalised]
        if sweeps_pay(problem.x, penalised):
            carried = minimise_by_sweeps(
                problem, state, scores[beside], which[beside], scores[held], penalised, corr, coef, l1, l2, lower, upper
            )
        else:
            hessian = second_moments(problem.x, scores, which, free, state.curve, beside_of(problem, state))
            across = _block(hessian, beside, held)
            carried = np.dot(state.inverse, across)
            if held.size > 0:
                gram = _block(hessian, held, held) - np.dot(across.T, carried)
                _minimise(gram, corr, coef, l1, l2, lower, upper, tangent)
        move = np.empty(scores.size)
        move[held], move[beside] = coef - old, state.shift - np.dot(carried, coef - old)
        state.tangent[:] = 0.0
        aside = np.dot(carried, tangent)
        for t in range(held.size):
            state.tangent[scores[held[t]], penalised[t]] = tangent[t]
        for t in range(beside.size):
            state.tangent[scores[beside[t]], which[beside[t]]] = -aside[t]
        return advance(problem, strength, state, loss, scores, which, move, HALVINGS)

    @njit(cache=True, nogil=True)
    def add_to_scores(problem, scores, columns, by, values):
        """Adds by[t] times column columns[t] to values[scores[t]]."""
        add_columns(problem.x, scores, columns, by, values)
