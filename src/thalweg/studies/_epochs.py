"""Is it time to stop: does training still help, overfit, or wait for a smaller step size?"""

from __future__ import annotations

import math

import numpy as np

from thalweg.core import Answer, Chart, Series, Table, format_together, paired_difference
from thalweg.population import Population
from thalweg.recipes import Member, Recipe
from thalweg.studies._compare import final_scores, metric_words, verdict_words
from thalweg.studies._study import Lab, Study
from thalweg.tasks import METRICS, Task

#: the fork happens after this share of the length
_FORK_AT = 2 / 3
_BRANCHES = {"as it was": 1.0, "a tenth of the step size": 0.1}


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe with a constant step size: a schedule that falls would end the training by itself."""
    return {"constant lr": recipe.changed(schedule="constant", warmup=0.0, patience=None)}


def run(lab: Lab) -> Answer:
    """Tells apart three reasons for a flat curve: nothing left to learn, overfitting, and steps that are too large.

    While a network learns, training and validation loss fall together. Where the training loss falls on and the
    validation loss rises, it learns what holds for the training rows alone; stopping there is a penalty on complexity
    (Prechelt, Early stopping - but when?, 1998). Where both are flat there are two cases that look the same: a minimum,
    or a cloud around it whose size is set by the step size and the noise of minibatches (Robbins and Monro, 1951). A
    fork tells them apart: from one snapshot the run goes on unchanged and with a tenth of the step size, on the same
    batches. Where the second is better, the plateau was the cloud. All differences are paired by seed.
    """
    recipe, seeds = next(iter(lab.levels.values())), lab.seeds
    task, metric = lab.task, METRICS[lab.task.metric]
    fork_at = max(1, round(_FORK_AT * recipe.epochs))
    trunk = lab.train("trunk", [Member(recipe=recipe, seed=seed) for seed in seeds], epochs=fork_at)
    alive = [n for n in range(len(seeds)) if trunk.diverged_at(n) is None]
    if len(alive) < 2:
        return _lost(lab, trunk, None)
    end = max(recipe.epochs, fork_at + 1)
    starts = {n: trunk.snapshot(n) for n in alive}
    members = [
        Member(recipe=recipe.changed(lr=recipe.lr * factor, epochs=end), seed=seeds[n], start=starts[n])
        for factor in _BRANCHES.values()
        for n in alive
    ]
    branches = lab.train("branches", members, keep=False)
    scores = final_scores(branches, 2)
    losses = np.array([_last_loss(branches, n) for n in range(len(members))]).reshape(2, -1)
    at_fork = np.array([_last_loss(trunk, n) for n in alive])
    finite = np.isfinite(losses).all(0) & np.isfinite(scores).all(0)
    if finite.sum() < 2:
        return _lost(lab, trunk, branches)
    pairs = {
        "going on": (losses[0], at_fork),
        "slower": (losses[1], at_fork),
        "smaller": (losses[1], losses[0]),
        "gain": (scores[1], scores[0]),
    }
    going_on, slower, smaller, gain = (
        paired_difference(a[finite], b[finite], comparisons=len(pairs)) for a, b in pairs.values()
    )
    name = metric_words(task.metric)
    better = gain.told_apart and (gain.mean > 0) == metric.higher_is_better
    if all(each.told_apart and each.mean < 0 for each in (slower, smaller)):
        verdict = "The plateau is the cloud of the step size: with a tenth of lr the validation loss falls"
        shown = format_together(slower.mean, slower.low, slower.high)
    elif going_on.told_apart and going_on.mean > 0:
        verdict = "It overfits: going on unchanged, the validation loss rises"
        shown = format_together(going_on.mean, going_on.low, going_on.high)
    elif going_on.told_apart:
        verdict = "It still learns: going on unchanged, the validation loss falls"
        shown = format_together(going_on.mean, going_on.low, going_on.high)
    else:
        verdict = "Neither more epochs nor a smaller step size is told apart from stopping: the validation loss changes"
        shown = format_together(going_on.mean, going_on.low, going_on.high)
    rows = [
        _row("unchanged, against the fork: validation loss", going_on),
        _row("a tenth of lr, against the fork: validation loss", slower),
        _row("a tenth of lr, against unchanged: validation loss", smaller),
        _row(f"a tenth of lr, against unchanged: validation {name}", gain),
    ]
    return Answer(
        headline=(
            f"{verdict} by {shown[0]} (95% interval {shown[1]} to {shown[2]}, {int(finite.sum())} seeds) from epoch "
            f"{fork_at} to {end}."
        ),
        findings=[
            f"A smaller step size at the end improves the {name}: the two are told apart."
            if better
            else f"By {name} the two branches are not told apart in favour of the smaller step size."
        ],
        tables=[Table(title="Paired by seed", head=["what", "mean difference", "95% interval", ""], rows=rows)],
        charts=[_curves(trunk, branches)],
        data={
            "fork_epoch": fork_at,
            "going_on": going_on.to_json(),
            "smaller_lr": smaller.to_json(),
            "smaller_lr_from_fork": slower.to_json(),
            "score": gain.to_json(),
        },
        notes=lab.notes,
    )


def _lost(lab: Lab, trunk: Population, branches: Population | None) -> Answer:
    return Answer(
        headline="Training diverged on nearly every seed; a smaller lr is the first thing to try.",
        charts=[_curves(trunk, branches)],
        data={"alive": sum(trunk.diverged_at(n) is None for n in range(len(trunk)))},
        notes=lab.notes,
    )


def _last_loss(population: Population, number: int) -> float:
    record = population.last_record(number)
    return math.nan if record is None or population.diverged_at(number) is not None else record.validation_loss


def _row(what: str, difference) -> list[str]:
    size, low, high = format_together(difference.mean, difference.low, difference.high)
    return [what, size, f"{low} to {high}", verdict_words(difference)]


def _curves(trunk: Population, branches: Population | None) -> Chart:
    series = [
        _mean_curve(trunk, range(len(trunk)), "training loss", "train_loss", "quiet"),
        _mean_curve(trunk, range(len(trunk)), "validation loss", "validation_loss", "main"),
    ]
    if branches is not None:
        half = len(branches) // 2
        series += [
            _mean_curve(branches, range(half), "validation loss, unchanged", "validation_loss", "main"),
            _mean_curve(branches, range(half, 2 * half), "validation loss, a tenth of lr", "validation_loss", "second"),
            _mean_curve(branches, range(half), "training loss, unchanged", "train_loss", "quiet"),
        ]
    return Chart(
        name="curves",
        title="Loss by epoch",
        caption="Means over seeds; the lines part at the fork.",
        x="epoch",
        y="loss",
        series=series,
    )


def _mean_curve(population: Population, which, name: str, what: str, role: str) -> Series:
    wanted = set(which)
    by_epoch: dict[int, list[float]] = {}
    for record in population.history:
        if record.member in wanted and math.isfinite(getattr(record, what)):
            by_epoch.setdefault(record.epoch, []).append(getattr(record, what))
    epochs = sorted(by_epoch)
    return Series(name=name, x=epochs, y=[float(np.mean(by_epoch[e])) for e in epochs], style="line", role=role)


STUDY = Study(name="epochs", levels=levels, run=run, seeds=6)
