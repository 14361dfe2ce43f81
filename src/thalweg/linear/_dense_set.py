"""One set of rows of a dense problem: its working set, where it stands on the path, and what it has found."""

from __future__ import annotations

import math

import numpy as np

from thalweg.linear._dense_data import DenseData, DenseProblem
from thalweg.linear._kernel_quadratic import kkt_violation, quadratic_gap, quadratic_stretch
from thalweg.linear._solution import Solution

#: inputs join when their gradient is predicted to come so near to its limit
_NEAR = 0.93
#: of the tolerance, what the working set is solved to; the rest is for the inputs outside
_INNER = 0.4
#: inputs that join by prediction: so many, or half of those that are at work
_JOIN = 100
#: inputs that join because their condition is broken, at most
_BROKEN = 500
#: times that a strength is begun again with more inputs, at most
_TRIES = 50


class DenseSet:
    """Coefficients of a growing working set of m inputs, with their gradients and second moments.

    The path is extrapolated along its tangent: for the lasso it is a line between the strengths at which an input joins
    or leaves (Osborne, Presnell and Turlach, A new approach to variable selection in least squares problems, 2000).

    Args:
        data: Of all sets.
        problem: Of this one.
        residual: (n,) at b = 0, by weight.
        gradient: (p,) there.
    """

    def __init__(self, data: DenseData, problem: DenseProblem, residual: np.ndarray, gradient: np.ndarray) -> None:
        self.problem, self.which = problem, np.empty(0, np.int64)
        #: strengths of the stretch that are not solved yet
        self.left = np.empty(0)
        #: strength -> those before it whose solutions may lie on the line to it
        self.skipped: dict[float, np.ndarray] = {}
        #: (S + 1, n) by weight, at the strengths just solved and along the tangent
        self.residuals = residual[None]
        self._data, self._residual, self._null_gradient = data, residual, gradient
        self._square = float(residual @ problem.residual)
        self._gradient, self._slope, self._at = gradient, np.zeros_like(gradient), math.inf
        self._tries = 0
        self._last: tuple[float, np.ndarray, np.ndarray] | None = None  # strength, coefficients, gradients
        self._solved = np.empty((0, 0))  # (S, m) at the strengths just solved
        self._paths: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._gaps: list[float] = []
        self._kkts: list[float] = []
        num_beside = problem.beside.shape[1]
        self._columns = np.empty((len(residual), 0))
        self._gram, self._crossed, self._carried = (
            np.empty((0, 0)),
            np.empty((num_beside, 0)),
            np.empty((num_beside, 0)),
        )
        self._q, self._corr, self._coef, self._tangent = np.empty((4, 0))
        self._room = np.empty(0)

    def highest(self) -> float:
        """Returns the least strength at which b = 0."""
        return float(self.problem.reach(self._null_gradient).max(initial=0.0))

    def predicted(self) -> np.ndarray:
        """Returns the inputs that are predicted to come near their limit at the strengths that are left."""
        near = np.zeros(len(self._gradient))
        for s in (self.left[0], self.left[-1]):
            moved = self._gradient + (1 - s / self._at) * self._slope
            near = np.maximum(near, self.problem.reach(moved) / s)
        near[self.which] = 0.0
        return _largest(np.flatnonzero(near >= _NEAR), near, max(_JOIN, int(np.count_nonzero(self._coef)) // 2))

    def join(self, new: np.ndarray) -> None:
        """Adds inputs, (k,), to the working set."""
        old, total = len(self.which), len(self.which) + len(new)
        if total > len(self._q):
            self._grow(max(2 * len(self._q), total, 256))
        p, x = self.problem, self._data.x
        columns = x[:, new]
        columns[~self._data.sets[p.number].train] = 0.0
        self._columns[:, old:total] = columns
        self.which = np.concatenate([self.which, new])
        self._crossed[:, old:total] = p.beside.T @ columns / p.weight
        self._carried[:, old:total] = p.inverse @ self._crossed[:, old:total]
        gram = self._columns[:, :total].T @ columns / p.weight
        gram -= self._crossed[:, :total].T @ self._carried[:, old:total]
        self._gram[:total, old:total] = gram
        self._gram[old:total, :old] = gram[:old].T
        self._q[old:total], self._corr[old:total] = self._null_gradient[new], self._gradient[new]
        self._coef[old:total] = self._tangent[old:total] = 0.0

    def _grow(self, capacity: int) -> None:
        """Makes room for more inputs."""
        size = len(self.which)

        def wider(values: np.ndarray) -> np.ndarray:
            shape = (*values.shape[:-1], capacity)
            found = np.empty(shape, order="F" if values.ndim == 2 else "C")
            found[..., :size] = values[..., :size]
            return found

        self._columns = wider(self._columns)
        self._crossed, self._carried = wider(self._crossed), wider(self._carried)
        self._q, self._corr, self._coef = wider(self._q), wider(self._corr), wider(self._coef)
        self._tangent = wider(self._tangent)
        gram = np.empty((capacity, capacity))  # row by row in memory: sweeps read rows
        gram[:size, :size] = self._gram[:size, :size]
        self._gram = gram
        self._room = np.empty(capacity**2)  # what a support does not need of it takes no memory

    def put(self, start: np.ndarray) -> None:
        """Puts the set at some coefficients, (p,); `stand` must be told the gradient there."""
        self.join(np.flatnonzero((start != 0) & ~self.problem.free))
        self._solved = start[self.which][None]
        self.residuals = self._residuals()[:1]

    def stand(self, coef: np.ndarray, gradient: np.ndarray) -> None:
        """Puts the set at coefficients (m,) whose gradient (p,) is known."""
        m = len(self.which)
        self._coef[:m], self._corr[:m] = coef, gradient[self.which]
        self._gradient, self._slope = gradient, np.zeros_like(gradient)

    def solve(self, tol: float, max_rounds: int) -> None:
        """Solves for the strengths that are left on the working set.

        Args:
            tol: Of the gap, as a share.
            max_rounds: At every strength.
        """
        m, which, p = len(self.which), self.which, self.problem
        self._solved = np.empty((len(self.left), m))
        limits = (p.l1[which], p.l2[which], p.lower[which], p.upper[which])
        state = (self._gram, self._q[:m], self._corr[:m], self._coef[:m], self._square, self._at, self.left)
        quadratic_stretch(
            *state, *limits, _INNER * tol * p.null, max_rounds, self._tangent[:m], self._room, self._solved
        )
        self.residuals = self._residuals()

    def _residuals(self) -> np.ndarray:
        """Returns (S + 1, n) residuals at the strengths just solved, and how they move along the tangent."""
        m, p = len(self.which), self.problem
        coefs = np.vstack([self._solved, self._tangent[:m]])
        found = coefs @ self._columns[:, :m].T
        beside = self._data.masked(p.beside, p.number)
        found -= (coefs @ self._carried[:, :m].T) @ beside.T
        found /= -p.weight
        found[:-1] += self._residual
        return found

    def check(self, gradients: np.ndarray, tol: float) -> None:
        """Keeps the solutions up to the first whose gap is too large, while inputs outside break their conditions.

        The set then stands there, these inputs join, and the strengths from there on are left.

        Args:
            gradients: (S + 1, p) at the strengths just solved, and along the tangent.
            tol: Of the gap, as a share.
        """
        p, m, which = self.problem, len(self.which), self.which
        reaches = np.array([p.reach(g) for g in gradients[:-1]])
        reaches[:, which] = 0.0
        for t, s in enumerate(self.left):
            coef, gradient, outside = self._solved[t], gradients[t], float(reaches[t].max(initial=0.0)) / s
            limits = (s * p.l1[which], s * p.l2[which], p.lower[which], p.upper[which])
            gap = quadratic_gap(self._q[:m], gradient[which], coef, self._square, *limits, outside)
            if gap > tol * p.null and outside > 1 and self._tries < _TRIES:
                self._tries += 1
                self.stand(coef, gradient)
                self._tangent[:m], self._at = 0.0, float(s)
                most = (reaches / self.left[:, None]).max(0)
                self.left = self.left[t:]
                self.join(_largest(np.flatnonzero(most > 1), most, _BROKEN))
                return
            self._tries = 0
            skipped = self.skipped.pop(s, None)
            if skipped is not None and not self._fill(skipped, s, coef, gradient, tol):
                self.left = np.concatenate([skipped, self.left[t:]])
                return
            self._keep(s, coef, gradient, gap)
        self.stand(self._solved[-1], gradients[-2])
        self._slope, self._at = gradients[-1], float(self.left[-1])
        self.left = self.left[:0]

    def _keep(self, strength: float, coef: np.ndarray, gradient: np.ndarray, gap: float) -> None:
        """Keeps a solution, (m,), with its gradient, (p,)."""
        p, held = self.problem, np.zeros(len(gradient))
        held[self.which] = coef
        chosen = coef != 0
        self._paths.append((self.which[chosen], coef[chosen], p.alone - self._carried[:, : len(coef)] @ coef))
        self._gaps.append(gap / p.null if p.null > 0 else gap)
        limits = (strength * p.l1, strength * p.l2, p.lower, p.upper, p.scale)
        self._kkts.append(kkt_violation(gradient, held, *limits))
        self._last = strength, coef, gradient

    def _fill(self, skipped: np.ndarray, strength: float, coef: np.ndarray, gradient: np.ndarray, tol: float) -> bool:
        """Keeps what lies on the line between the last solution and a new one, where its gaps are small enough.

        Where not, nothing is kept, the set stands at the last solution, and False is returned.
        """
        p, m, which = self.problem, len(self.which), self.which
        assert self._last is not None
        before, old, old_gradient = self._last
        old = np.concatenate([old, np.zeros(m - len(old))])
        found = []
        for s in skipped:
            share = (before - s) / (before - strength) if strength < before else 1.0
            mixed, slope = old + share * (coef - old), old_gradient + share * (gradient - old_gradient)
            reach = p.reach(slope)
            reach[which] = 0.0
            limits = (s * p.l1[which], s * p.l2[which], p.lower[which], p.upper[which])
            gap = quadratic_gap(self._q[:m], slope[which], mixed, self._square, *limits, float(reach.max()) / s)
            if gap > tol * p.null:
                self.stand(old, old_gradient)
                self._tangent[:m], self._at = 0.0, before
                return False
            found.append((s, mixed, slope, gap))
        for each in found:
            self._keep(*each)
        return True

    def solution(self, num: int) -> Solution:
        """Returns the last so many solutions."""
        data, coef = self._data, np.zeros((num, len(self._gradient)))
        for row, (which, values, beside) in zip(coef, self._paths[-num:], strict=True):
            row[which] = values
            row[self.problem.free] = beside[int(data.intercept) :]
        intercept = np.zeros(num)
        if data.intercept:
            intercept = data.target_shift - coef @ data.shift + [beside[0] for *_, beside in self._paths[-num:]]
        return Solution(
            coef=coef,
            intercept=intercept,
            gap=np.array(self._gaps[-num:]),
            kkt=np.array(self._kkts[-num:]),
            error=data.errors(coef, intercept, self.problem.number),
        )


def _largest(which: np.ndarray, values: np.ndarray, most: int) -> np.ndarray:
    """Returns those of some places with the largest values, at most so many."""
    if len(which) <= most:
        return which
    return which[np.argpartition(values[which], -most)[-most:]]
