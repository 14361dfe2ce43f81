"""The scores of members that differ in nothing but the seed, with their three intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.core import Interval, interval_of_mean, interval_with_rows, prediction_interval
from thalweg.population._population import Population
from thalweg.tasks import METRICS


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores of one recipe on one split: the mean over seeds with its three intervals.

    Args:
        metric: Name of the metric.
        values: Score of every seed.
        seeds: The seeds.
        over_seeds: Interval of the mean over seeds, on these rows.
        over_rows: The same with the sampling of rows included.
        next_run: Interval of one new run.
    """

    metric: str
    values: tuple[float, ...]
    seeds: tuple[int, ...]
    over_seeds: Interval
    over_rows: Interval
    next_run: Interval


def score_members(population: Population, which: Sequence[int], split_name: str) -> Scores:
    """Returns the scores of members that differ in nothing but the seed, with their intervals.

    Args:
        population: Where they were trained.
        which: Their places, >= 2.
        split_name: `validation` or `test`.
    """
    task = population.task
    split = getattr(task, split_name)
    metric = METRICS[task.metric]
    outputs = population.outputs(which, split.x)
    values = [population.score(out, split.y) for out in outputs]
    rows = np.stack([metric.row_scores(out, split.y, task) for out in outputs])
    rows_of = {"test": "test set", "validation": "validation set"}[split_name]

    def labelled(interval: Interval) -> Interval:
        return replace(interval.within(*metric.bounds), label=interval.label.replace("test set", rows_of))

    return Scores(
        metric=task.metric,
        values=tuple(values),
        seeds=tuple(population.members[n].seed for n in which),
        over_seeds=labelled(interval_of_mean(values)),
        over_rows=labelled(interval_with_rows(rows, display=lambda mean: float(metric.display(mean, split.y)))),
        next_run=labelled(prediction_interval(values)),
    )
