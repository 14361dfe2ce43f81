"""What forks are compared by: the score of a model on some batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from thalweg.doctor._record._batch import Batch, logits_of
from thalweg.doctor._record._head import apply_head
from thalweg.doctor._record._recording import LossCall

#: outputs that were fitted to 0 and 1 by their squared error; logits of a softmax behind a sigmoid
FITTED, HIDDEN = "fitted to 0 and 1", "logits behind a sigmoid"
Kind = Literal["classes", "binary", "labels", "regression", "tokens", "unknown"]
Measure = Literal["score", "classes", "loss"]


def to_labels(target: torch.Tensor) -> torch.Tensor:
    """Returns (n,) numbers of classes, of these, of one-hot rows, or of 0 and 1."""
    if target.is_floating_point() and target.ndim == 2 and target.shape[1] > 1:
        return target.argmax(1)
    return target.flatten().long()


def score(
    model: nn.Module,
    batches: Sequence[Batch],
    kind: Kind,
    ends: tuple[str, ...],
    call: LossCall | None = None,
    *,
    by_class: bool = False,
) -> float:
    """Returns the mean loss of a model on some batches, in evaluation mode.

    Of classes it is the Brier score, which a few rows that are wrong and certain cannot rule; else the squared error.

    Args:
        model: Any. batches: Of inputs and targets.
        kind: Of the targets.
        ends: Operations at the end of the model: where one gives probabilities, these are taken as they are. Or what
            else the outputs stand for: `FITTED`, `HIDDEN`.
        call: Of the loss; what it was given of the outputs counts.
        by_class: Whether every class is worth the same, in place of every row.

    References:
        Brier, Verification of forecasts expressed in terms of probability, 1950.
    """
    found: list[torch.Tensor] = []
    places: list[torch.Tensor] = []
    model.eval()
    with torch.no_grad():
        for batch in batches:
            output, target = logits_of(batch.answer(model)), batch.target
            assert output is not None
            ordered = call is not None and not call.own and call.head is not None
            if call is not None and ordered:
                output = apply_head(output, call, shaping=True)
            if kind == "tokens":
                if ordered and output.ndim > 2:  # (B, C, T)
                    output = output.movedim(1, -1)
                elif output.ndim == 3:  # the last places may have no target
                    output = output[:, : target.numel() // len(output)]
                output, target = output.reshape(-1, output.shape[-1]), target.flatten()
                output, target = output[target >= 0], target[target >= 0]
            if kind == "regression" or kind == "unknown":
                found.append((output.reshape(target.shape) - target).double().square().reshape(len(target), -1).mean(1))
                places.append(torch.zeros(len(target), dtype=torch.long))
            elif kind == "labels":  # each of them alone
                shares = output if ends[:1] == ("sigmoid",) else output.sigmoid()
                found.append((shares - target).double().square().reshape(len(target), -1).mean(1))
                places.append(torch.zeros(len(target), dtype=torch.long))
            else:
                shares, labels = log_probabilities(output, ends).exp(), to_labels(target)
                found.append((shares - F.one_hot(labels, shares.shape[1])).square().sum(1))
                places.append(labels)
    each, place = torch.cat(found), torch.cat(places)
    if not by_class:
        return float(each.mean()) if len(each) else 0.0
    return float(torch.stack([each[place == label].mean() for label in place.unique()]).mean())


def log_probabilities(output: torch.Tensor, ends: tuple[str, ...]) -> torch.Tensor:
    """Returns (n, C) logarithms of the probabilities that a model's output stands for.

    Args:
        output: (n, C), or (n,) or (n, 1) of two classes.
        ends: As in `score`.
    """
    output = output.double()
    if ends[:1] == (HIDDEN,):
        output, ends = torch.logit(output, eps=1e-12), ()
    if ends[:1] == (FITTED,):
        output, ends = output.clamp(0, 1), ("sigmoid",)
    if output.ndim == 1 or output.shape[1] == 1:
        output = output.flatten()
        if "sigmoid" in ends[:1]:
            p = output.clamp(1e-12, 1 - 1e-12)
            return torch.stack([(1 - p).log(), p.log()], dim=1)
        return torch.stack([F.logsigmoid(-output), F.logsigmoid(output)], dim=1)
    if ends[:1] == ("softmax",):
        return output.clamp_min(1e-12).log()
    if ends[:1] == ("sigmoid",):
        return (output.clamp_min(1e-12) / output.sum(1, keepdim=True).clamp_min(1e-12)).log()
    return output.log_softmax(1)
