"""What does normalisation buy here: a better score, or a wider range of step sizes?"""

from __future__ import annotations

import math

import numpy as np

from thalweg.core import Answer, Chart, InputError, Series, Table, known
from thalweg.optim import RULES
from thalweg.recipes import Recipe
from thalweg.studies._compare import (
    comparison_chart,
    comparison_data,
    comparison_table,
    constant_score,
    headline,
    metric_words,
    stretch_around,
)
from thalweg.studies._study import Lab, Study
from thalweg.studies._tuning import Tuned, compare_tuned, rate_grid, tuned_runs
from thalweg.tasks import METRICS, Task

_NORMS = ("none", "batch", "layer")
_RATES = 11
#: a step size serves where it reaches this share of what the best one gains over a constant prediction
_SERVES = 0.95


def _at_rates(recipe: Recipe) -> dict[str, dict[float, Recipe]]:
    low, high = RULES[recipe.optimizer].lr_range
    rates = rate_grid(low, 10 * high, _RATES)
    return {norm: {lr: recipe.changed(norm=norm, lr=lr) for lr in rates} for norm in _NORMS}


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe without norm, with batch norm and with layer norm, at every step size.

    Raises:
        InputError: for a model without norm layers of ours, or batches of one row.
    """
    if recipe.model not in ("mlp", "cnn"):
        raise InputError("model", "an mlp or a cnn: they have norm layers", recipe.model)
    return {f"{norm} {lr:g}": each for norm, rates in _at_rates(recipe).items() for lr, each in rates.items()}


def run(lab: Lab) -> Answer:
    """Compares networks without norm, with batch norm and with layer norm, each at its own step size.

    Batch norm gives every unit mean 0 and variance 1 over the minibatch, then a scale and a shift that are learned
    (Ioffe and Szegedy, Batch normalization, 2015). The output no longer depends on the length of a weight vector, so
    its gradient is orthogonal to it and shrinks as it grows: large steps slow themselves down (Arora, Li and Lyu,
    Theoretical analysis of auto rate-tuning by batch normalization, 2019). So the gain is first of all a wide range of
    step sizes that train, and larger ones among them (Bjorck et al., Understanding batch normalization, 2018). The
    statistics of a minibatch are noisy, which regularises a little and hurts with very small batches; at prediction
    running averages take their place. Layer norm takes mean and variance over the units of one row (Ba, Kiros and
    Hinton, Layer normalization, 2016): no batch enters.
    """
    tuned = compare_tuned(lab, _at_rates(lab.recipe))
    found = tuned.found
    base = constant_score(lab.task)
    ranges = {label: _serving(tuned, label, base) for label in found.labels}
    rows = [
        [
            label,
            f"{tuned.recipes[label].lr:.3g}",
            "none" if serving is None else f"{serving[0]:.3g} to {serving[1]:.3g}",
            "" if serving is None else f"{math.log10(serving[1] / serving[0]):.1f}",
        ]
        for label, serving in ranges.items()
    ]
    plain = ranges["none"]
    findings = tuned.sentences()
    for label in ("batch", "layer"):
        serving = ranges[label]
        if plain is not None and serving is not None:
            findings.append(
                f"With {label} norm, step sizes over {math.log10(serving[1] / serving[0]):.1f} decades serve, without "
                f"norm over {math.log10(plain[1] / plain[0]):.1f}; the largest that serves is "
                f"{serving[1] / plain[1]:.2g} times that without."
            )
    name = metric_words(found.metric)
    roles: dict[str, str] = dict(zip(_NORMS, ("quiet", "main", "second"), strict=True))
    series = [
        Series(
            name=label if label == "none" else f"{label} norm",
            x=list(tuned.rates[label]),
            y=known(tuned.scores[label]),
            role=roles[label],
        )
        for label in found.labels
    ]
    return Answer(
        headline=headline(found, "norms"),
        findings=findings,
        tables=[
            comparison_table(found, "norm"),
            Table(
                title=f"Step sizes that reach {_SERVES:.0%} of the best gain over a constant prediction",
                head=["norm", "best lr", "they serve", "decades"],
                rows=rows,
            ),
        ],
        charts=[
            comparison_chart(found, "norm"),
            Chart(
                name="rates",
                title=f"Validation {name} by step size",
                caption="Mean of the seeds on which step sizes were chosen; no mark where one diverged. Grey: no norm.",
                x="lr",
                y=f"validation {name}",
                series=series,
                log_x=True,
            ),
        ],
        data={
            **comparison_data(found),
            "lr": {label: recipe.lr for label, recipe in tuned.recipes.items()},
            "serving": {label: None if serving is None else list(serving) for label, serving in ranges.items()},
            "constant_prediction": base,
        },
        notes=lab.notes,
    )


def _serving(tuned: Tuned, label: str, base: float) -> tuple[float, float] | None:
    """Returns the ends of the stretch of step sizes around the best that serve; None where none trains.

    What serves is the same score for all levels: a share of the best gain that any of them has.
    """
    sign = 1 if METRICS[tuned.found.metric].higher_is_better else -1
    every = np.array([sign * score for scores in tuned.scores.values() for score in scores])
    if not np.isfinite(every).any():
        return None
    wanted = sign * base + _SERVES * (np.nanmax(every) - sign * base)
    good = np.array([not math.isnan(s) and sign * s >= wanted for s in tuned.scores[label]])
    if not good.any():
        return None
    rates = tuned.rates[label]
    best = int(np.nanargmax(np.where(good, [sign * s for s in tuned.scores[label]], -math.inf)))
    first, last = stretch_around(best, good)
    return rates[first], rates[last]


STUDY = Study(name="batch-norm", levels=levels, run=run, seeds=4, runs=tuned_runs(_RATES))
