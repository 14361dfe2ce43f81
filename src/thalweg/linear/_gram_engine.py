"""Least squares from sums over rows: the Grams of all folds in one pass over the inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.core import products_by_caller, share_out
from thalweg.linear._moments import Held, Moments, solve_moments
from thalweg.linear._penalty import Penalty
from thalweg.linear._rows import Parts, Rows, RowSet, scales
from thalweg.linear._solution import Request, Solution
from thalweg.linear._sums import sum_parts


class GramEngine:
    """Paths of several sets of rows. The sums over all parts are taken once, whatever is asked for afterwards.

    A training fold's Gram is the sum of those of its parts, and the error on a held-out part is a quadratic form in
    that part's Gram; no row is looked at again.

    Args:
        rows: Inputs in an array.
        sets: F of them.
        intercept: Whether there is one.
        standardize: Whether the penalty is on coefficients of inputs of variance 1.
        threads: Cores to use.
    """

    def __init__(self, rows: Rows, sets: Sequence[RowSet], *, intercept: bool, standardize: bool, threads: int) -> None:
        parts = Parts.of(sets)
        with products_by_caller():
            sums, self._shift = sum_parts(rows, parts, shifted=intercept, threads=threads)
            trained = sums.of(parts.trained)
            self._moments = [Moments.of(trained, k, centred=intercept) for k in range(len(sets))]
            self._tested = sums.of(parts.tested)
        self._standardize = standardize
        self._threads = threads

    def null_gradient(self, penalty: Penalty) -> tuple[np.ndarray, np.ndarray]:
        """Returns X'y of the first set with unpenalised columns fitted, (p,), and the scales of the inputs, (p,)."""
        with products_by_caller():
            return Held.of(self._moments[0], penalty).gradient(), self._scale(0)

    def solve(self, request: Request) -> list[Solution]:
        """Returns the path of every set."""
        found: list[Solution | None] = [None] * len(self._moments)

        def work(k: int) -> None:
            found[k] = self._solve(k, request)

        share_out(work, range(len(found)), self._threads)
        return [each for each in found if each is not None]

    def _scale(self, k: int) -> np.ndarray:
        moments = self._moments[k]
        if not self._standardize:
            return np.ones(len(moments.mean))
        return scales(moments.variance, self._shift.x + moments.mean, moments.second)

    def _solve(self, k: int, request: Request) -> Solution:
        moments = self._moments[k]
        coef, gap, kkt = solve_moments(moments, request, self._scale(k))
        tested = self._tested.weight[k] > 0
        return Solution(
            coef=coef,
            intercept=self._shift.y + moments.target - coef @ (self._shift.x + moments.mean),
            gap=gap,
            kkt=kkt,
            error=moments.error(coef, self._tested, k) if tested else None,
        )
