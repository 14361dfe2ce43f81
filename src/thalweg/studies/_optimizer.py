"""Which update rule is best, each at its own step size?"""

from __future__ import annotations

from thalweg.core import Answer
from thalweg.optim import RULES
from thalweg.recipes import Recipe
from thalweg.studies._compare import comparison_chart, comparison_data, comparison_table, headline
from thalweg.studies._study import Lab, Study
from thalweg.studies._tuning import compare_tuned, rate_grid, tuned_runs
from thalweg.tasks import Task

#: step sizes of every rule, over the range of the rule
_RATES = 9


def _at_rates(recipe: Recipe) -> dict[str, dict[float, Recipe]]:
    return {
        name: {lr: recipe.changed(optimizer=name, lr=lr) for lr in rate_grid(*rule.lr_range, _RATES)}
        for name, rule in RULES.items()
        if "grad" in rule.needs
    }


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe with every gradient rule at every step size of its grid."""
    return {f"{name} {lr:g}": each for name, rates in _at_rates(recipe).items() for lr, each in rates.items()}


def run(lab: Lab) -> Answer:
    """Compares update rules, each at the step size that serves it best, at equal numbers of steps.

    Rules scale a gradient in different ways, so one step size for all of them compares an accident: SGD moves by lr
    times the gradient, Adam by about lr in every coordinate (Kingma and Ba, Adam, 2015), sign methods by exactly lr. A
    fair comparison tunes each at equal budget (Choi et al., On empirical comparisons of optimizers for deep
    learning, 2019: with tuning, a more general rule is never worse than one that it contains). Here every rule gets
    the same number of step sizes over its own range on seeds of their own; the best by mean validation score is
    then trained on fresh seeds, and only those are compared.
    """
    tuned = compare_tuned(lab, _at_rates(lab.recipe))
    found = tuned.found
    return Answer(
        headline=headline(found, "update rules at their own step size"),
        findings=tuned.sentences(),
        tables=[comparison_table(found, "optimizer")],
        charts=[comparison_chart(found, "optimizer"), tuned.chart()],
        data={**comparison_data(found), "lr": {name: recipe.lr for name, recipe in tuned.recipes.items()}},
        notes=lab.notes,
    )


STUDY = Study(name="optimizer", levels=levels, run=run, runs=tuned_runs(_RATES))
