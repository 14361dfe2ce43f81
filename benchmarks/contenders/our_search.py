"""Our search by the clock: what `tune` does, with a look after every segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from contenders.timeline import Timeline, best_of
from thalweg.population import Budget, Control, Plan, Population, Session
from thalweg.recipes import Axis, Recipe
from thalweg.search import plan_search, search
from thalweg.tasks import Task

#: fresh seeds on which the recipe of either side is scored
CONFIRMATION_SEEDS = 10


def recipe_text(recipe: Recipe, axes: Sequence[Axis]) -> dict[str, Any]:
    return {axis.field: getattr(recipe, axis.field) for axis in axes}


@dataclass(kw_only=True)
class Ours:
    """What our search found.

    Args:
        seconds: Of the whole search.
        decided: When the recommended recipe was in hand: after the choice, or, where the confirmation made the two
            leading recipes change places, at the end.
        stages: Stage -> when it ended.
        timeline: The best validation score by the clock.
        best: (seconds, recipe) of what was best so far: of the recipes that came to their end in the screening, by
            their one score there, and of the recommended one.
        recipe: The recommended one.
        first_confirmation_seed: Of our confirmation.
        validation: Mean over the confirmation. test: score of every seed there.
        screened: Recipes that started.
        steps: Of all members.
    """

    seconds: float
    decided: float
    stages: dict[str, float]
    timeline: Timeline
    best: list[tuple[float, Recipe]]
    recipe: Recipe
    first_confirmation_seed: int
    validation: float
    test: tuple[float, ...]
    screened: int
    steps: int


def run_ours(
    task: Task,
    base: Recipe,
    axes: list[Axis],
    *,
    budget: Budget,
    plan: Plan,
    seed: int,
    screened: int | None = None,
) -> Ours:
    """Runs the search that `tune(task, seed=seed)` runs, and looks at its clock after every segment.

    Args:
        task: What is optimised.
        base: The recipe whose other fields stay.
        axes: What varies.
        budget: Of the search.
        plan: How members run.
        seed: Of the search.
        screened: Recipes that start, in place of those that the budget buys.

    `tune` keeps its session to itself, and a history has no clock: so this makes the calls that `tune` makes without a
    folder. A score counts from the end of its segment, which is up to 0.2 s late: never in our favour.
    """
    timeline = Timeline()
    seen: dict[str, int] = {}
    stages: dict[str, float] = {}
    first_look: dict[str, float] = {}
    completed: list[tuple[float, float, Recipe]] = []

    def look() -> None:
        name = next(reversed(session.populations))
        population = session.populations[name]
        history = population.history
        for record in history[seen.get(name, 0) :]:
            timeline.add(record.validation_score)
            recipe = population.members[record.member].recipe
            if name == "screening" and record.epoch == recipe.epochs:
                completed.append((timeline.now(), record.validation_score, recipe))
        seen[name] = len(history)
        stages[name] = timeline.now()
        first_look.setdefault(name, stages[name])

    planned = plan_search(task, base, axes, budget=budget, seeds=CONFIRMATION_SEEDS, seed=seed, plan=plan)
    size = replace(planned.size, screened=screened) if screened else planned.size
    session = Session(task, planned.plan, Control(on_segment=look))
    found = search(session, base, axes, size=size, seeds=CONFIRMATION_SEEDS, seed=seed)
    seconds = timeline.now()
    chosen = session.populations["confirmation"].members[0]
    if found is None or found.validation is None or found.test is None:
        raise RuntimeError("our search ended without a confirmed recipe")
    decided = first_look["confirmation"] if found.recommended == chosen.recipe else seconds
    return Ours(
        seconds=seconds,
        decided=decided,
        stages={name: round(end, 2) for name, end in stages.items()},
        timeline=timeline,
        best=[*((at, recipe) for at, _, recipe in best_of(completed)), (decided, found.recommended)],
        recipe=found.recommended,
        first_confirmation_seed=chosen.seed,
        validation=found.validation.over_seeds.mean,
        test=found.test.values,
        screened=len(found.screened),
        steps=sum(num_steps(population) for population in session.populations.values()),
    )


def num_steps(population: Population) -> int:
    return sum(population.step(number) for number in range(len(population)))
