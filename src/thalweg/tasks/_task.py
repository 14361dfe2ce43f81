"""`Task` and `Split`: what is optimised, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from thalweg.core import InputError, check_choice

from ._losses import KINDS, LOSSES
from ._metrics import METRICS
from ._preparation import Preparation


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Some rows of a task, prepared.

    Args:
        x: (n, *input_shape) float32, C-contiguous, scaled with the statistics of the training rows.
        y: multiclass: (n,) int64; regression (standardised), binary, multilabel: (n, C) float32.
        rows: (n,) int64, row numbers in the source, from 0, ascending. A given test split is numbered on
            after the training rows.
    """

    x: np.ndarray
    y: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """What is optimised: data with its splits, the kind of target, the loss, the metric.

    Args:
        name: What reports call it.
        kind: 'regression', 'binary', 'multiclass' or 'multilabel'.
        loss: A key of `LOSSES` that fits the kind; its link turns outputs into predictions.
        metric: A key of `METRICS` that fits the kind and the loss.
        input_shape: Shape of one row of inputs; images are (channels, height, width), also with one channel.
            Models that want vectors flatten.
        output_size: The outputs that a model must give.
        classes: Names of the classes (of the labels, where the kind is multilabel) in the order of their
            numbers; () for regression. A binary task's one logit is for `classes[1]`.
        train: The rows to learn from.
        validation: The rows to choose with.
        test: The rows that speak once.
        preparation: Everything that is needed to prepare new rows.
        notes: What was inferred and why, and what was done to the data, in plain sentences.
        groups: Group columns by name, each over all source rows; `groups[name][split.rows]` are a split's.
        batch_size_hint: The batch size of the DataLoader that the data came from, if they did.

    Raises:
        InputError: if kind, loss and metric do not fit each other.
    """

    name: str
    kind: str
    loss: str
    metric: str
    input_shape: tuple[int, ...]
    output_size: int
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    preparation: Preparation
    notes: tuple[str, ...] = ()
    groups: dict[str, np.ndarray] = field(default_factory=dict)
    batch_size_hint: int | None = None

    def __post_init__(self) -> None:
        check_task_names(self.kind, self.loss, self.metric)

    @property
    def link(self) -> str:
        """How an output becomes a prediction: identity, sigmoid or softmax."""
        return LOSSES[self.loss].link


DEFAULT_LOSS = {"regression": "mse", "binary": "bce", "multiclass": "cross_entropy", "multilabel": "bce"}
DEFAULT_METRIC = {
    "regression": "rmse",
    "binary": "accuracy",
    "multiclass": "accuracy",
    "multilabel": "accuracy",
}


def check_task_names(kind: str, loss: str, metric: str) -> None:
    """Checks that kind, loss and metric are known and fit each other.

    Raises:
        InputError: naming those that fit.
    """
    check_choice("kind", kind, KINDS)
    check_choice("loss", loss, LOSSES)
    check_choice("metric", metric, METRICS)
    if kind not in LOSSES[loss].kinds:
        fitting = ", ".join(name for name, known in LOSSES.items() if kind in known.kinds)
        remedy = "For softmax on two classes give kind='multiclass'." if loss == "cross_entropy" else ""
        raise InputError("loss", f"one that fits a {kind} target ({fitting})", loss, remedy)
    if kind not in METRICS[metric].kinds:
        fitting = ", ".join(name for name, known in METRICS.items() if kind in known.kinds)
        raise InputError("metric", f"one that fits a {kind} target ({fitting})", metric)
    if METRICS[metric].needs_probabilities and LOSSES[loss].link == "identity":
        raise InputError(
            "metric",
            f"one that needs no probabilities, as the loss {loss!r} gives none",
            metric,
            "Try accuracy.",
        )
