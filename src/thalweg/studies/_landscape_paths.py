"""The members of a landscape, along their way."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from thalweg.core import InputError
from thalweg.landscape import Scorer
from thalweg.population import Population, empty_module
from thalweg.recipes import Member, Recipe
from thalweg.studies._stretches import even_marks, in_stretches
from thalweg.studies._study import Lab
from thalweg.tasks import Task

#: stretches of training between two looks
_STRETCHES = 10


class Paths:
    """Members of one recipe on several seeds, looked at on their way.

    Args:
        task: What is optimised. recipe: how. seeds: of the members.
        marks: Epochs of the looks, from 0 to the end.
        looks: The members at each of them.
    """

    def __init__(
        self, task: Task, recipe: Recipe, seeds: tuple[int, ...], marks: list[int], looks: list[Population]
    ) -> None:
        self.task, self.recipe, self.seeds, self.marks, self.looks = task, recipe, seeds, marks, looks

    @cached_property
    def params(self) -> list[list[dict[str, np.ndarray]]]:
        """By member and mark, the parameters in float64."""
        return [
            [{n: np.asarray(v, np.float64) for n, v in look.eval_params(number).items()} for look in self.looks]
            for number in range(len(self.seeds))
        ]

    @property
    def ends(self) -> list[dict[str, np.ndarray]]:
        """By member, the parameters at the end."""
        return [path[-1] for path in self.params]

    def scorer(self, member: int, split: str, rows: int) -> Scorer:
        """Returns what scores networks with the buffers that a member ends with, over the first rows of a split."""
        task = self.task
        found = getattr(task, split)
        module = empty_module(self.recipe, task.input_shape, task.output_size)
        buffers = self.looks[-1].snapshot(member).buffers
        return Scorer(module, buffers, found.x[:rows], found.y[:rows], task.loss, recipe=self.recipe)


def train_paths(lab: Lab) -> Paths:
    """Returns the members of a study, trained to their end.

    Raises:
        InputError: where one diverges.
    """
    recipe = next(iter(lab.levels.values()))
    marks = even_marks(recipe.epochs, _STRETCHES)
    members = [Member(recipe=recipe, seed=seed) for seed in lab.seeds]
    looks = []
    for _, population in in_stretches(lab, "until", members, marks):
        lost = [seed for number, seed in enumerate(lab.seeds) if population.diverged_at(number) is not None]
        if lost:
            raise InputError("lr", f"one that trains: seed {lost[0]} diverged", recipe.lr, "Take a smaller one.")
        looks.append(population)
    return Paths(lab.task, recipe, lab.seeds, marks, looks)
