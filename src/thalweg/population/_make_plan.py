"""The choice of programs by measurement: a few steps of one recipe of each structure, under each program."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from thalweg.population._measure import Trial
from thalweg.population._planner import PROGRAMS, Choice, Plan, first_choice, refusals_of, structure_of
from thalweg.population._sizes import model_size, step_cost
from thalweg.recipes import Recipe
from thalweg.tasks import Task

#: a program is preferred to those after it unless they are so many times as fast: a plan does not change with noise
NEAR = 1.15
#: measuring may take this share of the time that the members are predicted to train
SHARE = 0.005
#: seconds of what is timed at a time
STRETCH = 0.003


def make_plan(task: Task, recipes: Sequence[Recipe], plan: Plan, *, steps: float) -> Plan:
    """Returns the plan with a program for every structure of recipe, chosen by measurement.

    Of each structure the recipe of middle cost is trained for a few steps by the programs that take it, in the order
    of preference. A program is left out once measuring has taken its share of the time that it could save.

    Args:
        task: What is optimised.
        recipes: The members that train side by side.
        plan: The settings; one that names a program, or has choices, is returned as it is.
        steps: Member-steps of the whole run, about.
    """
    if plan.program != "auto" or plan.choices:
        return plan
    # what is reported runs in full precision, whatever the screening does
    choices = [
        choice
        for settings in dict.fromkeys((plan, plan.in_full_precision()))
        for choice in _choices(task, recipes, settings, steps)
    ]
    return replace(plan, choices=tuple(choices))


def _choices(task: Task, recipes: Sequence[Recipe], plan: Plan, steps: float) -> list[Choice]:
    groups: dict[str, list[Recipe]] = {}
    refusals: dict[str, dict[str, str | None]] = {}
    for recipe in recipes:
        known = refusals_of(task, recipe, plan)
        structure = structure_of(task, recipe, plan, known)
        groups.setdefault(structure, []).append(recipe)
        refusals[structure] = known
    return [
        _choose(task, structure, members, plan, refusals[structure], steps * len(members) / len(recipes))
        for structure, members in groups.items()
    ]


def filled_lanes(recipes: Iterable[Recipe], program: str, plan: Plan) -> float:
    """Returns how many members train side by side on average; lanes stay empty where few go together."""
    lanes = PROGRAMS[program].side_by_side(plan)
    together = Counter(PROGRAMS[program].structure(recipe) for recipe in recipes).values()
    return sum(together) / sum(math.ceil(num / lanes) for num in together)


def _choose(
    task: Task,
    structure: str,
    members: list[Recipe],
    plan: Plan,
    refusals: dict[str, str | None],
    steps: float,
) -> Choice:
    """Returns the choice for the recipes of one structure."""
    middle = sorted(members, key=lambda recipe: step_cost(task, recipe))[len(members) // 2]
    lanes = {name: filled_lanes(members, name, plan) for name, refusal in refusals.items() if refusal is None}
    program, why = first_choice(middle, refusals)
    seconds: dict[str, float] = {}
    if len(lanes) > 1:
        program, seconds = _race(task, middle, plan, lanes, steps)
    if len(seconds) > 1:
        others = [name for name in seconds if name != program]
        why = ", ".join(f"{_times(seconds[name] / seconds[program])} as fast as the {name}" for name in others)
    return Choice(
        structure=structure,
        program=program,
        why=why,
        step_seconds=seconds.get(program),
        member_bytes=PROGRAMS[program].memory(task, middle, plan, model_size(task, middle)).member,
    )


def _race(
    task: Task, recipe: Recipe, plan: Plan, lanes: dict[str, float], steps: float
) -> tuple[str, dict[str, float]]:
    """Returns the program to take, and program -> seconds of a member-step in company of those that were measured.

    Args:
        task: What is optimised.
        recipe: What is trained.
        plan: The settings.
        lanes: Program -> members that train side by side, in the order of preference.
        steps: Member-steps of the run.
    """
    trials: dict[str, Trial] = {}
    found: dict[str, float] = {}

    def run(name: str) -> None:
        best = min(found.values(), default=math.inf)
        seconds = min(trials[name].steps(stretch=STRETCH, give_up=2 * best * lanes[name])) / lanes[name]
        found[name] = min(seconds, found.get(name, math.inf))

    def start(name: str) -> None:
        trials[name] = Trial(task, recipe, replace(plan, program=name, cluster=None))
        run(name)

    first, *others = lanes
    leading = first
    start(first)
    started = time.perf_counter()
    for name in others:
        # the next trial will take at least what the first one took, less what was loaded for it
        if time.perf_counter() - started + trials[first].spent > SHARE * found[leading] * steps:
            break
        start(name)
        if found[name] * NEAR < found[leading]:  # to take the lead, it must be faster twice
            run(leading)
            run(name)
            leading = name if found[name] * NEAR < found[leading] else leading
    return leading, found


def _times(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x"
