"""Replays: a copy of the loop goes on from a state that was kept, over batches that were kept, as it was or changed."""

from __future__ import annotations

import contextlib
import copy
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from thalweg.doctor._head import apply_head
from thalweg.doctor._recording import Pass, Recording, State

Batch = tuple[tuple[Any, ...], Any]
Criterion = Callable[[torch.Tensor, Any], torch.Tensor]
OptimizerChange = Callable[[torch.optim.Optimizer, nn.Module], torch.optim.Optimizer]
ModelChange = Callable[[nn.Module, tuple[Any, ...]], None]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is different in a fork; a field that is None leaves things as they are.

    Args:
        model: Changes the copy of the model in place, before the first step; it is told the first batch's inputs.
        optimizer: Returns another optimizer for the copy, of the one that was recorded and the model.
        criterion: The loss, of the model's output and the target.
        batches: Returns other batches in place of the recorded ones, in their order.
        held_out: Returns other inputs in place of those on which forks are compared.
        scale: Factor on the loss of every pass.
        rate: Factor on the learning rate. rates: the rate at a step, in place of those that were recorded.
        zero: Whether gradients are set to zero between steps.
        clip: Whether gradients are clipped as they were.
        training: Mode of the model.
        length: Returns how many steps are made in place of a number of steps.
        ends: What the outputs stand for, as in `score`, where that is something else now.
    """

    model: ModelChange | None = None
    optimizer: OptimizerChange | None = None
    criterion: Criterion | None = None
    batches: Callable[[Sequence[Batch]], Sequence[Batch]] | None = None
    held_out: Callable[[Batch], Batch] | None = None
    scale: float = 1.0
    rate: float = 1.0
    rates: Callable[[int], float] | None = None
    zero: bool | None = None
    clip: bool = True
    training: bool | None = None
    length: Callable[[int], int] | None = None
    ends: tuple[str, ...] | None = None


UNCHANGED = Change()
#: scores that are taken in the last quarter of a fork
_SCORES = 5


class Replay:
    """Copies of a recorded loop.

    Args:
        recording: Of a loop that is not watched any longer.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._model, self._optimizer = copy.deepcopy((recording.model, recording.optimizer))

    def refused(self) -> str | None:
        """Returns why the loop cannot be replayed; None where nothing speaks against it."""
        recording = self.recording
        if recording.unsupported:
            return recording.unsupported[0]
        held = list(recording.passes)
        if not held:
            return "no batch went forward and backward"
        if not all(each.intact for each in held):
            return "batches were written over after they were used"
        if self.factor is None:
            return "its loss has terms beside that which was seen; pass the whole as `criterion`"
        if self.criterion() is None:
            return "its loss is none of torch's functions; pass it as `criterion`"
        return None

    @cached_property
    def factor(self) -> float | None:
        """What the loss was multiplied by before backward; None where that changes from pass to pass."""
        pairs = [
            (float(p.loss), float(p.seen)) for p in self.recording.passes if p.loss is not None and p.seen is not None
        ]
        ratios = [loss / seen for loss, seen in pairs if seen != 0 and math.isfinite(loss) and math.isfinite(seen)]
        if not ratios:
            return 1.0
        middle = statistics.median(ratios)
        return middle if all(abs(each - middle) <= 1e-4 * abs(middle) for each in ratios) else None

    @cached_property
    def passes_per_step(self) -> int:
        """Backward passes between two steps (median)."""
        counts = Counter(each.step for each in self.recording.passes)
        return max(1, int(statistics.median(counts.values()))) if counts else 1

    @property
    def step_scale(self) -> float:
        """By how much the gradient of a step is larger than the mean over its passes of that of the loss function."""
        return self.passes_per_step * (self.factor or 1.0)

    def _scaled(self, loss: torch.Tensor) -> torch.Tensor:
        """Returns the loss as backward was called on it, to the bit where it was divided by a whole number."""
        factor = self.factor or 1.0
        parts = round(1 / factor) if 0 < factor < 1 else 0
        if parts and abs(parts * factor - 1) < 1e-4:
            return loss / parts
        return loss if abs(factor - 1) < 1e-4 else loss * factor

    def criterion(self) -> Criterion | None:
        """Returns the loss of output and target, as the loop called it; None where it was not seen."""
        if self.recording.criterion is not None:
            return self.recording.criterion
        call = next((each.call for each in self.recording.passes if each.call is not None), None)
        if call is None or call.head is None:
            return None
        options = dict(call.options)
        positional = options.pop("positional", ())
        function = getattr(F, call.name)
        head, shape = call.head, call.shape
        return lambda output, target: function(apply_head(output, head, shape), target, *positional, **options)

    def copies(self, state: State) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Returns a copy of the model and of its optimizer at a state."""
        model, optimizer = copy.deepcopy((self._model, self._optimizer))
        model.load_state_dict(state.model)
        optimizer.load_state_dict(copy.deepcopy(state.optimizer))
        optimizer.zero_grad()
        return model, optimizer

    def recorded(self) -> list[tuple[float, float]]:
        """Returns (recorded, replayed) losses of the first passes, alone and as they were."""
        recording = self.recording
        first = recording.passes.first
        found: list[tuple[float, float]] = []
        criterion = self.criterion()
        assert criterion is not None
        with kept_random():
            model, optimizer = self.copies(recording.states[0])
            for k, each in enumerate(first):
                if each.step >= recording.num_steps:
                    break
                model.train(each.training)
                if each.random is not None:
                    torch.set_rng_state(each.random)
                if each.zeroed:
                    model.zero_grad()
                loss = self._scaled(criterion(_output(model(*each.args, **each.kwargs)), each.target))
                loss.backward()
                if each.loss is not None:
                    found.append((float(each.loss), float(loss.detach())))
                if k + 1 == len(first) or first[k + 1].step > each.step:
                    self._step(model, optimizer, each.step, UNCHANGED)
        return found

    def fork(
        self,
        state: State,
        batches: Sequence[Batch],
        change: Change,
        *,
        steps: int,
        score: Callable[[nn.Module], float] | None = None,
    ) -> Fork:
        """Returns what a copy of the loop becomes.

        Args:
            state: Where it starts. batches: in their order; they begin again at their end.
            change: What is different. steps: how many.
            score: Of the model, taken a few times in the last quarter; it may change the mode of the model.
        """
        batches = batches if change.batches is None else change.batches(batches)
        model, optimizer = self.copies(state)
        if change.model is not None:
            change.model(model, batches[0][0])
        if change.optimizer is not None:
            optimizer = change.optimizer(optimizer, model)
        criterion = change.criterion or self.criterion()
        assert criterion is not None
        model.train(self._training() if change.training is None else change.training)
        losses: list[float] = []
        scores: list[float] = []
        mode = model.training
        with kept_random():
            torch.set_rng_state(state.random)
            per, steps = self.passes_per_step, steps if change.length is None else change.length(steps)
            marks = {math.ceil(steps * (0.75 + 0.25 * (k + 1) / _SCORES)) - 1 for k in range(_SCORES)}
            for k in range(steps):
                total = 0.0
                for part in range(k * per, (k + 1) * per):
                    args, target = batches[part % len(batches)]
                    loss = criterion(_output(model(*args)), target)
                    (self._scaled(loss) * change.scale).backward()
                    total += float(loss.detach())
                losses.append(total / per)
                step = min(state.step + k, self.recording.num_steps - 1)
                self._step(model, optimizer, step, change)
                if change.zero or not (step + 1 < len(self.recording.kept) and self.recording.kept[step + 1]):
                    model.zero_grad()
                if not math.isfinite(total):
                    break
                if score is not None and k in marks:
                    scores.append(score(model))
                    model.train(mode)
        return Fork(losses=losses, scores=scores, model=model, optimizer=optimizer)

    def _training(self) -> bool:
        return next(iter(self.recording.passes)).training

    def _step(self, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, change: Change) -> None:
        recording = self.recording
        if change.clip:
            for name, (args, kwargs) in recording.clips.items():
                getattr(nn.utils, name)(model.parameters(), *args, **kwargs)
        for group, rate in zip(optimizer.param_groups, recording.rates[step], strict=False):
            group["lr"] = change.rate * (rate if change.rates is None else change.rates(step))
        optimizer.step()


@dataclass(frozen=True, kw_only=True)
class Fork:
    """What became of a copy.

    Args:
        losses: Of its steps; they end where one is not finite. scores: that were taken.
        model: In the end. optimizer: likewise.
    """

    losses: list[float]
    scores: list[float]
    model: nn.Module
    optimizer: torch.optim.Optimizer


def _output(output: Any) -> torch.Tensor:
    return output if isinstance(output, torch.Tensor) else output.logits


def batches_of(passes: Sequence[Pass]) -> list[Batch]:
    """Returns inputs and targets of passes."""
    return [(tuple(each.args), each.target) for each in passes]


@contextlib.contextmanager
def kept_random() -> Iterator[None]:
    """Leaves torch's random numbers as they were."""
    with torch.random.fork_rng(devices=[]):
        yield
