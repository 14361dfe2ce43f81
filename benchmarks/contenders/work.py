"""A piece of work: members of one network that differ in the step size, on the same rows in the same order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thalweg.core import epoch_order
from thalweg.population import PROGRAMS, Settings, model_size
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task, load_task

BETA1, BETA2, EPS, WEIGHT_DECAY = 0.9, 0.999, 1e-8, 0.01
DROPOUT = 0.2
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Work(ABC):
    """Members of one network that differ in the step size, trained by AdamW on batches of B rows.

    Args:
        B: Batch size.
        P: Members.
        steps: Steps of one timed stretch.
        sample: Members that the sequential contenders train; their time is scaled to P, as members add up.
        comparable: Whether weights can be compared: not where training draws, as each library draws its own.
    """

    B: int
    P: int
    steps: int
    sample: int
    comparable: bool = True

    @property
    @abstractmethod
    def name(self) -> str:
        """What the work is called in the results."""

    @property
    @abstractmethod
    def flops(self) -> float:
        """Arithmetic of one step of the population."""

    @abstractmethod
    def recipe(self) -> Recipe:
        """Returns the model; how it is trained is the same in all works."""

    @abstractmethod
    def task(self) -> Task:
        """Returns what is learned."""

    def data(self) -> Data:
        """Returns what every contender gets."""
        return Data(self)

    def members(self) -> list[Member]:
        """Returns members of one seed that differ in the step size."""
        recipe = self.recipe().changed(
            batch_size=self.B,
            epochs=10_000,
            optimizer="adamw",
            beta1=BETA1,
            beta2=BETA2,
            eps=EPS,
            weight_decay=WEIGHT_DECAY,
        )
        rates = np.geomspace(1e-4, 1e-2, self.P)
        return [Member(recipe=recipe.changed(lr=float(np.float32(lr))), seed=SEED) for lr in rates]


class Data:
    """What every contender gets.

    Attributes:
        task: What is learned.
        x: Training rows. y: (n,) int64.
        batches: (steps, B) rows of every batch, the same for all members.
        params: Initial parameters of any member, by name, in torch's layout.
        lr: (P,) float32.
    """

    def __init__(self, work: Work) -> None:
        members = work.members()
        self.task = work.task()
        self.x, self.y = self.task.train.x, self.task.train.y
        self.params = PROGRAMS["loop"](self.task, members[:1], Settings()).snapshot(0).params
        self.lr = np.array([member.recipe.lr for member in members], np.float32)
        self.batches = batches_of(len(self.x), work.B, work.steps)

    def first_layer_of(self, params: dict[str, np.ndarray]) -> np.ndarray:
        """Returns the weights that are compared to see that all do the same work."""
        return next(iter(params.values()))


@dataclass(frozen=True, kw_only=True)
class MlpWork(Work):
    """A d-h-c network with relu on random rows.

    Args:
        d: Inputs.
        h: Hidden units.
        c: Classes.
        norm_and_dropout: Batch norm before relu and dropout behind it.
    """

    d: int
    h: int
    c: int
    norm_and_dropout: bool = False

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

    def recipe(self) -> Recipe:
        if self.norm_and_dropout:
            return Recipe(widths=(self.h,), norm="batch", dropout=DROPOUT)
        return Recipe(widths=(self.h,))

    def task(self) -> Task:
        """Returns about 4,000 training rows with some signal."""
        rng = np.random.default_rng(SEED)
        x = rng.standard_normal((6_000, self.d)).astype(np.float32)
        y = (x @ rng.standard_normal((self.d, self.c))).argmax(1)
        return load_task((x, y), kind="multiclass")

    def data(self) -> MlpData:
        return MlpData(self)


class MlpData(Data):
    """The same, with the initial parameters as a stacked program wants them.

    Attributes:
        start: W1 (d, h), b1 (h,), W2 (h, c), b2 (c,).
    """

    def __init__(self, work: MlpWork) -> None:
        super().__init__(work)
        self.start = (
            np.ascontiguousarray(self.params["linear1.weight"].T),
            self.params["linear1.bias"],
            np.ascontiguousarray(self.params["output.weight"].T),
            self.params["output.bias"],
        )

    def first_layer_of(self, params: dict[str, np.ndarray]) -> np.ndarray:
        """Returns W1, (d, h)."""
        return params["linear1.weight"].T


@dataclass(frozen=True, kw_only=True)
class ModuleWork(Work):
    """A convolutional network of ours, or a user's own module, on the embedded part of Fashion-MNIST.

    Args:
        title: What the model is.
        model: As in a recipe. widths: as in a recipe.
    """

    title: str
    model: str
    widths: tuple[int, ...] = (16,)

    @property
    def name(self) -> str:
        return f"{self.title}, B {self.B}, P {self.P}"

    @property
    def flops(self) -> float:
        """Arithmetic of one step of the population: a forward pass, and twice as much backward."""
        return 3.0 * self.P * self.B * model_size(self.task(), self.recipe()).flops

    def recipe(self) -> Recipe:
        return Recipe(model=self.model, widths=self.widths)

    def task(self) -> Task:
        return load_task("fashion-mnist")


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

    def __init__(self, work: Any, data: Any) -> None:  # of a subclass each: those of the works that it can do
        self.work, self.data = work, data

    @abstractmethod
    def reset(self) -> None:
        """Goes back to the start."""

    @abstractmethod
    def run(self) -> None:
        """Trains for `work.steps` steps from where the members stand; returns when all is computed."""

    @abstractmethod
    def first_layer(self) -> np.ndarray:
        """Returns the first layer of the members that it trains, (k, *shape), to check that all do the same work."""

    def close(self) -> None:  # noqa: B027
        """Lets go of what outlives the object."""
