"""Ridge: all strengths from one decomposition, and the error of leaving out each row from the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from thalweg.core import share_out
from thalweg.linear._dense_data import DenseData, DenseProblem
from thalweg.linear._penalty import Penalty
from thalweg.linear._rows import Rows, RowSet
from thalweg.linear._solution import Request, Solution

#: eigenvalues below this share of the largest are rounding
_ROUNDING = 1e-14


class RidgeEngine:
    """Paths of several sets of rows with alpha = 0 and no bounds.

    Args:
        rows: Inputs in an array.
        sets: F of them.
        intercept: Whether there is one.
        standardize: Whether the penalty is on coefficients of inputs of variance 1.
        threads: Cores to use.

    References:
        Hoerl and Kennard, Ridge regression: biased estimation for nonorthogonal problems, 1970.
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
        found: list[Solution | None] = [None] * len(self._data.sets)

        def work(k: int) -> None:
            found[k] = self._decomposed(k, request.penalty).path(request)

        share_out(work, range(len(found)), self._threads)
        return [each for each in found if each is not None]

    def leave_one_out(self, penalty: Penalty, strengths: np.ndarray) -> np.ndarray:
        """Returns (L, n) squared errors of every row under the fit of the first set without it.

        With weights, other rows keep theirs, rescaled to sum 1.
        """
        return self._decomposed(0, penalty).leave_one_out(strengths)

    def _decomposed(self, k: int, penalty: Penalty) -> _Decomposed:
        problem = DenseProblem.of(self._data, k, penalty, standardize=self._standardize)
        return _Decomposed.of(self._data, problem)


@dataclass(frozen=True, kw_only=True)
class _Decomposed:
    """X D X' = U diag(values) U' of the training rows, where D divides by the strengths of the penalty at 1.

    Args:
        data: Of all sets. problem: of this one.
        columns: (n, q) penalised inputs without what is fitted beside them; 0 in rows that are not trained on.
        held: (q,) their places. divisor: (q,) strengths at 1.
        values: (r,) eigenvalues above 0. vectors: (n, r).
        residual: (n,) of y at b = 0.
    """

    data: DenseData
    problem: DenseProblem
    columns: np.ndarray
    held: np.ndarray
    divisor: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    residual: np.ndarray

    @classmethod
    def of(cls, data: DenseData, problem: DenseProblem) -> _Decomposed:
        """Returns the decomposition, by the smaller of the two Gram matrices."""
        held = np.flatnonzero(~problem.free)
        root = np.sqrt(problem.weight)
        beside = data.masked(problem.beside, problem.number)
        columns = data.masked(data.x[:, held], problem.number)
        columns -= beside @ (problem.inverse @ (beside.T @ columns / problem.weight))
        columns /= root
        divisor = problem.l2[held]
        scaled = columns / np.sqrt(divisor)
        wide = scaled.shape[0] <= scaled.shape[1]
        values, vectors = eigh(scaled @ scaled.T if wide else scaled.T @ scaled)
        kept = values > _ROUNDING * max(values[-1], 0.0)
        values, vectors = values[kept], vectors[:, kept]
        if not wide:
            vectors = scaled @ vectors / np.sqrt(values)
        return cls(
            data=data,
            problem=problem,
            columns=columns,
            held=held,
            divisor=divisor,
            values=values,
            vectors=vectors,
            residual=data.masked(problem.residual, problem.number) / root,
        )

    def path(self, request: Request) -> Solution:
        """Returns the solutions, each with the gap between it and the dual point of its residual."""
        data, p, s = self.data, self.problem, np.asarray(request.strengths)
        along = self.vectors.T @ self.residual
        dual = self.vectors @ (along[:, None] / (self.values[:, None] + s))  # (n, L)
        slopes = self.columns.T @ dual  # (q, L)
        coefs = slopes / self.divisor[:, None]
        residuals = self.residual[:, None] - self.columns @ coefs
        gradients = self.columns.T @ residuals
        penalties = s / 2 * (self.divisor[:, None] * coefs**2).sum(0)
        squares = (residuals**2).sum(0)
        conjugates = (gradients**2 / self.divisor[:, None]).sum(0) / (2 * s)
        gap = squares + penalties + conjugates - self.residual @ residuals
        coef = np.zeros((len(s), len(p.free)))
        coef[:, self.held] = coefs.T
        beside = p.alone - (p.inverse @ (p.beside.T @ self._trained_product(coefs))).T
        first = int(data.intercept)
        coef[:, p.free] = beside[:, first:]
        intercept = data.target_shift - coef @ data.shift + beside[:, 0] if first else np.zeros(len(s))
        request.solved(len(s))
        kkt = np.abs(gradients - s * self.divisor[:, None] * coefs) / p.scale[self.held, None]
        return Solution(
            coef=coef,
            intercept=intercept,
            gap=gap / p.null if p.null > 0 else gap,
            kkt=kkt.max(0, initial=0.0),
            error=data.errors(coef, intercept, p.number),
        )

    def _trained_product(self, coefs: np.ndarray) -> np.ndarray:
        """Returns (n, L) fits of the inputs, as they were before what is beside them was taken out, by weight."""
        fits = self.data.x[:, self.held] @ coefs / self.problem.weight
        return self.data.masked(fits, self.problem.number)

    def leave_one_out(self, strengths: np.ndarray) -> np.ndarray:
        """Returns (L, n) squared errors; see `RidgeEngine.leave_one_out`.

        Without row i the residual is r_i / (1 - h_i), h the diagonal of the matrix that maps y to its fit. The other
        rows' weights rescaled to sum 1 are a strength that is 1 - w_i times as large.

        References:
            Allen, The relationship between variable selection and data augmentation, 1974 (PRESS).
        """
        p, root = self.problem, np.sqrt(self.problem.weight)
        beside = self.data.masked(p.beside, p.number) / root
        fixed = np.einsum("ij,jk,ik->i", beside, p.inverse, beside)
        along, weights = self.vectors.T @ self.residual, self.data.root**2 / p.weight
        found = np.empty((len(strengths), len(weights)))
        for t, s in enumerate(strengths):
            share = self.values / (self.values + s * (1 - weights)[:, None])  # (n, r)
            fit = (self.vectors * share) @ along
            leverage = fixed + (self.vectors**2 * share).sum(1)
            found[t] = (self.residual - fit) / (1 - leverage)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(weights > 0, found**2 / weights, 0.0)
