"""The choice of programs by measurement: a few steps of one recipe of each structure, under each program."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from thalweg.population._contract import Settings
from thalweg.population._measure import Trial
from thalweg.population._planner import PREFERENCE, PROGRAMS, Choice, Plan, first_choice, structure_of
from thalweg.population._sizes import model_size, step_cost
from thalweg.recipes import Recipe
from thalweg.tasks import Task

#: a program is preferred to those after it unless they are so many times as fast: a plan does not change with noise
NEAR = 1.15
#: measuring may take this share of the time that the members are predicted to train; less beside the kernel, which
#: lanes have never beaten on a CPU (docs/log.md)
SHARE, SHARE_OF_KERNEL = 0.03, 0.002
#: not measured where the other one takes the recipe, which computes the same with less around it
OUTDONE = {"vmap": "batched"}
#: seconds of what is timed at a time
STRETCH = 0.003


@dataclass(frozen=True, kw_only=True)
class Company:
    """Members that train at the same time.

    Args:
        recipes: One a member.
        steps: Member-steps of all of them together, about.
    """

    recipes: Sequence[Recipe]
    steps: float


def make_plan(task: Task, companies: Sequence[Company], plan: Plan) -> Plan:
    """Returns the plan with a program for every structure of recipe, chosen by measurement.

    Of each structure the recipe of middle cost is trained for a few steps by the programs that take it, in the order
    of preference. A program is left out once measuring has taken its share of the time that it could save.

    Args:
        task: What is optimised.
        companies: The members of a run.
        plan: The settings; one that names a program, or has choices, is returned as it is.
    """
    if plan.program != "auto" or plan.choices:
        return plan
    # what is reported runs in full precision, whatever the screening does
    choices = [
        _choose(task, structure, own, settings)
        for settings in dict.fromkeys((plan, plan.in_full_precision()))
        for structure, own in _by_structure(task, companies, settings).items()
    ]
    return replace(plan, choices=tuple(choices))


def _by_structure(task: Task, companies: Sequence[Company], settings: Settings) -> dict[str, list[Company]]:
    """Returns structure -> the parts of the companies that have it."""
    found: dict[str, list[Company]] = {}
    for company in companies:
        parts: dict[str, list[Recipe]] = {}
        for recipe in company.recipes:
            parts.setdefault(structure_of(task, recipe, settings), []).append(recipe)
        for structure, recipes in parts.items():
            steps = company.steps * len(recipes) / len(company.recipes)
            found.setdefault(structure, []).append(Company(recipes=recipes, steps=steps))
    return found


def filled_lanes(companies: Sequence[Company], program: str, settings: Settings) -> float:
    """Returns how many members train side by side on average; lanes stay empty where few go together."""
    kind = PROGRAMS[program]
    rounds = 0.0
    for company in companies:
        together = Counter(kind.structure(recipe) for recipe in company.recipes)
        lanes = {kind.structure(recipe): kind.side_by_side(recipe, settings) for recipe in company.recipes}
        needed = sum(math.ceil(num / lanes[structure]) for structure, num in together.items())
        rounds += company.steps * needed / len(company.recipes)
    return sum(company.steps for company in companies) / rounds


def _choose(task: Task, structure: str, companies: list[Company], plan: Plan) -> Choice:
    """Returns the choice for the recipes of one structure."""
    recipes = sorted(
        (recipe for company in companies for recipe in company.recipes), key=lambda recipe: step_cost(task, recipe)
    )
    middle = recipes[len(recipes) // 2]
    race = _Race(task, middle, companies, plan)
    race.run()
    program, why = race.leading, "the first in the order of preference"
    alone = len(race.refusals) == len(PREFERENCE[plan.device]) - 1
    others = [name for name in race.seconds if name != program]
    if others:
        ratios = {name: race.seconds[name] / race.seconds[program] for name in others}
        why = ", ".join(f"{_times(ratio)} as fast as the {name}" for name, ratio in ratios.items())
    elif alone:
        why = list(race.refusals.values())[-1].split(". ")[0]
    return Choice(
        structure=structure,
        program=program,
        why=why,
        step_seconds=race.seconds.get(program),
        member_bytes=PROGRAMS[program].memory(task, middle, plan, model_size(task, middle)).member,
        alone=alone,
    )


class _Race:
    """The programs that take a recipe, timed one after another in the order of preference.

    Args:
        task: What is optimised.
        recipe: What is trained.
        companies: The members that it stands for.
        plan: The settings.

    Attributes:
        leading: The program to take.
        seconds: Program -> seconds of a member-step in company, of those that were measured.
        refusals: Program -> why it does not take the recipe, of those that were asked and do not.
    """

    def __init__(self, task: Task, recipe: Recipe, companies: list[Company], plan: Plan) -> None:
        self.task, self.recipe, self.companies, self.plan = task, recipe, companies, plan
        self.leading = first_choice(task, recipe, plan)[0]
        self.seconds: dict[str, float] = {}
        self.refusals: dict[str, str] = {}
        self._trials: dict[str, Trial] = {}
        self._lanes: dict[str, float] = {}

    def run(self) -> None:
        """Finds the program to take."""
        steps = sum(company.steps for company in self.companies)
        first = self.leading
        order = PREFERENCE[self.plan.device]
        for name in order[: order.index(first)]:
            self._refused(name)
        # where only the loop is left, the reason is asked for whatever it costs
        others = [name for name in order[order.index(first) + 1 :] if first != "loop" or not self._refused(name)]
        if not others:
            return
        self._time(first)
        share = SHARE_OF_KERNEL if first == "kernel" else SHARE
        started = time.perf_counter()
        for name in others:
            # the next trial will take at least what the first one took, less what was loaded for it
            spent = time.perf_counter() - started + self._trials[first].spent
            if spent > share * self.seconds[self.leading] * steps:
                break
            if OUTDONE.get(name) in self.seconds or self._refused(name):
                continue
            self._time(name)
            if self._leads(name):  # to take the lead, it must be faster twice
                self._time(self.leading)
                self._time(name)
                self.leading = name if self._leads(name) else self.leading

    def _leads(self, name: str) -> bool:
        return self.seconds[name] * NEAR < self.seconds[self.leading]

    def _refused(self, name: str) -> bool:
        refusal = PROGRAMS[name].refuses(self.task, self.recipe, self.plan)
        if refusal is not None:
            self.refusals[name] = refusal
        return refusal is not None

    def _time(self, name: str) -> None:
        """Keeps the shortest time of a program."""
        if name not in self._trials:
            self._trials[name] = Trial(self.task, self.recipe, replace(self.plan, program=name, cluster=None))
            self._lanes[name] = filled_lanes(self.companies, name, self.plan)
        best = min(self.seconds.values(), default=math.inf)
        found = min(self._trials[name].steps(stretch=STRETCH, give_up=2 * best * self._lanes[name]))
        self.seconds[name] = min(found / self._lanes[name], self.seconds.get(name, math.inf))


def _times(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x"
