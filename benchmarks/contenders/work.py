"""A piece of work: members of one network that differ in the step size, on the same rows in the same order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thalweg.core import epoch_order
from thalweg.population import PROGRAMS, Settings
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task, load_task

BETA1, BETA2, EPS, WEIGHT_DECAY = 0.9, 0.999, 1e-8, 0.01
DROPOUT = 0.2
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Work:
    """Members of a d-h-c network with relu, trained by AdamW on batches of B rows.

    Args:
        d: Inputs.
        h: Hidden units.
        c: Classes.
        B: Batch size.
        P: Members.
        steps: Steps of one timed stretch.
        sample: Members that the sequential contenders train; their time is scaled to P, as members add up.
        norm_and_dropout: Batch norm before relu and dropout behind it.
    """

    d: int
    h: int
    c: int
    B: int
    P: int
    steps: int
    sample: int
    norm_and_dropout: bool = False

    @property
    def random(self) -> bool:
        """Whether training draws, so that weights cannot be compared."""
        return self.norm_and_dropout

    @property
    def name(self) -> str:
        extra = f", batch norm, dropout {DROPOUT}" if self.norm_and_dropout else ""
        return f"{self.d}-{self.h}-{self.c}, B {self.B}, P {self.P}{extra}"

    @property
    def flops(self) -> float:
        """Arithmetic of the matrix products of one step of the population."""
        forward = 2.0 * self.B * (self.d * self.h + self.h * self.c)
        backward = 2.0 * self.B * (self.d * self.h + 2 * self.h * self.c)
        return self.P * (forward + backward)

    def members(self) -> list[Member]:
        """Returns members of one seed that differ in the step size."""
        recipe = Recipe(
            widths=(self.h,),
            batch_size=self.B,
            epochs=10_000,
            optimizer="adamw",
            beta1=BETA1,
            beta2=BETA2,
            eps=EPS,
            weight_decay=WEIGHT_DECAY,
            norm="batch" if self.norm_and_dropout else "none",
            dropout=DROPOUT if self.norm_and_dropout else 0.0,
        )
        rates = np.geomspace(1e-4, 1e-2, self.P)
        return [Member(recipe=recipe.changed(lr=float(np.float32(lr))), seed=SEED) for lr in rates]

    def task(self) -> Task:
        """Returns about 4,000 training rows with some signal."""
        rng = np.random.default_rng(SEED)
        x = rng.standard_normal((6_000, self.d)).astype(np.float32)
        y = (x @ rng.standard_normal((self.d, self.c))).argmax(1)
        return load_task((x, y), kind="multiclass")

    def data(self) -> Data:
        return Data(self, self.task())


class Data:
    """What every contender gets.

    Attributes:
        x: (n, d) float32. y: (n,) int64.
        batches: (steps, B) rows of every batch, the same for all members.
        start: Initial parameters of any member: W1 (d, h), b1 (h,), W2 (h, c), b2 (c,).
        lr: (P,) float32.
    """

    def __init__(self, work: Work, task: Task) -> None:
        members = work.members()
        self.task = task
        self.x, self.y = task.train.x, task.train.y
        params = PROGRAMS["kernel"](task, members[:1], Settings()).snapshot(0).params
        self.start = (
            np.ascontiguousarray(params["linear1.weight"].T),
            params["linear1.bias"],
            np.ascontiguousarray(params["output.weight"].T),
            params["output.bias"],
        )
        self.lr = np.array([member.recipe.lr for member in members], np.float32)
        self.batches = batches_of(len(self.x), work.B, work.steps)

    @property
    def first_layer(self) -> np.ndarray:
        return self.start[0]


def batches_of(num_rows: int, batch_size: int, num_steps: int) -> np.ndarray:
    """Returns (num_steps, batch_size) rows of the first batches of our own order."""
    per_epoch = num_rows // batch_size
    orders = [
        epoch_order(SEED, epoch, num_rows)[: per_epoch * batch_size].reshape(per_epoch, batch_size)
        for epoch in range(-(-num_steps // per_epoch))
    ]
    return np.ascontiguousarray(np.concatenate(orders)[:num_steps])


class Contender(ABC):
    """One way to train the members. Times are of `run`, divided by `share`.

    Attributes:
        share: Part of the population that `run` trains.
        about: What is to be said of it beside its name.
    """

    name: ClassVar[str]
    share: float = 1.0
    about: str = ""

    def __init__(self, work: Any, data: Any) -> None:
        self.work, self.data = work, data

    @abstractmethod
    def reset(self) -> None:
        """Goes back to the start."""

    @abstractmethod
    def run(self) -> None:
        """Trains for `work.steps` steps from where the members stand; returns when all is computed."""

    @abstractmethod
    def first_layer(self) -> np.ndarray:
        """Returns W1 of the members that it trains, (k, d, h), to check that all do the same work."""

    def close(self) -> None:  # noqa: B027
        """Lets go of what outlives the object."""
