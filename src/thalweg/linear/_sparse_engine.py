"""Least squares with sparse inputs, which are never made dense: the solver centres and projects as it goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from thalweg.core import share_out
from thalweg.linear._kernel_sparse import Limits
from thalweg.linear._kernel_sparse_columns import (
    Columns,
    all_products,
    held_out_errors,
    moments,
    scale_columns,
    take_rows,
)
from thalweg.linear._kernel_sparse_path import Line, sparse_path
from thalweg.linear._penalty import Penalty
from thalweg.linear._rows import Rows, RowSet, scales
from thalweg.linear._solution import Request, Solution

#: singular values of unpenalised inputs below this share of the largest are rounding
_RANK = 1e-10
#: of the squared norm of a column, what is less after the projection is rounding
_ROUNDING = 1e-13


class SparseEngine:
    """Paths of several sets of rows, each solved on a copy of the entries in its rows.

    Args:
        rows: Inputs in a sparse matrix in CSC format with sorted indices.
        sets: F of them.
        intercept: Whether there is one.
        standardize: Whether the penalty is on coefficients of inputs of variance 1.
        threads: Cores to use.
    """

    def __init__(self, rows: Rows, sets: Sequence[RowSet], *, intercept: bool, standardize: bool, threads: int) -> None:
        self._rows, self._sets = rows, sets
        self._intercept, self._standardize, self._threads = intercept, standardize, threads

    def null_gradient(self, penalty: Penalty) -> tuple[np.ndarray, np.ndarray]:
        """Returns X'y of the first set with unpenalised columns fitted, (p,), and the scales of the inputs, (p,)."""
        found = _Projected.of(self._first, penalty).cross * self._first.scale
        found[penalty.free] = 0.0
        return found, self._first.scale

    def solve(self, request: Request) -> list[Solution]:
        """Returns the path of every set."""
        found: list[Solution | None] = [None] * len(self._sets)

        def work(k: int) -> None:
            found[k] = self._solve(k, request)

        share_out(work, range(len(found)), self._threads)
        return [each for each in found if each is not None]

    @cached_property
    def _first(self) -> _Trained:
        return self._train(0)

    def _train(self, k: int) -> _Trained:
        return _Trained.of(self._rows, self._sets[k].train, centred=self._intercept, standardize=self._standardize)

    def _solve(self, k: int, request: Request) -> Solution:
        trained, penalty, num = self._first if k == 0 else self._train(k), request.penalty, len(request.strengths)
        problem = _Projected.of(trained, penalty)
        limits = Limits(
            penalty.l1,
            penalty.l2,
            # what is projected out stays at 0 here
            np.where(penalty.free, 0.0, penalty.lower * trained.scale),
            np.where(penalty.free, 0.0, penalty.upper * trained.scale),
        )
        start = np.zeros(len(trained.scale))
        if request.start is not None:
            start = np.where(penalty.free, 0.0, request.start * trained.scale)
        gaps, kkts = np.zeros(num), np.zeros(num)
        null = 0.5 * float(problem.target @ problem.target)
        found = sparse_path(
            problem.columns,
            problem.target,
            problem.basis,
            problem.cross,
            Line.of(problem.columns, limits, problem.target, problem.cross),
            np.asarray(request.strengths, np.float64),
            limits,
            request.sought * null,
            request.max_rounds,
            start,
            gaps,
            kkts,
        )
        coef, intercept = problem.to_inputs(sparse.csr_array(found, shape=(num, len(start))))
        request.solved(num)
        return Solution(
            coef=coef,
            intercept=intercept,
            gap=gaps / null if null > 0 else gaps,
            kkt=kkts,
            error=self._errors(k, coef, intercept),
        )

    def _errors(self, k: int, coef: sparse.csr_array, intercept: np.ndarray) -> np.ndarray | None:
        test = self._sets[k].test
        if test is None or not self._rows.weights[test].any():
            return None
        data, indices, indptr, root, y = _take(self._rows, test)
        errors = np.zeros(len(intercept))
        held_out_errors(data, indices, indptr, y, root, coef.data, coef.indices, coef.indptr, intercept, errors)
        return errors


