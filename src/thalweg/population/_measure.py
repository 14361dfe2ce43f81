"""How fast a program trains members: a few steps of them, timed on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from thalweg.population._planner import PROGRAMS, Plan
from thalweg.population._population import Population
from thalweg.population._sizes import step_cost
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task

#: a stretch is timed so often
_REPEATS = 3
#: beside a step of less arithmetic it counts what a call and a stretch cost: they are shared by so many members of
#: each core or lane, and by so many steps
_SMALL, _COMPANY, _LEAST_STEPS = 1e7, 8, 16


class Trial:
    """A few members of one recipe under one program, to be timed.

    Args:
        task: What is optimised.
        recipe: Theirs; the step size is not, so that nothing diverges.
        plan: With a program other than auto.

    Attributes:
        building: Seconds that making one member took, without what its program puts off until it trains.
        spent: Seconds of all timed steps.

    Raises:
        InputError: where the program refuses the recipe.
    """

    def __init__(self, task: Task, recipe: Recipe, plan: Plan) -> None:
        self.spent = 0.0
        self._rounds = _COMPANY if step_cost(task, recipe) < _SMALL else 1
        self._num = self._rounds * PROGRAMS[plan.program].side_by_side(recipe, plan)
        steady = recipe.changed(lr=1e-12, epochs=10**6, patience=None)
        # of one seed: members of a screening share their start and their row orders
        started = time.perf_counter()
        self._population = Population(task, [Member(recipe=steady, seed=0)] * self._num, plan)
        self.building = (time.perf_counter() - started) / self._num

    def steps(self, *, stretch: float = 0.008, give_up: float = math.inf) -> list[float]:
        """Returns the seconds of a step of all that train side by side, found a few times.

        Other work on the machine can only make a time longer: the shortest compares programs, the mean predicts.

        Args:
            stretch: Seconds of what is timed, about.
            give_up: Seconds of a step above which one timed step is enough.
        """
        self._advance(1)  # what is loaded or compiled once
        num_steps, found = 1, [self._seconds(1)]
        while found[0] < give_up and num_steps < 0.7 * self._enough(found[0], stretch):
            num_steps = min(4 * num_steps, self._enough(found[0], stretch))
            found = [self._seconds(num_steps)]
        if found[0] < give_up:
            found += [self._seconds(num_steps) for _ in range(_REPEATS - 1)]
        return found

    def evaluation(self, step: float) -> float:
        """Returns the seconds that one member in company takes at an evaluation, with all that a segment costs.

        Args:
            step: Seconds of a step of all that train side by side.
        """
        self._segment()
        times = [self._segment() for _ in range(_REPEATS)]
        trained = step * self._rounds / self._num
        return max(0.0, sum(times) / len(times) - trained)

    def _segment(self) -> float:
        """Returns the seconds a member of a segment that trains one step and evaluates."""
        targets = {n: self._population.step(n) + 1 for n in range(self._num)}
        started = time.perf_counter()
        done = self._population.run_segment(list(targets), targets)
        return (time.perf_counter() - started) / len(done)

    def _advance(self, num_steps: int) -> None:
        for program in self._population.programs:
            program.advance(np.full(self._num, num_steps), np.ones(self._num))

    def _seconds(self, num_steps: int) -> float:
        seconds = _timed(lambda: self._advance(num_steps))
        self.spent += seconds
        return seconds / num_steps / self._rounds

    def _enough(self, seconds: float, stretch: float) -> int:
        """Returns the steps that fill a stretch, more where that is few: up to four times as long."""
        filling = stretch / (seconds * self._rounds)
        return max(1, round(min(max(filling, _LEAST_STEPS), 4 * filling)))


def _timed(call: Callable[[], None]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
