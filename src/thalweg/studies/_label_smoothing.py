"""Do softened targets help here?"""

from __future__ import annotations

from thalweg.core import Answer, InputError
from thalweg.recipes import Recipe
from thalweg.studies._compare import comparison_chart, comparison_data, comparison_table, headline
from thalweg.studies._study import Lab, Study
from thalweg.tasks import LOSSES, Task

_AMOUNTS = (0.0, 0.05, 0.1, 0.2, 0.3)


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe with amounts from none to 0.3.

    Raises:
        InputError: for a regression, which has no classes to soften.
    """
    if LOSSES[task.loss].link == "identity":
        raise InputError("study", "of a classification: label smoothing softens classes", task.kind)
    return {f"{amount:g}": recipe.changed(label_smoothing=amount) for amount in _AMOUNTS}


def run(lab: Lab) -> Answer:
    """Compares amounts of label smoothing by the same validation score.

    The target of the right class becomes 1 - a + a / C and that of every other a / C, so the loss is smallest at finite
    logits: the network is not rewarded for ever larger ones, which acts as a penalty on confidence (Szegedy et
    al., Rethinking the Inception architecture, 2016, section 7; Mueller, Kornblith and Hinton, When does label
    smoothing help?, 2019). It can raise accuracy a little and improve calibration, and it costs what the wrong
    classes' logits say of how classes resemble each other. Training losses of different amounts cannot be compared, as
    the smallest reachable loss grows with a; so levels are compared by a score on unsmoothed validation targets.
    """
    found = lab.compare()
    return Answer(
        headline=headline(found, "amounts", axis="Label smoothing"),
        tables=[comparison_table(found, "label smoothing")],
        charts=[comparison_chart(found, "label smoothing", x=[float(label) for label in found.labels])],
        data=comparison_data(found),
        notes=lab.notes,
    )


STUDY = Study(name="label-smoothing", levels=levels, run=run)
