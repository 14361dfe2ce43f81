"""Which schedule of the step size is best here?"""

from __future__ import annotations

from thalweg.core import Answer, Chart, Series
from thalweg.optim import SCHEDULES
from thalweg.recipes import Recipe
from thalweg.studies._compare import comparison_chart, comparison_data, comparison_table, headline
from thalweg.studies._study import Lab, Study
from thalweg.tasks import Task


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe with every schedule."""
    return {name: recipe.changed(schedule=name) for name in SCHEDULES}


def run(lab: Lab) -> Answer:
    """Compares the schedules of the step size at the recipe's own lr and length.

    A constant step size leaves minibatch SGD in a cloud around a minimum whose size grows with lr times the variance
    of the gradient; a schedule that falls to zero shrinks the cloud at the end, while the large steps at the start
    cover the distance (Robbins and Monro, A stochastic approximation method, 1951: the steps must sum to infinity,
    their squares must not). Cosine (Loshchilov and Hutter, SGDR, 2017, equation 5), linear, step and exponential decay
    differ in how early they fall. Warm-up starts small, since the first gradients are large and Adam's averages
    are of few steps (Goyal et al., Accurate, large minibatch SGD, 2017). A schedule only means something at its
    full length, so all levels train for the same number of epochs to their end. The best peak lr may differ
    by schedule: `thalweg tune --vary schedule=... --vary lr=...` varies both.
    """
    found = lab.compare()
    lengths = {name: recipe.epochs for name, recipe in lab.levels.items()}
    steps = [k / 100 for k in range(101)]
    shapes = [
        Series(
            name=name,
            x=steps,
            y=[float(f) for f in _factors(recipe)],
            style="line",
            role=found.role(name),
        )
        for name, recipe in lab.levels.items()
    ]
    return Answer(
        headline=headline(found, "schedules"),
        tables=[comparison_table(found, "schedule")],
        charts=[
            comparison_chart(found, "schedule"),
            Chart(
                name="shapes",
                title="The step size over the run",
                caption="What each schedule multiplies lr by; the leading one is coloured.",
                x="share of the run",
                y="factor",
                series=shapes,
            ),
        ],
        data={**comparison_data(found), "epochs": lengths},
        notes=lab.notes,
    )


def _factors(recipe: Recipe) -> list[float]:
    import numpy as np

    schedule = SCHEDULES[recipe.schedule]
    if schedule.shape is None:
        return [1.0] * 101
    total = 1000
    found = schedule.factor(
        np.linspace(0, total - 1, 101).round(), total, warmup=recipe.warmup, schedule_gamma=recipe.schedule_gamma
    )
    return [float(value) for value in found]


STUDY = Study(name="schedule", levels=levels, run=run)
