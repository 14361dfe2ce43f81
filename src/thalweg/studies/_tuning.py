"""Levels that are compared at a step size of their own, chosen on seeds that take no part in the comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.core import Chart, Series, known
from thalweg.recipes import Recipe
from thalweg.studies._compare import Comparison, cross, final_scores, metric_words
from thalweg.studies._study import Lab
from thalweg.tasks import METRICS, Task

#: seeds on which a step size is chosen, from the study's own
_CHOICE_SEEDS, _CHOICE_FROM = 2, 500


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What was chosen, and the comparison of it.

    Args:
        found: The comparison, on the study's seeds.
        recipes: Label -> the recipe at its own step size.
        rates: Label -> the step sizes that were tried.
        scores: Label -> mean score of each, NaN where a seed diverged.
    """

    found: Comparison
    recipes: Mapping[str, Recipe]
    rates: Mapping[str, Sequence[float]]
    scores: Mapping[str, Sequence[float]]

    def sentences(self) -> list[str]:
        """Returns the step size of each level."""
        return [f"{label}: lr {recipe.lr:.3g}." for label, recipe in self.recipes.items()]

    def chart(self) -> Chart:
        """Returns the scores over the step sizes."""
        series = [
            Series(
                name=label,
                x=list(self.rates[label]),
                y=known(self.scores[label]),
                role=self.found.role(label),
            )
            for label in self.found.labels
        ]
        return Chart(
            name="rates",
            title="How each was tuned",
            caption=f"Mean of {_CHOICE_SEEDS} seeds that take no part in the comparison; the leader is coloured.",
            x="lr",
            y=f"validation {metric_words(self.found.metric)}",
            series=series,
            log_x=True,
        )


def compare_tuned(
    lab: Lab, levels: Mapping[str, Mapping[float, Recipe]], *, task_of: Callable[[str], Task] | None = None
) -> Tuned:
    """Returns levels compared on the study's seeds, each at the step size that is best on other seeds.

    Args:
        lab: Of the study.
        levels: Label -> step size -> recipe.
        task_of: Label -> what it trains on, where levels differ in that.
    """
    sign = 1 if METRICS[lab.task.metric].higher_is_better else -1
    seeds = [lab.seeds[0] + _CHOICE_FROM + k for k in range(_CHOICE_SEEDS)]
    means = _means(lab, levels, seeds, task_of)
    recipes: dict[str, Recipe] = {}
    for label, rates in levels.items():
        best = max(rates, key=lambda lr: -math.inf if math.isnan(means[label][lr]) else sign * means[label][lr])
        recipes[label] = rates[best]
    return Tuned(
        found=lab.compare(recipes, task_of=task_of),
        recipes=recipes,
        rates={label: list(rates) for label, rates in levels.items()},
        scores={label: list(means[label].values()) for label in levels},
    )


def tuned_runs(num_rates: int) -> Callable[[int], float]:
    """Returns seeds -> times that `compare_tuned` trains each recipe, on average."""
    return lambda seeds: _CHOICE_SEEDS + seeds / num_rates


def _means(
    lab: Lab,
    levels: Mapping[str, Mapping[float, Recipe]],
    seeds: Sequence[int],
    task_of: Callable[[str], Task] | None,
) -> dict[str, dict[float, float]]:
    """Returns label -> step size -> mean score; levels on one task train as one population."""
    groups = {"rates": list(levels)} if task_of is None else {f"rates-{label}": [label] for label in levels}
    found: dict[str, dict[float, float]] = {}
    for name, labels in groups.items():
        recipes = {f"{label} {lr:g}": recipe for label in labels for lr, recipe in levels[label].items()}
        task = None if task_of is None else task_of(labels[0])
        population = lab.train(name, cross(recipes, seeds), task=task, keep=False)
        scores = iter(final_scores(population, len(recipes)).mean(1).tolist())
        for label in labels:
            found[label] = {lr: next(scores) for lr in levels[label]}
    return found


def rate_grid(low: float, high: float, num: int) -> list[float]:
    """Returns step sizes from low to high, evenly by their logarithm.

    Example:
        >>> rate_grid(1e-3, 1e-1, 3)
        [0.001, 0.01, 0.1]
    """
    return [float(f"{lr:.4g}") for lr in np.geomspace(low, high, num)]
