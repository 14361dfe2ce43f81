"""Paths of several sets of rows in lock-step, on one working set."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from thalweg.core import share_out
from thalweg.linear._dense_data import DenseData, DenseProblem
from thalweg.linear._kernel_quadratic import kkt_violation, quadratic_gap, quadratic_stretch
from thalweg.linear._solution import Request, Solution

#: strengths between two looks at all inputs
_STRETCH = 4
#: inputs join when their gradient is predicted to come so near to its limit
_NEAR = 0.93
#: of the tolerance, what the working set is solved to; the rest is for the inputs outside
_INNER = 0.4
#: inputs that join by prediction: so many, or half of those that are at work
_JOIN = 100
#: inputs that join because their condition is broken, at most
_BROKEN = 500
#: ratio of the strengths on the way down to the first one, where there is no start
_DESCENT = 0.7
#: times that a set is begun again at a strength, at most
_TRIES = 50


class DensePath:
    """Solves for falling strengths, some at a time, and then looks at the conditions of all inputs.

    On the working set each stretch is solved from the tangent of the path, by sweeps and Newton steps on the support.
    One product then gives the gradients of all inputs, at all strengths of the stretch, of all sets. Where an input
    outside breaks its condition by more than the gap allows, it joins, and its set goes on from there. The
    second moments of the working set are taken of the parts of the rows, and summed for each set.

    Args:
        data: Of all sets.
        problems: One for each set.
        beside: (n, z) columns without penalty.
        request: Strengths, tolerance.
        threads: Cores to use.

    References:
        Massias, Gramfort and Salmon, Celer: a fast solver for the lasso with dual extrapolation, 2018 (working sets).
        Osborne, Presnell and Turlach, A new approach to variable selection in least squares problems, 2000 (between
        the strengths at which an input joins or leaves, the path of the lasso is a line).
    """

    def __init__(
        self, data: DenseData, problems: Sequence[DenseProblem], beside: np.ndarray, request: Request, threads: int
    ) -> None:
        self._data, self._beside, self._request, self._threads = data, beside, request, threads
        masked = np.stack([data.masked(each.residual, each.number) / each.weight for each in problems], axis=1)
        gradients = masked.T @ data.x
        self._sets = [
            _Set(each, gradients[k], float(masked[:, k] @ each.residual), beside.shape[1])
            for k, each in enumerate(problems)
        ]
        self._which = np.empty(0, np.int64)  # the working set
        self._columns = np.empty((len(data.x), 0), order="F")  # and its inputs

    def run(self) -> list[Solution]:
        """Returns the path of every set."""
        request, wanted = self._request, len(self._request.strengths)
        if request.start is None:
            highest = max(float(each.problem.reach(each.gradient).max(initial=0.0)) for each in self._sets)
            strengths = np.concatenate([_descent(highest, float(request.strengths[0])), request.strengths])
        else:
            strengths = np.asarray(request.strengths)
            self._start(request.start)
        first = 0
        while first < len(strengths):
            stretch = strengths[first : first + _STRETCH]
            self._join(self._predicted(stretch))
            waiting = [(each, stretch) for each in self._sets]
            while waiting:
                waiting = self._advance(waiting)
            first += len(stretch)
        return [each.solution(self._data, wanted) for each in self._sets]

    def _start(self, start: np.ndarray) -> None:
        """Puts every set at some coefficients, (p,)."""
        which = np.flatnonzero((start != 0) & (self._sets[0].problem.l1 + self._sets[0].problem.l2 > 0))
        self._join(which)
        for each in self._sets:
            each.coef[: len(which)] = start[which]
            residuals = self._residuals([each], [each.coef[None, : len(which)]])
            each.stand(each.coef[: len(which)], self._gradients([each], residuals)[0][0], which)

    def _predicted(self, stretch: np.ndarray) -> np.ndarray:
        """Returns the inputs that are predicted to come near their limit on a stretch."""
        joins = np.zeros(self._data.x.shape[1], bool)
        for each in self._sets:
            reach = each.predicted(stretch)
            reach[self._which] = 0.0
            near = np.flatnonzero(reach >= _NEAR)
            joins[_largest(near, reach, max(_JOIN, np.count_nonzero(each.coef) // 2))] = True
        return np.flatnonzero(joins)

    def _join(self, new: np.ndarray) -> None:
        """Adds inputs to the working set."""
        if len(new) == 0:
            return
        old, total = len(self._which), len(self._which) + len(new)
        if total > self._columns.shape[1]:
            columns = np.empty((len(self._columns), max(2 * self._columns.shape[1], total, 256)), order="F")
            columns[:, :old] = self._columns[:, :old]
            self._columns = columns
        self._columns[:, old:total] = self._data.x[:, new]
        self._which = np.concatenate([self._which, new])
        parts = self._data.parts
        grams = np.array([self._columns[part, :total].T @ self._columns[part, old:total] for part in parts])
        crosses = np.array([self._beside[part].T @ self._columns[part, old:total] for part in parts])
        for each in self._sets:
            trained = self._data.trained[each.problem.number]
            weights = trained / each.problem.weight
            each.join(new, self._columns.shape[1], np.tensordot(weights, grams, 1), np.tensordot(weights, crosses, 1))

    def _advance(self, waiting: list[tuple[_Set, np.ndarray]]) -> list[tuple[_Set, np.ndarray]]:
        """Solves each set for its strengths, as far as the conditions of all inputs hold; returns what is left."""
        size, limits = len(self._which), (_INNER * self._request.tol, self._request.max_rounds)
        found: list[np.ndarray] = [np.empty((len(strengths), size)) for _, strengths in waiting]

        def work(k: int) -> None:
            each, strengths = waiting[k]
            each.solve(self._which, strengths, *limits, found[k])

        share_out(work, range(len(waiting)), self._threads)
        sets = [each for each, _ in waiting]
        residuals = self._residuals(sets, found)
        gradients = self._gradients(sets, residuals)
        left, broken = [], np.zeros(self._data.x.shape[1], bool)
        for k, (each, strengths) in enumerate(waiting):
            reaches = [each.problem.reach(g) for g in gradients[k][: len(strengths)]]
            for reach in reaches:
                reach[self._which] = 0.0
            held = each.accept(self._which, strengths, found[k], gradients[k], reaches, self._request.tol)
            errors = self._data.errors(residuals[k][:, :held], each.problem.number)
            if errors is not None:
                each.errors.extend(errors)
            if held < len(strengths):
                most = np.max([reach / s for reach, s in zip(reaches, strengths, strict=True)], axis=0)
                broken[_largest(np.flatnonzero(most > 1), most, _BROKEN)] = True
                left.append((each, strengths[held:]))
        self._join(np.flatnonzero(broken))
        return left

    def _residuals(self, sets: Sequence[_Set], coefs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Returns for each set (n, S + 1) residuals at S coefficients, and how they move along the tangent."""
        size = len(self._which)
        stacked = [np.vstack([each_coefs, each.tangent[:size]]) for each, each_coefs in zip(sets, coefs, strict=True)]
        fits = self._columns[:, :size] @ np.concatenate(stacked).T
        found, first = [], 0
        for each, mine in zip(sets, stacked, strict=True):
            fit = fits[:, first : first + len(mine)] - self._beside @ (each.carried[:, :size] @ mine.T)
            first += len(mine)
            np.negative(fit, out=fit)
            fit[:, :-1] += each.problem.residual[:, None]
            found.append(fit)
        return found

    def _gradients(self, sets: Sequence[_Set], residuals: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Returns for each set (S + 1, p) gradients of all inputs."""
        masked = [
            self._data.masked(r, each.problem.number) / each.problem.weight
            for each, r in zip(sets, residuals, strict=True)
        ]
        products = np.concatenate([r.T for r in masked]) @ self._data.x
        ends = np.cumsum([r.shape[1] for r in residuals])[:-1]
        return np.split(products, ends)


class _Set:
    """Where one set of rows stands.

    Args:
        problem: Of the set.
        gradient: (p,) at b = 0. square: of the residual there, by weight.
        num_beside: Columns without penalty.
    """

    def __init__(self, problem: DenseProblem, gradient: np.ndarray, square: float, num_beside: int) -> None:
        self.problem, self.square = problem, square
        self.null_gradient, self.gradient, self.slope = gradient, gradient, np.zeros_like(gradient)
        self.at = math.inf  # the strength at which b is
        self.q, self.corr, self.coef, self.tangent = np.zeros((4, 0))
        self.gram = np.zeros((0, 0))
        self.crossed, self.carried = np.zeros((2, num_beside, 0))
        self.coefs: list[tuple[np.ndarray, np.ndarray]] = []
        self.besides: list[np.ndarray] = []
        self.gaps: list[float] = []
        self.kkts: list[float] = []
        self.errors: list[float] = []
        self._tries = 0

    def predicted(self, stretch: np.ndarray) -> np.ndarray:
        """Returns (p,) how near each input is predicted to come to its limit on a stretch; at 1 it joins."""
        found = np.zeros(len(self.gradient))
        for s in (stretch[0], stretch[-1]):
            moved = self.gradient + (1 - s / self.at) * self.slope
            found = np.maximum(found, self.problem.reach(moved) / s)
        return found

    def join(self, new: np.ndarray, capacity: int, gram: np.ndarray, crossed: np.ndarray) -> None:
        """Adds inputs to the working set.

        Args:
            new: (k,) inputs.
            capacity: Of the arrays.
            gram: (m + k, k) second moments. crossed: (z, k) with the columns beside.
        """
        total, num = gram.shape
        old = total - num
        if capacity > len(self.q):
            grown = np.zeros((4, capacity))
            for row, values in zip(grown, (self.q, self.corr, self.coef, self.tangent), strict=True):
                row[: len(values)] = values
            self.q, self.corr, self.coef, self.tangent = (row.copy() for row in grown)
            wide = np.zeros((2, len(crossed), capacity))
            wide[0, :, : len(self.gram)], wide[1, :, : len(self.gram)] = self.crossed, self.carried
            self.crossed, self.carried = wide
            square = np.zeros((capacity, capacity))
            square[: len(self.gram), : len(self.gram)] = self.gram
            self.gram = square
        self.crossed[:, old:total] = crossed
        self.carried[:, old:total] = self.problem.inverse @ crossed
        gram = gram - self.crossed[:, :total].T @ self.carried[:, old:total]
        self.gram[:total, old:total] = gram
        self.gram[old:total, :old] = gram[:old].T
        self.q[old:total], self.corr[old:total] = self.null_gradient[new], self.gradient[new]
        self.coef[old:total] = self.tangent[old:total] = 0.0

    def solve(self, which: np.ndarray, strengths: np.ndarray, tol: float, max_rounds: int, found: np.ndarray) -> None:
        """Writes (S, m) coefficients of the working set at falling strengths."""
        m, p = len(which), self.problem
        limits = (p.l1[which], p.l2[which], p.lower[which], p.upper[which])
        state = (self.gram, self.q[:m], self.corr[:m], self.coef[:m], self.square, self.at, strengths)
        quadratic_stretch(*state, *limits, tol * p.null, max_rounds, self.tangent[:m], found)

    def accept(
        self,
        which: np.ndarray,
        strengths: np.ndarray,
        coefs: np.ndarray,
        gradients: np.ndarray,
        reaches: Sequence[np.ndarray],
        tol: float,
    ) -> int:
        """Keeps the solutions up to the first whose gap is too large while inputs outside break their conditions.

        Args:
            which: (m,) working set.
            strengths: (S,). coefs: (S, m). gradients: (S + 1, p) at them, and along the tangent.
            reaches: S of (p,) up to which strength inputs outside would not be 0.
            tol: Of the gap, as a share.

        Returns:
            How many it kept; the set stands at the last of these, or at the first that failed.
        """
        p, m = self.problem, len(which)
        for t, s in enumerate(strengths):
            gradient, outside = gradients[t], float(reaches[t].max(initial=0.0)) / s
            limits = (s * p.l1[which], s * p.l2[which], p.lower[which], p.upper[which])
            gap = quadratic_gap(self.q[:m], gradient[which], coefs[t], self.square, *limits, outside)
            if gap > tol * p.null and outside > 1 and self._tries < _TRIES:
                self._tries += 1
                self.tangent[:m] = 0.0
                self.stand(coefs[t], gradient, which)
                self.at = float(s)
                return t
            self._tries = 0
            coef = np.zeros(len(gradient))
            coef[which] = coefs[t]
            self.coefs.append((which[coefs[t] != 0], coefs[t][coefs[t] != 0]))
            self.besides.append(p.alone - self.carried[:, :m] @ coefs[t])
            self.gaps.append(gap / p.null if p.null > 0 else gap)
            self.kkts.append(kkt_violation(gradient, coef, s * p.l1, s * p.l2, p.lower, p.upper, p.scale))
        self.stand(coefs[-1], gradients[-2], which)
        self.slope, self.at = gradients[-1], float(strengths[-1])
        return len(strengths)

    def stand(self, coef: np.ndarray, gradient: np.ndarray, which: np.ndarray) -> None:
        """Puts the set at coefficients (m,) of the working set, whose gradient (p,) is known."""
        m = len(which)
        self.coef[:m], self.corr[:m] = coef, gradient[which]
        self.gradient, self.slope = gradient, np.zeros_like(gradient)

    def solution(self, data: DenseData, num: int) -> Solution:
        """Returns the last so many solutions."""
        besides = np.array(self.besides[-num:])
        coef = np.zeros((num, len(self.gradient)))
        for row, (which, values) in zip(coef, self.coefs[-num:], strict=True):
            row[which] = values
        first = int(data.intercept)
        coef[:, self.problem.free] = besides[:, first:]
        intercept = data.target_shift - coef @ data.shift
        return Solution(
            coef=coef,
            intercept=intercept + besides[:, 0] if data.intercept else np.zeros(num),
            gap=np.array(self.gaps[-num:]),
            kkt=np.array(self.kkts[-num:]),
            error=np.array(self.errors[-num:]) if self.errors else None,
        )


def _descent(highest: float, first: float) -> np.ndarray:
    """Returns the strengths on the way down from the one at which all is 0 to the first that is asked for."""
    num = int(math.log(first / highest) / math.log(_DESCENT)) if 0 < first < highest else 0
    return highest * _DESCENT ** np.arange(1, num + 1)


def _largest(which: np.ndarray, values: np.ndarray, most: int) -> np.ndarray:
    """Returns those of some places with the largest values, at most so many."""
    if len(which) <= most:
        return which
    return which[np.argpartition(values[which], -most)[-most:]]
