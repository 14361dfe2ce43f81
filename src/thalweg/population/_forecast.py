"""How long members will take: measured on a few recipes of each cohort, and scaled by arithmetic to the others."""

from __future__ import annotations

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.population._contract import Pace
from thalweg.population._measure import Trial
from thalweg.population._planner import PROGRAMS, Plan
from thalweg.population._population import epochs_between
from thalweg.population._ray_pool import open_pool
from thalweg.population._sizes import model_size, step_cost
from thalweg.recipes import Recipe
from thalweg.tasks import Task

#: recipes of a program that are measured: at most, and at least where each takes long
_REPRESENTATIVES, _FEWEST = 16, 4
#: seconds after which no more are measured
_ENOUGH_SECONDS = 1.5


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """Seconds as a sum of amounts of work, each at a rate that is not below 0, by the least relative errors."""

    rates: np.ndarray

    @classmethod
    def through(cls, work: np.ndarray, seconds: np.ndarray) -> _Fit:
        """Returns the fit of (n,) seconds to (n, W) amounts of work."""
        from scipy.optimize import nnls

        scale = np.maximum(work.max(axis=0), 1e-300)  # amounts differ by many powers of 10
        rates, _ = nnls(work / scale / seconds[:, None], np.ones(len(seconds)))
        return cls(rates=rates / scale)

    def at(self, work: np.ndarray) -> float:
        return float(work @ self.rates)


class Forecast:
    """Predicts the time of members from the speed of a few.

    Args:
        task: What is optimised.
        recipes: All that will run, or a sample that is spread like them.
        plan: How they run.
    """

    def __init__(self, task: Task, recipes: Sequence[Recipe], plan: Plan) -> None:
        self.task, self.plan = task, plan
        self._workers = 1 if plan.cluster is None else len(open_pool(plan.cluster, plan.device))
        self._programs: dict[Recipe, str] = {}
        self._fits: dict[str, tuple[_Fit, ...]] = {}
        unique = list(dict.fromkeys(recipes))
        self._activations = sorted({recipe.activation for recipe in unique})
        for program in dict.fromkeys(self.program(recipe) for recipe in unique):
            self._fits[program] = self._fit([r for r in unique if self.program(r) == program], program)

    def _local(self, program: str) -> Plan:
        """Returns the plan of a trial: one worker of a cluster is like this machine."""
        return replace(self.plan, program=program, choices=(), cluster=None)

    def program(self, recipe: Recipe) -> str:
        """Returns the program of a recipe."""
        if recipe not in self._programs:
            self._programs[recipe] = self.plan.program_for(self.task, recipe)[0]
        return self._programs[recipe]

    def _fit(self, members: list[Recipe], program: str) -> tuple[_Fit, ...]:
        """Returns the seconds of a step, of an evaluation and of making a member, in the work of each."""
        ranked = sorted(members, key=lambda r: (r.activation, r.optimizer, step_cost(self.task, r)))
        places = np.linspace(0, len(ranked) - 1, min(_REPRESENTATIVES, len(ranked)))
        chosen = [ranked[round(place)] for place in (*places[::3], *places[1::3], *places[2::3])]
        started = time.perf_counter()
        work, steps, evaluations, building = [], [], [], []
        for recipe in chosen:
            if len(work) >= _FEWEST and time.perf_counter() - started > _ENOUGH_SECONDS:
                break
            trial = Trial(self.task, recipe, self._local(program))
            building.append(trial.building)
            steps.append(float(np.mean(trial.steps())))
            evaluations.append(max(trial.evaluation(steps[-1]), 1e-9))
            work.append(self._work(recipe))
        parts = zip(zip(*work, strict=True), (steps, evaluations, building), strict=True)
        return tuple(_Fit.through(np.stack(amounts), np.array(seconds)) for amounts, seconds in parts)

    def _work(self, recipe: Recipe) -> tuple[np.ndarray, ...]:
        """Returns the amounts of work of a step, of an evaluation and of making a member.

        Calls, products, activations, each kind of them, parameters.
        """
        size = model_size(self.task, recipe)
        kinds = [size.activations * (recipe.activation == name) for name in self._activations]
        active = np.array([size.activations, *kinds], float)
        batch = Pace.of(recipe, len(self.task.train.rows)).batch_size
        step = np.array([1.0, size.flops * batch, *(active * batch), size.parameters])
        return step, np.array([1.0, size.flops, *active]), np.array([1.0, size.parameters])

    def speed(self, recipe: Recipe) -> tuple[float, ...]:
        """Returns the predicted seconds of a step of all side by side, and of one's evaluation and making."""
        program = self.program(recipe)
        if program not in self._fits:
            self._fits[program] = self._fit([recipe], program)
        return tuple(fit.at(work) for fit, work in zip(self._fits[program], self._work(recipe), strict=True))

    def seconds(self, members: Sequence[Recipe], *, first: int = 0, last: int | None = None) -> float:
        """Returns the seconds of members that train together from one epoch to another.

        Args:
            members: One recipe a member.
            first: Epochs that are done.
            last: Epoch at which they stop; default is the last of each.
        """
        together: dict[tuple[str, object], list[float]] = {}
        lanes: dict[tuple[str, object], int] = {}
        total = 0.0
        for recipe in members:
            program = self.program(recipe)
            step_seconds, evaluation_seconds, making_seconds = self.speed(recipe)
            end = min(recipe.epochs, last or recipe.epochs)
            steps = max(0, end - first) * Pace.of(recipe, len(self.task.train.rows)).steps_per_epoch
            key = (program, PROGRAMS[program].structure(recipe))
            together.setdefault(key, []).append(steps * step_seconds)
            lanes[key] = self._workers * PROGRAMS[program].side_by_side(recipe, self.plan)
            every = epochs_between(recipe)
            total += max(0, -(-end // every) - first // every) * evaluation_seconds
            total += making_seconds if first == 0 else 0.0
        return total + sum(_side_by_side(seconds, lanes[key]) for key, seconds in together.items())


def _side_by_side(seconds: Sequence[float], lanes: int) -> float:
    """Returns the time until all are done where `lanes` run at a time, the longest first."""
    ends = [0.0] * lanes
    for each in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)
