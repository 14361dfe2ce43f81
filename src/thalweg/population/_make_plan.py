"""The choice of programs by measurement: a few steps of one recipe of each structure, under each program."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from thalweg.population._measure import measure
from thalweg.population._planner import PROGRAMS, Choice, Plan, first_choice, refusals_of, structure_of
from thalweg.population._sizes import model_size, step_cost
from thalweg.recipes import Recipe
from thalweg.tasks import Task

#: a program is preferred to those after it unless they are so many times as fast: a plan does not change with noise
NEAR = 1.15
#: measuring may take this share of the time that the members are predicted to train
SHARE = 0.003


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
    lanes = PROGRAMS[program].lanes(plan)
    together = Counter(PROGRAMS[program].company(recipe) for recipe in recipes).values()
    return sum(together) / sum(ceil(num / lanes) for num in together)


@dataclass(frozen=True)
class _Candidate:
    name: str
    seconds: float


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
    names = [name for name, refusal in refusals.items() if refusal is None]
    started = time.perf_counter()
    measured: list[_Candidate] = []
    for name in names if len(names) > 1 else ():
        best = min((candidate.seconds for candidate in measured), default=float("inf"))
        if measured and time.perf_counter() - started > SHARE * best * steps:
            break
        filled = filled_lanes(members, name, plan)
        speed = measure(task, middle, replace(plan, program=name), give_up=2 * best * filled)
        measured.append(_Candidate(name, speed.fastest / filled))
    found, why = first_choice(refusals)
    seconds = None
    if measured:
        winner = measured[0]
        for candidate in measured[1:]:
            winner = candidate if candidate.seconds * NEAR < winner.seconds else winner
        others = [f"{c.seconds / winner.seconds:.2g}x as fast as {_shown(c.name)}" for c in measured if c != winner]
        found, seconds = winner.name, winner.seconds
        why = ", ".join(others) or why
    return Choice(
        structure=structure,
        program=found,
        why=why,
        step_seconds=seconds,
        member_bytes=PROGRAMS[found].memory(task, middle, plan, model_size(task, middle)).member,
    )


def _shown(program: str) -> str:
    return f"the {program}"
