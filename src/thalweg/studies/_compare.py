"""Several recipes on the same seeds: which of them are told apart, and from which."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core import (
    Chart,
    Interval,
    PairedDifference,
    Series,
    Table,
    format_together,
    interval_of_mean,
    known,
    paired_difference,
)
from thalweg.population import Population
from thalweg.recipes import Member, Recipe
from thalweg.tasks import METRICS, Task, evaluate_metric


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Levels of an axis, scored on common seeds.

    Args:
        labels: Name of each level.
        seeds: The seeds.
        scores: (L, S) validation scores at the end, NaN where a member diverged.
        metric: Name of the score.
    """

    labels: Sequence[str]
    seeds: Sequence[int]
    scores: np.ndarray
    metric: str

    @property
    def means(self) -> list[Interval | None]:
        """The mean of each level over the seeds that it finished, with its 95% interval; None below two."""
        found: list[Interval | None] = []
        for row in self.scores:
            finite = row[np.isfinite(row)]
            found.append(interval_of_mean(finite) if len(finite) >= 2 else None)
        return found

    @property
    def leader(self) -> int | None:
        """The level of the best mean among those that diverged on no seed; None where there is none."""
        sign = 1 if METRICS[self.metric].higher_is_better else -1
        whole = [k for k, row in enumerate(self.scores) if np.isfinite(row).all()]
        return max(whole, key=lambda k: sign * self.scores[k].mean(), default=None)

    def role(self, label: str) -> str:
        """Returns how a chart shows a level beside the others: the leader is coloured."""
        return "main" if self.leader is not None and label == self.labels[self.leader] else "quiet"

    def difference(self, first: int, second: int, *, comparisons: int | None = None) -> PairedDifference | None:
        """Returns first minus second over their common seeds; None below two.

        Args:
            first: A level. second: another.
            comparisons: Differences that the intervals hold for at once. Default is all pairs of levels: then any may
                be picked after the scores are known, the leader's included.
        """
        both = np.isfinite(self.scores[first]) & np.isfinite(self.scores[second])
        if both.sum() < 2:
            return None
        num = math.comb(len(self.labels), 2) if comparisons is None else comparisons
        return paired_difference(self.scores[first][both], self.scores[second][both], comparisons=num)

    def told_apart_from(self, level: int) -> list[int]:
        """Returns the levels that one is told apart from."""
        others = [k for k in range(len(self.labels)) if k != level]
        return [k for k in others if (d := self.difference(level, k)) is not None and d.told_apart]


def final_scores(population: Population, num_levels: int) -> np.ndarray:
    """Returns (L, S) validation scores of members in the order of `cross`, NaN where one diverged."""
    found = np.full(len(population), math.nan)
    for number in range(len(population)):
        record = population.standing(number)
        if record is not None and population.diverged_at(number) is None:
            found[number] = record.validation_score
    return found.reshape(num_levels, -1)


def constant_score(task: Task) -> float:
    """Returns the validation score of the outputs that are best where nothing is known of a row."""
    y = task.train.y
    if task.kind == "multiclass":
        shares = np.bincount(y, minlength=task.output_size) / len(y)
    else:
        shares = y.mean(0)
    if task.link == "softmax":
        shares = np.log(np.maximum(shares, 1e-12))
    elif task.link == "sigmoid":
        shares = np.log(np.maximum(shares, 1e-12)) - np.log(np.maximum(1 - shares, 1e-12))
    rows = np.broadcast_to(shares, (len(task.validation), task.output_size))
    return float(evaluate_metric(task, rows, task.validation.y))


def stretch_around(place: int, good: np.ndarray) -> tuple[int, int]:
    """Returns the first and the last place of the unbroken stretch of what is good around a place.

    Example:
        >>> stretch_around(2, np.array([True, False, True, True, False]))
        (2, 3)
    """
    first = last = place
    while first > 0 and good[first - 1]:
        first -= 1
    while last + 1 < len(good) and good[last + 1]:
        last += 1
    return first, last


def cross(levels: Mapping[str, Recipe], seeds: Sequence[int]) -> list[Member]:
    """Returns every recipe on every seed, seed by seed within a recipe."""
    return [Member(recipe=recipe, seed=seed) for recipe, seed in itertools.product(levels.values(), seeds)]


# ---- in words, as a table, as a chart --------------------------------------------------------------------------------


def headline(found: Comparison, what: str, *, axis: str = "") -> str:
    """Returns which level leads, by how much it is sure, and from which others it is told apart.

    Args:
        found: The comparison.
        what: The levels in the plural: "activations".
        axis: What a level is one of, where it does not say so itself: "Dropout" 0.1.
    """
    leader = found.leader
    if leader is None:
        return f"None of the {len(found.labels)} {what} finished on every seed, so none leads."
    mean = found.means[leader]
    assert mean is not None
    text = (
        f"{axis} {found.labels[leader]} has the best validation {metric_words(found.metric)}: {interval_words(mean)}, "
        f"over {len(found.seeds)} seeds"
    ).lstrip()
    apart = found.told_apart_from(leader)
    others = [k for k in range(len(found.labels)) if k != leader]
    open_ = [k for k in others if k not in apart]
    if not open_:
        return f"{text}. It is told apart from all {len(others)} other {what}."
    more = _more_seeds(found, leader, open_)
    if not apart:
        return f"{text}, but it is not told apart from any of the other {what}. {more}"
    names = [found.labels[k] for k in open_]
    told = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return f"{text}. It is told apart from {len(apart)} of {len(others)} other {what}, not from {told}. {more}"


