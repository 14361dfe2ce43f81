"""Causes in the data and in the modes of the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._replay import Batch, Change, Criterion
from thalweg.doctor._view import View, to_labels

#: inputs whose root mean square is beyond this, or whose columns' deviations are so far apart
_LARGE, _APART = 5.0, 30.0
#: share of what is to be known of labels that the place of the batch tells
_TOLD = 0.5
_SMALL_BATCH = 4


@cause("unscaled_inputs", "inputs that are not scaled")
def _unscaled_inputs(view: View) -> Finding | None:
    x = view.inputs
    if x is None or not x.is_floating_point() or x.ndim < 2:
        return None
    flat = x.flatten(1).double() if x.ndim == 2 else x.transpose(0, 1).flatten(1).T.double()
    flat = flat[:, flat.isfinite().all(0)]
    spread, middle = flat.std(0), flat.mean(0)
    varying = spread > 0
    if not bool(varying.any()):
        return None
    rms = float(flat.square().mean().sqrt())
    # columns that are small beside the others do no harm: they hardly count
    apart = float(torch.quantile(spread[varying], 0.95) / spread[varying].median().clamp_min(1e-12))
    small = 0 < float(spread.max()) < 0.02
    if rms <= _LARGE and apart <= _APART and not small:
        return None
    evidence = [f"Root mean square of the inputs {rms:.3g}; the first layer expects about 1."]
    if apart > _APART:
        evidence.append(f"The largest columns have {apart:.0f} times the standard deviation of the median one.")
    scale, shift = spread.clamp_min(1e-8), middle
    if x.ndim > 2 or flat.shape[1] > 64:
        scale, shift = flat.std().expand_as(scale), flat.mean().expand_as(middle)
    change = _scaling(shift.to(x.dtype), scale.to(x.dtype), images=x.ndim > 2)
    return Finding(
        cause="unscaled_inputs",
        says="Inputs are far from mean 0 and variance 1: one learning rate cannot fit all weights.",
        weight=min(0.92, 0.7 + 0.1 * math.log10(max(rms, apart / 6, 1.0))) if not small else 0.7,
        evidence=evidence,
        remedies=[
            Remedy(
                says="Subtract the mean of the training inputs and divide by their standard deviation.",
                change=Change(
                    batches=lambda batches: [((change(args[0]), *args[1:]), y) for args, y in batches],
                    held_out=lambda batch: ((change(batch[0][0]), *batch[0][1:]), batch[1]),
                ),
                before="output = model(x)",
                after="output = model((x - mean) / std)",
            )
        ],
    )


@cause("sorted_batches", "batches that follow the labels")
def _sorted_batches(view: View) -> Finding | None:
    y = view.labels
    sizes = [len(each.target) for each in view.passes]
    if y is None or len(sizes) < 3:
        return None
    starts = np.cumsum([0, *sizes])
    starts = starts[starts <= len(y)]
    labels = y.numpy()
    whole = _entropy(labels)
    parts = [(labels[a:b], b - a) for a, b in pairwise(starts)]
    if whole < 0.1 or len(parts) < 3 or min(size for _, size in parts) < 2:
        return None
    # by chance a batch of B rows with C classes shows (C - 1) / (2 B) less entropy than there is (Miller, 1955)
    kinds = len(np.unique(labels))
    inside = sum(size * min(whole, _entropy(part) + (kinds - 1) / (2 * size)) for part, size in parts) / starts[-1]
    told = 1 - inside / whole
    if told < _TOLD:
        return None
    return Finding(
        cause="sorted_batches",
        says="Batches follow the labels: each holds few classes, and the next ones others.",
        weight=min(0.97, 0.7 + 0.3 * told),
        evidence=[
            f"The place of a batch tells {told:.0%} of what is to be known of its labels; of shuffled rows it tells 0."
        ],
        remedies=[
            Remedy(
                says="Shuffle the rows in every epoch.",
                change=Change(batches=_shuffled),
                before="DataLoader(data, shuffle=False)",
                after="DataLoader(data, shuffle=True)",
            )
        ],
    )


@cause("not_finite_inputs", "inputs that are not finite")
def _not_finite_inputs(view: View) -> Finding | None:
    bad = 0
    for each in view.passes:
        values = [v for v in (*each.args, each.target) if isinstance(v, torch.Tensor) and v.is_floating_point()]
        bad += any(not bool(v.isfinite().all()) for v in values)
    if not bad:
        return None
    return Finding(
        cause="not_finite_inputs",
        says="Batches hold numbers that are not finite: one step on them spoils all weights.",
        weight=1.0,
        evidence=[f"{bad} of {len(view.passes)} batches that were kept."],
        remedies=[
            Remedy(
                says="Leave these rows out, or fill them in.",
                change=Change(batches=_finite_rows),
                after="x = torch.nan_to_num(x)",
            )
        ],
    )


@cause("evaluation_in_training_mode", "an evaluation in training mode")
def _evaluation_in_training_mode(view: View) -> Finding | None:
    parts = _mode_dependent(view.recording.model)
    seen = view.recording.evaluations
    if not parts or not seen or not all(each.training for each in seen):
        return None
    return Finding(
        cause="missing_eval",
        says=f"The model is evaluated in training mode: {parts[0]} acts there as in training.",
        weight=0.97,
        evidence=[f"{len(seen)} evaluation passes without gradient, none after model.eval()."],
        remedies=[
            Remedy(
                says="Call model.eval() before evaluation and model.train() after it.",
                change=Change(),
                before="with torch.no_grad():",
                after="model.eval()\nwith torch.no_grad():",
            )
        ],
    )


@cause("training_in_evaluation_mode", "training in evaluation mode")
def _training_in_evaluation_mode(view: View) -> Finding | None:
    parts = _mode_dependent(view.recording.model)
    if not parts or not view.passes or any(each.training for each in view.passes):
        return None
    return Finding(
        cause="missing_train",
        says=f"The model is trained in evaluation mode: {parts[0]} does nothing, or uses old statistics.",
        weight=0.8,
        evidence=["No training pass was made after model.train()."],
        remedies=[
            Remedy(says="Call model.train() before training.", change=Change(training=True), after="model.train()")
        ],
    )


@cause("batch_norm_on_tiny_batches", "batch norm on tiny batches")
def _batch_norm_on_tiny_batches(view: View) -> Finding | None:
    norms = [name for name, m in view.recording.model.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    sizes = [len(each.target) for each in view.passes if isinstance(each.target, torch.Tensor)]
    if not norms or not sizes or np.median(sizes) > _SMALL_BATCH:
        return None
    return Finding(
        cause="batch_norm_on_tiny_batches",
        says=f"Batch norm takes its statistics from {int(np.median(sizes))} rows at a time: they are mostly noise.",
        weight=0.9,
        evidence=[f"{len(norms)} layers of batch norm."],
        remedies=[
            Remedy(
                says="Use larger batches.",
                change=Change(batches=_merged),
                before=f"batch_size={int(np.median(sizes))}",
                after=f"batch_size={8 * int(np.median(sizes))}",
            )
        ],
    )


@cause("class_collapse", "one class for every row")
def _class_collapse(view: View) -> Finding | None:
    y = view.labels
    if y is None or not view.training or not np.isfinite(view.losses).all():
        return None
    output = view.outputs(view.training[-16:])
    labels = torch.cat([to_labels(target) for _, target in view.training[-16:]])
    if output.ndim == 2 and output.shape[1] > 1:
        answers = output.argmax(1)
    else:
        answers = (output.flatten() > (0.5 if view.operations[:1] == ("sigmoid",) else 0.0)).long()
    counts = torch.bincount(labels)
    majority = float(counts.max()) / len(labels)
    if int(answers.unique().numel()) > 1 or int(labels.unique().numel()) < 2 or majority < 0.7:
        return None
    weights = len(labels) / (len(counts) * counts.clamp_min(1).double())
    return Finding(
        cause="class_collapse",
        says=f"Every row is answered by class {int(answers[0])}, which holds {majority:.0%} of the rows.",
        weight=0.75,
        evidence=[f"Rows of the classes: {', '.join(map(str, counts.tolist()[:10]))}."],
        remedies=[
            Remedy(
                says="Weight the classes by the inverse of their shares.",
                change=Change(criterion=_weighted(weights)),
                before="nn.CrossEntropyLoss()",
                after="nn.CrossEntropyLoss(weight=weights)",
            )
        ],
    )


def _mode_dependent(model: nn.Module) -> list[str]:
    kinds = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)
    return [
        f"{name} ({type(part).__name__})"
        for name, part in model.named_modules()
        if isinstance(part, kinds) and getattr(part, "p", 1.0) > 0
    ]


def _entropy(labels: np.ndarray) -> float:
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(shares * np.log(shares)).sum())


def _scaling(shift: torch.Tensor, scale: torch.Tensor, *, images: bool) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(x: torch.Tensor) -> torch.Tensor:
        if images:
            view = (1, -1, *([1] * (x.ndim - 2)))
            return (x - shift.view(view)) / scale.view(view)
        return (x - shift) / scale

    return change


def _rows_together(batches: Sequence[Batch]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.cat([args[0] for args, _ in batches]), torch.cat([target for _, target in batches])


def _shuffled(batches: Sequence[Batch]) -> Sequence[Batch]:
    x, y = _rows_together(batches)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(len(x)))
    size = len(batches[0][1])
    return [((x[rows],), y[rows]) for rows in order.split(size) if len(rows) == size] or batches


def _merged(batches: Sequence[Batch]) -> Sequence[Batch]:
    x, y = _rows_together(batches)
    size = 8 * len(batches[0][1])
    return [((a,), b) for a, b in zip(x.split(size), y.split(size), strict=True) if len(a) == size] or batches


def _finite_rows(batches: Sequence[Batch]) -> Sequence[Batch]:
    found = []
    for args, target in batches:
        fine = torch.ones(len(target), dtype=torch.bool)
        for value in (*args, target):
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                fine &= value.isfinite().flatten(1).all(1) if value.ndim > 1 else value.isfinite()
        if bool(fine.any()):
            found.append((tuple(v[fine] for v in args), target[fine]))
    return found


def _weighted(weights: torch.Tensor) -> Criterion:
    def criterion(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if output.ndim == 2 and output.shape[1] > 1:
            return nn.functional.cross_entropy(output, target.long(), weight=weights.to(output.dtype))
        flat, labels = output.flatten(), target.flatten().to(output.dtype)
        each = torch.where(labels > 0, weights[1], weights[0]).to(output.dtype)
        return nn.functional.binary_cross_entropy_with_logits(flat, labels, weight=each)

    return criterion
