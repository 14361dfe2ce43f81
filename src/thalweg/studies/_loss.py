"""Which loss should this task be trained by?"""

from __future__ import annotations

from dataclasses import replace

from thalweg.core import Answer
from thalweg.optim import RULES
from thalweg.recipes import Recipe
from thalweg.studies._compare import comparison_chart, comparison_data, comparison_table, headline
from thalweg.studies._study import Lab, Study
from thalweg.studies._tuning import compare_tuned, rate_grid, tuned_runs
from thalweg.tasks import LOSSES, METRICS, Task

_RATES = 7


def _losses(task: Task) -> list[str]:
    """Returns the losses that fit the task and give what its metric reads."""
    needs_probabilities = METRICS[task.metric].needs_probabilities
    return [
        name
        for name, loss in LOSSES.items()
        if task.kind in loss.kinds and not (needs_probabilities and loss.link == "identity")
    ]


def _at_rates(task: Task, recipe: Recipe) -> dict[str, dict[float, Recipe]]:
    low, high = RULES[recipe.optimizer].lr_range
    # label smoothing needs classes: a squared error has none to soften
    plain = recipe.changed(label_smoothing=0.0)
    return {name: {lr: plain.changed(lr=lr) for lr in rate_grid(low, high, _RATES)} for name in _losses(task)}


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe at every step size, once for every loss that fits."""
    return {f"{loss} {lr:g}": each for loss, rates in _at_rates(task, recipe).items() for lr, each in rates.items()}


def run(lab: Lab) -> Answer:
    """Compares losses by one and the same validation score, each at its own step size.

    Cross-entropy is the negative log-likelihood of the classes. Behind a sigmoid or softmax its slope is p - y: it is
    large as long as a row is wrong. The squared error of the same probabilities would have the slope (p - y) p (1 - p),
    which vanishes where the network is wrong and sure (Golik, Doetsch and Ney, Cross-entropy vs. squared error
    training, 2013). On plain outputs against one-hot targets, as here, it has no such flat part and often scores as
    well (Hui and Belkin, Evaluation of neural architectures trained with square loss vs cross-entropy in classification
    tasks, 2021), but its outputs are no probabilities. For numbers, the squared error seeks the mean and follows
    outliers; the absolute error seeks the median; Huber's is the one near 0 and the other far from it (Huber, Robust
    estimation of a location parameter, 1964). Slopes differ in size, so every loss gets a step size of its own.
    """
    task = lab.task
    tuned = compare_tuned(lab, _at_rates(task, lab.recipe), task_of=lambda loss: replace(task, loss=loss))
    found = tuned.found
    return Answer(
        headline=headline(found, "losses"),
        findings=tuned.sentences(),
        tables=[comparison_table(found, "loss")],
        charts=[comparison_chart(found, "loss"), tuned.chart()],
        data={**comparison_data(found), "lr": {name: recipe.lr for name, recipe in tuned.recipes.items()}},
        notes=lab.notes,
    )


STUDY = Study(name="loss", levels=levels, run=run, runs=tuned_runs(_RATES))
