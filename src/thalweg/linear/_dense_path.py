"""Paths of several sets of rows in lock-step: each on a working set of its own, with one look at all inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from thalweg.core import products_by_caller, products_by_numpy, share_out
from thalweg.linear._dense_data import DenseData, DenseProblem
from thalweg.linear._dense_set import DenseSet
from thalweg.linear._solution import Request, Solution

#: strengths between two looks at all inputs
_STRETCH = 4
#: ratio of the strengths on the way down to the first one, where there is no start
_DESCENT = 0.7
#: in which the columns are multiplied where cores are shared out
_SLICES = 8
#: where a looser gap will do, only every fourth strength is solved; between, the path is nearly a line
_SKIP = 4

#: calls a function with every item
_Run = Callable[[Callable[[Any], None], Sequence[Any]], None]


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
    if len(problems) == 1 and threads > 1:  # all cores are for its products
        with products_by_numpy():
            return _solve(data, problems, request, _in_turn)
    with products_by_caller():
        return _solve(data, problems, request, partial(share_out, threads=threads))


def _solve(data: DenseData, problems: Sequence[DenseProblem], request: Request, run: _Run) -> list[Solution]:
    residuals = [data.masked(each.residual, each.number) / each.weight for each in problems]
    gradients = _gradients(data, [r[None] for r in residuals], run)
    sets = [DenseSet(data, problem, r, g[0]) for problem, r, g in zip(problems, residuals, gradients, strict=True)]
    strengths = np.asarray(request.strengths, np.float64)
    if request.start is None:
        highest = max(each.highest() for each in sets)
        strengths = np.concatenate([_descent(highest, strengths[0]), strengths])
    else:
        for each in sets:
            each.put(request.start)
        for each, gradient in zip(sets, _gradients(data, [each.residuals for each in sets], run), strict=True):
            each.stand(request.start[each.which], gradient[0])
    solved, told = strengths, 0
    if request.tol > request.sought:
        places = _thinned(len(strengths) - len(request.strengths), len(strengths))
        solved = strengths[places]
        for each in sets:
            each.skipped = {float(strengths[b]): strengths[a + 1 : b] for a, b in pairwise(places) if b > a + 1}
    for first in range(0, len(solved), _STRETCH):
        waiting = sets
        for each in sets:
            each.left = solved[first : first + _STRETCH]
        run(lambda each: each.join(each.predicted()), waiting)
        while waiting:
            run(lambda each: each.solve(request.sought, request.max_rounds), waiting)
            gradients = _gradients(data, [each.residuals for each in waiting], run)
            checked = list(zip(waiting, gradients, strict=True))
            run(lambda pair: pair[0].check(pair[1], request.tol), checked)
            waiting = [each for each in waiting if len(each.left) > 0]
        reached = int(np.count_nonzero(request.strengths >= solved[min(first + _STRETCH, len(solved)) - 1]))
        request.solved((reached - told) * len(sets))
        told = reached
    return [each.solution(len(request.strengths)) for each in sets]


def _in_turn(work: Callable[[Any], None], items: Sequence[Any]) -> None:
    for item in items:
        work(item)


def _gradients(data: DenseData, residuals: Sequence[np.ndarray], run: _Run) -> list[np.ndarray]:
    """Returns for each set (S, p) products with all inputs, of its (S, n) residuals."""
    together = np.concatenate(residuals)
    found = np.empty((len(together), data.x.shape[1]))
    bounds = np.linspace(0, found.shape[1], _SLICES + 1).astype(int) if run is not _in_turn else [0, found.shape[1]]

    def work(columns: slice) -> None:
        np.matmul(together, data.x[:, columns], out=found[:, columns])

    run(work, [slice(a, b) for a, b in pairwise(bounds)])
    return np.split(found, np.cumsum([len(r) for r in residuals])[:-1])


def _thinned(asked: int, num: int) -> np.ndarray:
    """Returns the places of strengths that are solved: all before the first that is asked for, it, some, the last."""
    return np.unique(np.concatenate([np.arange(asked), np.arange(asked, num, _SKIP), [num - 1]]))


def _descent(highest: float, first: float) -> np.ndarray:
    """Returns the strengths on the way down from the one at which all is 0 to the first that is asked for."""
    num = int(math.log(first / highest) / math.log(_DESCENT)) if 0 < first < highest < math.inf else 0
    return highest * _DESCENT ** np.arange(1, num + 1)
