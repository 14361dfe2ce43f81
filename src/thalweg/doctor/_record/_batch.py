"""Batches: what the model and the loss are given in one pass, and what the model answers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

from thalweg.core import RunError

_SEQUENCES = (tuple, list)
#: of an argument: its place, or its name
Name = int | str


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What the model and the loss are given in one pass.

    Args:
        args: Of the model. kwargs: by name, in the order of the model's own parameters.
        target: As the loss function was given it.
        own: Whether a loss that the model computes itself, from its arguments, is still that of this batch; not so
            where the target is another now.

    Example:
        >>> batch = Batch(args=(torch.zeros(4, 2),), kwargs={"mask": torch.ones(4)}, target=torch.arange(4))
        >>> len(batch), batch.take(slice(2)).kwargs["mask"].tolist()
        (4, [1.0, 1.0])
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    target: Any
    own: bool = True

    def __len__(self) -> int:
        """Returns the number of rows; 0 where it is not known."""
        first = self.inputs if isinstance(self.inputs, torch.Tensor) else self.target
        return len(first) if isinstance(first, torch.Tensor) and first.ndim > 0 else 0

    @property
    def inputs(self) -> Any:
        """The first thing that the model is given; None where that is nothing."""
        return next(iter((*self.args, *self.kwargs.values())), None)

    def answer(self, model: Callable[..., Any]) -> Any:
        """Returns what a model answers."""
        return model(*self.args, **self.kwargs)

    @property
    def named(self) -> dict[Name, Any]:
        """What the model is given, by place or by name."""
        return {**dict(enumerate(self.args)), **self.kwargs}

    def with_argument(self, name: Name, value: Any) -> Batch:
        """Returns the batch with something else in one place.

        Args:
            name: As in `named`. value: that the model is given there.
        """
        if isinstance(name, int):
            return replace(self, args=(*self.args[:name], value, *self.args[name + 1 :]))
        return replace(self, kwargs={**self.kwargs, name: value})

    def with_inputs(self, inputs: Any) -> Batch:
        """Returns the batch with something else as the first thing that the model is given."""
        return self.with_argument(next(iter(self.named)), inputs)

    def with_target(self, target: Any) -> Batch:
        """Returns the batch with another target."""
        return replace(self, target=target, own=False)

    def take(self, rows: slice | torch.Tensor) -> Batch:
        """Returns some rows.

        Targets may be flattened, with several of a row after one another.

        Args:
            rows: Their numbers, or a mask.

        Raises:
            RunError: where they cannot be told apart.
        """
        if not self.divisible:
            raise RunError("Rows of what the model is given cannot be told apart.")
        num, target = len(self), self.target
        if isinstance(target, torch.Tensor) and target.ndim > 0:
            if len(target) == num:
                target = target[rows]
            else:
                target = target.reshape(num, -1, *target.shape[1:])[rows].flatten(0, 1)
        args, kwargs = _each((self.args, self.kwargs), lambda t: t[rows] if t.ndim > 0 and len(t) == num else t)
        return replace(self, args=args, kwargs=kwargs, target=target, own=self.own and not self._counts)

    @property
    def divisible(self) -> bool:
        """Whether rows can be taken: not of sequences that are packed into one, or of which several make a row."""
        num, target = len(self), self.target
        if num == 0 or isinstance(self.inputs, PackedSequence):
            return False
        return not isinstance(target, torch.Tensor) or target.ndim == 0 or len(target) % num == 0

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All its tensors, in order."""
        return tensors_of(self.args, self.kwargs, self.target)

    def with_tensors(self, tensors: Iterable[Any]) -> Batch:
        """Returns the batch with others in place of its tensors, in their order."""
        new = iter(tensors)
        args, kwargs, target = _each((self.args, self.kwargs, self.target), lambda _: next(new))
        return replace(self, args=args, kwargs=kwargs, target=target)

    @property
    def _counts(self) -> bool:
        """Whether an argument may be the number of rows, or of targets, that the model divides its loss by."""
        return any(t.ndim == 0 for t in tensors_of(self.args, self.kwargs))

    @staticmethod
    def joined(batches: Sequence[Batch]) -> Batch:
        """Returns the rows of several batches as one.

        Raises:
            RunError: where their shapes do not agree.
        """
        first, parts = batches[0], [tensors_of(each.args, each.kwargs) for each in batches]
        if len({tuple(t.shape[1:] for t in part) for part in parts}) > 1:
            raise RunError("Batches of different shapes cannot be joined.")
        together = iter(zip(*parts, strict=True))

        def join(one: torch.Tensor) -> torch.Tensor:
            every = next(together)
            return torch.cat(every) if one.ndim > 0 and len(one) == len(first) else one

        args, kwargs = _each((first.args, first.kwargs), join)
        target = torch.cat([each.target for each in batches])
        own = all(each.own for each in batches) and not first._counts
        return replace(first, args=args, kwargs=kwargs, target=target, own=own)


def tensors_of(*values: Any) -> list[torch.Tensor]:
    """Returns the tensors in some values, in order."""
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, _SEQUENCES):
            found += tensors_of(*value)
        elif isinstance(value, Mapping) and value:
            found += tensors_of(*value.values())
    return found


def _each(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Returns a value with other tensors in it, in the order of `tensors_of`."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _each(each, change) for key, each in value.items()}
    if isinstance(value, tuple | list):
        parts = [_each(each, change) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def logits_of(output: Any) -> torch.Tensor | None:
    """Returns the outputs proper in what a model answers; None where it holds none.

    They are the answer itself, or its `logits`, or else the first tensor of numbers in it that is no scalar.

    Example:
        >>> logits_of((torch.tensor(0.7), torch.zeros(4, 2))).shape
        torch.Size([4, 2])
    """
    if isinstance(output, torch.Tensor):
        return output if output.ndim > 0 else None
    found = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if found is None and isinstance(output, tuple | list | Mapping):
        parts = output.values() if isinstance(output, Mapping) else output
        found = next((t for t in parts if isinstance(t, torch.Tensor) and t.ndim > 0 and t.is_floating_point()), None)
    return found if isinstance(found, torch.Tensor) else None


def own_loss(output: Any) -> torch.Tensor | None:
    """Returns the loss in what a model answers; None where it holds none.

    Example:
        >>> own_loss({"logits": torch.zeros(4, 2), "loss": torch.tensor(0.5)})
        tensor(0.5000)
    """
    if isinstance(output, torch.Tensor):
        return output if output.ndim == 0 else None
    found = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if found is None and isinstance(output, tuple | list):
        found = next((t for t in output if isinstance(t, torch.Tensor) and t.ndim == 0 and t.is_floating_point()), None)
    return found if isinstance(found, torch.Tensor) and found.ndim == 0 else None


def with_logits(output: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Returns what a model answers with other outputs in it."""
    logits = logits_of(output)
    assert logits is not None
    if output is logits:
        return change(logits)
    if isinstance(output, tuple | list):
        return type(output)([change(logits) if each is logits else each for each in output])
    changed = copy.copy(output)
    if isinstance(changed, dict):
        changed[next(key for key, each in output.items() if each is logits)] = change(logits)
    else:
        changed.logits = change(logits)
    return changed
