"""Paths of classes: working sets, tangents between strengths, and the certificate over all columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.linear._kernel_likelihood import Problem, State, likelihood_gap, refresh, settle
from thalweg.linear._kernel_logistic import ROUNDING, add_to_scores, advance, step
from thalweg.linear._kernel_quadratic import kkt_violation

#: columns that may join a working set at a time, beside as many as twice those in it
_JOINING = 100
#: steps in which unpenalised coefficients are fitted, at most
_BESIDE_ROUNDS = 100


def take_scores(problem: Problem, state: State) -> None:
    """Writes the scores that the coefficients give."""
    scores, columns = np.nonzero(state.coef)
    state.score[:] = 0.0
    add_to_scores(problem, scores, columns, state.coef[scores, columns], state.score)


def fit_beside(problem: Problem, state: State) -> float:
    """Fits the unpenalised coefficients beside the others as they are; returns the loss.

    The last step is the one that predicts no decrease beyond rounding. Afterwards `corr` is over all columns.
    """
    none, loss = np.zeros(0, np.int64), refresh(problem, state)
    for _ in range(_BESIDE_ROUNDS):
        _, decrease = settle(problem, state)
        if decrease <= ROUNDING * loss:
            break
        loss, moves = step(problem, 1.0, state, loss, none)
        if not moves:
            break
    orthogonal, _ = settle(problem, state)
    likelihood_gap(problem, 1.0, state, loss, orthogonal, np.arange(len(problem.held)))
    return loss


def solve_path(
    problem: Problem,
    state: State,
    strengths: Sequence[float] | np.ndarray,
    unit: np.ndarray,
    *,
    tol: float,
    max_rounds: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the solutions for falling strengths, each from the tangent of the one before.

    Args:
        problem: At strength 1.
        state: Where to start, with `fit_beside` done; changed.
        strengths: (L,).
        unit: (q,) of the columns, in which the violations are counted.
        tol: Gap in units of the objective. max_rounds: Steps at every strength, at most.

    Returns:
        coefs, (L, K, q); gaps, (L,), in units of the objective; and kkts, (L,).
    """
    num = len(strengths)
    coefs, gaps, kkts = np.zeros((num, *state.coef.shape)), np.zeros(num), np.zeros(num)
    before, loss = float(strengths[0]), refresh(problem, state)
    for t, strength in enumerate(map(float, strengths)):
        loss, gaps[t] = _solve(problem, state, strength, before, loss, tol, max_rounds)
        if t > 0 and not state.tangent.any():  # sweeps give none: the line through the last two solutions stands in
            state.tangent[:] = (state.coef - coefs[t - 1]) * strength / (before - strength)
        before, coefs[t] = strength, state.coef
        limits = (strength * problem.l1, strength * problem.l2, problem.lower, problem.upper, unit)
        kkts[t] = max(kkt_violation(corr, coef, *limits) for corr, coef in zip(state.corr, state.coef, strict=True))
    return coefs, gaps, kkts


def _solve(
    problem: Problem, state: State, strength: float, before: float, loss: float, tol: float, max_rounds: int
) -> tuple[float, float]:
    """Lowers the objective at one strength until the gap over all columns is at most `tol`; returns loss and gap.

    Which columns join the working set at first is what the strong rule says; which it misses is seen in the end.

    Args:
        problem: At strength 1.
        state: With `corr` over all columns.
        strength: lambda. before: That at which the state is.
        loss: At the state.
        tol: In units of the objective. max_rounds: Steps, at most.

    References:
        Tibshirani and others, Strong rules for discarding predictors in lasso-type problems, 2012.
    """
    every = np.arange(len(problem.held))
    working = _join(problem, state, 2 * strength - before, np.zeros(len(every), bool))
    loss = _extrapolate(problem, state, strength, before, loss)
    state.tangent[:] *= strength / before  # where no step is needed, it serves again
    rounds, moves = 0, True
    while True:
        columns = np.flatnonzero(working) if 2 * working.sum() < len(every) else every
        orthogonal, _ = settle(problem, state)
        primal, dual = likelihood_gap(problem, strength, state, loss, orthogonal, columns)
        while primal - dual > tol and moves and rounds < max_rounds:
            loss, moves = step(problem, strength, state, loss, columns)
            rounds += 1
            orthogonal, _ = settle(problem, state)
            primal, dual = likelihood_gap(problem, strength, state, loss, orthogonal, columns)
        if len(columns) < len(every):
            primal, dual = likelihood_gap(problem, strength, state, loss, orthogonal, every)
        if primal - dual <= tol or rounds >= max_rounds:
            break
        joined = _join(problem, state, strength, working)
        if not moves and (joined == working).all():
            break
        working, moves = joined, True
    return loss, primal - dual


def _join(problem: Problem, state: State, threshold: float, working: np.ndarray) -> np.ndarray:
    """Returns the working set (q,) bool with the columns of the steepest coordinates above a threshold in it."""
    steepest = np.abs(state.corr).max(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(problem.held & (steepest > threshold * problem.l1), steepest / problem.l1, 0.0)
    working = working | (problem.held & state.coef.any(0))
    ratio[working] = 0.0
    room = _JOINING + 2 * int(working.sum())
    if np.count_nonzero(ratio) > room:
        ratio[ratio < np.partition(ratio, len(ratio) - room)[len(ratio) - room]] = 0.0
    return working | (ratio > 0)


def _extrapolate(problem: Problem, state: State, strength: float, before: float, loss: float) -> float:
    """Moves along the tangent to another strength where that lowers the objective; returns the loss.

    A sign or a bound ends a coefficient's move.
    """
    scores, columns = np.nonzero(state.tangent)
    if len(scores) == 0 or strength == before:
        return loss
    old = state.coef[scores, columns]
    end = old + (1.0 - strength / before) * state.tangent[scores, columns]
    ended = np.where(end * old <= 0.0, 0.0, np.clip(end, problem.lower[columns], problem.upper[columns]))
    move = np.where(problem.held[columns], ended, end) - old
    return advance(problem, strength, state, loss, scores, columns, move, 0)[0]
