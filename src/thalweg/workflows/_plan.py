"""`plan`: what a search or a training would do, before it does it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from thalweg.core import InputError, check_number, render
from thalweg.population import (
    Budget,
    Fit,
    Forecast,
    Plan,
    available_memory,
    default_plan,
    has_batch_norm,
    largest_micro_batch,
    largest_population,
    member_memory,
    needed_memory,
    parse_budget,
    step_cost,
)
from thalweg.recipes import Axis, Recipe
from thalweg.search import SAMPLE, Seconds, forecast_search, plan_search
from thalweg.tasks import Task, load_task
from thalweg.workflows._files import base_recipe
from thalweg.workflows._results import task_json
from thalweg.workflows._train import DEFAULT_SEEDS as TRAIN_SEEDS
from thalweg.workflows._train import plan_training
from thalweg.workflows._tune import DEFAULT_SEEDS as TUNE_SEEDS
from thalweg.workflows._tune import find_axes


@dataclass(frozen=True, kw_only=True)
class CohortPlan:
    """The members that one choice of program serves.

    Args:
        shares: What they have in common.
        members: How many.
        program: What runs them.
        why: Why that program.
        memory: Bytes that they keep, all together.
        seconds: Predicted time of their training, without choice, confirmation and saved model.
        population: How many of the largest of them fit into the memory; None where that was not asked for.
        micro_batch: How many rows of its batch fit at once; None likewise, and with batch norm.
    """

    shares: str
    members: int
    program: str
    why: str
    memory: int
    seconds: float
    population: Fit | None = None
    micro_batch: Fit | None = None


@dataclass(frozen=True, kw_only=True)
class PlanResult:
    """What a search or a training would do.

    Args:
        task: What is optimised.
        command: tune or train.
        plan: How members run.
        cohorts: Who runs what, and why.
        stages: Stage -> predicted seconds.
        seconds: Predicted time of all stages; starting Python and writing the report are not in it.
        low: Of a search, ten in a hundred of the times that the recipes which may win would take lie below.
        high: Above which ten in a hundred lie.
        at_most: Whether members may stop early, so that it may take less.
        memory: Bytes that are needed at once.
        free: Bytes that are free.
        notes: What runs in the loop for want of a faster program, and why.
    """

    kind: ClassVar[str] = "plan"

    task: Task
    command: str
    plan: Plan
    cohorts: tuple[CohortPlan, ...]
    stages: dict[str, float]
    seconds: float
    low: float | None
    high: float | None
    at_most: bool
    memory: int
    free: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the object that `--json` prints; docs/reference/plan-json.md describes it."""
        return {
            "task": task_json(self.task),
            "command": self.command,
            "device": self.plan.device,
            "precision": self.plan.precision,
            "threads": self.plan.threads,
            "cohorts": [asdict(cohort) for cohort in self.cohorts],
            "stages": [{"stage": name, "seconds": seconds} for name, seconds in self.stages.items()],
            "seconds": self.seconds,
            "low": self.low,
            "high": self.high,
            "at_most": self.at_most,
            "memory": self.memory,
            "free": self.free,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return render(self, "text")

    def _repr_html_(self) -> str:
        return render(self, "notebook")


def plan(
    task: Any,
    recipe: Recipe | str | None = None,
    *,
    vary: Sequence[Axis | str] | None = None,
    fixed: Sequence[str] = (),
    seeds: int | None = None,
    budget: Budget | str | None = None,
    seed: int = 0,
    train: bool = False,
    probe: bool = False,
    plan: Plan | None = None,
) -> PlanResult:
    """Returns what `tune`, or `train`, would do: cohorts, programs, memory and time. Nothing is written.

    Args:
        task: As in `tune`.
        recipe: As in `tune`.
        vary: As in `tune`.
        fixed: As in `tune`.
        seeds: As in `tune` or `train`; default is theirs.
        budget: As in `tune`.
        seed: As in `tune`.
        train: Whether a training of the recipe is planned instead of a search.
        probe: Whether a child process tries how many members, and how many rows of a batch, fit into the memory.
        plan: How members run; default uses all cores.

    Raises:
        InputError: where an argument does not fit, or the members do not fit into the memory.

    Example:
        >>> found = plan("iris", Recipe(widths=(8,), epochs=5, batch_size=16), train=True, seeds=2)
        >>> found.cohorts[0].program
        'kernel'
    """
    num_seeds = (TRAIN_SEEDS if train else TUNE_SEEDS) if seeds is None else seeds
    check_number("seeds", num_seeds, least=1 if train else 2, integer=True)
    check_number("seed", seed, least=0, integer=True)
    loaded = load_task(task)
    base = base_recipe(loaded, recipe)
    settings = plan or default_plan()
    if train:
        if vary or budget is not None:
            raise InputError("--vary and --budget", "left out with --train: one recipe is trained")
        return _plan_training(loaded, base, num_seeds, settings, probe)
    axes = find_axes(loaded, base, vary, fixed)
    limit = parse_budget(budget) if isinstance(budget, str) else budget or Budget()
    found = plan_search(loaded, base, axes, budget=limit, seeds=num_seeds, seed=seed, plan=settings)
    sample = found.recipes[:SAMPLE]
    forecast = forecast_search(loaded, axes, sample, found.plan, seeds=num_seeds)
    seconds = forecast.of(len(found.recipes), found.epochs)
    return _result(loaded, "tune", found.recipes, found.plan, forecast.screening, seconds, probe)


def _plan_training(task: Task, recipe: Recipe, seeds: int, settings: Plan, probe: bool) -> PlanResult:
    plan = plan_training(task, recipe, seeds, settings)
    members = [recipe] * seeds
    forecast = Forecast(task, [recipe], plan)
    stages = {
        "training": forecast.seconds(members),
        "saved model": Forecast(task, [recipe], plan.of_saved_model(recipe)).seconds([recipe]),
    }
    seconds = Seconds(seconds=sum(stages.values()), low=math.nan, high=math.nan, stages=stages)
    return _result(task, "train", members, plan, forecast, seconds, probe)


def _result(
    task: Task,
    command: str,
    members: Sequence[Recipe],
    plan: Plan,
    forecast: Forecast,
    seconds: Seconds,
    probe: bool,
) -> PlanResult:
    cohorts: dict[tuple[str, str, str], list[Recipe]] = {}
    for recipe in members:
        size = 10.0 ** round(math.log10(step_cost(task, recipe)))
        shares = f"{recipe.model}, about {_rounded(size)} operations a step"
        cohorts.setdefault((shares, *plan.program_for(task, recipe)), []).append(recipe)
    work = {key: forecast.seconds(own, last=1) for key, own in cohorts.items()}
    first = seconds.stages["training" if command == "train" else "screening"]
    notes = dict.fromkeys(note for recipe in members if (note := plan.slow(task, recipe)) is not None)
    return PlanResult(
        task=task,
        command=command,
        plan=plan,
        cohorts=tuple(
            CohortPlan(
                shares=key[0],
                members=len(own),
                program=key[1],
                why=key[2],
                memory=sum(member_memory(task, recipe, plan).member for recipe in own),
                seconds=first * work[key] / sum(work.values()),
                **(_probe(task, own, plan) if probe else {}),
            )
            for key, own in cohorts.items()
        ),
        stages=seconds.stages,
        seconds=seconds.seconds,
        low=None if math.isnan(seconds.low) else seconds.low,
        high=None if math.isnan(seconds.high) else seconds.high,
        at_most=any(recipe.patience is not None for recipe in members),
        memory=needed_memory(task, members, plan),
        free=available_memory(plan.device),
        notes=tuple(notes),
    )


def _rounded(number: float) -> str:
    """Returns a power of ten in words."""
    names = [(1e12, "trillion"), (1e9, "billion"), (1e6, "million"), (1e3, "thousand")]
    unit, name = next((pair for pair in names if number >= pair[0]), (1.0, ""))
    return f"{number / unit:.0f} {name}".strip()


def _probe(task: Task, recipes: Sequence[Recipe], plan: Plan) -> dict[str, Fit | None]:
    """Returns how many members as large as the largest fit, up to their number, and how many rows of its batch."""

    def size(recipe: Recipe) -> int:
        memory = member_memory(task, recipe, plan)
        return memory.member + memory.working

    largest = max(recipes, key=size)
    micro_batch = None if has_batch_norm(task, largest) else largest_micro_batch(task, largest, plan)
    return {
        "population": largest_population(task, largest, plan, most=len(recipes)),
        "micro_batch": micro_batch,
    }
