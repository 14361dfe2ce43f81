"""How fast a program trains members: a few steps of them, timed on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from thalweg.population._planner import PROGRAMS, Plan
from thalweg.population._population import Population
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task

#: what is timed is a stretch of about so long, so often; other work on the machine can only make it longer
_STRETCH_SECONDS, _REPEATS = 0.008, 3
#: where a step is short, what a stretch costs beside its steps is spread over so many
_LEAST_STEPS = 16


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What members of one recipe take under one program.

    Args:
        step_seconds: One step of all members that train side by side, on average.
        fastest: The same, in the fastest stretch: what other work on the machine disturbed least.
        evaluation_seconds: One evaluation of one member.
    """

    step_seconds: float
    fastest: float
    evaluation_seconds: float


def measure(task: Task, recipe: Recipe, plan: Plan, *, give_up: float = math.inf) -> Speed:
    """Returns the speed of a recipe under the program that a plan names.

    Args:
        task: What is optimised.
        recipe: What is measured; its step size is not, so that nothing diverges.
        plan: With a program other than auto.
        give_up: Seconds of a step above which one timed stretch is enough.

    Raises:
        InputError: where the program refuses the recipe.
    """
    lanes = PROGRAMS[plan.program].lanes(plan)
    steady = recipe.changed(lr=1e-12, epochs=10**6, patience=None)
    population = Population(task, [Member(recipe=steady, seed=seed) for seed in range(lanes)], plan)
    (program,) = population.programs

    def advance(num_steps: int) -> None:
        program.advance(np.full(lanes, num_steps), np.ones(lanes))

    advance(1)  # what is loaded or compiled once

    def seconds(num_steps: int) -> float:
        return _timed(lambda: advance(num_steps)) / num_steps

    num_steps, found = 1, [seconds(1)]
    while found[0] < give_up and num_steps * found[0] < _STRETCH_SECONDS * (4 if num_steps < _LEAST_STEPS else 1):
        num_steps *= 4
        found = [seconds(num_steps)]
    if found[0] < give_up:
        found += [seconds(num_steps) for _ in range(_REPEATS - 1)]
    population.evaluate(range(lanes))
    evaluations = [_timed(lambda: population.evaluate(range(lanes))) for _ in range(_REPEATS)]
    return Speed(
        step_seconds=sum(found) / len(found),
        fastest=min(found),
        evaluation_seconds=sum(evaluations) / len(evaluations) / lanes,
    )


def _timed(call: Callable[[], None]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
