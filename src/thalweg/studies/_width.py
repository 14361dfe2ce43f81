"""What do more hidden units buy, and what do they cost?"""

from __future__ import annotations

import math

import numpy as np

from thalweg.core import Answer, Chart, InputError, Series, Table
from thalweg.population import Population, architecture_of
from thalweg.recipes import Recipe
from thalweg.studies._compare import (
    Comparison,
    comparison_chart,
    comparison_data,
    comparison_table,
    headline,
    metric_words,
)
from thalweg.studies._study import Lab, Study
from thalweg.tasks import METRICS, Task

_FACTORS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0)


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe at widths from a thirty-second of its own to four times them.

    Raises:
        InputError: for a model without widths.
    """
    if recipe.model not in ("mlp", "cnn"):
        raise InputError("model", "an mlp or a cnn: they have widths", recipe.model)
    found = {}
    for factor in _FACTORS:
        widths = tuple(max(1, round(width * factor)) for width in recipe.widths)
        found[",".join(map(str, widths))] = recipe.changed(widths=widths)
    return found


def run(lab: Lab) -> Answer:
    """Compares widths: training and validation error, and how often a start reaches the least training error there is.

    A narrow network cannot fit the training rows; its error is bias. Classical theory expects the validation error to
    rise again once the network can fit everything, as variance grows (Geman, Bienenstock and Doursat, Neural networks
    and the bias/variance dilemma, 1992). In practice it often falls on: past the width at which training error reaches
    0, of the many solutions gradient descent finds smooth ones; where it peaks at that width first, it is a double
    descent (Belkin et al., Reconciling modern machine-learning practice and the classical bias-variance trade-off,
    2019; with label noise the peak is higher: Nakkiran et al., Deep double descent, 2020). Wide networks also train
    more easily: from nearly every start they reach the global minimum of the training error, where narrow ones get
    stuck (Livni, Shalev-Shwartz and Shamir, On the computational efficiency of training neural networks, 2014).
    """
    found = lab.compare(keep=True)
    task, population, seeds = lab.task, lab.session.populations["levels"], len(lab.seeds)
    training = _training_scores(population, len(found.labels), seeds)
    perfect = (
        METRICS[task.metric].bounds[1] if METRICS[task.metric].higher_is_better else METRICS[task.metric].bounds[0]
    )
    reached = np.isclose(training, perfect, atol=1e-12) if math.isfinite(perfect) else None
    sizes = [architecture_of(r, task.input_shape, task.output_size).num_params for r in lab.levels.values()]
    name = metric_words(found.metric)
    head = ["widths", "parameters", f"training {name}"]
    rows = [
        [label, f"{size:,}", f"{t.mean():.4g}"] for label, size, t in zip(found.labels, sizes, training, strict=True)
    ]
    findings = [_descent(found, METRICS[task.metric].higher_is_better)]
    if reached is not None:
        head.append("starts that reach the best possible")
        rows = [[*row, f"{r.sum()} of {seeds}"] for row, r in zip(rows, reached, strict=True)]
        whole = [label for k, label in enumerate(found.labels) if reached[k].all()]
        findings.append(
            f"From widths {whole[0]} on, every start fits all training rows."
            if whole
            else "At no width does every start fit all training rows."
        )
    means = [float(t.mean()) if np.isfinite(t).all() else None for t in training]
    chart = comparison_chart(found, "parameters", x=[float(size) for size in sizes], log_x=True)
    both = Chart(
        name="scores",
        title=f"Training and validation {name} by size",
        caption=chart.caption,
        x="parameters",
        y=name,
        series=[*chart.series, Series(name="training", x=[float(s) for s in sizes], y=means, role="second")],
        log_x=True,
    )
    return Answer(
        headline=headline(found, "widths", axis="Width"),
        findings=findings,
        tables=[comparison_table(found, "widths"), Table(title="On the training rows", head=head, rows=rows)],
        charts=[both],
        data={
            **comparison_data(found),
            "parameters": dict(zip(found.labels, sizes, strict=True)),
            "training": {label: t.tolist() for label, t in zip(found.labels, training, strict=True)},
            "reached": None
            if reached is None
            else {label: int(r.sum()) for label, r in zip(found.labels, reached, strict=True)},
        },
        notes=lab.notes,
    )


def _training_scores(population: Population, num_levels: int, seeds: int) -> np.ndarray:
    """Returns (L, S) scores on the training rows, NaN where a member diverged."""
    split = population.task.train
    found = np.full(num_levels * seeds, math.nan)
    for number in range(num_levels * seeds):
        if population.diverged_at(number) is None:
            found[number] = population.score(population.outputs([number], split.x)[0], split.y)
    return found.reshape(num_levels, seeds)


def _descent(found: Comparison, higher_is_better: bool) -> str:
    """Returns whether the validation error has a peak between two widths that are better, told apart by the seeds."""
    error = (-1 if higher_is_better else 1) * found.scores.mean(1)
    for peak in range(1, len(found.labels) - 1):
        before = min(range(peak), key=lambda k: error[k])
        after = min(range(peak + 1, len(found.labels)), key=lambda k: error[k])
        first, second = found.difference(peak, before), found.difference(peak, after)
        if first is None or second is None or not (first.told_apart and second.told_apart):
            continue
        if error[peak] > error[before] and error[peak] > error[after]:
            widths = found.labels[peak]
            return f"The validation error has a peak at widths {widths}: a double descent, beyond what seeds can do."
    return "No double descent shows: the validation error has no peak that these seeds tell apart from both sides."


STUDY = Study(name="width", levels=levels, run=run)
