"""Least squares from sums over rows: the Grams of all folds in one pass over the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import pinvh

from thalweg.core import share_out
from thalweg.linear._kernel_quadratic import quadratic_path
from thalweg.linear._penalty import Penalty
from thalweg.linear._rows import Parts, Rows, RowSet
from thalweg.linear._solution import Request, Solution
from thalweg.linear._sums import Sums, sum_parts


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What one least-squares fit reads: second moments of inputs and target, about their means where centred.

    Args:
        gram: (p, p). cross: (p,) of inputs and target. square: of the target.
        mean: (p,) of inputs. target: mean of y; both are of what was shifted, and 0 where not centred.
    """

    gram: np.ndarray
    cross: np.ndarray
    square: float
    mean: np.ndarray
    target: float

    @classmethod
    def of(cls, sums: Sums, k: int, *, centred: bool) -> Moments:
        """Returns the moments of the k-th set."""
        w = sums.weight[k]
        mean, target = (sums.x[k] / w, float(sums.y[k] / w)) if centred else (np.zeros_like(sums.x[k]), 0.0)
        gram = sums.xx[k] / w - np.outer(mean, mean)
        square = float(sums.yy[k] / w - target**2)
        return cls(gram=gram, cross=sums.xy[k] / w - mean * target, square=square, mean=mean, target=target)

    def error(self, coef: np.ndarray, sums: Sums, k: int) -> np.ndarray:
        """Returns the (L,) mean squared errors of fits (L, p) to these moments on the k-th set of other sums."""
        w = sums.weight[k]
        x, y = sums.x[k] / w - self.mean, sums.y[k] / w - self.target
        gram = sums.xx[k] / w - np.outer(self.mean, x + self.mean) - np.outer(x, self.mean)
        cross = sums.xy[k] / w - self.mean * (y + self.target) - x * self.target
        square = sums.yy[k] / w - 2 * self.target * y - self.target**2
        return np.maximum(square - 2 * coef @ cross + ((coef @ gram) * coef).sum(1), 0.0)


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
        sums, self._shift = sum_parts(rows, parts, shifted=intercept)
        trained = sums.of(parts.trained)
        self._moments = [Moments.of(trained, k, centred=intercept) for k in range(len(sets))]
        self._tested = sums.of(parts.tested)
        self._standardize = standardize
        self._threads = threads

    def null_gradient(self, penalty: Penalty) -> tuple[np.ndarray, np.ndarray]:
        """Returns X'y of the first set with unpenalised columns fitted, (p,), and the scales of the inputs, (p,)."""
        scaled = _Scaled.of(self._moments[0], penalty, self._standardize)
        found = np.zeros(len(penalty.factors))
        found[~penalty.free] = scaled.cross
        return found, scaled.scale

    def solve(self, request: Request) -> list[Solution]:
        """Returns the path of every set."""
        found: list[Solution | None] = [None] * len(self._moments)

        def work(k: int) -> None:
            found[k] = self._solve(k, request)

        share_out(work, range(len(found)), self._threads)
        return [each for each in found if each is not None]

    def _solve(self, k: int, request: Request) -> Solution:
        moments, penalty = self._moments[k], request.penalty
        scaled = _Scaled.of(moments, penalty, self._standardize)
        held, num = ~penalty.free, len(request.strengths)
        start = np.zeros(held.sum()) if request.start is None else (request.start * scaled.scale)[held]
        coefs, gaps, kkts = np.zeros((num, held.sum())), np.zeros(num), np.zeros(num)
        null = 0.5 * moments.square
        quadratic_path(
            scaled.gram,
            scaled.cross,
            scaled.square,
            np.asarray(request.strengths, np.float64),
            penalty.l1[held],
            penalty.l2[held],
            (penalty.lower * scaled.scale)[held],
            (penalty.upper * scaled.scale)[held],
            request.tol * null,
            request.max_rounds,
            start,
            coefs,
            gaps,
            kkts,
        )
        coef = scaled.all_coefficients(coefs)
        intercept = self._shift.y + moments.target - coef @ (self._shift.x + moments.mean)
        tested = self._tested.weight[k] > 0
        return Solution(
            coef=coef,
            intercept=intercept,
            gap=gaps / null if null > 0 else gaps,
            kkt=kkts,
            error=moments.error(coef, self._tested, k) if tested else None,
        )


@dataclass(frozen=True, kw_only=True)
class _Scaled:
    """The penalised part of a problem: inputs divided by their scale, unpenalised ones projected out.

    Args:
        gram: (q, q). cross: (q,). square: of the target.
        scale: (p,) that inputs were divided by.
        held: (p,) bool: what is penalised.
        free: (u,) coefficients of the unpenalised inputs where all others are 0, in scaled units.
        carried: (u, q) what each other coefficient takes from them.
    """

    gram: np.ndarray
    cross: np.ndarray
    square: float
    scale: np.ndarray
    held: np.ndarray
    free: np.ndarray
    carried: np.ndarray

    @classmethod
    def of(cls, moments: Moments, penalty: Penalty, standardize: bool) -> _Scaled:
        """Returns the penalised part."""
        gram, cross, square = moments.gram, moments.cross, moments.square
        scale = scales(np.diag(gram), standardize)
        if standardize:
            gram, cross = gram / np.outer(scale, scale), cross / scale
        held = ~penalty.free
        free, carried = np.zeros(0), np.zeros((0, int(held.sum())))
        if not held.all():
            inverse = pinvh(gram[np.ix_(~held, ~held)])
            beside = gram[np.ix_(~held, held)]
            free, carried = inverse @ cross[~held], inverse @ beside
            square = square - float(cross[~held] @ free)
            cross, gram = cross[held] - beside.T @ free, gram[np.ix_(held, held)] - beside.T @ carried
        return cls(gram=gram, cross=cross, square=square, scale=scale, held=held, free=free, carried=carried)

    def all_coefficients(self, coefs: np.ndarray) -> np.ndarray:
        """Returns (L, p) coefficients in the units of the inputs, of (L, q) scaled ones of what is penalised."""
        found = np.zeros((len(coefs), len(self.held)))
        found[:, self.held] = coefs
        found[:, ~self.held] = self.free - coefs @ self.carried.T
        return found / self.scale


def scales(variances: np.ndarray, standardize: bool) -> np.ndarray:
    """Returns what inputs are divided by: standard deviations, and 1 for those that do not vary."""
    if not standardize:
        return np.ones_like(variances)
    return np.where(variances > 0, np.sqrt(np.maximum(variances, 0.0)), 1.0)
