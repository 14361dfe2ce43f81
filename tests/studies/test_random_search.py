"""Random search falls behind as the network grows."""

from __future__ import annotations

from thalweg.population import Plan
from thalweg.recipes import Recipe
from thalweg.studies._random_search import _PER_GRADIENT, _PROPOSALS, levels
from thalweg.tasks import load_task
from thalweg.workflows import study


def test_both_sides_have_equal_evaluations():
    task = load_task("iris")
    for recipe in levels(task, Recipe(epochs=4)).values():
        evaluations = recipe.epochs * (_PROPOSALS + 1 if recipe.optimizer == "random_search" else _PER_GRADIENT)
        assert evaluations == 4 * (_PROPOSALS + 1)


def test_random_search_falls_behind():
    recipe, whole = Recipe(epochs=2, batch_size=256), "1e9steps"  # a budget in seconds depends on the machine's load
    found = study("random-search", "digits", recipe, seeds=2, budget=whole, plan=Plan(threads=2)).answer
    shares = {int(width): share["mean"] for width, share in found.data["shares"].items()}
    assert shares[32] < 0.8 * shares[min(shares)]
    assert found.data["power"] < 0
