"""Successive halving: many recipes for a short while, the better ones for longer."""

from __future__ import annotations

import math
from dataclasses import dataclass

from thalweg.population._population import Population
from thalweg.population._session import Session

#: of each rung, one in so many goes on
REDUCTION = 3


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One stretch of a halving.

    Args:
        epochs: Length, from each member's start. All members have seen equal examples by then.
        members: How many run it.
    """

    epochs: int
    members: int


def halving_rungs(num_members: int, epochs: int, *, finalists: int) -> list[Rung]:
    """Returns the rungs: a third of the members for three times as long, until the full length.

    Args:
        num_members: How many start.
        epochs: The full length.
        finalists: How many reach the full length, at least.

    References:
        Karnin, Koren and Somekh, Almost optimal exploration in multi-armed bandits, 2013, algorithm 3; Jamieson and
        Talwalkar, Non-stochastic best arm identification and hyperparameter optimization, 2016. Here a rung counts
        examples, and the reduction is 3.

    Example:
        >>> [(rung.epochs, rung.members) for rung in halving_rungs(324, 24, finalists=8)]
        [(1, 324), (3, 108), (8, 36), (24, 12)]
    """
    by_length = round(math.log(epochs, REDUCTION))  # the first rung is about one epoch at the least
    by_members = math.floor(math.log(max(num_members / finalists, 1), REDUCTION) + 1e-9)
    num = 1 + max(0, min(by_length, by_members))
    rungs = []
    for k in range(num):
        left = REDUCTION ** (num - 1 - k)
        rungs.append(Rung(epochs=max(1, round(epochs / left)), members=max(finalists, num_members // REDUCTION**k)))
    return [Rung(epochs=r.epochs, members=min(r.members, num_members)) for r in rungs]


def rank(population: Population, which: list[int], *, higher_is_better: bool, epochs: int | None = None) -> list[int]:
    """Returns members from best to worst by their latest validation score; equal scores by validation loss.

    Members that diverged come last. Equal in both: the earlier member first.

    Args:
        population: Where they run.
        which: The members to rank.
        higher_is_better: Of the task's metric.
        epochs: Looks at what was known after so many epochs; default is now.
    """

    def key(number: int) -> tuple[float, float, float, int]:
        record = population.standing(number, epochs=epochs)
        diverged = population.diverged_at(number)
        if diverged is not None and epochs is not None:
            diverged = diverged if diverged < epochs * population.pace(number).steps_per_epoch else None
        if diverged is not None or record is None or math.isnan(record.validation_score):
            return (1.0, 0.0, 0.0, number)
        score = -record.validation_score if higher_is_better else record.validation_score
        return (0.0, score, record.validation_loss, number)

    return sorted(which, key=key)


def run_halving(
    session: Session, name: str, brackets: list[list[int]], epochs: int, *, finalists: int, higher_is_better: bool
) -> list[int] | None:
    """Runs a halving of each bracket on an open population, one bracket after another.

    Brackets give good full-length members early: a run that is interrupted knows more, and a score is reached sooner,
    at the same cost in all.

    Args:
        session: Where the population is open.
        name: Its name.
        brackets: The members of each.
        epochs: The full length.
        finalists: How many of each bracket reach the full length, at least.
        higher_is_better: Of the task's metric.

    Returns:
        The members that reached the full length, from best to worst, or None where cancelled.
    """
    population = session.populations[name]
    finished: list[int] = []
    for bracket in brackets:
        which = bracket
        rungs = halving_rungs(len(bracket), epochs, finalists=finalists)
        for number, rung in enumerate(rungs):
            if not session.run(name, which=which, epochs=rung.epochs):
                return None
            ranked = rank(population, which, higher_is_better=higher_is_better, epochs=rung.epochs)
            going_on = ranked[: rungs[number + 1].members] if number + 1 < len(rungs) else ranked
            population.release(sorted(set(which) - set(going_on)))
            session.log("rung", population=name, epochs=rung.epochs, members=len(which))
            which = going_on
        finished += which
    return rank(population, finished, higher_is_better=higher_is_better)


def split_brackets(num_members: int, *, size: int) -> list[list[int]]:
    """Returns the members of each bracket: `size` or more in each, dealt out in turn so that all are spread alike.

    Never fewer, where there are so many: a bracket that is a little smaller has a rung less, and costs twice as much.

    Example:
        >>> split_brackets(7, size=3)
        [[0, 2, 4, 6], [1, 3, 5]]
    """
    num = max(1, num_members // size)
    return [list(range(first, num_members, num)) for first in range(num)]
