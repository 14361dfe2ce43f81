"""How much of the error is bias and how much is variance, by complexity and by penalty?"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from thalweg.core import Answer, Chart, InputError, Purpose, Series, Table, derive_key
from thalweg.optim import RULES
from thalweg.population import Population
from thalweg.recipes import Member, Recipe
from thalweg.studies._study import Lab, Study
from thalweg.tasks import Split, Task, apply_link

_FACTORS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0)
_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
#: training sets: each is a random half of the training rows
_SHARE = 0.5


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe at several widths, then at its own widths under several L2 penalties.

    Raises:
        InputError: where the model has no widths and the update rule takes no penalty.
    """
    found = {}
    if recipe.model in ("mlp", "cnn"):
        for factor in _FACTORS:
            widths = tuple(max(1, round(width * factor)) for width in recipe.widths)
            found["widths " + ",".join(map(str, widths))] = recipe.changed(widths=widths)
    if "grad" in RULES[recipe.optimizer].needs:
        for strength in _PENALTIES:
            found[f"penalty {strength:g}"] = recipe.changed(alpha=strength, l1_ratio=0.0)
    if not found:
        raise InputError("optimizer", "one that takes gradients: there are no widths to vary", recipe.optimizer)
    return {label: _fitting(task, each) for label, each in found.items()}


def _fitting(task: Task, recipe: Recipe) -> Recipe:
    """Returns a recipe whose batch fits into a resampled training set."""
    rows = _num_rows(task)
    return recipe if recipe.batch_size is None or recipe.batch_size <= rows else recipe.changed(batch_size=rows)


