"""A training loop as people write it, in pieces that a fault can change."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from thalweg.doctor._diagnosis import Watch

Criterion = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
MakeOptimizer = Callable[[nn.Module], torch.optim.Optimizer]


@dataclass(kw_only=True)
class Loop:
    """A training loop.

    Args:
        x: (n, ...) inputs of training. y: their targets. x_held: of validation. y_held: likewise.
        model: What is trained: a sequence of layers whose last one is linear.
        optimizer: Makes the optimizer, of the model. criterion: the loss.
        batch_size: Rows of a pass. epochs: how often all rows are seen.
        shuffle: Whether rows are drawn anew in every epoch. zero: whether gradients are set to zero.
        passes: Backward passes for each step. averaged: whether the loss is divided by their number.
        clip: Norm to which gradients are clipped; None for none. schedule: factor on the rate at a share of training.
        evaluates: Whether model.eval() is called before validation. trains: whether model.train() is before training.
        penalty: Factor of the squares of all weights, which are added to the loss of training; 0 for none.
        patience: Epochs without a lower loss of validation after which the loop ends, with the best weights; None for
            all epochs.
        frozen: Names of layers whose parameters are not trained.
        pretrain: Epochs of training on the first half of the rows before the loop, by Adam; 0 for none.
        generator: Of the order of the rows.
    """

    x: torch.Tensor
    y: torch.Tensor
    x_held: torch.Tensor
    y_held: torch.Tensor
    model: nn.Sequential
    optimizer: MakeOptimizer
    criterion: Criterion
    batch_size: int = 32
    epochs: int = 20
    shuffle: bool = True
    zero: bool = True
    passes: int = 1
    averaged: bool = True
    clip: float | None = None
    schedule: Callable[[float], float] | None = None
    evaluates: bool = True
    trains: bool = True
    penalty: float = 0.0
    patience: int | None = None
    frozen: tuple[str, ...] = ()
    pretrain: int = 0
    generator: torch.Generator = field(default_factory=torch.Generator)

    @property
    def has_classes(self) -> bool:
        """Whether targets are numbers of classes, one for each row."""
        return not self.y.is_floating_point() and self.y.ndim == 1

    @property
    def num_classes(self) -> int:
        """Outputs of the model."""
        return [each for each in self.model if isinstance(each, nn.Linear)][-1].out_features

    def run(
        self, watch: Callable[..., Any] = Watch, *, each_epoch: Callable[[torch.Tensor, float], None] | None = None
    ) -> Any:
        """Trains, under the recorder, which is returned.

        Args:
            watch: What makes it, of model and optimizer: a context manager.
            each_epoch: Called with the outputs and the loss of each validation.
        """
        model = self.model
        if self.pretrain:
            self.learn_before()
        for name in self.frozen:
            model.get_submodule(name).requires_grad_(False)
        optimizer = self.optimizer(model)
        rates = [group["lr"] for group in optimizer.param_groups]
        steps = self.epochs * math.ceil(len(self.x) / self.batch_size / self.passes)
        step, best, since, kept = 0, math.inf, 0, None
        with watch(model, optimizer) as watched:
            for _ in range(self.epochs):
                if self.trains:
                    model.train()
                for number, (x, y) in enumerate(self._batches()):
                    if self.zero and number % self.passes == 0:
                        optimizer.zero_grad()
                    loss = self.criterion(model(x), y)
                    if self.penalty:
                        loss = loss + self.penalty * sum(p.square().sum() for p in model.parameters())
                    (loss / self.passes if self.averaged and self.passes > 1 else loss).backward()
                    if (number + 1) % self.passes:
                        continue
                    if self.clip is not None:
                        nn.utils.clip_grad_norm_(model.parameters(), self.clip)
                    for group, rate in zip(optimizer.param_groups, rates, strict=True):
                        group["lr"] = rate * (1.0 if self.schedule is None else self.schedule(step / steps))
                    optimizer.step()
                    step += 1
                output, loss = self._evaluate()
                if each_epoch is not None:
                    each_epoch(output, loss)
                if self.patience is None:
                    continue
                if loss < best:
                    best, since, kept = loss, 0, copy.deepcopy(model.state_dict())
                else:
                    since += 1
                if since > self.patience:
                    break
        if kept is not None:
            model.load_state_dict(kept)
        return watched

    def _evaluate(self) -> tuple[torch.Tensor, float]:
        if self.evaluates:
            self.model.eval()
        with torch.no_grad():
            output = self.model(self.x_held)
            return output, float(self.criterion(output, self.y_held))

    def _batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = torch.randperm(len(self.x), generator=self.generator) if self.shuffle else torch.arange(len(self.x))
        for rows in order.split(self.batch_size):
            yield self.x[rows], self.y[rows]

    def learn_before(self) -> None:
        """Trains on the first half of the rows, and leaves the second one to the loop."""
        half = len(self.x) // 2
        optimizer = torch.optim.Adam(self.model.parameters(), lr=2e-3)
        for _ in range(self.pretrain):
            for rows in torch.randperm(half, generator=self.generator).split(32):
                optimizer.zero_grad()
                self.criterion(self.model(self.x[rows]), self.y[rows]).backward()
                optimizer.step()
        self.x, self.y = self.x[half:], self.y[half:]
