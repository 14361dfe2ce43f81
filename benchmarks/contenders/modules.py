"""Convolutional networks and a user's own modules: our programs, and plain PyTorch one member after another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from contenders.sequential import Eager, EagerTwoProcesses
from contenders.work import BETA1, BETA2, EPS, SEED, WEIGHT_DECAY, Contender, batches_of
from thalweg.population import (
    PROGRAMS,
    Company,
    Plan,
    Program,
    default_plan,
    empty_module,
    load_state,
    make_plan,
    model_size,
)
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task, load_task


class Block(nn.Module):
    """A transformer block: the rows of an image are its tokens."""

    def __init__(self, input_shape: tuple[int, ...], output_size: int, dim: int = 32) -> None:
        super().__init__()
        self.embed = nn.Linear(input_shape[-1], dim)
        self.block = nn.TransformerEncoderLayer(dim, 4, 2 * dim, dropout=0.1, batch_first=True, norm_first=True)
        self.head = nn.Linear(dim, output_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(self.embed(x.flatten(1, 2))).mean(1))


@dataclass(frozen=True, kw_only=True)
class ModuleWork:
    """Members of one model on the embedded part of Fashion-MNIST that differ in the step size, trained by AdamW.

    Args:
        title: What the model is.
        model: As in a recipe. widths: as in a recipe.
        B: Batch size.
        P: Members.
        steps: Steps of one timed stretch.
        sample: Members that the sequential contenders train; their time is scaled to P.
        random: Whether the model draws in training, so that weights cannot be compared.
    """

    title: str
    model: str
    widths: tuple[int, ...] = (16,)
    B: int
    P: int
    steps: int
    sample: int
    random: bool = False

    @property
    def name(self) -> str:
        return f"{self.title}, B {self.B}, P {self.P}"

    def members(self) -> list[Member]:
        """Returns members of one seed that differ in the step size."""
        recipe = Recipe(
            model=self.model,
            widths=self.widths,
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

    @property
    def flops(self) -> float:
        """Arithmetic of one step of the population: a forward pass, and twice as much backward."""
        return 3.0 * self.P * self.B * model_size(self.task(), self.members()[0].recipe).flops

    def task(self) -> Task:
        return load_task("fashion-mnist")

    def data(self) -> ModuleData:
        return ModuleData(self, self.task())


class ModuleData:
    """What every contender gets.

    Attributes:
        x: Training rows. y: (n,) int64.
        batches: (steps, B) rows of every batch, the same for all members.
        start: Initial parameters of any member, by name.
        lr: (P,) float32.
    """

    def __init__(self, work: ModuleWork, task: Task) -> None:
        members = work.members()
        self.task = task
        self.start = PROGRAMS["loop"](task, members[:1], Plan(threads=1)).snapshot(0).params
        self.x, self.y = task.train.x, task.train.y
        self.lr = np.array([member.recipe.lr for member in members], np.float32)
        self.batches = batches_of(len(task.train), work.B, work.steps)

    @property
    def first_layer(self) -> np.ndarray:
        return next(iter(self.start.values()))


class Planned(Contender):
    """The program that planning by measurement chose."""

    name = "thalweg, as planned"
    plan = default_plan()

    def __init__(self, work: ModuleWork, data: ModuleData) -> None:
        super().__init__(work, data)
        members = work.members()
        company = Company(recipes=[member.recipe for member in members], steps=1e6)
        self.chosen = make_plan(data.task, [company], self.plan)
        program = self.chosen.program_for(data.task, members[0].recipe)[0]
        self.about = program
        self.program: Program = PROGRAMS[program](data.task, members, self.plan)
        self._starts = [self.program.snapshot(k) for k in range(work.P)]

    def reset(self) -> None:
        for k, start in enumerate(self._starts):
            self.program.restore(k, start)

    def run(self) -> None:
        self.program.advance(np.full(self.work.P, self.work.steps), np.ones(self.work.P))

    def first_layer(self) -> np.ndarray:
        return np.stack([next(iter(self.program.snapshot(k).params.values())) for k in range(self.work.P)])


class Loop(Planned):
    """Our loop program."""

    name = "thalweg loop"
    plan = Plan(threads=default_plan().threads, program="loop")


class ModuleEager(Eager):
    """Plain PyTorch: `torch.optim.AdamW(fused=True)`, one gather a step."""

    def build(self) -> nn.Module:
        recipe = self.work.members()[0].recipe
        model = empty_module(recipe, self.data.task.input_shape, self.data.task.output_size)
        load_state(model, {name: value.copy() for name, value in self.data.start.items()})
        return model

    def first_layer(self) -> np.ndarray:
        return np.stack([next(model.parameters()).detach().numpy() for model, _ in self.members])


class ModuleEagerTwoThreads(ModuleEager):
    """The same with two threads inside each operation."""

    name = "sequential eager, 2 threads"
    threads = 2


class ModuleEagerTwoProcesses(EagerTwoProcesses):
    """Two processes of one thread."""

    alone = ModuleEager
