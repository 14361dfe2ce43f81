"""Paths of penalised logistic and softmax regression, compiled: proximal Newton steps on working sets.

A step minimises the penalised quadratic of the true Hessian on the coordinates that matter, with unpenalised ones
projected out; a line search on the objective makes it safe. Between strengths the solution moves along its tangent.

References:
    Friedman, Hastie and Tibshirani, Regularization paths for generalized linear models via coordinate descent, 2010.
    Lee, Sun and Saunders, Proximal Newton-type methods for minimizing composite functions, 2014.
    Tibshirani and others, Strong rules for discarding predictors in lasso-type problems, 2012.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from thalweg.linear._kernel import MATH, kept_in_cache
from thalweg.linear._kernel_columns import add_columns, second_moments
from thalweg.linear._kernel_likelihood import beside_of, likelihood_gap, refresh, settle
from thalweg.linear._kernel_quadratic import kkt_violation, newton, sweep

#: rounds on one quadratic, at most; and the share of its first violation at which it is left
_QUADRATIC_ROUNDS, _QUADRATIC_SHARE = 30, 1e-4
#: share of the predicted decrease that a step must reach, and how often it may be halved
_DECREASE, _HALVINGS = 1e-4, 40
#: an objective that rises by no more, as a share of it, has not risen but was rounded
_ROUNDING = 4e-16
#: columns that may join a working set at a time, beside as many as twice those in it
_JOINING = 100

with kept_in_cache():

    @njit(cache=True, nogil=True)
    def _coordinates(problem, strength, state, columns):
        """Returns scores, columns and whether unpenalised, of coefficients that are not 0, should not be, or are free."""
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
        every, ones = np.arange(coef.size), np.ones(coef.size)
        goal = _QUADRATIC_SHARE * kkt_violation(corr, coef, l1, l2, lower, upper, ones)
        for _ in range(_QUADRATIC_ROUNDS):
            sweep(gram, corr, coef, l1, l2, lower, upper, every)
            newton(gram, corr, coef, l1, l2, lower, upper, tangent)
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
    def _advance(problem, strength, state, loss, scores, columns, move, halvings):
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
            if after <= total + _DECREASE * share * min(predicted, 0.0) + _ROUNDING * total:
                for t in range(columns.size):
                    state.coef[scores[t], columns[t]] += share * move[t]
                return new, True
            share *= 0.5
            state.score[:] -= share * moved
        state.score[:] -= share * moved
        return refresh(problem, state), False

    @njit(cache=True, nogil=True)
    def _step(problem, strength, state, loss, columns):
        """Makes one proximal Newton step from a settled state; returns the loss and whether anything moved."""
        scores, which, free = _coordinates(problem, strength, state, columns)
        hessian = second_moments(problem.x, scores, which, free, state.curve, beside_of(problem, state))
        beside, held = np.flatnonzero(free), np.flatnonzero(~free)
        across = _block(hessian, beside, held)
        carried = np.dot(state.inverse, across)
        gram = _block(hessian, held, held) - np.dot(across.T, carried)
        coef, corr, tangent = np.empty(held.size), np.empty(held.size), np.zeros(held.size)
        for t in range(held.size):
            coef[t] = state.coef[scores[held[t]], which[held[t]]]
            corr[t] = state.corr[scores[held[t]], which[held[t]]]
        old, penalised = coef.copy(), which[held]
        l1, l2 = strength * problem.l1[penalised], strength * problem.l2[penalised]
        if held.size > 0:
            _minimise(gram, corr, coef, l1, l2, problem.lower[penalised], problem.upper[penalised], tangent)
        move = np.empty(scores.size)
        move[held], move[beside] = coef - old, state.shift - np.dot(carried, coef - old)
        state.tangent[:] = 0.0
        aside = np.dot(carried, tangent)
        for t in range(held.size):
            state.tangent[scores[held[t]], penalised[t]] = tangent[t]
        for t in range(beside.size):
            state.tangent[scores[beside[t]], which[beside[t]]] = -aside[t]
        return _advance(problem, strength, state, loss, scores, which, move, _HALVINGS)

    @njit(cache=True, nogil=True)
    def _extrapolate(problem, strength, before, state, loss):
        """Moves along the tangent to another strength where that lowers the objective; returns the loss.

        A sign or a bound ends a coefficient's move.
        """
        if not np.any(state.tangent):
            return loss
        scores, columns = np.nonzero(state.tangent)
        move = np.empty(scores.size)
        for t in range(scores.size):
            k, j = scores[t], columns[t]
            old = state.coef[k, j]
            end = old + (1.0 - strength / before) * state.tangent[k, j]
            if problem.held[j]:
                end = 0.0 if end * old <= 0.0 else min(max(end, problem.lower[j]), problem.upper[j])
            move[t] = end - old
        return _advance(problem, strength, state, loss, scores, columns, move, 0)[0]

    @njit(cache=True, nogil=True)
    def _join(problem, threshold, state, working):
        """Lets the columns of the steepest coordinates above a threshold join the working set; returns its columns."""
        ratio = np.zeros(working.size)
        for j in range(working.size):
            if problem.held[j]:
                for k in range(state.coef.shape[0]):
                    working[j] = working[j] or state.coef[k, j] != 0.0
                    reach = abs(state.corr[k, j])
                    if reach > threshold * problem.l1[j]:
                        ratio[j] = max(ratio[j], reach / problem.l1[j] if problem.l1[j] > 0.0 else np.inf)
        room = _JOINING + 2 * np.sum(working)
        waiting = np.flatnonzero((ratio > 0.0) & ~working)
        if waiting.size > room:
            limit = np.partition(ratio[waiting], waiting.size - room)[waiting.size - room]
            waiting = waiting[ratio[waiting] >= limit]
        working[waiting] = True
        return np.flatnonzero(working)

    @njit(cache=True, nogil=True)
    def _solve(problem, strength, before, state, loss, tol, max_rounds):
        """Lowers the objective at one strength until the gap over all columns is at most `tol`.

        Args:
            strength: lambda. before: That at which the state is; its corr is over all columns.
            loss: At the state.
            tol: In units of the objective. max_rounds: Steps, at most.

        Returns:
            The loss, and the gap.
        """
        working = np.zeros(problem.held.size, np.bool_)
        columns = _join(problem, min(2.0 * strength - before, strength), state, working)
        every = np.arange(problem.held.size)
        loss = _extrapolate(problem, strength, before, state, loss)
        orthogonal, moves, rounds = settle(problem, state), True, 0
        primal, dual = likelihood_gap(problem, strength, state, loss, orthogonal, columns)
        while True:
            while primal - dual > tol and moves and rounds < max_rounds:
                loss, moves = _step(problem, strength, state, loss, columns)
                rounds += 1
                orthogonal = settle(problem, state)
                primal, dual = likelihood_gap(problem, strength, state, loss, orthogonal, columns)
            primal, dual = likelihood_gap(problem, strength, state, loss, orthogonal, every)
            if primal - dual <= tol or rounds >= max_rounds:
                break
            found = _join(problem, strength, state, working)
            if found.size == columns.size and not moves:
                break
            columns, moves = found, True
        return loss, primal - dual

    @njit(cache=True, nogil=True)
    def take_scores(problem, state):
        """Writes the scores that the coefficients give."""
        scores, columns = np.nonzero(state.coef)
        by = np.empty(scores.size)
        for t in range(scores.size):
            by[t] = state.coef[scores[t], columns[t]]
        state.score[:] = 0.0
        add_columns(problem.x, scores, columns, by, state.score)

    @njit(cache=True, nogil=True)
    def fit_beside(problem, state, max_rounds):
        """Fits the unpenalised coefficients beside the others as they are; returns the loss.

        The last step is the one that predicts no decrease beyond rounding.

        Args:
            max_rounds: Steps, at most.
        """
        none, loss = np.empty(0, np.int64), refresh(problem, state)
        num_free = problem.free.size
        for _ in range(max_rounds):
            settle(problem, state)
            moved = np.zeros_like(state.score)
            scores = np.repeat(np.arange(state.score.shape[0]), num_free)
            which = np.empty(scores.size, np.int64)
            for t in range(which.size):
                which[t] = problem.free[t % num_free]
            add_columns(problem.x, scores, which, state.shift, moved)
            if np.sum(state.residual * moved) <= _ROUNDING * loss:
                break
            loss, moves = _step(problem, 1.0, state, loss, none)
            if not moves:
                break
        settle(problem, state)
        likelihood_gap(problem, 1.0, state, loss, True, np.arange(problem.held.size))
        return loss

    @njit(cache=True, nogil=True)
    def logistic_path(problem, strengths, scale, tol, max_rounds, state, coefs, gaps, kkts):
        """Writes the solutions for falling strengths, each from the tangent of the one before.

        Args:
            problem: A `Problem`.
            strengths: (L,) what the penalty is multiplied by.
            scale: (q,) of the columns, for `kkts`.
            tol: In units of the objective. max_rounds: For every strength.
            state: Where to start, with the unpenalised coefficients fitted; changed.
            coefs: (L, K, q) written. gaps: (L,) written, in units of the objective. kkts: (L,) written.
        """
        before, loss = strengths[0], refresh(problem, state)
        for t in range(strengths.size):
            s = strengths[t]
            loss, gaps[t] = _solve(problem, s, before, state, loss, tol, max_rounds)
            before, coefs[t] = s, state.coef
            for k in range(state.coef.shape[0]):
                least = kkt_violation(
                    state.corr[k], state.coef[k], s * problem.l1, s * problem.l2, problem.lower, problem.upper, scale
                )
                kkts[t] = max(kkts[t], least)
