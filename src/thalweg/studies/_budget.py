"""How much a search may cost: member-steps, or seconds that one probe turns into steps."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.core import InputError
from thalweg.population import Plan, Population, halving_rungs, split_brackets
from thalweg.recipes import Axis, Member, Recipe
from thalweg.tasks import Task

#: recipes that a search screens by default, by the program that trains them
DEFAULT_SCREENED = {"kernel": 324, "loop": 36}
#: recipes of one halving, and how many of them reach the full length: four rungs, each a third of the one before
BRACKET = 81
BRACKET_FINALISTS = 3
#: recipes that are compared on fresh seeds
FINALISTS = 8
#: the heats in which they are: (recipes, seeds)
HEATS = ((FINALISTS, 3), (3, 4))
#: fields that only mean something at full length: where one of them varies, every recipe runs to its end
FULL_LENGTH = frozenset({"schedule", "warmup", "schedule_gamma", "epochs", "patience"})
_LEAST_SCREENED = FINALISTS
#: what the members of a screening may take of the memory
_MOST_BYTES = 4 << 30


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a search may spend: one of the two, or neither for the default.

    Args:
        steps: Member-steps: optimizer steps summed over all members.
        seconds: Wall-clock time; turned into steps by a probe and stored, so that a resumed run is the same run.

    Raises:
        InputError: where it is not above 0.
    """

    steps: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for value in (self.steps, self.seconds):
            if value is not None and not value > 0:
                raise InputError("--budget", "above 0", value)


def parse_budget(text: str) -> Budget:
    """Returns the budget that a text stands for.

    Args:
        text: `60s`, `10m`, `2e6steps`.

    Raises:
        InputError: for anything else.

    Example:
        >>> parse_budget("2e6steps").steps, parse_budget("10m").seconds
        (2000000.0, 600.0)
    """
    match = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)\s*(s|m|h|steps)", text.strip())
    try:
        number = float(match[1]) if match else None
    except ValueError:
        number = None
    if match is None or number is None:
        raise InputError("--budget", "seconds, minutes, hours or steps", text, "Write 60s, 10m or 2e6steps.")
    if match[2] == "steps":
        return Budget(steps=number)
    return Budget(seconds=number * {"s": 1, "m": 60, "h": 3600}[match[2]])


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a search is: what the budget bought.

    Args:
        screened: Recipes that start.
        seeds: Fresh seeds of the confirmation.
        steps: Member-steps that are predicted, all stages together.
    """

    screened: int
    seeds: int
    steps: int


def bracket_finalists(axes: Sequence[Axis], bracket: list[int]) -> int:
    """Returns how many members of a bracket reach the full length, at least: all where an axis asks for it."""
    return len(bracket) if any(axis.field in FULL_LENGTH for axis in axes) else BRACKET_FINALISTS


def size_search(
    task: Task,
    base: Recipe,
    axes: Sequence[Axis],
    draw: Callable[[int], list[Recipe]],
    *,
    budget: Budget,
    seeds: int,
    plan: Plan,
) -> Size:
    """Returns how many recipes the budget can screen, next to the cost of choosing and confirming.

    Args:
        task: What is optimised.
        base: The recipe that the search starts from.
        axes: What varies.
        draw: Returns so many recipes of the search space.
        budget: What may be spent.
        seeds: Fresh seeds of the confirmation.
        plan: How members run.

    Raises:
        InputError: where the budget does not reach for the smallest search, with what would.
    """
    num_rows = len(task.train.rows)
    default = DEFAULT_SCREENED[plan.program_for(task, base)[0]]
    if bracket_finalists(axes, list(range(default))) == default:
        default //= 4  # at about the same cost
    sample = draw(64)
    per_epoch = float(np.mean([num_rows // (r.batch_size or num_rows) for r in sample]))
    epochs = max(recipe.epochs for recipe in sample)
    limit = budget.steps
    if budget.seconds is not None:
        limit = budget.seconds * _probe_rate(task, sample[:: max(1, len(sample) // 16)], plan)
    if limit is None:
        found = len(draw(default))
        return Size(screened=found, seeds=seeds, steps=_predict(axes, found, epochs, per_epoch, seeds))
    least = _predict(axes, _LEAST_SCREENED, epochs, per_epoch, seeds)
    if least > limit:
        got = f"{limit:,.0f} member-steps"
        raise InputError(
            "--budget",
            f"at least {least:,.0f} member-steps for {epochs} epochs and {seeds} seeds",
            got,
            "Give more, or fewer epochs (--set epochs=10) or --seeds.",
        )
    low, high = _LEAST_SCREENED, max(_LEAST_SCREENED, _most_in_memory(task, sample, plan))
    while low < high:  # the largest search that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _predict(axes, middle, epochs, per_epoch, seeds) <= limit else (low, middle - 1)
    found = len(draw(low))
    return Size(screened=found, seeds=seeds, steps=_predict(axes, found, epochs, per_epoch, seeds))


def _most_in_memory(task: Task, sample: list[Recipe], plan: Plan) -> int:
    """Returns how many members fit: parameters and two slots each, of the largest model in the sample."""
    members = [Member(recipe=recipe, seed=0) for recipe in {r.widths: r for r in sample}.values()]
    population = Population(task, members, plan)
    largest = max(p.num_parameters(n) for p in population.programs for n in range(len(p.members)))
    return int(_MOST_BYTES // (3 * 8 * largest))


def _predict(axes: Sequence[Axis], screened: int, epochs: int, per_epoch: float, seeds: int) -> int:
    """Returns the member-steps of a search, from the mean steps of an epoch over the space."""
    total = 0.0
    for bracket in split_brackets(screened, size=BRACKET):
        before = 0
        for rung in halving_rungs(len(bracket), epochs, finalists=bracket_finalists(axes, bracket)):
            total += rung.members * (rung.epochs - before)
            before = rung.epochs
    total += sum(min(num, screened) * runs for num, runs in (*HEATS, (2, seeds))) * epochs
    return round(total * per_epoch)


def _probe_rate(task: Task, recipes: list[Recipe], plan: Plan) -> float:
    """Returns member-steps a second, from one short run of a few recipes; compilation is not counted."""
    members = [Member(recipe=recipe, seed=0) for recipe in recipes]
    Population(task, members[:1], plan).run(epochs=1)
    population = Population(task, members, plan)
    started = time.perf_counter()
    population.run(epochs=1)
    steps = sum(population.step(n) for n in range(len(members)))
    return max(steps, 1) / (time.perf_counter() - started)
