"""What a search had in hand, by its clock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from thalweg.recipes import Recipe


@dataclass(kw_only=True)
class Timeline:
    """The best validation accuracy of any model so far, by the clock of one side."""

    started: float = field(default_factory=time.perf_counter)
    steps: list[tuple[float, float]] = field(default_factory=list)
    best: float = float("-inf")

    def now(self) -> float:
        return time.perf_counter() - self.started

    def add(self, score: float) -> None:
        if score > self.best:
            self.best = score
            self.steps.append((round(self.now(), 3), score))

    def reached(self, score: float) -> float | None:
        """Returns the seconds until a model first had this score, or None where none had."""
        return next((seconds for seconds, best in self.steps if best >= score), None)


def best_of(completed: Sequence[tuple[float, float, Recipe]]) -> list[tuple[float, float, Recipe]]:
    """Returns what came to its end and was better than all before it: (seconds, score, recipe), by the clock."""
    best: list[tuple[float, float, Recipe]] = []
    for row in sorted(completed, key=lambda row: row[0]):
        if not best or row[1] > best[-1][1]:
            best.append(row)
    return best
