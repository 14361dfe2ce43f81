"""Does dropout help here, and is it what an ensemble of smaller networks is?"""

from __future__ import annotations

import numpy as np

from thalweg.core import Answer, InputError, paired_difference
from thalweg.population import Population
from thalweg.recipes import Recipe
from thalweg.studies._compare import (
    comparison_chart,
    comparison_data,
    comparison_table,
    cross,
    difference_words,
    final_scores,
    headline,
    metric_words,
)
from thalweg.studies._study import Lab, Study
from thalweg.tasks import LOSSES, METRICS, Task, apply_link

_RATES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
#: networks of an ensemble
_ENSEMBLE = 5


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe at dropout rates from none to 0.7.

    Raises:
        InputError: for a model without hidden layers of ours.
    """
    if recipe.model not in ("mlp", "cnn"):
        raise InputError("model", "an mlp or a cnn: they have dropout layers", recipe.model)
    return {f"{rate:g}": recipe.changed(dropout=rate) for rate in _RATES}


def run(lab: Lab) -> Answer:
    """Compares dropout rates, and the best of them with an explicit ensemble of smaller networks.

    In each step dropout keeps every unit with probability 1 - p and scales what it keeps by 1 / (1 - p); predictions
    use all units. So one of 2^n sub-networks with shared weights is trained at a time, and the whole network stands for
    their average: for one softmax layer it is their normalised geometric mean exactly, for deeper ones about
    (Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, 2014; Baldi and Sadowski,
    Understanding dropout, 2013). Units cannot rely on each other, which helps where a network overfits; where it does
    not, p costs capacity. The explicit counterpart is beside it: several networks of width (1 - p), trained apart,
    whose predicted probabilities are averaged. It costs as many trainings as it has networks.
    """
    found = lab.compare()
    task, metric = lab.task, metric_words(found.metric)
    finite = [k for k, label in enumerate(found.labels) if float(label) > 0 and np.isfinite(found.scores[k]).all()]
    sign = 1 if METRICS[task.metric].higher_is_better else -1
    findings = []
    ensemble: dict[str, list[float]] = {}
    if finite:
        best = max(finite, key=lambda k: sign * found.scores[k].mean())
        rate = float(found.labels[best])
        widths = tuple(max(1, round((1 - rate) * width)) for width in lab.recipe.widths)
        small = lab.recipe.changed(dropout=0.0, widths=widths)
        seeds = [lab.seeds[0] + 500 + k for k in range(_ENSEMBLE * len(lab.seeds))]
        population = lab.train("ensemble", cross({"small": small}, seeds))
        alone = final_scores(population, 1)[0]
        together = _ensembles(population, len(lab.seeds))
        ensemble = {"alone": alone.tolist(), "together": together.tolist(), "rate": [rate]}
        if np.isfinite(together).all():
            difference = paired_difference(together, found.scores[best])
            findings.append(
                f"{len(lab.seeds)} ensembles of {_ENSEMBLE} networks of widths {', '.join(map(str, widths))}: "
                f"validation {metric} {together.mean():.4g}. Ensemble minus dropout {rate:g}: "
                f"{difference_words(difference)}. One such network alone: {np.nanmean(alone):.4g}."
            )
    return Answer(
        headline=headline(found, "rates", axis="Dropout"),
        findings=findings,
        tables=[comparison_table(found, "dropout")],
        charts=[comparison_chart(found, "dropout rate", x=[float(label) for label in found.labels])],
        data={**comparison_data(found), "ensemble": ensemble},
        notes=lab.notes,
    )


def _ensembles(population: Population, num: int) -> np.ndarray:
    """Returns the score of every ensemble: predictions are averaged after the link, of regressions the outputs."""
    task = population.task
    outputs = population.outputs(range(len(population)), task.validation.x)
    link = LOSSES[task.loss].link
    scores = []
    for k in range(num):
        part = [apply_link(link, out) for out in outputs[k * _ENSEMBLE : (k + 1) * _ENSEMBLE]]
        mean = np.mean(part, axis=0)
        # back to outputs, which metrics read: the inverse of the link
        eps = 1e-12
        back = {
            "identity": mean,
            "sigmoid": np.log(np.clip(mean, eps, 1)) - np.log(np.clip(1 - mean, eps, 1)),
            "softmax": np.log(np.clip(mean, eps, 1)),
        }[link]
        scores.append(population.score(back, task.validation.y))
    return np.array(scores)


STUDY = Study(name="dropout", levels=levels, run=run)
