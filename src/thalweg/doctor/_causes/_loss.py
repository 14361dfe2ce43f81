"""Causes in the loss function and the last operation before it."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import Change, Criterion
from thalweg.doctor._proof._score import HIDDEN, to_labels
from thalweg.doctor._view import View

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
                change=Change(criterion=_of_shares),
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


def _of_shares(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of outputs that are probabilities, each of its own class."""
    return F.binary_cross_entropy(output.clamp(1e-7, 1 - 1e-7), target)


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
