"""The stages of a search: how many members train for how long, whatever wins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from thalweg.population import Pace, Watching, halving_rungs, split_brackets
from thalweg.probes import Stretch, counted_seconds, watch_members
from thalweg.recipes import Axis, Recipe
from thalweg.tasks import Task

#: recipes that a search screens by default, by the model it starts from: in the kernel, and in any other program
DEFAULT_SCREENED = {"linear": 324, "mlp": 324, "cnn": 81}
DEFAULT_ELSEWHERE = 36
#: recipes of one halving, and how many of them reach the full length: four rungs, each a third of the one before
BRACKET = 54
_FINALISTS = 2
#: how many do in a search that is too small for a bracket
_FINALISTS_OF_FEW = 3
#: recipes that are compared on fresh seeds: so many at least, and one in so many of those that were screened
LEAST_FINALISTS, _ONE_IN = 8, 40
#: seeds of the first heat, in which all of them take part, and of the later ones
_FIRST_SEEDS, _MORE_SEEDS = 3, 4
#: the last heat is of so many recipes
_LAST_HEAT = 3
#: fields that only mean something at full length: where one of them varies, every recipe runs to its end
FULL_LENGTH = frozenset({"schedule", "warmup", "schedule_gamma", "epochs", "patience"})
#: recipes of the space that stand for all of it in predictions
SAMPLE = 64


def bracket_finalists(axes: Sequence[Axis], bracket: list[int]) -> int:
    """Returns how many members of a bracket reach the full length, at least: all where an axis asks for it."""
    if any(axis.field in FULL_LENGTH for axis in axes):
        return len(bracket)
    return _FINALISTS if len(bracket) >= BRACKET else _FINALISTS_OF_FEW


def choice_heats(screened: int) -> list[tuple[int, int]]:
    """Returns the heats of the choice, (recipes, fresh seeds of each): a third goes on, until three are left.

    Scores of one seed tell good recipes hardly apart, so a larger search compares more of them (docs/log.md).

    Args:
        screened: Recipes that started.

    Example:
        >>> choice_heats(324), choice_heats(1024)
        ([(8, 3), (3, 4)], [(25, 3), (9, 4), (3, 4)])
    """
    num = min(screened, max(LEAST_FINALISTS, screened // _ONE_IN))
    heats = [(num, _FIRST_SEEDS)]
    while len(heats) == 1 or num > _LAST_HEAT:
        num = min(num, max(_LAST_HEAT, math.ceil(num / 3)))
        heats.append((num, _MORE_SEEDS))
    return heats


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stretch of a search in which members train together.

    Args:
        name: screening, choice, confirmation or saved model.
        recipes: How many recipes take part.
        seeds: Members of each.
        first: Epochs that they have done before. last: epochs that they have done after.
    """

    name: str
    recipes: int
    seeds: int
    first: int
    last: int


def search_stages(axes: Sequence[Axis], screened: int, epochs: int, seeds: int) -> list[Stage]:
    """Returns the stages of a search, in order.

    Args:
        axes: What varies.
        screened: Recipes that start.
        epochs: The full length.
        seeds: Fresh seeds of the confirmation.
    """
    stages = []
    for bracket in split_brackets(screened, size=BRACKET):
        before = 0
        for rung in halving_rungs(len(bracket), epochs, finalists=bracket_finalists(axes, bracket)):
            stages.append(Stage(name="screening", recipes=rung.members, seeds=1, first=before, last=rung.epochs))
            before = rung.epochs
    for num, runs in choice_heats(screened):
        stages.append(Stage(name="choice", recipes=num, seeds=runs, first=0, last=epochs))
    stages.append(Stage(name="confirmation", recipes=min(2, screened), seeds=seeds, first=0, last=epochs))
    return stages


def watch_screening(
    task: Task, axes: Sequence[Axis], recipes: Sequence[Recipe], epochs: int, *, steps: int
) -> Watching:
    """Returns when the members of a screening are looked at, so that all looks are a small share of the search.

    Args:
        task: What is optimised.
        axes: What varies.
        recipes: What is screened.
        epochs: The full length.
        steps: Member-steps of the whole search.
    """
    paces = {recipe: Pace.of(recipe, len(task.train.rows)).steps_per_epoch for recipe in recipes}
    # who survives is not known: every recipe is counted as the share of a member that goes on
    rungs = [stage for stage in search_stages(axes, len(recipes), epochs, 2) if stage.name == "screening"]
    together: dict[tuple[int, int], int] = {}
    for rung in rungs:
        together[rung.first, rung.last] = together.get((rung.first, rung.last), 0) + rung.recipes
    stretches = [
        Stretch(recipe, members / len(recipes), first * paces[recipe], last * paces[recipe])
        for (first, last), members in together.items()
        for recipe in recipes
    ]
    watched = sum(s.members * (s.last - s.first) for s in stretches)
    per_step = sum(counted_seconds(task, recipe, 1.0) for recipe in recipes) / len(recipes)
    return watch_members(task, stretches, others=max(0.0, steps - watched) * per_step)
