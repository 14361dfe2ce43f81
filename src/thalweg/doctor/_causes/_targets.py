"""Causes in targets: labels with other numbers, quantities in other units, shapes that do not match."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

from thalweg.doctor._causes._shifts import shifted_twice
from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import Change, Criterion, ModelChange
from thalweg.doctor._proof._score import to_labels
from thalweg.doctor._record._batch import Batch, with_logits
from thalweg.doctor._view import View

Shape = tuple[int, ...]
_OF_QUANTITIES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
#: root mean square of targets beyond which a network that begins near 0 has far to go, and the share of a constant
#: answer's loss at which it has come there
_FAR, _COME = 5.0, 0.02
_MANY_ROWS = 100
#: share of the rows that are right where classes are numbered in another way
_AGREES = 0.6


@cause("labels_off_by_one", "labels that are off by one")
def _labels_off_by_one(view: View) -> Finding | None:
    return _labels_from_one(view) or shifted_twice(view)


def _labels_from_one(view: View) -> Finding | None:
    call, y = view.call, view.labels
    if call is None or y is None or call.name not in ("cross_entropy", "nll_loss") or len(call.shape) < 2:
        return None
    classes, counts = call.shape[1], torch.bincount(y.clamp_min(0), minlength=call.shape[1])
    if classes < 3:
        return None
    if len(y) < max(_MANY_ROWS, 10 * classes) or counts[0] > 0 or bool((counts[1:] == 0).any()):
        return _otherwise_coded(view, classes)
    return Finding(
        cause="labels_off_by_one",
        says="Labels begin at 1: the first output never is the truth.",
        weight=0.9,
        evidence=[
            f"Of {len(y):,} labels none is 0, and all of 1 to {classes - 1} are there; the model has {classes} outputs."
        ],
        remedies=[
            Remedy(
                says="Subtract 1 from the labels, and take one output less.",
                change=Change(
                    batches=lambda batches: [batch.with_target(batch.target - 1) for batch in batches],
                    held_out=lambda batch: batch.with_target(batch.target - 1),
                ),
                before="loss = criterion(output, y)",
                after="loss = criterion(output, y - 1)",
            )
        ],
    )


def _otherwise_coded(view: View, classes: int) -> Finding | None:
    """Looks whether the labels of the evaluation are the numbers of other classes than those of training are."""
    batches = [each for each in view.held_out if isinstance(each.target, torch.Tensor)]
    output = view.outputs(batches) if batches and view.replay.knows_function else None
    if output is None or output.ndim != 2 or not bool(output.isfinite().all()):
        return None
    y, answers = torch.cat([to_labels(each.target) for each in batches]), output.argmax(1)
    if len(y) < _MANY_ROWS or len(y) != len(answers) or int(y.min()) < 0 or int(y.max()) >= classes:
        return None
    table = np.zeros((classes, classes))
    np.add.at(table, (answers.numpy(), y.numpy()), 1)
    told, meant = linear_sum_assignment(table, maximize=True)
    same, best = table.trace() / len(y), table[told, meant].sum() / len(y)
    if best < _AGREES or same > best / 2:
        return None
    pairs = [f"{a} for {b}" for a, b in zip(told, meant, strict=True) if a != b][:3]
    return Finding(
        cause="labels_off_by_one",
        says="Classes have other numbers in the evaluation than in training: the model is right, and counted as wrong.",
        weight=0.93,
        evidence=[
            f"Of {len(y):,} rows of the evaluation {same:.0%} are answered by their own label, and {best:.0%} where "
            f"answers are read so: {', '.join(pairs)}."
        ],
        remedies=[
            Remedy(says="Give the labels of both the same numbers, by one table that is made once.", change=Change())
        ],
    )


@cause("unscaled_target", "a regression target far from 0 and 1")
def _unscaled_target(view: View) -> Finding | None:
    call, y = view.call, view.targets
    if call is None or y is None or view.kind != "regression" or call.name not in _OF_QUANTITIES:
        return None
    rms, middle, spread = float(y.square().mean().sqrt()), float(y.mean()), float(y.std())
    if not (rms > _FAR or 0 < rms < 1 / (4 * _FAR)) or view.unlearnt() < _COME:
        return None
    factor = max(rms, 1 / rms)
    return Finding(
        cause="unscaled_target",
        says=f"The target has mean {middle:.3g} and standard deviation {spread:.3g}: outputs begin near 0.",
        weight=min(0.95, 0.6 + 0.15 * float(torch.log10(torch.tensor(factor)))),
        evidence=[f"Root mean square of the target {rms:.3g}; first loss {view.losses[0]:.3g}."],
        remedies=[
            Remedy(
                says="Subtract the mean from the target and divide by its standard deviation; undo it in predictions.",
                change=Change(model=_answer_in_units(middle, spread), criterion=_scaled(view, middle, spread)),
                before="loss = criterion(output, y)",
                after=f"loss = criterion(output, (y - {middle:.4g}) / {spread:.4g})",
            )
        ],
    )


@cause("target_broadcast", "a target that is broadcast against the output")
def _target_broadcast(view: View) -> Finding | None:
    shapes = _spread(view)
    if shapes is None:
        return None
    output, target, over = shapes
    known = view.call is not None
    by_hand = view.call is None or view.call.by_hand
    return Finding(
        cause="target_broadcast",
        says="Every output is compared with the target of every row: all that can be learnt is the mean of the target.",
        weight=1.0,
        evidence=[
            f"The output is of shape {_shape(output)}"
            + (f", the target of shape {_shape(target)}" if target is not None else "")
            + f": their difference is of shape {_shape(over)}."
        ],
        remedies=[
            Remedy(
                says="Give the target the shape of the output.",
                change=Change(batches=_in_shape) if known else Change(),
                before="output - y" if by_hand else "loss = criterion(output, y)",
                after="output - y.view_as(output)" if by_hand else "loss = criterion(output, y.view_as(output))",
            )
        ],
    )


def _spread(view: View) -> tuple[Shape, Shape | None, Shape] | None:
    """Returns the shapes of output and target, and the larger one of their difference; None where it is not larger."""
    call, recorded = view.call, view.recording.mean_over
    if call is None:
        if recorded is None:
            return None
        output, over = recorded
        column = len(output) == 1 or (len(output) == 2 and output[1] == 1)
        return (output, None, over) if column and output[0] > 1 and over == (output[0],) * 2 else None
    pairs = [(each.call.shape[1:], each.target) for each in view.passes if each.call is not None]
    shape, y = next(((shape, y) for shape, y in pairs if isinstance(y, torch.Tensor) and len(y) > 1), ((), None))
    if y is None or call.name not in _OF_QUANTITIES:
        return None
    output, target = (len(y), *shape), tuple(y.shape)
    if math.prod(output) != math.prod(target) or output == target:
        return None
    over = tuple(torch.broadcast_shapes(output, target))
    return (output, target, over) if math.prod(over) > math.prod(output) else None


def _shape(shape: Shape) -> str:
    return " x ".join(map(str, shape)) if len(shape) > 1 else f"({', '.join(map(str, shape))},)"


def _in_shape(batches: Sequence[Batch]) -> Sequence[Batch]:
    """Gives targets the shape of outputs: a column where they are a row of numbers, and the other way round."""
    return [each.with_target(each.target[:, None] if each.target.ndim == 1 else each.target[:, 0]) for each in batches]


def _answer_in_units(middle: float, spread: float) -> ModelChange:
    """Makes a model learn deviations from the mean, in units of the spread; it answers in those of the target."""

    def change(model: nn.Module, given: object) -> None:
        model.register_forward_hook(lambda module, args, output: with_logits(output, lambda o: o * spread + middle))

    return change


def _scaled(view: View, middle: float, spread: float) -> Criterion:
    criterion = view.replay.criterion()
    return lambda output, target: criterion((output - middle) / spread, (target - middle) / spread)
