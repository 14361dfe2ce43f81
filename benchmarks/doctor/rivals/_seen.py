"""What a rival sees of a loop, and what its words mean in names of our causes."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from thalweg.doctor._gallery import Loop

#: a pattern of a message -> the causes that the message counts for; the first pattern that fits is taken
Words = dict[str, tuple[str, ...]]
#: characters of a message that are kept
_SHOWN = 80


class Seen:
    """A loop with calls in the places where rivals ask for one; a rival overrides those that it needs.

    Args:
        loop: That is run.
    """

    #: whether the loop trains; what judges one batch before training needs no more
    trains = True
    model: nn.Module
    optimizer: torch.optim.Optimizer

    def __init__(self, loop: Loop) -> None:
        self.loop, self.criterion = loop, loop.criterion
        self.losses: list[float] = []
        self._of_step: list[float] = []
        self._of_epoch: list[float] = []
        self._clip: float | None = None

    def begin(self) -> None:
        """Before the first step."""

    def backward(self, loss: float) -> None:
        """After the passes of a step, before gradients are clipped and the step is made."""

    def step(self, loss: float) -> None:
        """After a step."""

    def epoch(self, loss: float, held_out: float) -> None:
        """After validation."""

    def end(self) -> None:
        """After the last epoch."""

    def run(self) -> Self:
        """Runs the loop."""
        if not self.trains:
            self.loop.epochs = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # hooks of rivals make torch warn, which says nothing of the loop
            self.loop.run(watch=self._watch)
        return self

    @contextlib.contextmanager
    def _watch(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[Self]:
        self.model, self.optimizer = model, optimizer
        self.begin()
        loop = self.loop
        loop.criterion = self._loss
        # a rival is shown gradients as backward() left them, so that clipping moves from the loop to _before_step
        self._clip, loop.clip = loop.clip, None
        before = optimizer.register_step_pre_hook(self._before_step)
        after = optimizer.register_step_post_hook(self._after_step)
        try:
            yield self
        finally:
            before.remove()
            after.remove()
        self.end()

    def _loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        loss = self.criterion(output, target)
        if torch.is_grad_enabled():
            self._of_step.append(float(loss.detach()))
        else:
            self.epoch(_mean(self._of_epoch), float(loss))
            self._of_epoch.clear()
        return loss

    def _before_step(self, *_: Any) -> None:
        self.losses.append(_mean(self._of_step))
        self._of_epoch += self._of_step
        self._of_step.clear()
        self.backward(self.losses[-1])
        if self._clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._clip)

    def _after_step(self, *_: Any) -> None:
        self.step(self.losses[-1])

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the first batch."""
        return next(self.loop._batches())

    def loader(self, *, held_out: bool = False, batch_size: int | None = None) -> DataLoader[Any]:
        """Returns the rows of training or validation as batches."""
        loop = self.loop
        rows = TensorDataset(loop.x_held, loop.y_held) if held_out else TensorDataset(loop.x, loop.y)
        return DataLoader(rows, batch_size or loop.batch_size, shuffle=loop.shuffle and not held_out)

    def gradient_norm(self) -> float:
        """Returns the norm over all parameters."""
        grads = [p.grad.detach() for p in self.model.parameters() if p.grad is not None]
        return float(torch.stack([g.norm() for g in grads]).norm()) if grads else 0.0


def told(
    messages: Iterable[tuple[str, float | None]], words: Words, *, rule: Callable[[str], str] | None = None
) -> dict[str, Any]:
    """Returns findings, the most severe first, and what was said.

    Args:
        messages: In the rival's own order, with how severe each is; None for a note, which raises no alarm.
        words: The meaning of all that the rival can say.
        rule: What of a message names the rival's rule; messages of one rule are one finding, which stands for the
            causes of all of them. None where each pattern is a rule.

    Raises:
        LookupError: where a message has no meaning.
    """
    weights: dict[str, float | None] = {}
    causes: dict[str, dict[str, None]] = {}
    said: dict[str, str] = {}
    for text, weight in messages:
        kind = next((pattern for pattern in words if re.search(pattern, text)), None)
        if kind is None:
            raise LookupError(text)
        key = kind if rule is None else rule(text)
        weights[key] = max(weights.get(key) or 0, weight or 0) or None
        causes.setdefault(key, {}).update(dict.fromkeys(words[kind]))
        said.setdefault(key, text.strip()[:_SHOWN])
    ranked = sorted(weights, key=lambda key: -(weights[key] or 0))
    return {"findings": [(list(causes[key]), weights[key]) for key in ranked], "said": [said[key] for key in ranked]}


def title(text: str) -> str:
    """Returns what stands before the colon."""
    return text.split(": ")[0]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
