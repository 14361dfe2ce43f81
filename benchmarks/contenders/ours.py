"""Our `kernel` program, called as a population calls it."""

from __future__ import annotations

import os

import numpy as np

from contenders.work import Contender, Data, Work
from thalweg.population import PROGRAMS, Settings


class Kernel(Contender):
    """Member-major numba on all cores."""

    name = "thalweg kernel"

    def __init__(self, work: Work, data: Data) -> None:
        super().__init__(work, data)
        settings = Settings(threads=len(os.sched_getaffinity(0)))
        self.program = PROGRAMS["kernel"](data.task, work.members(), settings)
        self._starts = [self.program.snapshot(k) for k in range(work.P)]

    def reset(self) -> None:
        for k, start in enumerate(self._starts):
            self.program.restore(k, start)

    def run(self) -> None:
        self.program.advance(np.full(self.work.P, self.work.steps), np.ones(self.work.P))

    def first_layer(self) -> np.ndarray:
        return np.stack([self.program.snapshot(k).params["linear1.weight"].T for k in range(self.work.P)])
