"""Our programs, called as a population calls them."""

from __future__ import annotations

import numpy as np

from contenders.work import Contender, Data, Work
from thalweg.population import PROGRAMS, Company, Program, default_plan, make_plan


class Ours(Contender):
    """A program of ours on all cores.

    Attributes:
        program: What trains the members.
    """

    program: Program

    def __init__(self, work: Work, data: Data, program: str) -> None:
        super().__init__(work, data)
        self.program = PROGRAMS[program](data.task, work.members(), default_plan())
        self._starts = [self.program.snapshot(k) for k in range(work.P)]

    def reset(self) -> None:
        for k, start in enumerate(self._starts):
            self.program.restore(k, start)

    def run(self) -> None:
        self.program.advance(np.full(self.work.P, self.work.steps), np.ones(self.work.P))

    def first_layer(self) -> np.ndarray:
        return np.stack([self.data.first_layer_of(self.program.snapshot(k).params) for k in range(self.work.P)])


class Kernel(Ours):
    """Member-major numba."""

    name = "thalweg kernel"

    def __init__(self, work: Work, data: Data) -> None:
        super().__init__(work, data, "kernel")


class Loop(Ours):
    """One member after another in torch."""

    name = "thalweg loop"

    def __init__(self, work: Work, data: Data) -> None:
        super().__init__(work, data, "loop")


class Planned(Ours):
    """The program that planning by measurement chose."""

    name = "thalweg, as planned"

    def __init__(self, work: Work, data: Data) -> None:
        recipes = [member.recipe for member in work.members()]
        chosen = make_plan(data.task, [Company(recipes=recipes, steps=1e6)], default_plan())
        self.about = chosen.program_for(data.task, recipes[0])[0]
        super().__init__(work, data, self.about)
