"""The likelihood of classes, compiled: its value, its residuals, and the gap to its dual.

A row has K linear scores. For K = 1 they are the log-odds of the second class of two; for more there is one for each
class, and p = softmax(scores). Two classes are the softmax of (0, score), so that one text serves both.

The dual of sum_i w_i (log sum_c exp z_ic - z_iy) + sum_j pen_j(b_j) is sum_i w_i H(q_i) - sum_j pen_j*((X'theta)_j),
with theta_i = w_i (e_y - q_i), q_i of sum 1 and not negative, H the entropy, and X'theta = 0 for columns
without penalty.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from thalweg.linear._kernel import MATH, kept_in_cache
from thalweg.linear._kernel_columns import add_columns, correlate, second_moments
from thalweg.optim import soft_threshold

#: share of the largest eigenvalue below which a direction of the unpenalised columns is taken as none
_RANK = 1e-13
#: sum of residual times unpenalised column, above which a dual point does not count; columns are of variance 1
_ORTHOGONAL = 1e-12
#: what a scaled dual point keeps from its border, against rounding
_INSIDE = 1.0 - 4e-16

_shrink = njit(soft_threshold, inline="always")


class Problem(NamedTuple):
    """Rows of classes and a penalty at strength 1.

    Args:
        x: q columns, as in `_kernel_columns`; the last is of ones where there is an intercept.
        label: (n,) number of the score that is the row's own; -1 where it is the one that is always 0.
        weights: (n,) of sum 1; 0 for rows that are left out.
        held: (q,) bool: what is penalised. free: (u,) columns that are not.
        l1: (q,). l2: (q,). lower: (q,). upper: (q,).
    """

    x: Any
    label: np.ndarray
    weights: np.ndarray
    held: np.ndarray
    free: np.ndarray
    l1: np.ndarray
    l2: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class State(NamedTuple):
    """Where a solver is.

    Args:
        coef: (K, q). score: (K, n).
        prob: (K, n) of each class. curve: (K, n) w p (1 - p). residual: (K, n) w (e_y - p).
        dual: (K, n) residual, made orthogonal to the unpenalised columns. corr: (K, q) its products with columns.
        shift: (K u,) the Newton step of unpenalised coefficients alone. inverse: (K u, K u) of their second moments.
        tangent: (K, q) how coef moves where the strength falls, by its share.
    """

    coef: np.ndarray
    score: np.ndarray
    prob: np.ndarray
    curve: np.ndarray
    residual: np.ndarray
    dual: np.ndarray
    corr: np.ndarray
    shift: np.ndarray
    inverse: np.ndarray
    tangent: np.ndarray


def new_state(num_scores: int, num_rows: int, num_columns: int, num_free: int) -> State:
    """Returns the state where all coefficients are 0."""
    lines, places = np.zeros((6, num_scores, num_rows)), np.zeros((3, num_scores, num_columns))
    free = num_scores * num_free
    return State(
        coef=places[0],
        score=lines[0],
        prob=lines[1],
        curve=lines[2],
        residual=lines[3],
        dual=lines[4],
        corr=places[1],
        shift=np.zeros(free),
        inverse=np.zeros((free, free)),
        tangent=places[2],
    )


with kept_in_cache():

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _two_classes(label, weights, score, prob, curve, residual):
        total = 0.0
        for i in range(weights.size):
            w, z = weights[i], score[i]
            if w == 0.0:
                continue
            e = np.exp(-abs(z))
            near, far = 1.0 / (1.0 + e), e / (1.0 + e)
            p, other = (near, far) if z >= 0.0 else (far, near)
            prob[i] = p
            curve[i] = w * near * far
            if label[i] == 0:
                residual[i] = w * other
                total += w * (np.log1p(e) + max(-z, 0.0))
            else:
                residual[i] = -w * p
                total += w * (np.log1p(e) + max(z, 0.0))
        return total

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _many_classes(label, weights, score, prob, curve, residual):
        total, num = 0.0, score.shape[0]
        for i in range(weights.size):
            w = weights[i]
            if w == 0.0:
                continue
            top = 0
            for k in range(1, num):
                if score[k, i] > score[top, i]:
                    top = k
            rest = 0.0
            for k in range(num):
                if k != top:
                    prob[k, i] = np.exp(score[k, i] - score[top, i])
                    rest += prob[k, i]
            prob[top, i] = 1.0
            for k in range(num):
                p = prob[k, i] / (1.0 + rest)
                other = rest / (1.0 + rest) if k == top else 1.0 - p
                prob[k, i] = p
                curve[k, i] = w * p * other
                residual[k, i] = w * other if label[i] == k else -w * p
            total += w * (np.log1p(rest) + score[top, i] - score[label[i], i])
        return total

    @njit(cache=True, nogil=True)
    def refresh(problem, state):
        """Writes probabilities, curvatures and residuals from the scores; returns the loss."""
        label, weights = problem.label, problem.weights
        if state.score.shape[0] == 1:
            lines = state.score[0], state.prob[0], state.curve[0], state.residual[0]
            return _two_classes(label, weights, *lines)
        return _many_classes(label, weights, state.score, state.prob, state.curve, state.residual)

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def beside_of(problem, state):
        """Returns (K, n) p sqrt(w), products of which couple the scores of a row; nothing for one score."""
        num = state.score.shape[0]
        found = np.empty((num if num > 1 else 0, problem.weights.size))
        if num > 1:
            root = np.sqrt(problem.weights)
            for k in range(num):
                found[k] = state.prob[k] * root
        return found

    @njit(cache=True, nogil=True)
    def _pseudo_inverse(matrix):
        values, vectors = np.linalg.eigh(matrix)
        scaled = np.zeros_like(vectors)
        for s in range(values.size):
            if values[s] > _RANK * values[-1]:
                for t in range(values.size):
                    scaled[t, s] = vectors[t, s] / values[s]
        return np.dot(scaled, vectors.T)

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _apply_curve(weights, state, moved, found):
        """Subtracts from (K, n) what the curvature makes of moved scores (K, n)."""
        num, n = moved.shape
        if num == 1:
            for i in range(n):
                found[0, i] -= state.curve[0, i] * moved[0, i]
            return
        for i in range(n):
            mean = 0.0
            for k in range(num):
                mean += state.prob[k, i] * moved[k, i]
            for k in range(num):
                found[k, i] -= weights[i] * state.prob[k, i] * (moved[k, i] - mean)

    @njit(cache=True, nogil=True)
    def settle(problem, state):
        """Makes the residual orthogonal to the columns without penalty, by their Newton step.

        For a step e of the scores, q becomes p (1 + e - sum p e): it sums to 1, and for |e| up to 1/2 is not negative.

        Returns:
            Whether it is orthogonal, and by how much the step is predicted to lower the loss, twice.
        """
        state.dual[:] = state.residual
        free, num = problem.free, state.score.shape[0]
        size = free.size * num
        if size == 0:
            return True, 0.0
        scores, columns, long = np.empty(size, np.int64), np.empty(size, np.int64), np.ones(size, np.bool_)
        for s in range(size):
            scores[s], columns[s] = s // free.size, free[s % free.size]
        moments = second_moments(problem.x, scores, columns, long, state.curve, beside_of(problem, state))
        state.inverse[:] = _pseudo_inverse(moments)
        state.shift[:] = 0.0
        decrease = 0.0
        moved, sums = np.empty_like(state.score), np.empty(size)
        for _ in range(3):
            correlate(problem.x, free, state.dual, state.corr)
            for s in range(size):
                sums[s] = state.corr[scores[s], columns[s]]
            if np.abs(sums).max() <= 0.01 * _ORTHOGONAL:
                break
            step = np.dot(state.inverse, sums)
            decrease += np.dot(sums, step)
            state.shift[:] += step
            moved[:] = 0.0
            add_columns(problem.x, scores, columns, step, moved)
            _apply_curve(problem.weights, state, moved, state.dual)
        correlate(problem.x, free, state.dual, state.corr)
        most = 0.0
        for s in range(size):
            most = max(most, abs(state.corr[scores[s], columns[s]]))
            state.corr[scores[s], columns[s]] = 0.0
        return most <= _ORTHOGONAL, decrease

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _entropy(label, weights, dual, scale):
        """Returns sum_i w_i H(q_i) where theta is scale times the dual point; minus infinity outside its domain."""
        total, num = 0.0, dual.shape[0]
        for i in range(weights.size):
            w = weights[i]
            if w == 0.0:
                continue
            rest = 1.0
            for k in range(num):
                part = scale * dual[k, i] / w
                q = 1.0 - part if label[i] == k else -part
                if num == 1:
                    rest = part if label[i] == k else 1.0 + part
                if q > 0.0:
                    total -= w * q * np.log(q)
                elif q < -1e-15:
                    return -np.inf
            if num == 1:
                if rest > 0.0:
                    total -= w * rest * np.log(rest)
                elif rest < -1e-15:
                    return -np.inf
        return total

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _dual_value(problem, strength, state, columns, scale):
        """Returns the dual objective where theta is scale times the dual point."""
        total = 0.0
        for k in range(state.coef.shape[0]):
            for j in columns:
                over = _shrink(scale * state.corr[k, j], strength * problem.l1[j])
                if over != 0.0 and problem.held[j]:
                    l2 = strength * problem.l2[j]
                    best = min(max(over / l2, problem.lower[j]), problem.upper[j])
                    if abs(best) == np.inf:
                        return -np.inf
                    total += abs(over * best) - 0.5 * l2 * best * best
        return _entropy(problem.label, problem.weights, state.dual, scale) - total

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def penalty_and_scale(problem, strength, state, columns):
        """Returns the penalty, and the scale at which the lasso of the augmented inputs has a feasible dual point.

        The squared part stands for rows sqrt(l2) beneath the inputs, with residuals -sqrt(l2) b.
        """
        penalty, steepest = 0.0, 0.0
        for k in range(state.coef.shape[0]):
            for j in columns:
                if not problem.held[j]:
                    continue
                b, l1, l2 = state.coef[k, j], strength * problem.l1[j], strength * problem.l2[j]
                penalty += l1 * abs(b) + 0.5 * l2 * b * b
                v = state.corr[k, j] - l2 * b
                if (v > 0.0 and problem.upper[j] == np.inf) or (v < 0.0 and problem.lower[j] == -np.inf):
                    steepest = max(steepest, abs(v) / l1)  # numpy's division: l1 of 0 gives infinity
        return penalty, 1.0 if steepest <= 1.0 else _INSIDE / steepest

    @njit(cache=True, nogil=True)
    def likelihood_gap(problem, strength, state, loss, orthogonal, columns):
        """Returns the primal and a dual objective over some columns, among them all whose coefficients are not 0.

        The dual point is the residual itself where that is feasible, or scaled until it is. The squared part of the
        penalty enters by its conjugate, which for one theta is the best that any augmented point gives.

        Args:
            strength: lambda.
            loss: At the state.
            orthogonal: What `settle` returned; if not, the dual point is 0, of objective 0.
            columns: On which products are taken; a gap over fewer than all says nothing about the rest.

        References:
            Ndiaye, Fercoq, Gramfort and Salmon, Gap safe screening rules for sparsity enforcing penalties, 2017,
            sections 2 and 4.3; an intercept and unpenalised columns are constraints here.
        """
        correlate(problem.x, columns, state.dual, state.corr)
        for j in problem.free:
            state.corr[:, j] = 0.0
        penalty, scale = penalty_and_scale(problem, strength, state, columns)
        dual = 0.0
        if orthogonal:
            dual = max(dual, _dual_value(problem, strength, state, columns, scale))
            if scale < 1.0:
                dual = max(dual, _dual_value(problem, strength, state, columns, 1.0))
        return loss + penalty, dual
