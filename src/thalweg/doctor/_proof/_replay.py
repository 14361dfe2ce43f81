"""Replays: a copy of the loop goes on from a state that was kept, over batches that were kept, as it was or changed."""

from __future__ import annotations

import inspect
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from thalweg.core import RunError
from thalweg.doctor._record._batch import Batch, logits_of, own_loss
from thalweg.doctor._record._device import device_of, kept_random
from thalweg.doctor._record._head import apply_head
from thalweg.doctor._record._joint import Joint, parts_of
from thalweg.doctor._record._recording import LossCall, Pass, Recording
from thalweg.doctor._record._state import State, copy_loop, restore
from thalweg.doctor._record._tape import Whole

#: how far a loss that is computed again may be off: at a state; where a few steps lie between
_SAME, _LATER = 1e-4, 0.5
Criterion = Callable[[torch.Tensor, Any], torch.Tensor]
OptimizerChange = Callable[[torch.optim.Optimizer, nn.Module], torch.optim.Optimizer]
ModelChange = Callable[[nn.Module, Batch], None]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is different in a fork; a field that is None leaves things as they are.

    Args:
        model: Changes the copy of the model in place, before the first step; it is told the first batch.
        optimizer: Returns another optimizer for the copy, of the one that was recorded and the model.
        criterion: The loss, of what the loss function was given of the model's output, and of the target.
        batches: Returns other batches in place of the recorded ones, in their order.
        held_out: Returns another batch in place of one on which forks are compared.
        scale: Factor on the loss of every pass. beside: on the terms that stand beside the loss function.
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
    beside: float = 1.0
    rate: float = 1.0
    rates: Callable[[int], float] | None = None
    zero: bool | None = None
    clip: bool = True
    training: bool | None = None
    length: Callable[[int], int] | None = None
    ends: tuple[str, ...] | None = None


UNCHANGED = Change()


def setting(name: str, value: object) -> OptimizerChange:
    """Returns the change that gives a setting of the optimizer one value in all of its groups."""

    def change(optimizer: torch.optim.Optimizer, model: nn.Module) -> torch.optim.Optimizer:
        for group in optimizer.param_groups:
            group[name] = value
        return optimizer

    return change


