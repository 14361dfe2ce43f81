"""What a study is, what it gets to work with, and how long it may train."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from thalweg.core import Answer, InputError, RunError
from thalweg.population import (
    Budget,
    Company,
    Forecast,
    Pace,
    Plan,
    Population,
    Session,
    check_memory,
    check_recipes,
    make_plan,
)
from thalweg.recipes import Member, Recipe
from thalweg.studies._compare import Comparison, cross, final_scores
from thalweg.tasks import Task

#: what a study may take where no budget is given, seconds
DEFAULT_SECONDS = 45.0
#: shares of the full length that are tried, the longest first
_SHARES = tuple(2.0 ** (-k / 2) for k in range(20))


@dataclass(frozen=True, kw_only=True)
class Study:
    """A question about how we optimise, answered by an experiment on the user's own task and model.

    Args:
        name: As on the command line.
        levels: (task, recipe) -> label -> recipe: what the main stage trains, on every seed.
        run: Trains and answers.
        seeds: How many by default.
        runs: seeds -> times that the study trains a level, on average. Default is once on every seed.
        part: Of a budget in seconds, what the training may take; the rest is for what is measured.
    """

    name: str
    levels: Callable[[Task, Recipe], dict[str, Recipe]]
    run: Callable[[Lab], Answer]
    seeds: int = 8
    runs: Callable[[int], float] = float
    part: float = 1.0


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """A study before it runs.

    Args:
        plan: How members run.
        share: Part of each recipe's epochs that fits into the budget.
        steps: Member-steps of the main stage.
    """

    plan: Plan
    share: float
    steps: int


@dataclass(kw_only=True)
class Lab:
    """What a study gets to work with.

    Args:
        session: Opens populations, and keeps them where the run has a folder.
        task: What is optimised.
        recipe: The user's recipe at the length that fits into the budget.
        levels: Label -> recipe of the main stage, likewise.
        seeds: On which every level is trained.
        notes: What the reader should know; a study adds to them.
    """

    session: Session
    task: Task
    recipe: Recipe
    levels: dict[str, Recipe]
    seeds: tuple[int, ...]
    notes: list[str] = field(default_factory=list)

    def train(
        self,
        name: str,
        members: Sequence[Member],
        *,
        epochs: int | None = None,
        task: Task | None = None,
        keep: bool = True,
    ) -> Population:
        """Returns a population that has trained to its end, or for so many epochs.

        Args:
            name: Unique within the study.
            members: What trains.
            epochs: Where it stops; default is each recipe's own end.
            task: On what, in place of the study's own: the same data in another form.
            keep: Whether the states of the members are asked for afterwards, and not their history alone.

        Raises:
            RunError: where the run was interrupted; it can be resumed.
        """
        population = self.session.open(name, members, task=task)
        if not self.session.run(name, epochs=epochs):
            raise self.interrupted()
        self.session.close(name, keep=range(len(population)) if keep else ())
        return population

    def interrupted(self) -> RunError:
        """Returns the error that ends an interrupted study."""
        folder = self.session.folder
        where = "" if folder is None else f" Go on with: thalweg study --resume {folder.path}"
        return RunError(f"interrupted before the study had an answer.{where}")

    def compare(
        self,
        levels: Mapping[str, Recipe] | None = None,
        *,
        name: str = "levels",
        seeds: Sequence[int] | None = None,
        task_of: Callable[[str], Task] | None = None,
        keep: bool = False,
    ) -> Comparison:
        """Returns levels on common seeds, compared by their validation scores.

        Args:
            levels: Label -> recipe; default is the study's own.
            name: Of the population; with `tasks` each level has one of its own, NAME-LABEL.
            seeds: Default is the study's.
            task_of: Label -> what the level trains on, for levels that differ in the data; all have the study's metric.
            keep: Whether the states of the members are asked for afterwards.
        """
        levels, seeds = levels or self.levels, tuple(seeds or self.seeds)
        groups = {name: levels} if task_of is None else {f"{name}-{label}": {label: r} for label, r in levels.items()}
        scores = []
        for group, part in groups.items():
            task = None if task_of is None else task_of(next(iter(part)))
            population = self.train(group, cross(part, seeds), task=task, keep=keep)
            scores.append(final_scores(population, len(part)))
        return Comparison(labels=list(levels), seeds=seeds, scores=np.concatenate(scores), metric=self.task.metric)

    def start(self, recipe: Recipe, *, seeds: Sequence[int] | None = None) -> Population:
        """Returns a recipe before its first step, on the first seed or on those that are given."""
        members = [Member(recipe=recipe, seed=seed) for seed in seeds or self.seeds[:1]]
        return Population(self.task, members, self.session.plan)


def plan_study(task: Task, study: Study, recipe: Recipe, *, seeds: int, budget: Budget, plan: Plan) -> StudyPlan:
    """Returns how a study will run, once every recipe of it is known to fit the task and the memory.

    All levels train for the same share of their epochs: the largest that the forecast fits into the budget.

    Args:
        task: What is optimised.
        study: The question.
        recipe: The user's.
        seeds: Of every level.
        budget: What may be spent; 45 s where it names nothing.
        plan: The settings of the members; their programs are chosen where it leaves them open.

    Raises:
        InputError: where a recipe does not fit the task or the memory, or the budget does not reach for one epoch.
    """
    levels = list(study.levels(task, recipe).values())
    check_recipes(task, levels, plan)
    members = [level for level in levels for _ in range(math.ceil(study.runs(seeds)))]
    num_rows = len(task.train)
    steps = sum(Pace.of(member, num_rows).total_steps for member in members)
    plan = make_plan(task, [Company(recipes=members, steps=steps)], plan)
    check_memory(task, members, plan, remedy="Take fewer --seeds, or smaller widths.")
    seconds = budget.seconds or (None if budget.steps is not None else DEFAULT_SECONDS)
    limit = None if seconds is None else study.part * seconds
    forecast = Forecast(task, levels, plan) if limit is not None else None

    def steps_of(share: float) -> int:
        return sum(Pace.of(shortened(member, share), num_rows).total_steps for member in members)

    def fits(share: float) -> bool:
        if forecast is None or limit is None:
            return steps_of(share) <= (budget.steps or 0)
        return forecast.seconds([shortened(member, share) for member in members]) <= limit

    share = next((share for share in _SHARES if fits(share)), None)
    if share is None:
        given = f"{seconds or budget.steps:g} {'seconds' if seconds is not None else 'member-steps'}"
        rule = f"enough for one epoch of {len(members)} members"
        raise InputError("--budget", rule, given, "Give more, or fewer --seeds.")
    return StudyPlan(plan=plan, share=share, steps=steps_of(share))


def shortened(recipe: Recipe, share: float) -> Recipe:
    """Returns a recipe at a share of its epochs, one at least."""
    return recipe if share == 1 else recipe.changed(epochs=max(1, round(share * recipe.epochs)))
