"""Classes: penalised logistic and softmax regression, on arrays and sparse matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import logsumexp

from thalweg.core import share_out
from thalweg.linear._kernel_likelihood import Problem, State, new_state
from thalweg.linear._logistic_path import fit_beside, solve_path, take_scores
from thalweg.linear._penalty import Penalty
from thalweg.linear._rows import Rows, RowSet, scales
from thalweg.linear._solution import Request, Solution

#: log-odds of a class that no row of a set belongs to, where an intercept would fall for ever
_NEVER = math.log(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """Inputs as the solver reads them: of variance about 1, about 0 where that can be, beside a column of ones.

    Args:
        x: As `_kernel_columns` takes them; q of them, p + 1 with an intercept.
        shift: (p,) taken from inputs. scale: (p,) by which they were divided then.
        variance: (F, p) of the inputs as they were given, in each set.
        weights: (F, n) of the rows of each set, of sum 1.
    """

    x: Any
    shift: np.ndarray
    scale: np.ndarray
    variance: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, rows: Rows, sets: Sequence[RowSet], *, intercept: bool) -> _Columns:
        """Returns the columns of some rows."""
        given: Any = rows.x
        trained = np.array([each.train * rows.weights for each in sets])
        trained /= trained.sum(1, keepdims=True)
        weights = np.vstack([rows.weights, trained])
        if sparse.issparse(given):
            means = np.asarray(weights @ given)
            variances = np.asarray(weights @ given.multiply(given)) - means**2
            scale, shift = scales(variances[0], means[0]), np.zeros(given.shape[1])
            x = given @ sparse.diags_array(1.0 / scale)
            if intercept:
                x = sparse.hstack([x, np.ones((given.shape[0], 1))])
            x = sparse.csc_array(x)
            x.sort_indices()
            x = (x.data, x.indices.astype(np.int64), x.indptr.astype(np.int64))
        else:
            shift = weights[0] @ given
            x = np.empty((given.shape[1] + intercept, given.shape[0]))
            inputs = x[: given.shape[1]].T
            np.subtract(given, shift, out=inputs)
            variances = weights @ inputs**2 - (weights @ inputs) ** 2
            scale = scales(variances[0], shift)
            if not intercept:
                inputs[:], shift = given, np.zeros_like(shift)
            inputs /= scale
            x[given.shape[1] :] = 1.0
            means = np.broadcast_to(weights[0] @ given, variances.shape)
        deviation = np.array([scales(v, m) for v, m in zip(variances[1:], means[1:], strict=True)])
        return cls(x=x, shift=shift, scale=scale, variance=deviation**2, weights=trained)


class LogisticEngine:
    """Paths of classes on several sets of rows. The inputs are kept once; a set is a line of weights.

    The objective is -sum_i w_i log p(y_i | x_i) plus the penalty, with p of a logistic model for two classes, and of a
    softmax over C scores for more. Scores of a softmax may all move by one number: intercepts are returned with mean 0.

    Args:
        rows: Of classes.
        sets: F of them.
        intercept: Whether there is one.
        standardize: Whether the penalty is on coefficients of inputs of variance 1.
        threads: Cores to use.
        num_classes: C, at least 2.
    """

    def __init__(
        self, rows: Rows, sets: Sequence[RowSet], *, intercept: bool, standardize: bool, threads: int, num_classes: int
    ) -> None:
        self._rows, self._sets = rows, sets
        self._classes = rows.y.astype(np.int64)
        self._columns = _Columns.of(rows, sets, intercept=intercept)
        self._intercept, self._standardize = intercept, standardize
        self._threads, self._num_classes = threads, num_classes

    def null_gradient(self, penalty: Penalty) -> tuple[np.ndarray, np.ndarray]:
        """Returns the gradient of the first set at b = 0 with what is unpenalised fitted, and the scales of the inputs.

        Returns:
            (p,) for two classes, else (C, p); and (p,).
        """
        size = len(penalty.factors)
        found, fit = np.zeros((self._num_scores, size)), _Fit.of(self, 0, penalty)
        if fit is not None:
            fit_beside(fit.problem, fit.state)
            found[fit.scores] = fit.state.corr[:, :size] * self._columns.scale
        return found[0] if self._num_scores == 1 else found, self._scale(0)

    def solve(self, request: Request) -> list[Solution]:
        """Returns the path of every set."""
        found: list[Solution | None] = [None] * len(self._sets)

        def work(k: int) -> None:
            found[k] = self._solve(k, request)

        share_out(work, range(len(found)), self._threads)
        return [each for each in found if each is not None]

    @property
    def _num_scores(self) -> int:
        return 1 if self._num_classes == 2 else self._num_classes

    def _scale(self, k: int) -> np.ndarray:
        return np.sqrt(self._columns.variance[k]) if self._standardize else np.ones(len(self._columns.scale))

    def _solve(self, k: int, request: Request) -> Solution:
        num, size, fit = len(request.strengths), len(self._columns.scale), _Fit.of(self, k, request.penalty)
        coef, intercept = np.zeros((num, self._num_scores, size)), np.zeros((num, self._num_scores))
        gaps, kkts = np.zeros((2, num))
        if fit is None:
            intercept[:] = self._of_one_class(k)
        else:
            null = fit_beside(fit.problem, fit.state)
            if request.start is not None:
                fit.begin(np.atleast_2d(request.start)[fit.scores] * self._columns.scale)
                fit_beside(fit.problem, fit.state)
            coefs, gaps, kkts = solve_path(
                fit.problem,
                fit.state,
                request.strengths,
                fit.unit,
                tol=request.tol * null,
                max_rounds=request.max_rounds,
            )
            gaps = gaps / null if null > 0 else gaps
            coef[:, fit.scores] = coefs[:, :, :size] / self._columns.scale
            if self._intercept:
                found = coefs[:, :, size] - coef[:, fit.scores] @ self._columns.shift
                intercept[:] = _NEVER
                intercept[:, fit.scores] = found - (found.mean(1, keepdims=True) if self._num_scores > 1 else 0.0)
        error, mistakes = self._measure(k, coef, intercept)
        request.solved(num)
        if self._num_scores == 1:
            coef, intercept = coef[:, 0], intercept[:, 0]
        return Solution(coef=coef, intercept=intercept, gap=gaps, kkt=kkts, error=error, mistakes=mistakes)

    def _of_one_class(self, k: int) -> np.ndarray:
        """Returns the intercepts of a set all of whose rows are of one class."""
        only = self._classes[self._columns.weights[k] > 0][0]
        if self._num_scores == 1:
            return np.array([_NEVER if only == 0 else -_NEVER])
        return np.where(np.arange(self._num_classes) == only, 0.0, _NEVER)

    def _measure(self, k: int, coef: np.ndarray, intercept: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Returns (L,) mean deviances and shares of wrong classes, on the rows that a set holds out."""
        test = self._sets[k].test
        if test is None:
            return None, None
        given: Any = self._rows.x
        x, y, w = given[test], self._classes[test], self._rows.weights[test]
        places, w = np.arange(len(y)), w / w.sum() if w.sum() > 0 else w
        errors, mistakes = np.empty((2, len(coef)))
        for t in range(len(coef)):
            scores = x @ coef[t].T + intercept[t]
            if self._num_scores == 1:
                scores = np.hstack([np.zeros_like(scores), scores])
            errors[t] = 2 * w @ (logsumexp(scores, axis=1) - scores[places, y])
            mistakes[t] = w @ (scores.argmax(1) != y)
        return errors, mistakes


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """One set's problem in the solver's units, and where the solver is.

    Args:
        scores: (K,) which of the engine's scores are fitted.
        unit: (q,) by which the penalty's coefficients are those of the solver's columns.
    """

    problem: Problem
    state: State
    scores: np.ndarray
    unit: np.ndarray

    @classmethod
    def of(cls, engine: LogisticEngine, k: int, penalty: Penalty) -> _Fit | None:
        """Returns the problem of the k-th set; None where one class is all there is, and nothing is to be fitted.

        Beside an intercept, a class that no row belongs to has no finite optimum: it is left out.
        """
        columns, classes, weights = engine._columns, engine._classes, engine._columns.weights[k]
        present = np.unique(classes[weights > 0])
        if not engine._intercept:
            present = np.arange(engine._num_classes)
        if len(present) < 2:
            return None
        if engine._num_scores == 1:
            scores, label = np.zeros(1, np.int64), classes - 1
        else:
            place = np.zeros(engine._num_classes, np.int64)
            place[present] = np.arange(len(present))
            scores, label = present, place[classes]
        one = np.ones(int(engine._intercept))
        unit = np.concatenate([engine._scale(k) / columns.scale, one])
        free = np.concatenate([penalty.free, one == 1])
        problem = Problem(
            x=columns.x,
            label=label,
            weights=weights,
            held=~free,
            free=np.flatnonzero(free),
            l1=np.concatenate([penalty.l1, 0 * one]) * unit,
            l2=np.concatenate([penalty.l2, 0 * one]) * unit**2,
            lower=np.concatenate([penalty.lower * columns.scale, -np.inf * one]),
            upper=np.concatenate([penalty.upper * columns.scale, np.inf * one]),
        )
        return cls(
            problem=problem,
            state=new_state(len(scores), len(weights), len(unit), int(free.sum())),
            scores=scores,
            unit=unit,
        )

    def begin(self, coef: np.ndarray) -> None:
        """Takes coefficients (K, p) of the solver's columns as the start."""
        self.state.coef[:, : coef.shape[1]] = coef
        take_scores(self.problem, self.state)
