"""The stages of a search: how many members train for how long, whatever wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thalweg.population import halving_rungs, split_brackets
from thalweg.recipes import Axis

#: recipes that a search screens by default, by the model it starts from: in the kernel, and in any other program
DEFAULT_SCREENED = {"linear": 324, "mlp": 324, "cnn": 81}
DEFAULT_ELSEWHERE = 36
#: recipes of one halving, and how many of them reach the full length: four rungs, each a third of the one before
BRACKET = 81
BRACKET_FINALISTS = 3
#: recipes that are compared on fresh seeds
FINALISTS = 8
#: the heats in which they are: (recipes, seeds)
HEATS = ((FINALISTS, 3), (3, 4))
#: fields that only mean something at full length: where one of them varies, every recipe runs to its end
FULL_LENGTH = frozenset({"schedule", "warmup", "schedule_gamma", "epochs", "patience"})
#: recipes of the space that stand for all of it in predictions
SAMPLE = 64


def bracket_finalists(axes: Sequence[Axis], bracket: list[int]) -> int:
    """Returns how many members of a bracket reach the full length, at least: all where an axis asks for it."""
    return len(bracket) if any(axis.field in FULL_LENGTH for axis in axes) else BRACKET_FINALISTS


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
    for num, runs in HEATS:
        stages.append(Stage(name="choice", recipes=min(num, screened), seeds=runs, first=0, last=epochs))
    stages.append(Stage(name="confirmation", recipes=min(2, screened), seeds=seeds, first=0, last=epochs))
    return stages
