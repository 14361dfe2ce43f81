"""Paths of several sets of rows in lock-step: each on a working set of its own, with one look at all inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.core import share_out
from thalweg.linear._dense_data import DenseData, DenseProblem
from thalweg.linear._dense_set import DenseSet
from thalweg.linear._solution import Request, Solution

#: strengths between two looks at all inputs
_STRETCH = 4
#: ratio of the strengths on the way down to the first one, where there is no start
_DESCENT = 0.7


def dense_path(data: DenseData, problems: Sequence[DenseProblem], request: Request, threads: int) -> list[Solution]:
    """Returns the path of every set.

    Some strengths at a time are solved on the working sets. Then one product gives the gradients of all inputs, at all
    these strengths, of all sets. Where an input outside breaks its condition by more than the gap allows, it joins, and
    its set goes on from there.

    Args:
        data: Of all sets.
        problems: One for each set.
        request: Strengths, tolerance.
        threads: Cores to use.

    References:
        Massias, Gramfort and Salmon, Celer: a fast solver for the lasso with dual extrapolation, 2018 (working sets).
    """
    residuals = [data.masked(each.residual, each.number) / each.weight for each in problems]
    gradients = _gradients(data, [r[None] for r in residuals])
    sets = [DenseSet(data, problem, r, g[0]) for problem, r, g in zip(problems, residuals, gradients, strict=True)]
    strengths = np.asarray(request.strengths, np.float64)
    if request.start is None:
        highest = max(each.highest() for each in sets)
        strengths = np.concatenate([_descent(highest, strengths[0]), strengths])
    else:
        for each in sets:
            each.put(request.start)
        for each, gradient in zip(sets, _gradients(data, [each.residuals for each in sets]), strict=True):
            each.stand(request.start[each.which], gradient[0])
    for first in range(0, len(strengths), _STRETCH):
        waiting = sets
        for each in sets:
            each.left = strengths[first : first + _STRETCH]
        _share_out(lambda each: each.join(each.predicted()), waiting, threads)
        while waiting:
            _share_out(lambda each: each.solve(request.tol, request.max_rounds), waiting, threads)
            gradients = _gradients(data, [each.residuals for each in waiting])
            checked = list(zip(waiting, gradients, strict=True))
            _share_out(lambda pair: pair[0].check(pair[1], request.tol), checked, threads)
            waiting = [each for each in waiting if len(each.left) > 0]
        asked = max(0, min(first + _STRETCH, len(strengths)) - max(first, len(strengths) - len(request.strengths)))
        request.solved(asked * len(sets))
    return [each.solution(len(request.strengths)) for each in sets]


def _gradients(data: DenseData, residuals: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns for each set (S, p) products with all inputs, of its (S, n) residuals."""
    products = np.concatenate(residuals) @ data.x
    return np.split(products, np.cumsum([len(r) for r in residuals])[:-1])


def _share_out(work: Callable[[Any], None], items: Sequence[Any], threads: int) -> None:
    if len(items) == 1:  # all threads are for its products
        work(items[0])
    else:
        share_out(work, items, threads)


def _descent(highest: float, first: float) -> np.ndarray:
    """Returns the strengths on the way down from the one at which all is 0 to the first that is asked for."""
    num = int(math.log(first / highest) / math.log(_DESCENT)) if 0 < first < highest < math.inf else 0
    return highest * _DESCENT ** np.arange(1, num + 1)