class Replay:
    """Copies of a recorded loop.

    Args:
        recording: Of a loop that is not watched any longer.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._loop: tuple[nn.Module, torch.optim.Optimizer] | None = None
        self._failure = ""
        if recording.states and recording.states[0].model.keys() != recording.model.state_dict().keys():
            self._failure = "the model has other parameters now"
            return
        try:
            self._loop = copy_loop(recording.model, recording.optimizer)
        except Exception as error:  # a model and an optimizer of the user's own
            self._failure = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"

    def refused(self) -> str | None:
        """Returns why the loop cannot be replayed; None where nothing speaks against it."""
        recording = self.recording
        if recording.unsupported:
            return recording.unsupported[0]
        if not self._chained:
            return "what the loop does between its models is not known"
        if self._loop is None:
            return f"it cannot be copied ({self._failure})"
        held = list(recording.passes)
        if not held:
            return "no batch went forward and backward"
        if not all(each.intact for each in held):
            return "batches were written over after they were used"
        if self.factor is None and self.whole is None:
            return "its loss has terms beside that which was seen, and tw.watch was given no criterion"
        if not self.knows_function:
            what = (
                "its loss is none of torch's functions"
                if self.call is None
                else f"what the loop does between its model and {self.call.name} is not known"
            )
            return f"{what}, and tw.watch was given no criterion"
        if self.needs_closure:
            return "its optimizer needs a closure"
        return None

    @property
    def _chained(self) -> bool:
        """Whether the model can be called: of several, each is given what the one before it answers."""
        return not isinstance(self.recording.model, Joint) or self.recording.model.chained

    @property
    def needs_closure(self) -> bool:
        """Whether a step of the optimizer asks for the loss anew."""
        return isinstance(self.recording.optimizer, torch.optim.LBFGS)

    @cached_property
    def factor(self) -> float | None:
        """What the loss was multiplied by before backward; None where that changes from pass to pass."""
        ratios = [ratio * (rows if self.per_row else 1) for ratio, rows in self._ratios]
        if not ratios:
            return 1.0
        middle = statistics.median(ratios)
        if all(abs(each - middle) <= 1e-4 * abs(middle) for each in ratios):
            return middle
        # each divided by the number of passes of its step: the last step of an epoch may have fewer than the others
        return middle if all(map(self._is_one_part, ratios)) else None

    @cached_property
    def whole(self) -> Whole | None:
        """What backward was called on where terms of the weights stand beside the loss function.

        None where they do not, where they are of something else, or not the same function in every pass.
        """
        recording, found = self.recording, self.recording.whole
        if found is None or self.factor is not None:
            return None
        states = {state.step: state for state in recording.states}
        *_, last = recording.passes
        states.setdefault(last.step, recording.states[-1])  # after a few more steps
        for each in recording.passes:
            if each.step not in states or each.loss is None or each.seen is None:
                continue
            try:
                again = float(found(each.seen, states[each.step].model).detach())
            except Exception:  # weights that were there when the loop began need not be there in the end
                return None
            if not math.isclose(again, float(each.loss), rel_tol=_LATER if each.step == last.step else _SAME):
                return None
        return found

    @cached_property
    def _weight(self) -> float:
        """Derivative of what backward was called on with respect to the loss function, where terms stand beside it."""
        return statistics.median([float(each.weight) for each in self.recording.passes if each.weight is not None])

    @cached_property
    def per_row(self) -> bool:
        """Whether the loss function gave a sum, which the loop divided by the rows of each batch."""
        call = self.call
        if call is None or call.own or call.options.get("reduction") != "sum" or not self._ratios:
            return False
        return all(self._is_one_part(ratio * rows) for ratio, rows in self._ratios)

    @cached_property
    def _ratios(self) -> list[tuple[float, int]]:
        """What backward was called on over the value of the loss function, and the rows, of every pass."""
        found = [(ratio_of(each), each.rows) for each in self.recording.passes]
        return [(ratio, rows) for ratio, rows in found if math.isfinite(ratio)]

    def _is_one_part(self, ratio: float) -> bool:
        """Whether a loss was divided by no more than the passes of a step."""
        return min(abs(ratio * num - 1) for num in range(1, self.passes_per_step + 1)) <= 1e-4

    @cached_property
    def passes_per_step(self) -> int:
        """Backward passes between two steps (median)."""
        counts = Counter(each.step for each in self.recording.passes)
        return max(1, int(statistics.median(counts.values()))) if counts else 1

    @property
    def step_scale(self) -> float:
        """By how much the gradient of a step is larger than the mean over its passes of that of the loss."""
        return self.passes_per_step * (self.factor or 1.0)

    @property
    def mean_scale(self) -> float:
        """The same, for the value of the loss function as a mean: a model may have divided it."""
        return self.step_scale * self._unit

    @property
    def _unit(self) -> float:
        return 1.0 if self.call is None or self.call.unit is None else self.call.unit

    def scaled(self, loss: torch.Tensor, factor: float | None = None) -> torch.Tensor:
        """Returns the loss as backward was called on it, to the bit where it was divided by a whole number."""
        factor = factor or self.factor or 1.0
        parts = round(1 / factor) if 0 < factor < 1 else 0
        if parts and abs(parts * factor - 1) < 1e-4:
            return loss / parts
        return loss if abs(factor - 1) < 1e-4 else loss * factor

    def backward_of(
        self, loss: torch.Tensor, weights: Mapping[str, torch.Tensor], change: Change = UNCHANGED
    ) -> torch.Tensor:
        """Returns what backward is called on in a copy.

        Args:
            loss: Value of the loss function. weights: of the copy, by name. change: what is different.

        Raises:
            RunError: where the copy does not have weights that are part of it.
        """
        if self.whole is None:
            return self.scaled(loss) * change.scale
        alone = loss * self._weight
        if change.beside == 0:
            return alone * change.scale
        try:
            whole = self.whole(loss, weights)
        except KeyError as error:
            raise RunError(f"The loss has a term of {error}, and the changed model has no such parameter.") from None
        return (whole if change.beside == 1 else alone + change.beside * (whole - alone)) * change.scale

    @cached_property
    def call(self) -> LossCall | None:
        """The first call of a loss function that was seen."""
        return next((each.call for each in self.recording.passes if each.call is not None), None)

    @property
    def knows_loss(self) -> bool:
        """Whether the loss of a batch can be computed, on a copy."""
        return self.factor is not None and self.knows_function

    @property
    def knows_function(self) -> bool:
        """Whether the loss function can be computed, on a copy, whatever stands beside it in the loss."""
        return (
            self._loop is not None
            and self._chained
            and (
                self.recording.criterion is not None
                or (self.call is not None and (self.call.own or self.call.head is not None))
            )
        )

    def criterion(self) -> Criterion:
        """Returns the loss function as a `Change` may use it: of what it was given of the output, and of the target.

        Raises:
            RunError: where it was not seen.
        """
        if self.recording.criterion is not None:
            return self.recording.criterion
        call = self.call
        if call is None:
            raise RunError("No loss function was seen.")
        options = dict(call.options)
        positional = options.pop("positional", ())
        function = getattr(F, call.name)
        if self.per_row:
            return lambda given, target: function(given, target, *positional, **options) / len(target)
        return lambda given, target: function(given, target, *positional, **options)

    def loss_of(self, model: Callable[..., Any], batch: Batch, criterion: Criterion | None = None) -> torch.Tensor:
        """Returns the loss of a batch, as the loop computed it, or by another criterion in its place.

        Args:
            model: A copy, or what answers as one. batch: what it is given.
            criterion: As in `Change`.

        Raises:
            RunError: where what the criterion needs cannot be told from what the model answers.
        """
        recording, call = self.recording, self.call
        device = device_of(recording.model).type
        with torch.autocast(device, recording.autocast, recording.autocast is not None):
            output = batch.answer(model)
        own = call is not None and call.own and self.recording.criterion is None
        if own and batch.own and criterion is None:
            loss = own_loss(output)
            assert loss is not None
            return loss
        given, function = logits_of(output), criterion or self.criterion()
        if given is None:
            raise RunError("The model answers with its loss alone.")
        if self.recording.criterion is None and call is not None:
            if call.head is None:
                raise RunError("What the loss function was given cannot be told from what the model answers.")
            given = apply_head(given, call)
        with torch.autocast(device, recording.autocast, recording.loss_autocast):
            loss = function(given, batch.target)
        return loss * self._unit if own else loss

    def batches_of(self, passes: Sequence[Pass]) -> list[Batch]:
        """Returns the batches of passes."""
        names = list(inspect.signature(parts_of(self.recording.model)[0].forward).parameters)
        order = {name: place for place, name in enumerate(names)}
        return [
            Batch(
                args=tuple(each.args),
                kwargs=dict(sorted(each.kwargs.items(), key=lambda pair: order.get(pair[0], len(order)))),
                target=each.target,
            )
            for each in passes
        ]

    def copies(self, state: State) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Returns a copy of the model and of its optimizer at a state.

        Raises:
            RunError: where they cannot be copied.
        """
        if self._loop is None:
            raise RunError(f"The loop cannot be copied ({self._failure}).")
        model, optimizer = copy_loop(*self._loop)
        restore(model, optimizer, state)
        return model, optimizer

    def recorded(self) -> list[tuple[float, float]]:
        """Returns (recorded, replayed) losses of the first passes, alone and as they were."""
        recording = self.recording
        first = recording.passes.first
        found: list[tuple[float, float]] = []
        batches = self.batches_of(first)
        with kept_random():
            model, optimizer = self.copies(recording.states[0])
            for k, each in enumerate(first):
                if each.step >= recording.num_steps:
                    break
                model.train(each.training)
                if each.random is not None:
                    each.random.restore()
                begins = k == 0 or first[k - 1].step < each.step
                if each.zeroed or (begins and not recording.kept[each.step]):
                    model.zero_grad()
                loss = self.loss_of(model, batches[k])
                if self.whole is not None:
                    loss = self.whole(loss, dict(model.named_parameters()))
                else:
                    factor = ratio_of(each) * (each.rows if self.per_row else 1)
                    loss = self.scaled(loss, factor if math.isfinite(factor) else None)
                loss.backward()
                if each.loss is not None:
                    found.append((float(each.loss), float(loss.detach())))
                if k + 1 == len(first) or first[k + 1].step > each.step:
                    self.step([model.parameters()], optimizer, each.step)
        return found

    def begin(
        self, state: State, batches: Sequence[Batch], change: Change
    ) -> tuple[nn.Module, torch.optim.Optimizer, Sequence[Batch]]:
        """Returns a copy of the model at a state, its optimizer, and the batches, all as a change wants them."""
        batches = batches if change.batches is None else change.batches(batches)
        model, optimizer = self.copies(state)
        if change.model is not None:
            change.model(model, batches[0])
        if change.optimizer is not None:
            optimizer = change.optimizer(optimizer, model)
        model.train(self.training if change.training is None else change.training)
        return model, optimizer, batches

    @property
    def training(self) -> bool:
        """Whether the model was in training mode at the last pass."""
        *_, last = self.recording.passes
        return last.training

    def step(
        self,
        params: Iterable[Iterable[torch.Tensor]],
        optimizer: torch.optim.Optimizer,
        step: int,
        change: Change = UNCHANGED,
    ) -> None:
        """Clips gradients as the loop did, and makes a step at the rate that it had.

        Args:
            params: Of each copy. optimizer: of all of them.
            step: Of the loop. change: what is different.
        """
        recording = self.recording
        if change.clip and recording.clips:
            for each in params:
                for name, (args, kwargs) in recording.clips.items():
                    getattr(nn.utils, name)(each, *args, **kwargs)
        for group, rate in zip(optimizer.param_groups, recording.rates[step], strict=False):
            group["lr"] = change.rate * (rate if change.rates is None else change.rates(step))
        optimizer.step()


def ratio_of(each: Pass) -> float:
    """Returns what backward was called on over the value of the loss function; NaN where that is not known."""
    if each.loss is None or each.seen is None or not float(each.seen):
        return math.nan
    return float(each.loss) / float(each.seen)
