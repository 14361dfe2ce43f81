"""Least squares with more inputs than a Gram matrix should hold: working sets, whose products the folds share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.linear._dense_data import DenseData, DenseProblem
from thalweg.linear._dense_path import dense_path
from thalweg.linear._penalty import Penalty
from thalweg.linear._rows import Rows, RowSet
from thalweg.linear._solution import Request, Solution


class DenseEngine:
    """Paths of several sets of rows in lock-step; `dense_path` says how.

    Args:
        rows: Inputs in an array.
        sets: F of them.
        intercept: Whether there is one.
        standardize: Whether the penalty is on coefficients of inputs of variance 1.
        threads: Cores to use.
    """

    def __init__(self, rows: Rows, sets: Sequence[RowSet], *, intercept: bool, standardize: bool, threads: int) -> None:
        self._data = DenseData.of(rows, sets, intercept=intercept)
        self._standardize, self._threads = standardize, threads

    def null_gradient(self, penalty: Penalty) -> tuple[np.ndarray, np.ndarray]:
        """Returns X'y of the first set with unpenalised inputs fitted, (p,), and the scales of the inputs, (p,)."""
        problem = DenseProblem.of(self._data, 0, penalty, standardize=self._standardize)
        return problem.gradient(self._data), problem.scale

    def solve(self, request: Request) -> list[Solution]:
        """Returns the path of every set."""
        data, penalty = self._data, request.penalty
        problems = [DenseProblem.of(data, k, penalty, standardize=self._standardize) for k in range(len(data.sets))]
        return dense_path(data, problems, request, self._threads)
