"""What a loop does without gradients between its steps: its evaluations."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import torch

from thalweg.doctor._record._batch import tensors_of
from thalweg.doctor._record._losses import mean_of
from thalweg.doctor._record._recording import Evaluation, LossCall, Pass, Recording, versions_of


class Evaluations:
    """Notes the passes of each evaluation and their losses.

    An evaluation is every pass without gradients since training last went on; passes are kept of the last one.

    Args:
        recording: That is written.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.open = False

    def end(self) -> None:
        """Training goes on: the next pass without gradients begins another evaluation."""
        self.open = False

    def add(self, args: tuple[Any, ...], kwargs: dict[str, Any], *, training: bool) -> None:
        """Notes a pass.

        Args:
            args: Of the call. kwargs: the same. training: whether the model was in training mode.
        """
        recording = self._recording
        if not self.open:
            self.open = True
            recording.evaluations = []
            recording.curve.append(Evaluation(step=recording.num_steps))
        recording.evaluations.append(
            Pass(
                step=recording.num_steps,
                args=args,
                kwargs=kwargs,
                target=None,
                loss=None,
                seen=None,
                call=None,
                zeroed=False,
                random=None,
                versions=versions_of(tensors_of(args, kwargs)),
                training=training,
            )
        )

    def add_loss(self, value: Any, target: Any, call: LossCall | None) -> None:
        """Gives passes their targets: the last one, or several whose outputs were joined.

        Args:
            value: Of the loss function. target: it was called with. call: how the loop calls it in training.
        """
        seen = self._recording.evaluations
        parts = _parts(seen, target)
        if not parts:
            return
        if isinstance(value, torch.Tensor):
            self._recording.curve[-1].losses.append(mean_of(value))
            self._recording.curve[-1].rows.append(len(target) if isinstance(target, torch.Tensor) else 1)
        ends = itertools.accumulate(len(each.args[0]) for each in parts[:-1])
        targets = [target] if len(parts) == 1 else torch.tensor_split(target, list(ends))
        seen[-len(parts) :] = [
            replace(each, target=y, call=call, versions=versions_of(tensors_of(each.args, each.kwargs, y)))
            for each, y in zip(parts, targets, strict=True)
        ]


def _parts(seen: list[Pass], target: Any) -> list[Pass]:
    """Returns the last passes without a target that one call of the loss is about: as many as have its rows."""
    if not seen or seen[-1].target is not None:
        return []
    if not isinstance(target, torch.Tensor) or not target.ndim:
        return seen[-1:]
    rows = 0
    for k, each in enumerate(reversed(seen), start=1):
        if each.target is not None or not (each.args and isinstance(each.args[0], torch.Tensor)):
            break
        rows += len(each.args[0])
        if rows == len(target):
            return seen[-k:]
    return seen[-1:]
