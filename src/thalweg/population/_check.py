"""What can be known about recipes before a run begins: whether each fits the task, and whether its model trains."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from thalweg.core import InputError, RunError
from thalweg.population._contract import Settings
from thalweg.population._memory import check_memory
from thalweg.population._modules import architecture_of
from thalweg.population._planner import Plan, check_members
from thalweg.population._population import Population
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task

#: fields that decide whether a model can be built
_SHAPE = ("model", "widths", "activation", "activation_parameter", "norm", "init", "init_scale")


def check_machine(settings: Settings) -> None:
    """Checks that this machine has what the settings ask for.

    Raises:
        InputError: for a device that is not there, or a precision that the device does not have.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        remedy = "torch finds no CUDA device: use cpu, or install torch for CUDA."
        raise InputError("device", "one that this machine has", settings.device, remedy)
    if settings.precision == "tf32" and settings.device == "cpu":
        remedy = "tf32 is of CUDA devices: use float32, or bfloat16."
        raise InputError("precision", "one that the device has", settings.precision, remedy)


def check_recipes(task: Task, recipes: Sequence[Recipe], plan: Plan) -> None:
    """Checks that every recipe fits the task: of your own modules one of each shape is built and makes a step.

    Nothing is written, so a run that begins after this does not end at a recipe in its middle.

    Args:
        task: What is optimised.
        recipes: All that may run.
        plan: How members would run.

    Raises:
        InputError: for the first recipe that does not fit.
    """
    check_machine(plan)
    check_members(task, [Member(recipe=recipe, seed=0) for recipe in recipes])
    shapes = {(recipe.optimizer, *(getattr(recipe, field) for field in _SHAPE)): recipe for recipe in recipes}
    # half the rows at once would be slow for nothing: a step shows the same with a small batch
    num_rows = len(task.train.rows)
    small = [dataclasses.replace(r, batch_size=min(r.batch_size or num_rows, 16)) for r in shapes.values()]
    check_memory(task, small, plan, remedy="Take smaller widths.")
    for recipe in small:
        if ":" not in recipe.model:
            architecture_of(recipe, task.input_shape, task.output_size)
    # what is left to fail is your own code, and an initialisation that looks at the data
    built = [recipe for recipe in small if ":" in recipe.model or recipe.init == "lsuv"]
    population = Population(task, [Member(recipe=recipe, seed=0) for recipe in built], plan)
    for program in population.programs:
        own = np.array([":" in member.recipe.model for member in program.members], np.int64)
        try:
            program.advance(own, np.ones(len(own)))
        except RunError as error:
            model = next(member.recipe.model for member in program.members if ":" in member.recipe.model)
            raise InputError("model", "one that trains", model, str(error)) from error
