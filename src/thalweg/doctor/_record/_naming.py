"""Which function of torch a loss by hand is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812

from thalweg.doctor._record._batch import tensors_of
from thalweg.doctor._record._head import apply_head, head_between, last_operations
from thalweg.doctor._record._recording import Head, LossCall
from thalweg.doctor._record._tape import Reader, Tape

#: functions of torch that a loss by hand may be, the simplest first
_NAMES = (
    "mse_loss",
    "l1_loss",
    "cross_entropy",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy",
    "nll_loss",
    "smooth_l1_loss",
)
_DIFFERENCES = ("mse_loss", "l1_loss", "smooth_l1_loss")
#: relative difference up to which two losses are the same
_SAME = 1e-5


class Naming:
    """Finds the function of torch that a loss by hand is, by its values.

    They are compared for the outputs as they were, and for others: two losses may agree by chance, as those of squares
    and of sizes do where all differences are 0 or 1.

    Args:
        output: Of the model. target: of the loss. reader: of the pass.
    """

    def __init__(self, output: torch.Tensor, target: torch.Tensor, reader: Reader) -> None:
        self._output, self._target, self._reader = output, target, reader
        ramp = torch.linspace(0, 1, output.numel(), device=output.device).reshape(output.shape).to(output.dtype)
        within = bool(((output >= 0) & (output <= 1)).all())
        self._other = 0.5 * output.flip(0) + 0.25 * ramp if within else 2 * output.flip(0) + 2 * ramp - 1

    def name(self, tapes: Sequence[tuple[torch.Tensor, Tape]]) -> tuple[torch.Tensor, Tape, LossCall, bool] | None:
        """Returns the value that is one of torch's, its tape, the function, and whether it is a sum over the rows.

        Args:
            tapes: Of the loss, and of what it was before it was scaled.
        """
        calls = list(self._calls())
        for name in _NAMES:
            for call in calls:
                if not self._takes(name, call):
                    continue
                for reduction in ("mean", "sum"):
                    options = {} if reduction == "mean" else {"reduction": reduction}
                    named = replace(call, name=name, options=options)
                    ours = self._value(named, self._output)
                    for value, tape in tapes:
                        for scale in (1, len(self._target)) if reduction == "sum" else (1,):
                            if same(ours, value * scale) and self._holds(named, tape, scale):
                                return value, tape, named, scale > 1
        return None

    def _holds(self, call: LossCall, tape: Tape, scale: int) -> bool:
        """Whether a loss is the same for other outputs."""
        if call.name == "binary_cross_entropy" and not _is_share(apply_head(self._other, call)):
            return False
        return same(self._value(call, self._other), tape(self._other, self._target) * scale)

    def _calls(self) -> Iterator[LossCall]:
        """Yields what a function of torch may have been given: the output, or what it became at first."""
        output, target = self._output, self._target
        heads: dict[Head, torch.Tensor] = {(): output}
        for call in self._reader.calls:
            for each in tensors_of(call.result):
                head = head_between(each, output) if each.requires_grad else None
                if head is not None and each.is_floating_point():
                    heads.setdefault(head, each)
        if output.shape != target.shape and output.numel() == target.numel():
            heads.setdefault((("reshape", ()),), output.reshape(target.shape))
        for head, given in heads.items():
            yield LossCall(
                name="",
                options={},
                head=head,
                inner=last_operations(output),
                shape=tuple(given.shape),
                dtype=given.dtype,
                by_hand=True,
            )

    def _takes(self, name: str, call: LossCall) -> bool:
        """Whether a function of torch can be called with what it is given."""
        shape, y = call.shape, self._target
        if not shape:
            return False
        if name in ("cross_entropy", "nll_loss"):
            if len(shape) < 2:
                return False
            if y.is_floating_point():
                return name == "cross_entropy" and tuple(y.shape) == shape
            fits = y.dtype == torch.long and tuple(y.shape) == (shape[0], *shape[2:])
            return fits and bool(((y >= 0) & (y < shape[1])).all())  # on a GPU an error there is the end of all
        if not y.is_floating_point():
            return False
        if name not in _DIFFERENCES:
            if tuple(y.shape) != shape or not _is_share(y):
                return False
            return name != "binary_cross_entropy" or _is_share(apply_head(self._output, call))
        if tuple(y.shape) == shape:
            return True
        try:
            over = torch.broadcast_shapes(y.shape, shape)
        except RuntimeError:
            return False
        made = (each for call in self._reader.calls for each in tensors_of(call.result))
        return any(each.shape == over for each in made)  # as large as that it may be where the loop made it so

    def _value(self, call: LossCall, output: torch.Tensor) -> torch.Tensor:
        return getattr(F, call.name)(apply_head(output, call), self._target, **call.options)


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two losses are the same, but for rounding."""
    a, b = float(one.detach().sum()), float(other.detach().sum())
    return b != 0 and abs(a - b) <= _SAME * abs(b)


def _is_share(values: torch.Tensor) -> bool:
    """Whether all are from 0 to 1."""
    return bool(((values >= 0) & (values <= 1)).all())
