"""What became of the members of a population: one symptom each, and which axis it goes with."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.population import MemberProbe, Population, Record
from thalweg.search._levels import AxisColumn
from thalweg.search._splits import Split, find_split

#: share of the units of a layer that get no slope, from which it is worth a word: as the doctor counts dead units
DEAD = 0.4
#: share of the slopes of a squashing layer that are nearly flat: most of them
SATURATED = 0.5
#: gradients of the first and of the last layer further apart than this, as the doctor judges it
APART = 1e3
#: share of the loss at the start below which nobody misses what is dead or flat
LEARNT = 0.1
#: share of what the best member's loss fell, below which a loss has not moved: a twentieth of the way
MOVED = 0.05
#: the same as a share of the loss at the start, for where no member got anywhere
MOVED_AT_ALL = 0.01
#: validation loss over its least one, and that rise as a share of the loss at the start: as the doctor judges it
ROSE, WORTH = 1.25, 0.2

#: In the order in which one brings about the next, so that a member is counted for the first that it shows. A loss
#: that is not finite ends a training, whatever was wrong before. A dead layer passes no gradient down, a flat one
#: little, and a network without gradients does not move; so how far the loss came is asked last.
SYMPTOMS = (
    "diverged",
    "dead_units",
    "saturated",
    "vanishing_gradients",
    "loss_rose",
    "hardly_moved",
    "overfitting",
)


@dataclass(frozen=True, kw_only=True)
class Fate:
    """A symptom, and the members that ended with it.

    Args:
        symptom: One of `SYMPTOMS`; those that the doctor knows too have the name of its cause.
        members: Their places in the population.
        of: Members that have trained: all that were evaluated, or diverged before.
        since: Median over these members of the first step from which on they showed it; None where it has no beginning.
        split: The values of one axis that it goes with; None where chance would do as well.
    """

    symptom: str
    members: tuple[int, ...]
    of: int
    since: float | None
    split: Split | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns plain data."""
        return {
            "symptom": self.symptom,
            "members": len(self.members),
            "of": self.of,
            "since": self.since,
            "axis": None if self.split is None else self.split.to_json(),
        }


@dataclass(frozen=True, kw_only=True)
class _Story:
    """What is known of one member."""

    probes: list[MemberProbe]
    records: list[Record]
    diverged_at: int | None
    best_fall: float

    @property
    def judged(self) -> bool:
        """Whether it was looked at after its start: not where it was interrupted, or begun before looks were taken."""
        return self.diverged_at is not None or len(self.probes) > 1

    @property
    def start(self) -> float:
        return self.probes[0].loss

    @property
    def fall(self) -> float:
        return self.start - self.probes[-1].loss

    @property
    def moved(self) -> float:
        """How far a loss falls at the least that has moved."""
        return max(MOVED * self.best_fall, MOVED_AT_ALL * abs(self.start))

    def since(self, shows: Callable[[MemberProbe], bool]) -> int | None:
        """Returns the step from which on every look showed something; None where the last one did not."""
        run = list(itertools.takewhile(shows, reversed(self.probes)))
        return run[-1].step if run else None


def find_fates(
    population: Population, axes: Sequence[AxisColumn] = (), values: Sequence[Mapping[str, Any]] = ()
) -> tuple[Fate, ...]:
    """Returns what became of the members of a watched population, for every symptom that any of them has.

    Each is judged by the last look at it, and by its evaluations. A member that diverged is counted for that alone, and
    so on in the order of `SYMPTOMS`.

    Args:
        population: What was watched.
        axes: What varied; without any, no axis is named.
        values: For every member its value of each axis.
    """
    stories = _stories(population)
    found = {number: symptom_of(story) for number, story in stories.items() if story.judged}
    fates = []
    for symptom in SYMPTOMS:
        begun = {n: each[1] for n, each in found.items() if each is not None and each[0] == symptom}
        if not begun:
            continue
        steps = [step for step in begun.values() if step is not None]
        has = np.array([number in begun for number in stories])
        fates.append(
            Fate(
                symptom=symptom,
                members=tuple(begun),
                of=len(stories),
                since=float(np.median(steps)) if steps else None,
                split=find_split(axes, [values[n] for n in stories], has) if axes else None,
            )
        )
    return tuple(fates)


def _stories(population: Population) -> dict[int, _Story]:
    """Returns the members that have trained, with the best fall of any of them within as many epochs."""
    records: dict[int, list[Record]] = {}
    for record in population.history:
        records.setdefault(record.member, []).append(record)
    trained = [n for n in range(len(population)) if n in records or population.diverged_at(n) is not None]
    probes = {number: population.probes(number) for number in trained}

    def epoch_of(number: int, probe: MemberProbe) -> float:
        return probe.step / population.pace(number).steps_per_epoch

    falls = sorted(
        (epoch_of(number, probe), seen[0].loss - probe.loss)
        for number, seen in probes.items()
        for probe in seen
        if math.isfinite(probe.loss)
    )
    epochs = [epoch for epoch, _ in falls]
    best = [0.0, *itertools.accumulate((fall for _, fall in falls), max)]
    return {
        number: _Story(
            probes=seen,
            records=records.get(number, []),
            diverged_at=population.diverged_at(number),
            best_fall=best[bisect.bisect_right(epochs, epoch_of(number, seen[-1]))] if seen else 0.0,
        )
        for number, seen in probes.items()
    }


def symptom_of(story: _Story) -> tuple[str, int | None] | None:
    """Returns the symptom of a member with the step since which it shows it, or None."""
    if story.diverged_at is not None:
        return "diverged", story.diverged_at
    last = story.probes[-1]
    unlearnt = not last.loss < LEARNT * story.start
    looks: list[tuple[str, Callable[[MemberProbe], bool]]] = [
        ("dead_units", lambda probe: unlearnt and probe.dead >= DEAD),
        ("saturated", lambda probe: unlearnt and probe.saturated > SATURATED),
        ("vanishing_gradients", lambda p: p.first_to_last is not None and p.first_to_last < 1 / APART),
        ("loss_rose", lambda probe: not probe.loss <= story.start + story.moved),
    ]
    for symptom, shows in looks:
        since = story.since(shows)
        if since is not None:
            return symptom, since
    if story.fall < story.moved:
        return "hardly_moved", None
    since = _overfits_since(story)
    return None if since is None else ("overfitting", since)


def _overfits_since(story: _Story) -> int | None:
    """Returns the step of the least validation loss, where it has risen since then while the training loss fell."""
    known = [record for record in story.records if math.isfinite(record.validation_loss)]
    if not known:
        return None
    best, end = min(known, key=lambda record: record.validation_loss), known[-1]
    rise = end.validation_loss - best.validation_loss
    rose = end.validation_loss > ROSE * best.validation_loss and rise > WORTH * story.start
    return best.step if rose and end.train_loss < best.train_loss else None
