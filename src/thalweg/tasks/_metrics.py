"""Metrics: a mean of scores of single rows, then a monotone display, so that rows can be resampled."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._losses import LOSSES

if TYPE_CHECKING:
    from ._task import Task


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What is reported: `display(mean over rows of row_scores)`.

    Args:
        name: The task's `metric`.
        doc: One line for the help.
        kinds: The kinds of task that it fits.
        higher_is_better: Whether more is better.
        row_scores: (output (..., n, C), y as in `Split`, task) -> (..., n) float64. Only `task.kind`,
            `task.loss` and `task.preparation` are read. A row with a NaN among its outputs scores NaN.
        display: (mean row score, y) -> the number that is shown; monotone, and elementwise over stacked
            means.
        needs_probabilities: Whether it needs a loss whose link is sigmoid or softmax.
        bounds: The least and the largest value that it can have.
        unit: Whether it is in the target's unit ('target'), its square ('target squared') or none ('').
    """

    name: str
    doc: str
    kinds: tuple[str, ...]
    higher_is_better: bool
    row_scores: Callable[[np.ndarray, np.ndarray, Task], np.ndarray]
    display: Callable[[Any, np.ndarray], Any]
    needs_probabilities: bool = False
    bounds: tuple[float, float] = (0.0, math.inf)
    unit: str = ""


METRICS: dict[str, Metric] = {}

_CLASS_KINDS = ("binary", "multiclass", "multilabel")


def register_metric(metric: Metric) -> Metric:
    """Adds a metric under its name; the conformance suite then runs on it."""
    METRICS[metric.name] = metric
    return metric


def evaluate_metric(task: Task, output: np.ndarray, y: np.ndarray, *, metric: str | None = None) -> Any:
    """Returns the metric of outputs on rows with targets y, a float or (...) float64 for stacked outputs.

    Args:
        task: The task that y belongs to.
        output: (..., n, C), the model's outputs.
        y: As `Split.y`.
        metric: A key of `METRICS`; None takes the task's.

    Example:
        >>> from thalweg.tasks import load_task
        >>> task = load_task("iris")
        >>> evaluate_metric(task, np.eye(3)[task.test.y], task.test.y)
        1.0
    """
    chosen = METRICS[metric or task.metric]
    shown = chosen.display(chosen.row_scores(output, y, task).mean(-1), y)
    return float(shown) if np.ndim(shown) == 0 else shown


#: a diverged member's outputs give NaN or inf, and no warning
_quiet = np.errstate(over="ignore", invalid="ignore")


def _as_is(mean: Any, y: np.ndarray) -> Any:
    return mean


def _correct(output: np.ndarray, y: np.ndarray, task: Task) -> np.ndarray:
    """Returns 1, 0 or NaN for each decision: (..., n, 1) for multiclass, else (..., n, C)."""
    output = np.asarray(output)
    if task.kind == "multiclass":
        right = (output.argmax(-1) == y)[..., None]
        broken = np.isnan(output).any(-1, keepdims=True)
    else:
        threshold = 0.5 if LOSSES[task.loss].link == "identity" else 0.0
        right = (output > threshold) == (y > 0.5)
        broken = np.isnan(output)
    return np.where(broken, np.nan, right.astype(np.float64))


def _accuracy(output: np.ndarray, y: np.ndarray, task: Task) -> np.ndarray:
    return _correct(output, y, task).mean(-1)


register_metric(
    Metric(
        name="accuracy",
        bounds=(0.0, 1.0),
        doc="share of rows that are right: the largest output, or a logit above 0; the share of right labels "
        "where there are several",
        kinds=_CLASS_KINDS,
        higher_is_better=True,
        row_scores=_accuracy,
        display=_as_is,
    )
)


def _balanced(output: np.ndarray, y: np.ndarray, task: Task) -> np.ndarray:
    y = y[:, None] if y.ndim == 1 else y
    weight = np.empty(y.shape, dtype=np.float64)
    for k in range(y.shape[1]):
        _, inverse, counts = np.unique(y[:, k], return_inverse=True, return_counts=True)
        weight[:, k] = len(y) / (len(counts) * counts[inverse])
    return (_correct(output, y[:, 0] if task.kind == "multiclass" else y, task) * weight).mean(-1)


register_metric(
    Metric(
        name="balanced_accuracy",
        bounds=(0.0, 1.0),
        doc="mean over the classes at hand of the share of their rows that are right; mean over labels where "
        "there are several",
        kinds=_CLASS_KINDS,
        higher_is_better=True,
        row_scores=_balanced,
        display=_as_is,
    )
)


@_quiet
def _log_loss(output: np.ndarray, y: np.ndarray, task: Task) -> np.ndarray:
    o = np.asarray(output, dtype=np.float64)
    if task.kind == "multiclass":
        top = o.max(-1, keepdims=True)
        log_sum = np.log(np.exp(o - top).sum(-1)) + top[..., 0]
        chosen = np.take_along_axis(o, np.broadcast_to(y, o.shape[:-1])[..., None], axis=-1)[..., 0]
        return log_sum - chosen
    return (np.logaddexp(0.0, o) - o * y).mean(-1)


register_metric(
    Metric(
        name="log_loss",
        doc="mean of -log(probability of what happened), in nats; mean over labels where there are several",
        kinds=_CLASS_KINDS,
        higher_is_better=False,
        row_scores=_log_loss,
        display=_as_is,
        needs_probabilities=True,
    )
)


def _errors(output: np.ndarray, y: np.ndarray, task: Task) -> np.ndarray:
    """Returns output - y in the target's own unit, (..., n, C)."""
    scale = np.asarray(task.preparation.target_std, dtype=np.float64)
    return (np.asarray(output, dtype=np.float64) - y) * scale


@_quiet
def _squared_error(output: np.ndarray, y: np.ndarray, task: Task) -> np.ndarray:
    return (_errors(output, y, task) ** 2).mean(-1)


@_quiet
def _absolute_error(output: np.ndarray, y: np.ndarray, task: Task) -> np.ndarray:
    return np.abs(_errors(output, y, task)).mean(-1)


@_quiet
def _unexplained(output: np.ndarray, y: np.ndarray, task: Task) -> np.ndarray:
    variance = np.asarray(y, dtype=np.float64).var(0)
    return ((np.asarray(output, dtype=np.float64) - y) ** 2 / variance).mean(-1)


register_metric(
    Metric(
        name="mse",
        doc="mean squared error in the target's own unit squared, mean over outputs",
        kinds=("regression",),
        higher_is_better=False,
        row_scores=_squared_error,
        display=_as_is,
        unit="target squared",
    )
)
register_metric(
    Metric(
        name="rmse",
        doc="root of the mean squared error (of all outputs together) in the target's own unit",
        kinds=("regression",),
        higher_is_better=False,
        row_scores=_squared_error,
        display=lambda mean, y: np.sqrt(mean),
        unit="target",
    )
)
register_metric(
    Metric(
        name="mae",
        doc="mean absolute error in the target's own unit, mean over outputs",
        kinds=("regression",),
        higher_is_better=False,
        row_scores=_absolute_error,
        display=_as_is,
        unit="target",
    )
)
register_metric(
    Metric(
        name="r2",
        bounds=(-math.inf, 1.0),
        doc="1 - squared error / variance of the target on these rows, mean over outputs",
        kinds=("regression",),
        higher_is_better=True,
        row_scores=_unexplained,
        display=lambda mean, y: 1.0 - mean,
    )
)