def _more_seeds(found: Comparison, leader: int, others: Sequence[int]) -> str:
    """Returns how many seeds would tell the leader from the best of some levels."""
    sign = 1 if METRICS[found.metric].higher_is_better else -1
    whole = [k for k in others if np.isfinite(found.scores[k]).all()]
    second = max(whole, key=lambda k: sign * found.scores[k].mean(), default=None)
    difference = None if second is None else found.difference(leader, second)
    if second is None or difference is None or difference.needed is None:
        return "More seeds would not tell, as far as these can say."
    return f"About {difference.needed:,} seeds would tell it from {found.labels[second]}."


def comparison_table(found: Comparison, axis: str) -> Table:
    """Returns each level with its mean, its interval, and its difference from the leader."""
    leader = found.leader
    rows = []
    for k, (label, mean) in enumerate(zip(found.labels, found.means, strict=True)):
        lost = int(np.isnan(found.scores[k]).sum())
        cells = ["", "", ""] if mean is None else format_together(mean.mean, mean.low, mean.high)
        shown = "" if mean is None else f"{cells[1]} to {cells[2]}" if mean.bounded else "no two seeds differ"
        difference = None if leader is None or leader == k else found.difference(leader, k)
        apart = "leads" if leader == k else "" if difference is None else difference_words(difference)
        rows.append([label, cells[0], shown, apart, str(lost) if lost else ""])
    head = [
        axis,
        f"validation {metric_words(found.metric)}",
        "95% interval",
        "the leader minus it",
        "seeds that diverged",
    ]
    keep = [k for k in range(len(head)) if k < 4 or any(row[k] for row in rows)]
    return Table(
        title=f"Scores by {axis}",
        head=[head[k] for k in keep],
        rows=[[row[k] for k in keep] for row in rows],
    )


def comparison_chart(found: Comparison, axis: str, *, x: Sequence[float] | None = None, log_x: bool = False) -> Chart:
    """Returns the means with their intervals over the seeds' scores; over numbers where `x` gives them."""
    places = list(found.labels) if x is None else list(x)
    means = found.means
    dots_x = [place for place, row in zip(places, found.scores, strict=True) for _ in row]
    return Chart(
        name="scores",
        title=f"Validation {metric_words(found.metric)} by {axis}",
        caption="A dot is one seed; a mark with a bar is the mean with its 95% interval.",
        x=axis,
        y=f"validation {metric_words(found.metric)}",
        series=[
            Series(name="seeds", x=dots_x, y=known(found.scores.ravel()), style="points", role="quiet"),
            Series(
                name="mean",
                x=places,
                y=[None if mean is None else mean.mean for mean in means],
                low=[None if mean is None else mean.low for mean in means],
                high=[None if mean is None else mean.high for mean in means],
                style="points" if x is None else "both",
            ),
        ],
        log_x=log_x,
    )


def comparison_data(found: Comparison) -> dict[str, Any]:
    """Returns the scores of every level and seed, and the differences of all pairs, as plain data."""
    pairs = itertools.combinations(range(len(found.labels)), 2)
    return {
        "metric": found.metric,
        "seeds": list(found.seeds),
        "scores": {label: known(row) for label, row in zip(found.labels, found.scores, strict=True)},
        "leader": None if found.leader is None else found.labels[found.leader],
        "differences": [
            {"first": found.labels[a], "second": found.labels[b], "told_apart": d.told_apart, **d.to_json()}
            for a, b in pairs
            if (d := found.difference(a, b)) is not None
        ],
    }


def difference_words(found: PairedDifference) -> str:
    """Returns a difference with its interval and whether it is told apart from none."""
    return f"{interval_words(found)}, {verdict_words(found)}"


def interval_words(found: Interval) -> str:
    """Returns a number with its interval, or that all seeds have the same one, which gives none."""
    size, low, high = format_together(found.mean, found.low, found.high)
    return f"{size} (95% interval {low} to {high})" if found.bounded else f"{size} (on every seed)"


def verdict_words(found: PairedDifference) -> str:
    """Returns whether a difference is told apart from none, and how many seeds would tell."""
    if found.told_apart:
        return "told apart"
    return "not told apart" if found.needed is None else f"not told apart; about {found.needed:,} seeds would"


def metric_words(metric: str) -> str:
    """Returns a metric as a reader says it."""
    return metric.replace("_", " ")
