"""Least squares from second moments alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from thalweg.linear._kernel_quadratic import kkt_violation, quadratic_gap, quadratic_stretch
from thalweg.linear._penalty import Penalty
from thalweg.linear._rows import ROUNDING, inverse_of
from thalweg.linear._solution import Request
from thalweg.linear._sums import Sums


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What one least-squares fit reads: second moments of inputs and target, about their means where centred.

    Args:
        gram: (p, p). cross: (p,) of inputs and target. square: of the target.
        mean: (p,) of inputs. target: mean of y; both are of what was shifted, and 0 where not centred.
        second: (p,) mean squares of inputs. variance: (p,) of inputs, about their means in any case.
    """

    gram: np.ndarray
    cross: np.ndarray
    square: float
    mean: np.ndarray
    target: float
    second: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, sums: Sums, k: int, *, centred: bool) -> Moments:
        """Returns the moments of the k-th set."""
        w = sums.weight[k]
        mean, target = (sums.x[k] / w, float(sums.y[k] / w)) if centred else (np.zeros_like(sums.x[k]), 0.0)
        gram = sums.xx[k] / w - np.outer(mean, mean)
        square = float(sums.yy[k] / w - target**2)
        second = np.diag(sums.xx[k]) / w
        cross = sums.xy[k] / w - mean * target
        constant = np.diag(gram) <= ROUNDING * second  # what is left of it would be taken for an input
        gram[constant] = gram[:, constant] = cross[constant] = 0.0
        return cls(
            gram=gram,
            cross=cross,
            square=square,
            mean=mean,
            target=target,
            second=second,
            variance=second - (sums.x[k] / w) ** 2,
        )

    def error(self, coef: np.ndarray, sums: Sums, k: int) -> np.ndarray:
        """Returns the (L,) mean squared errors of fits (L, p) to these moments on the k-th set of other sums."""
        w = sums.weight[k]
        x, y = sums.x[k] / w - self.mean, sums.y[k] / w - self.target
        gram = sums.xx[k] / w - np.outer(self.mean, x + self.mean) - np.outer(x, self.mean)
        cross = sums.xy[k] / w - self.mean * (y + self.target) - x * self.target
        square = sums.yy[k] / w - 2 * self.target * y - self.target**2
        return np.maximum(square - 2 * coef @ cross + ((coef @ gram) * coef).sum(1), 0.0)


def solve_moments(moments: Moments, request: Request, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a path: (L, p) coefficients, (L,) gaps as shares, (L,) violations.

    Args:
        moments: What is fitted.
        request: Strengths, tolerance.
        scale: (p,) of inputs; the penalty is on coefficients times scale.
    """
    penalty, held = request.penalty, Held.of(moments, request.penalty)
    scale = scale[held.which]
    l1, l2 = penalty.l1[held.which] * scale, penalty.l2[held.which] * scale**2
    lower, upper = penalty.lower[held.which], penalty.upper[held.which]
    coef = np.zeros(len(scale)) if request.start is None else request.start[held.which]
    corr, tangent = held.cross - held.gram @ coef, np.zeros(len(scale))
    coefs, null = np.zeros((len(request.strengths), len(scale))), 0.5 * moments.square
    about = (held.gram, held.cross, corr, coef, held.square)
    stop, room = (request.tol * null, request.max_rounds), np.empty(len(scale) ** 2)
    quadratic_stretch(*about, math.inf, request.strengths, l1, l2, lower, upper, *stop, tangent, room, coefs)
    gap, kkt = np.empty((2, len(coefs)))
    corrs = held.cross - coefs @ held.gram
    for t, s in enumerate(request.strengths):
        limits = (s * l1, s * l2, lower, upper)
        gap[t] = quadratic_gap(held.cross, corrs[t], coefs[t], held.square, *limits, 0.0)
        kkt[t] = kkt_violation(corrs[t], coefs[t], *limits, scale)
    request.solved(len(coefs))
    return held.all_coefficients(coefs), gap / null if null > 0 else gap, kkt


@dataclass(frozen=True, kw_only=True)
class Held:
    """The penalised part of a problem: unpenalised inputs are projected out.

    Args:
        which: (p,) bool: what is penalised, q of them.
        gram: (q, q). cross: (q,). square: of the target.
        free: (p - q,) coefficients of the unpenalised inputs where all others are 0.
        carried: (p - q, q) what each other coefficient takes from them.
    """

    which: np.ndarray
    gram: np.ndarray
    cross: np.ndarray
    square: float
    free: np.ndarray
    carried: np.ndarray

    @classmethod
    def of(cls, moments: Moments, penalty: Penalty) -> Held:
        """Returns the penalised part."""
        gram, cross, free = moments.gram, moments.cross, penalty.free
        inverse = inverse_of(gram[np.ix_(free, free)])
        beside = gram[np.ix_(free, ~free)]
        alone, carried = inverse @ cross[free], inverse @ beside
        return cls(
            which=~free,
            gram=gram[np.ix_(~free, ~free)] - beside.T @ carried,
            cross=cross[~free] - beside.T @ alone,
            square=moments.square - float(cross[free] @ alone),
            free=alone,
            carried=carried,
        )

    def gradient(self) -> np.ndarray:
        """Returns (p,) X'y with what is unpenalised fitted."""
        found = np.zeros(len(self.which))
        found[self.which] = self.cross
        return found

    def all_coefficients(self, coefs: np.ndarray) -> np.ndarray:
        """Returns (L, p) coefficients, of (L, q) of what is penalised."""
        found = np.zeros((len(coefs), len(self.which)))
        found[:, self.which] = coefs
        found[:, ~self.which] = self.free - coefs @ self.carried.T
        return found
