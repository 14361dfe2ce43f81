"""Losses: value and slope of the elementwise ones, written once for every program, and softmax by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core import InputError, absolute, check_choice, constant, exp, log1p, sigmoid, sign, where

KINDS = ("regression", "binary", "multiclass", "multilabel")
#: how an output becomes a prediction
LINKS = ("identity", "sigmoid", "softmax")


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What training makes small: for each row, the mean over its outputs of `value`.

    Args:
        name: The recipe's or the task's `loss`.
        doc: One line for the help: the formula and the torch name.
        kinds: The kinds of task that it fits.
        link: How an output becomes a prediction: identity, sigmoid or softmax.
        value: (o, y, p) -> the loss of one output, pure and elementwise; None where `rowwise`.
        slope: (o, y, p) -> d value / d o, pure and elementwise; None where `rowwise`.
        parameter: Default of `p`; None where the loss has none.
        rowwise: Whether the outputs of a row enter together (softmax), so that there is no elementwise form.
    """

    name: str
    doc: str
    kinds: tuple[str, ...]
    link: str
    value: Callable[[Any, Any, Any], Any] | None
    slope: Callable[[Any, Any, Any], Any] | None
    parameter: float | None = None
    rowwise: bool = False


LOSSES: dict[str, Loss] = {}


def register_loss(loss: Loss) -> Loss:
    """Adds a loss under its name; the conformance suite then runs on it."""
    LOSSES[loss.name] = loss
    return loss


def _squared(o, y, p):
    d = o - y
    return d * d


def _squared_slope(o, y, p):
    return constant(o, 2.0) * (o - y)


register_loss(
    Loss(
        name="mse",
        doc="mean over outputs of (o - y)^2, without 1/2 (torch.nn.MSELoss); classes enter one-hot",
        kinds=KINDS,
        link="identity",
        value=_squared,
        slope=_squared_slope,
    )
)


def _distance(o, y, p):
    return absolute(o - y)


def _distance_slope(o, y, p):
    return sign(o - y)


register_loss(
    Loss(
        name="mae",
        doc="mean over outputs of |o - y|, slope 0 at 0 (torch.nn.L1Loss); classes enter one-hot",
        kinds=KINDS,
        link="identity",
        value=_distance,
        slope=_distance_slope,
    )
)


def _huber(o, y, p):
    d = o - y
    a = absolute(d)
    half = constant(d, 0.5)
    return where(a <= p, half * d * d, p * (a - half * p))


def _huber_slope(o, y, p):
    d = o - y
    return where(absolute(d) <= p, d, p * sign(d))


register_loss(
    Loss(
        name="huber",
        doc="mean over outputs of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), d = o - y "
        "(Huber, 1964; torch.nn.HuberLoss); classes enter one-hot",
        kinds=KINDS,
        link="identity",
        value=_huber,
        slope=_huber_slope,
        parameter=1.0,
    )
)


def _logistic(o, y, p):
    # log(1 + e^o) = max(o, 0) + log1p(e^-|o|). -|o| and max(o, 0) are both taken from the branch o <= 0 at 0,
    # so that autodiff gives sigmoid(0) - y there; with abs it would give -y, and a zero-initialised head
    # starts at 0.
    minus = where(o > 0, -o, o)
    return where(o > 0, o, constant(o, 0.0)) - o * y + log1p(exp(minus))


def _logistic_slope(o, y, p):
    return sigmoid(o) - y


register_loss(
    Loss(
        name="bce",
        doc="mean over outputs of log(1 + e^o) - y o: sigmoid with binary cross-entropy on logits "
        "(torch.nn.BCEWithLogitsLoss)",
        kinds=("binary", "multilabel"),
        link="sigmoid",
        value=_logistic,
        slope=_logistic_slope,
    )
)

register_loss(
    Loss(
        name="cross_entropy",
        doc="log sum e^o - o_y: softmax with cross-entropy on logits (torch.nn.CrossEntropyLoss)",
        kinds=("multiclass",),
        link="softmax",
        value=None,
        slope=None,
        rowwise=True,
    )
)


