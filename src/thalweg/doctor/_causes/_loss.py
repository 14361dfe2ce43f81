"""Causes in the loss and the head of the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeGuard

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.optimize import linear_sum_assignment
from torch import nn

from thalweg.doctor._causes._shifts import shifted_twice
from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import Change, Criterion, ModelChange
from thalweg.doctor._proof._score import HIDDEN, to_labels
from thalweg.doctor._record._batch import Batch, with_logits
from thalweg.doctor._view import View

Shape = tuple[int, ...]

_OF_QUANTITIES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
#: root mean square of targets beyond which a network that begins near 0 has far to go
_FAR = 5.0
_MANY_ROWS = 100
#: share of the rows that are right where classes are numbered in another way
_AGREES = 0.6
#: a loss that is so many times the mean is a sum
_TIMES = 2.0


@cause("softmax_before_cross_entropy", "softmax before cross-entropy")
def _softmax_before_cross_entropy(view: View) -> Finding | None:
    call = view.call
    if call is None or call.name != "cross_entropy" or view.operations[:1] not in (("softmax",), ("log_softmax",)):
        return None
    name = view.operations[0]
    if name == "log_softmax":
        return Finding(
            cause="softmax_before_cross_entropy",
            says="The model ends in log-softmax, and cross-entropy applies it again: the loss is the same, "
            "and the work is done twice.",
            weight=0.6,
            evidence=["log_softmax is the last operation before cross_entropy."],
            remedies=[
                Remedy(
                    says="Use nll_loss with log-softmax, or leave the log-softmax out.",
                    change=Change(criterion=lambda output, target: F.nll_loss(output, to_labels(target))),
                    before="nn.CrossEntropyLoss()",
                    after="nn.NLLLoss()",
                )
            ],
        )
    classes = call.shape[1] if len(call.shape) > 1 else 2
    least = -float(torch.log_softmax(torch.eye(classes, dtype=torch.float64)[0], 0)[0])
    return Finding(
        cause="softmax_before_cross_entropy",
        says="Softmax is applied before cross-entropy, which applies it again: gradients are flattened.",
        weight=1.0,
        evidence=[
            "softmax is the last operation before cross_entropy.",
            f"So the loss cannot fall below {least:.3f}, even where every answer is right and certain.",
        ],
        remedies=[
            Remedy(
                says="Give cross-entropy the outputs as they are (logits).",
                change=Change(criterion=_nll_of_probabilities),
                before="return torch.softmax(logits, dim=1)",
                after="return logits",
            )
        ],
    )


@cause("sigmoid_with_squared_error", "squared error on probabilities")
def _sigmoid_with_squared_error(view: View) -> Finding | None:
    return _classes_by_squared_error(view, squashed=True)


@cause("squared_error_on_logits", "squared error on the logits of classes")
def _squared_error_on_logits(view: View) -> Finding | None:
    return _classes_by_squared_error(view, squashed=False)


def _classes_by_squared_error(view: View, *, squashed: bool) -> Finding | None:
    call = view.call
    if call is None or call.name not in ("mse_loss", "l1_loss") or view.kind not in ("classes", "binary"):
        return None
    if view.operations[:1] == ("unknown",) or squashed != (view.operations[:1] in (("sigmoid",), ("softmax",))):
        return None
    says = (
        f"A {view.operations[0]} feeds a squared error on classes: where an answer is wrong and certain, there is "
        "hardly a gradient."
        if squashed
        else "Classes are fitted by squared error on raw outputs: right and certain answers are punished too."
    )
    return Finding(
        cause="sigmoid_with_squared_error" if squashed else "squared_error_on_logits",
        says=says,
        weight=0.9,
        evidence=[f"The loss is {call.name}; its targets are classes."],
        remedies=[
            Remedy(
                says="Use cross-entropy on the logits.",
                change=_on_logits(view) if squashed else Change(criterion=_cross_entropy, ends=()),
                before="nn.MSELoss()",
                after="nn.CrossEntropyLoss()"
                if len(call.shape) > 1 and call.shape[1] > 1
                else "nn.BCEWithLogitsLoss()",
            )
        ],
    )


@cause("binary_loss_on_softmax", "binary cross-entropy after a softmax")
def _binary_loss_on_softmax(view: View) -> Finding | None:
    call = view.call
    if call is None or not call.name.startswith("binary_cross_entropy") or view.operations[:1] != ("softmax",):
        return None
    return Finding(
        cause="binary_loss_on_softmax",
        says="Binary cross-entropy is applied to a softmax, whose outputs depend on one another.",
        weight=1.0,
        evidence=[f"softmax is the last operation before {call.name}."],
        remedies=[
            Remedy(
                says="Use cross-entropy on the logits.",
                change=Change(criterion=_nll_of_probabilities),
                before="nn.BCEWithLogitsLoss()" if call.name.endswith("logits") else "nn.BCELoss()",
                after="nn.CrossEntropyLoss()  # on the logits",
            )
        ],
    )


@cause("sigmoid_before_logits_loss", "a sigmoid before a loss that applies it")
def _sigmoid_before_logits_loss(view: View) -> Finding | None:
    call = view.call
    if call is None or call.name != "binary_cross_entropy_with_logits" or view.operations[:1] != ("sigmoid",):
        return None
    return Finding(
        cause="sigmoid_before_logits_loss",
        says="A sigmoid is applied before a loss that applies it again: gradients are flattened.",
        weight=1.0,
        evidence=["sigmoid is the last operation before binary_cross_entropy_with_logits."],
        remedies=[
            Remedy(
                says="Leave the sigmoid out, or use the loss of probabilities.",
                change=Change(criterion=_nll_of_probabilities),
                before="nn.BCEWithLogitsLoss()",
                after="nn.BCELoss()",
            )
        ],
    )


@cause("likelihood_of_logits", "negative log-likelihood of what are no logarithms")
def _likelihood_of_logits(view: View) -> Finding | None:
    call = view.call
    if call is None or call.name != "nll_loss" or view.operations[:1] == ("log_softmax",):
        return None
    ends = view.operations[0] if view.operations else "raw outputs"
    if ends == "unknown" or ends.startswith("log"):
        return None
    softmax = ends == "softmax"
    return Finding(
        cause="likelihood_of_logits",
        says=f"nll_loss is given {ends}, not logarithms of probabilities: the loss has no lower end."
        if not softmax
        else "nll_loss is given probabilities, not their logarithms: certain answers are hardly rewarded.",
        weight=1.0,
        evidence=[f"Before nll_loss there is no log_softmax; the loss ended at {view.losses[-1]:.3g}."],
        remedies=[
            Remedy(
                says="Use cross-entropy on the logits.",
                change=Change(criterion=_nll_of_probabilities if softmax else _cross_entropy),
                before="nn.NLLLoss()",
                after="nn.CrossEntropyLoss()",
            )
        ],
    )


@cause("summed_loss", "a loss that is summed over the batch")
def _summed_loss(view: View) -> Finding | None:
    call, factor = view.call, view.replay.factor
    if call is None or call.options.get("reduction") != "sum" or view.replay.per_row or factor is None:
        return None
    rows = call.shape[0]
    if factor * rows < _TIMES:
        return None
    adaptive = type(view.recording.optimizer).__name__ not in ("SGD", "ASGD", "Rprop")
    return Finding(
        cause="summed_loss",
        says=f"The loss is summed over the batch: a step is {factor * rows:.3g} times as long as that of the mean, and "
        "changes with the size of the batch.",
        weight=0.5 if adaptive else 0.95,
        evidence=[f"reduction='sum' with {rows} rows in a batch."],
        remedies=[
            Remedy(
                says="Take the mean over the batch.",
                change=Change(criterion=_mean_of(view)),
                before="reduction='sum'",
                after="reduction='mean'",
            )
        ],
    )


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
    if not (rms > _FAR or 0 < rms < 1 / (4 * _FAR)):
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


@cause("no_activation", "no activation between layers")
def _no_activation(view: View) -> Finding | None:
    layers = view.layers(0)
    linear = [each for each in layers if each.kind == "Linear"]
    # a layer that is narrower than both its neighbours passes on less than they could: one of low rank is meant
    sizes = {name: part.weight.shape for name, part in view.recording.model.named_modules() if _is_linear(part)}
    chained = [
        each
        for each in linear
        for other in linear
        if each.follows == other.name
        and not (other.name in sizes and each.name in sizes and _narrows(sizes[other.name], sizes[each.name]))
    ]
    if not chained:
        return None
    every = len(chained) == len(linear) - 1
    pairs = ", ".join(f"{each.follows} -> {each.name}" for each in chained)
    return Finding(
        cause="no_activation",
        says="Linear layers follow one another without an activation: together they are one linear layer.",
        weight=0.95 if every else 0.7,
        evidence=[f"Given on as they are: {pairs}."],
        remedies=[
            Remedy(
                says="Put a ReLU between them.",
                change=Change(model=_insert_relu([each.name for each in chained])),
                before="nn.Linear(...), nn.Linear(...)",
                after="nn.Linear(...), nn.ReLU(), nn.Linear(...)",
            )
        ],
    )


def _is_linear(part: nn.Module) -> TypeGuard[nn.Linear]:
    return isinstance(part, nn.Linear)


def _narrows(below: Shape, above: Shape) -> bool:
    """Whether what one layer gives the next is narrower than what comes in and what goes out."""
    return below[0] < min(below[1], above[0])


def _shape(shape: Shape) -> str:
    return " x ".join(map(str, shape)) if len(shape) > 1 else f"({', '.join(map(str, shape))},)"


def _in_shape(batches: Sequence[Batch]) -> Sequence[Batch]:
    """Gives targets the shape of outputs: a column where they are a row of numbers, and the other way round."""
    return [each.with_target(each.target[:, None] if each.target.ndim == 1 else each.target[:, 0]) for each in batches]


def _nll_of_probabilities(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of outputs that are probabilities."""
    labels = to_labels(target)
    if output.ndim == 1 or output.shape[1] == 1:
        return F.binary_cross_entropy(output.flatten().clamp(1e-7, 1 - 1e-7), labels.to(output.dtype))
    return F.nll_loss(output.clamp_min(1e-12).log(), labels)


