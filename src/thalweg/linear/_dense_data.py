"""Rows of a dense problem as the solver reads them, and what is fitted beside the penalised inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.linear._penalty import Penalty
from thalweg.linear._rows import Rows, RowSet, inverse_of, scales


@dataclass(frozen=True, kw_only=True)
class DenseData:
    """Rows, multiplied by the roots of their weights, and shifted where there is an intercept.

    Args:
        x: (n, p), column by column in memory. y: (n,).
        root: (n,) roots of the weights.
        intercept: Whether there is one.
        shift: (p,) what was taken from the inputs. target_shift: and from the target.
        sets: F of them.
    """

    x: np.ndarray
    y: np.ndarray
    root: np.ndarray
    intercept: bool
    shift: np.ndarray
    target_shift: float
    sets: Sequence[RowSet]

    @classmethod
    def of(cls, rows: Rows, sets: Sequence[RowSet], *, intercept: bool) -> DenseData:
        """Returns rows as the solver reads them."""
        given: Any = rows.x
        root = np.sqrt(rows.weights)
        shift = rows.weights @ given if intercept else np.zeros(given.shape[1])
        target_shift = float(rows.weights @ rows.y) if intercept else 0.0
        x = np.empty(given.shape, order="F")
        np.subtract(given, shift, out=x)
        x *= root[:, None]
        return cls(
            x=x,
            y=(rows.y - target_shift) * root,
            root=root,
            intercept=intercept,
            shift=shift,
            target_shift=target_shift,
            sets=sets,
        )

    def beside(self, penalty: Penalty) -> np.ndarray:
        """Returns the (n, z) columns that are fitted without penalty: that of the intercept, and unpenalised inputs."""
        ones = self.root[:, None] if self.intercept else np.zeros((len(self.root), 0))
        return np.hstack([ones, self.x[:, penalty.free]])

    def masked(self, values: np.ndarray, k: int) -> np.ndarray:
        """Returns values of rows with zeros where the k-th set does not train."""
        found = values.copy(order="F")
        found[~self.sets[k].train] = 0.0
        return found

    def errors(self, coef: np.ndarray, intercept: np.ndarray, k: int) -> np.ndarray | None:
        """Returns the (L,) mean squared errors of a path on the rows that the k-th set holds out, or None.

        Args:
            coef: (L, p) in the units of the inputs. intercept: (L,).
            k: Number of the set.
        """
        test = self.sets[k].test
        if test is None:
            return None
        used = np.flatnonzero(coef.any(0))
        # x is shifted, and its rows are multiplied by the root of their weight
        level = intercept + coef[:, used] @ self.shift[used] - self.target_shift
        fits = self.x[np.ix_(test, used)] @ coef[:, used].T + self.root[test, None] * level
        weight = float((self.root[test] ** 2).sum())
        return ((self.y[test, None] - fits) ** 2).sum(0) / weight if weight > 0 else None


@dataclass(frozen=True, kw_only=True)
class DenseProblem:
    """One set of rows: the penalty in the units of the inputs, and the fit of what is not penalised.

    Args:
        number: Of the set.
        weight: Sum over its rows.
        beside: (n, z) columns without penalty, on all rows.
        inverse: (z, z) of their second moments.
        alone: (z,) their coefficients where b = 0. residual: (n,) of y then, on all rows.
        null: Half the variance of y: the objective at b = 0, in which gaps are counted.
        scale: (p,) of the inputs.
        free: (p,) bool: what is not penalised.
        l1: (p,) at strength 1. l2: (p,). lower: (p,). upper: (p,).
    """

    number: int
    weight: float
    beside: np.ndarray
    inverse: np.ndarray
    alone: np.ndarray
    residual: np.ndarray
    null: float
    scale: np.ndarray
    free: np.ndarray
    l1: np.ndarray
    l2: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(cls, data: DenseData, k: int, penalty: Penalty, *, standardize: bool) -> DenseProblem:
        """Returns the problem of the k-th set."""
        root, y = data.masked(data.root, k), data.masked(data.y, k)
        weight = float(root @ root)
        beside = data.beside(penalty)
        masked = data.masked(beside, k)
        inverse = inverse_of(masked.T @ masked / weight)
        alone = inverse @ (masked.T @ y / weight)
        mean = float(root @ y / weight) if data.intercept else 0.0
        scale = np.ones(data.x.shape[1])
        if standardize:
            squares = np.einsum("ij,ij,i->j", data.x, data.x, data.sets[k].train.astype(float))
            variances = squares / weight - (root @ data.x / weight) ** 2
            scale = scales(variances, data.shift, squares / weight)
        return cls(
            number=k,
            weight=weight,
            beside=beside,
            inverse=inverse,
            alone=alone,
            residual=data.y - beside @ alone,
            null=0.5 * (float(y @ y / weight) - mean**2),
            scale=scale,
            free=penalty.free,
            l1=penalty.l1 * scale,
            l2=penalty.l2 * scale**2,
            lower=penalty.lower,
            upper=penalty.upper,
        )

    def gradient(self, data: DenseData) -> np.ndarray:
        """Returns X'r at b = 0, (p,), 0 for what is not penalised."""
        found = data.masked(self.residual, self.number) @ data.x / self.weight
        found[self.free] = 0.0
        return found

    def reach(self, gradient: np.ndarray) -> np.ndarray:
        """Returns the (p,) strength up to which each input would not be 0; 0 for what is not penalised.

        Infinite where there is no absolute part.

        Args:
            gradient: (p,) X'r.
        """
        up, down = np.where(self.upper > 0, gradient, 0.0), np.where(self.lower < 0, -gradient, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            steep = np.maximum(np.maximum(up, down), 0.0)
            return np.where(self.free | (steep == 0), 0.0, steep / self.l1)