def _take(rows: Rows, which: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns entries, row numbers and starts of the columns over some rows, with the root of weights and y of these.

    Weights are of sum 1, rows of weight 0 are left out, entries are multiplied by the root.
    """
    x = rows.x
    assert isinstance(x, sparse.csc_array)
    weights = np.where(which, rows.weights, 0.0)
    root = np.sqrt(weights / weights.sum())
    taken = root > 0
    number = np.where(taken, np.cumsum(taken) - 1, -1).astype(np.int32)
    data, indices, indptr = take_rows(x.data, x.indices, x.indptr, number, root)
    return data, indices, indptr, root[taken], rows.y[taken]


@dataclass(frozen=True, kw_only=True)
class _Trained:
    """The rows that a set is trained on, m of them, multiplied by the roots of their weights.

    Args:
        data: (nnz,) entries, divided by the scale. indices: (nnz,). indptr: (p + 1,).
        root: (m,). y: (m,) the target, not multiplied.
        mean: (p,) of inputs in their units; 0 where not centred.
        variance: (p,) of scaled inputs; their mean square where not centred.
        scale: (p,).
        centred: Whether there is an intercept.
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    root: np.ndarray
    y: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    scale: np.ndarray
    centred: bool

    @classmethod
    def of(cls, rows: Rows, which: np.ndarray, *, centred: bool, standardize: bool) -> _Trained:
        """Returns some rows."""
        data, indices, indptr, root, y = _take(rows, which)
        mean, variance = np.zeros(len(indptr) - 1), np.zeros(len(indptr) - 1)
        moments(data, indices, indptr, root, mean, variance)
        scale = scales(variance, mean) if standardize else np.ones(len(variance))
        if standardize:
            scale_columns(data, indptr, scale)
        if not centred:
            mean, variance = np.zeros_like(mean), variance + mean**2
        return cls(
            data=data,
            indices=indices,
            indptr=indptr,
            root=root,
            y=y,
            mean=mean,
            variance=variance / scale**2,
            scale=scale,
            centred=centred,
        )

    def dense(self, which: np.ndarray) -> np.ndarray:
        """Returns a few columns, (m, u), centred."""
        found = np.zeros((len(self.root), len(which)))
        for s, j in enumerate(which):
            inside = slice(self.indptr[j], self.indptr[j + 1])
            found[self.indices[inside], s] = self.data[inside]
        return found - np.outer(self.root, self.mean[which] / self.scale[which])


@dataclass(frozen=True, kw_only=True)
class _Projected:
    """A problem with the intercept and u unpenalised inputs projected out.

    Args:
        trained: What is fitted.
        columns: Of p inputs; those of unpenalised ones are 0.
        target: (m,) of what is left of y. basis: (k, m) orthonormal.
        cross: (p,) of columns and target.
        free: (u,) the unpenalised inputs.
        level: (k,) the basis' part of y. solved: (u, k) coefficients of unpenalised inputs for it.
    """

    trained: _Trained
    columns: Columns
    target: np.ndarray
    basis: np.ndarray
    cross: np.ndarray
    free: np.ndarray
    level: np.ndarray
    solved: np.ndarray

    @classmethod
    def of(cls, trained: _Trained, penalty: Penalty) -> _Projected:
        """Returns the problem."""
        size, free = len(trained.scale), np.flatnonzero(penalty.free)
        basis = trained.root[None] if trained.centred else np.zeros((0, len(trained.root)))
        solved = np.zeros((0, len(basis)))
        if len(free):
            left, values, right = np.linalg.svd(trained.dense(free), full_matrices=False)
            kept = values > _RANK * values[0]
            basis = np.concatenate([basis, left[:, kept].T])
            solved = np.concatenate([np.zeros((len(free), len(solved.T))), right[kept].T / values[kept]], axis=1)
        side = np.zeros((size, len(basis)))
        plain = Columns(trained.data, trained.indices, trained.indptr, side, trained.variance)
        for i, each in enumerate(basis):
            found = np.empty(size)
            all_products(plain, each, found)
            side[:, i] = found
        norms = trained.variance - (side[:, int(trained.centred) :] ** 2).sum(1)
        norms[norms <= _ROUNDING * trained.variance] = 0.0
        norms[free] = 0.0
        target = trained.y * trained.root
        level = basis @ target
        target = target - level @ basis
        columns, cross = plain._replace(norms=norms), np.empty(size)
        all_products(columns, target, cross)
        return cls(
            trained=trained,
            columns=columns,
            target=target,
            basis=basis,
            cross=cross,
            free=free,
            level=level,
            solved=solved,
        )

    def to_inputs(self, coef: sparse.csr_array) -> tuple[sparse.csr_array, np.ndarray]:
        """Returns the coefficients in the units of the inputs, with unpenalised ones filled in, and the intercepts.

        Args:
            coef: (L, p) of scaled inputs.

        Returns:
            (L, p) and (L,).
        """
        trained, num = self.trained, len(coef.indptr) - 1
        if len(self.free):
            level = self.level - coef @ self.columns.side
            places = (np.repeat(np.arange(num), len(self.free)), np.tile(self.free, num))
            coef = coef + sparse.csr_array(((level @ self.solved.T).ravel(), places), shape=(num, len(trained.scale)))
        coef.data /= trained.scale[coef.indices]
        middle = float(trained.root**2 @ trained.y) if trained.centred else 0.0
        return coef, middle - np.asarray(coef @ trained.mean)