def _on_logits(view: View) -> Change:
    """Takes what the last sigmoid or softmax was given as the logits of a cross-entropy."""
    if view.operations[:1] == ("softmax",):
        return Change(criterion=_nll_of_probabilities)

    def criterion(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return _cross_entropy(torch.logit(output, eps=1e-7), target)

    # the outputs stand for logits where the loop itself applied the sigmoid
    return Change(criterion=criterion, ends=(HIDDEN,) if view.ends[:1] == ("sigmoid",) else ())


def _cross_entropy(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    labels = to_labels(target)
    if output.ndim == 1 or output.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(output.flatten(), labels.to(output.dtype))
    return F.cross_entropy(output, labels)


def _mean_of(view: View) -> Criterion:
    criterion = view.replay.criterion()
    return lambda output, target: criterion(output, target) / len(output)


def _answer_in_units(middle: float, spread: float) -> ModelChange:
    """Makes a model learn deviations from the mean, in units of the spread; it answers in those of the target."""

    def change(model: nn.Module, given: object) -> None:
        model.register_forward_hook(lambda module, args, output: with_logits(output, lambda o: o * spread + middle))

    return change


def _scaled(view: View, middle: float, spread: float) -> Criterion:
    criterion = view.replay.criterion()
    return lambda output, target: criterion((output - middle) / spread, (target - middle) / spread)


def _insert_relu(names: list[str]) -> ModelChange:
    def change(model: nn.Module, given: object) -> None:
        for name in names:
            parent, _, last = name.rpartition(".")
            owner = model.get_submodule(parent)
            setattr(owner, last, nn.Sequential(nn.ReLU(), getattr(owner, last)))

    return change
