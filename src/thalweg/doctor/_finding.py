"""Findings: a suspected cause, its evidence, and what would mend it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from thalweg.core import PairedDifference
from thalweg.doctor._proof._replay import Change
from thalweg.doctor._proof._score import Measure
from thalweg.doctor._view import View


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """A change of one thing.

    Args:
        says: What to do, as an order.
        change: The same, for a fork.
        measure: On what forks are compared: a score of every row alike ("score"; the Brier score or the squared error),
            a mean of its means over the classes ("classes"), or the loop's own loss ("loss").
        begins: Where forks do: at the start of training, or, of a loop that broke later ("healthy"), at the last state
            that was kept before (`View.healthy`), as there may be no time to come to the break from the start.
        before: A line of code as it may stand now. after: what to write in its place; both empty where none can be
            given.
    """

    says: str
    change: Change
    measure: Measure = "score"
    begins: Literal["start", "healthy"] = "start"
    before: str = ""
    after: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a remedy did in forks of the loop.

    Args:
        remedy: Which.
        effect: The score of the unchanged forks minus that of the changed ones, paired; above 0 is better.
        measure: What the score is, and of which rows.
        unchanged: Mean score of the unchanged forks, over their last quarters. changed: likewise.
        begins: Steps of the loop before the forks. steps: of every fork. batches: that were held out.
        diverged: Unchanged and changed forks whose loss was not finite in the end.
    """

    remedy: Remedy
    effect: PairedDifference
    measure: str
    unchanged: float
    changed: float
    begins: int
    steps: int
    batches: int
    diverged: tuple[int, int]

    @property
    def proven(self) -> bool:
        """Whether the remedy helped beyond chance."""
        return self.effect.told_apart and self.effect.mean > 0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A suspected cause.

    Args:
        cause: Its name in `CAUSES`.
        says: What is wrong, in one sentence.
        weight: Strength of the evidence, from 0 to 1: 1 where the loop itself shows the fault.
        evidence: Measured facts, a sentence each.
        remedies: What would mend it, the best first.
        verdicts: What they did in forks; empty until these ran.
        rows: Numbers of the rows of training that are suspect, the worst first, in the order in which they were first
            seen; empty where the finding is about none.
    """

    cause: str
    says: str
    weight: float
    evidence: Sequence[str]
    remedies: Sequence[Remedy] = ()
    verdicts: Sequence[Verdict] = ()
    rows: Sequence[int] = ()

    @property
    def proof(self) -> Verdict | None:
        """The verdict that proves a remedy."""
        return next((each for each in self.verdicts if each.proven), None)

    @property
    def advice(self) -> Remedy | None:
        """The remedy that is proven, else the first."""
        return self.proof.remedy if self.proof is not None else next(iter(self.remedies), None)


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A fault that is looked for.

    Args:
        name: In snake case. title: in words.
        look: Returns a finding, or None where nothing speaks for it.
    """

    name: str
    title: str
    look: Callable[[View], Finding | None]


#: all causes that are looked for, by name
CAUSES: dict[str, Cause] = {}


def cause(name: str, title: str) -> Callable[[Callable[[View], Finding | None]], Callable[[View], Finding | None]]:
    """Registers what looks for a cause."""

    def register(look: Callable[[View], Finding | None]) -> Callable[[View], Finding | None]:
        CAUSES[name] = Cause(name=name, title=title, look=look)
        return look

    return register