def per_example(
    loss: Loss | str,
    output: Any,
    target: Any,
    *,
    label_smoothing: Any = 0.0,
    parameter: float | None = None,
) -> Any:
    """Returns the loss of each row, differentiable by torch.

    Elementwise losses are averaged over the outputs. Label smoothing s: softmax aims at (1 - s) onehot +
    s / C, sigmoid at y (1 - s) + s / 2.

    Args:
        loss: A loss or its name.
        output: (..., B, C), the model's outputs (logits where the link is sigmoid or softmax).
        target: (B,) integer classes, or (B, C) numbers.
        label_smoothing: s in [0, 1); 0 is off. A tensor, which vmap may hold for each member, is never off.
        parameter: The loss's own parameter (Huber's delta); None takes its default.

    Returns:
        losses, (..., B).

    Raises:
        InputError: if the name is unknown, the target does not fit the output, or the loss cannot be
            smoothed.

    Example:
        >>> import torch
        >>> per_example("mse", torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]]))
        tensor([2.5000])
        >>> per_example("cross_entropy", torch.zeros(1, 4), torch.tensor([2]))
        tensor([1.3863])

    References:
        Szegedy and others, Rethinking the Inception architecture, 2016, section 7 (label smoothing).
    """
    if isinstance(loss, str):
        loss = LOSSES[check_choice("loss", loss, LOSSES)]
    is_class = not target.is_floating_point()
    _check_shapes(loss, output, target, is_class)
    if loss.rowwise:
        return _softmax_cross_entropy(output, target, label_smoothing)
    y = _one_hot(target, output) if is_class else target
    if _is_on(label_smoothing):
        if loss.link != "sigmoid":
            raise InputError(
                "label_smoothing",
                f"0 with the loss {loss.name!r}",
                label_smoothing,
                "Use bce or cross_entropy.",
            )
        y = y * (1.0 - label_smoothing) + 0.5 * label_smoothing
    assert loss.value is not None
    return loss.value(output, y, loss.parameter if parameter is None else parameter).mean(-1)


def _is_on(smoothing: Any) -> bool:
    # under vmap a number of each member has no truth value
    return bool(smoothing) if isinstance(smoothing, (int, float)) else True


def _check_shapes(loss: Loss, output: Any, target: Any, is_class: bool) -> None:
    # (B,) numbers beside (B, 1) outputs would broadcast to (B, B) and train on nonsense without a word
    if is_class:
        if output.shape[-1] < 2:
            raise InputError(
                "target",
                "numbers (B, 1) beside one output",
                str(target.dtype),
                "Use target.float()[:, None].",
            )
        fits = output.ndim > target.ndim and output.shape[-1 - target.ndim : -1] == target.shape
    elif loss.rowwise:
        raise InputError("target", f"integer classes for {loss.name!r}", str(target.dtype), "Use target.long().")
    else:
        fits = target.ndim >= 2 and output.shape[-target.ndim :] == target.shape
    if not fits:
        raise InputError(
            "target",
            f"(B,) classes or (B, C) numbers for outputs {tuple(output.shape)}",
            tuple(target.shape),
            "Numbers need one column for each output: y[:, None] for one.",
        )


def _one_hot(target: Any, output: Any) -> Any:
    import torch  # kept out of module import, as everywhere in this room

    # by comparison, since torch's one_hot reads its values on the host and cannot run under vmap
    every = torch.arange(output.shape[-1], device=output.device)
    return (target.unsqueeze(-1) == every).to(output.dtype)


def _softmax_cross_entropy(output: Any, target: Any, smoothing: float) -> Any:
    log_p = output.log_softmax(-1)
    index = target.long().expand(output.shape[:-1]).unsqueeze(-1)
    nll = -log_p.gather(-1, index).squeeze(-1)
    return nll if not _is_on(smoothing) else (1.0 - smoothing) * nll - smoothing * log_p.mean(-1)


def apply_link(name: str, output: np.ndarray) -> np.ndarray:
    """Returns predictions from outputs: as they are, or as probabilities by sigmoid or softmax (last dim).

    Args:
        name: identity, sigmoid or softmax.
        output: (..., C).

    Raises:
        InputError: if the link is unknown.

    Example:
        >>> apply_link("softmax", np.zeros((1, 4))).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
    """
    from scipy.special import expit, softmax

    check_choice("link", name, LINKS)
    if name == "identity":
        return output
    return expit(output) if name == "sigmoid" else softmax(output, axis=-1)
