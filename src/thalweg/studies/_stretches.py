"""Members that are looked at on their way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from thalweg.population import Population
from thalweg.recipes import Member
from thalweg.studies._study import Lab


def in_stretches(
    lab: Lab, name: str, members: Sequence[Member], marks: Sequence[int]
) -> Iterator[tuple[int, Population]]:
    """Yields (epoch, population) at every mark; the bits are those of one go.

    A stretch is a population of its own, so that a run that was interrupted and goes on has them all.

    Args:
        lab: Of the study.
        name: Of the populations: NAME-EPOCH.
        members: Fresh ones.
        marks: Epochs, ascending; 0 is before the first step.
    """
    for mark in marks:
        if mark:
            population = lab.train(f"{name}-{mark}", members, epochs=mark)
        else:
            population = Population(lab.task, members, lab.session.plan)
        yield mark, population
        members = [
            Member(recipe=member.recipe, seed=member.seed, start=population.snapshot(n))
            for n, member in enumerate(members)
        ]


def even_marks(epochs: int, num: int) -> list[int]:
    """Returns up to num + 1 epochs from 0 to the last, evenly.

    Example:
        >>> even_marks(20, 4), even_marks(2, 4)
        ([0, 5, 10, 15, 20], [0, 1, 2])
    """
    return sorted({round(k * epochs / num) for k in range(num + 1)})
