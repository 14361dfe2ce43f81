"""Looks at the members of a population: one small batch, the same rows for all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import torch

from thalweg.core import one_torch_thread
from thalweg.population import MemberProbe, Pace, Population, Watching, empty_module, step_cost
from thalweg.probes._signals import BatchProbe
from thalweg.recipes import Recipe
from thalweg.tasks import Task

#: training rows of a look: a unit that works on one row in twenty is missed with a probability of 4%
ROWS = 64
#: looks may take this share of what is counted for a whole run
_SHARE = 0.015
#: seconds that are counted: of a look and of a step beside their arithmetic, and of an operation
_LOOK, _STEP, _OPERATION = 8e-4, 5e-6, 1e-11


class Stretch(NamedTuple):
    """Members of a recipe that train together: how many (a mean over draws may be broken), from which step to which."""

    recipe: Recipe
    members: float
    first: int
    last: int


def watch_members(task: Task, stretches: Sequence[Stretch], *, others: float = 0.0) -> Watching:
    """Returns when the members of a run are looked at, with the function that looks.

    Args:
        task: What is optimised.
        stretches: What is looked at.
        others: Seconds, as `counted_seconds` counts them, of what the run trains unwatched.
    """
    return Watching(look=_Looker(), first=first_look(task, stretches, others=others))


def counted_seconds(task: Task, recipe: Recipe, steps: float) -> float:
    """Returns the seconds of so many member-steps by counting: the same on every machine, and right for none."""
    return steps * (_STEP + step_cost(task, recipe) * _OPERATION)


def first_look(task: Task, stretches: Sequence[Stretch], *, others: float = 0.0) -> int:
    """Returns the first power of two at which members are looked at: the least whose looks keep to 1.5% of the run.

    All is counted and nothing timed, so that the same run has the same looks on every machine. Looks at the start and
    at the end of a stretch are counted too; they are taken in any case. Where steps are short, powers begin late.

    Args:
        task: What is optimised.
        stretches: What is looked at.
        others: Counted seconds of what the run trains unwatched.

    Example:
        >>> from thalweg.tasks import load_task
        >>> task, recipe = load_task("iris"), Recipe(widths=(4,), batch_size=16)
        >>> first_look(task, [Stretch(recipe, 1, 0, 100)]), first_look(task, [Stretch(recipe, 1, 0, 10**6)])
        (128, 1)
    """
    last = max(stretch.last for stretch in stretches)
    powers = [1 << k for k in range(last.bit_length() + 1)]
    seconds, looks = others, dict.fromkeys(powers, 0.0)
    at_ends = 0.0
    for recipe, members, start, end in stretches:
        cost = step_cost(task, recipe) * _OPERATION
        look = members * (_LOOK + cost * ROWS / Pace.of(recipe, len(task.train.rows)).batch_size)
        seconds += members * (end - start) * (_STEP + cost)
        at_ends += look
        for power in powers:
            looks[power] += look * (start < power < end)
    left = _SHARE * seconds - at_ends
    first = powers[-1]
    for power in reversed(powers):
        left -= looks[power]
        if left < 0:
            break
        first = power
    return first


class _Looker:
    """Looks at members; a network is made once for each structure, a start is looked at once for all that share it."""

    def __init__(self) -> None:
        self._probes: dict[Hashable, BatchProbe] = {}
        self._starts: dict[Hashable, MemberProbe] = {}

    def __call__(self, population: Population, which: Sequence[int]) -> list[MemberProbe]:
        """Returns what is seen of each member."""
        found: list[MemberProbe] = []
        with one_torch_thread():
            for number, start in ((n, self._start_of(population, n)) for n in which):
                probe = self._starts.get(start) if start is not None else None
                if probe is None:
                    probe = self._look(population, number)
                    if start is not None:
                        self._starts[start] = probe
                found.append(probe)
        return found

    def _start_of(self, population: Population, number: int) -> Hashable | None:
        """Returns what members with the same initial weights have in common; None for one that has moved."""
        member = population.members[number]
        if population.step(number) or member.start is not None:
            return None
        recipe = member.recipe
        return *_structure(recipe), recipe.init, recipe.init_scale, member.seed

    def _look(self, population: Population, number: int) -> MemberProbe:
        task, recipe = population.task, population.members[number].recipe
        state = population.snapshot(number)
        tensors = {**state.params, **state.buffers}
        key = _structure(recipe)
        # a module of the user's may draw where it likes: the same each time, and nothing for who draws after it
        with _seeded() if ":" in recipe.model else contextlib.nullcontext():
            if key not in self._probes:
                precision = next(torch.from_numpy(array).dtype for array in state.params.values())
                module = empty_module(recipe, task.input_shape, task.output_size).to(precision)
                self._probes[key] = BatchProbe(module, task.train.x[:ROWS], task.train.y[:ROWS], task.loss)
            return self._probes[key](tensors, step=population.step(number))


def _structure(recipe: Recipe) -> tuple[Hashable, ...]:
    return recipe.model, recipe.widths, recipe.activation, recipe.activation_parameter, recipe.norm, recipe.dropout > 0


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