def _num_rows(task: Task) -> int:
    return max(2, round(_SHARE * len(task.train)))


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of an expected squared error, averaged over rows and summed over outputs.

    Args:
        bias: Squared distance of the mean prediction from the target; noise of the targets is part of it.
        variance: Of the predictions around their mean.
        error: (R,) mean squared error of each predictor.
    """

    bias: float
    variance: float
    error: np.ndarray


def split_error(predictions: np.ndarray, targets: np.ndarray) -> Parts:
    """Returns bias and variance of R predictors of the same rows, without the bias of their own finite number.

    Args:
        predictions: (R, n, C), R >= 2. targets: (n, C).

    Raises:
        InputError: for fewer than 2 predictors.

    Example:
        >>> parts = split_error(np.array([[[0.0]], [[2.0]]]), np.array([[1.0]]))
        >>> parts.variance, parts.bias
        (2.0, -1.0)
    """
    num = len(predictions)
    if num < 2:
        raise InputError("predictions", "of at least 2 predictors", num)
    mean = predictions.mean(0)
    variance = float(predictions.var(0, ddof=1).sum(1).mean())
    bias = float(((mean - targets) ** 2).sum(1).mean()) - variance / num
    return Parts(bias=bias, variance=variance, error=((predictions - targets) ** 2).sum(2).mean(1))


def run(lab: Lab) -> Answer:
    """Measures bias and variance over resampled training sets, against complexity and against a penalty.

    Over random training sets and starts, the expected squared error of a prediction is the squared distance of the mean
    prediction from the target (bias, with the noise that nothing predicts) plus the spread of predictions around that
    mean (variance) (Geman, Bienenstock and Doursat, Neural networks and the bias/variance dilemma, 1992, equation 3.5).
    For classes it is taken of the probabilities: the Brier score. Small models and strong penalties have bias; large
    and free ones vary with the rows that they happened to see. For networks the variance often falls again with the
    width, so that both fall (Neal et al., A modern take on the bias-variance tradeoff in neural networks, 2018). Here
    every training set is a random half of the training rows, with a start of its own. Two of them share half of their
    rows, so the variance over wholly fresh training sets is larger than what is measured.
    """
    task = lab.task
    targets = _targets(task, task.validation)
    labels = list(lab.levels)
    outputs: dict[str, list[np.ndarray]] = {label: [] for label in labels}
    lost: dict[str, int] = dict.fromkeys(labels, 0)
    for seed in lab.seeds:
        population = lab.train(
            f"rows-{seed}",
            [Member(recipe=recipe, seed=seed) for recipe in lab.levels.values()],
            task=_resampled(task, seed),
        )
        for number, label in enumerate(labels):
            if population.diverged_at(number) is None:
                outputs[label].append(_predictions(population, number))
            else:
                lost[label] += 1
    parts = {label: split_error(np.stack(found), targets) for label, found in outputs.items() if len(found) >= 2}
    for label, num in lost.items():
        if num:
            lab.notes.append(f"{label}: {num} of {len(lab.seeds)} members diverged and are left out.")
    if not parts:
        raise InputError("lr", "one that trains: every member diverged", lab.recipe.lr, "Take a smaller one.")
    best = min(parts, key=lambda label: parts[label].error.mean())
    what = "squared error" if task.kind == "regression" else "Brier score"
    rows = [
        [label, f"{p.error.mean():.4g}", f"{p.bias:.4g}", f"{p.variance:.4g}", f"{p.variance / p.error.mean():.0%}"]
        for label, p in parts.items()
    ]
    findings = [_trend(parts, "widths", "width"), _trend(parts, "penalty", "penalty")]
    return Answer(
        headline=(
            f"{best} has the least expected {what} on validation rows, {parts[best].error.mean():.4g}: "
            f"{parts[best].bias:.4g} of it is bias and noise, {parts[best].variance:.4g} variance, over "
            f"{len(lab.seeds)} training sets."
        ),
        findings=[finding for finding in findings if finding],
        tables=[
            Table(
                title=f"Parts of the expected {what}",
                head=["level", "error", "bias and noise", "variance", "share of variance"],
                rows=rows,
            )
        ],
        charts=[
            _chart(parts, kind, title)
            for kind, title in (("widths", "Bias and variance by width"), ("penalty", "Bias and variance by penalty"))
            if any(label.startswith(kind) for label in parts)
        ],
        data={label: {"error": p.error.tolist(), "bias": p.bias, "variance": p.variance} for label, p in parts.items()},
        notes=lab.notes,
    )


def _resampled(task: Task, seed: int) -> Task:
    """Returns the task with a random half of its training rows."""
    rng = np.random.default_rng(derive_key(seed, Purpose.RESAMPLE))
    chosen = np.sort(rng.permutation(len(task.train))[: _num_rows(task)])
    split = task.train
    return replace(task, train=Split(x=split.x[chosen], y=split.y[chosen], rows=split.rows[chosen]))


def _targets(task: Task, split: Split) -> np.ndarray:
    if task.kind == "multiclass":
        return np.eye(task.output_size)[split.y]
    return np.asarray(split.y, float)


def _predictions(population: Population, number: int) -> np.ndarray:
    """Returns the predictions on the validation rows: probabilities of classes, standardised numbers."""
    task = population.task
    return np.asarray(apply_link(task.link, population.outputs([number], task.validation.x)[0]), float)


def _numbers(parts: dict[str, Parts], kind: str) -> dict[float, Parts]:
    """Returns the levels of one kind by the number that varies: the first width, or the strength."""
    of_kind = {label: p for label, p in parts.items() if label.startswith(kind)}
    return {float(label.split(" ")[1].split(",")[0]): p for label, p in of_kind.items()}


def _trend(parts: dict[str, Parts], kind: str, name: str) -> str:
    found = _numbers(parts, kind)
    if len(found) < 2:
        return ""
    first, last = min(found), max(found)
    return (
        f"From {name} {first:g} to {last:g}, bias goes from {found[first].bias:.3g} to {found[last].bias:.3g} and "
        f"variance from {found[first].variance:.3g} to {found[last].variance:.3g}."
    )


def _chart(parts: dict[str, Parts], kind: str, title: str) -> Chart:
    found = _numbers(parts, kind)
    x = list(found)
    errors = [p.error.mean() for p in found.values()]
    half = [1.96 * p.error.std(ddof=1) / math.sqrt(len(p.error)) for p in found.values()]
    return Chart(
        name=kind,
        title=title,
        caption="The error is the sum of the two; its bar is the 95% interval of its mean over training sets.",
        x={"widths": "units of the first hidden layer", "penalty": "alpha"}[kind],
        y="expected error",
        series=[
            Series(
                name="error",
                x=x,
                y=[float(e) for e in errors],
                low=[float(e - h) for e, h in zip(errors, half, strict=True)],
                high=[float(e + h) for e, h in zip(errors, half, strict=True)],
            ),
            Series(name="bias and noise", x=x, y=[p.bias for p in found.values()], role="second"),
            Series(name="variance", x=x, y=[p.variance for p in found.values()], role="third"),
        ],
        log_x=True,
    )


STUDY = Study(name="bias-variance", levels=levels, run=run, seeds=12)
