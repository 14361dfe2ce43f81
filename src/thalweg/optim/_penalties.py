"""The elastic-net penalty and its proximal maps, elementwise and written once.

The penalty on a weight w is alpha * (l1_ratio * |w| + (1 - l1_ratio) / 2 * w^2), with scikit-learn's names
and scale, summed over the weights of a model: biases, norm scales and shifts, and activation parameters are
not penalised.

In a training step the two halves take different ways. The quadratic half goes by its gradient:
`penalty_gradient` is added to the gradient of the loss, so that momentum and adaptive scales see it. The L1
half has a kink where it matters most, so it goes by its prox after the update: `soft_threshold(w, step_size *
alpha * l1_ratio)`, with the rule's own `step_size`, the diagonal metric of the step. A weight can then be
exactly 0, and a fixed point of the step is an optimum of the penalised objective. `prox` is the proximal map
of both halves together, for solvers that step by the loss alone.
"""

from __future__ import annotations

from typing import Any

from thalweg.core import absolute, constant, sign, where


def penalty_value(w: Any, alpha: Any, l1_ratio: Any) -> Any:
    """Returns alpha * (l1_ratio * |w| + (1 - l1_ratio) / 2 * w^2), elementwise.

    Args:
        w: Weights: a scalar, array or tensor, (P, ...) for stacked members.
        alpha: Strength, at least 0; scalar or (P, 1, ...).
        l1_ratio: Share of the L1 half, 0 to 1; scalar or (P, 1, ...).
    Returns:
        The penalty of each weight; its sum is the penalty of the model.
    Example:
        >>> penalty_value(-2.0, 0.1, 0.5)
        0.2
    """
    half, one = constant(w, 0.5), constant(w, 1.0)
    return alpha * (l1_ratio * absolute(w) + half * (one - l1_ratio) * w * w)


def penalty_gradient(w: Any, alpha: Any, l1_ratio: Any) -> Any:
    """Returns the gradient of the quadratic half, alpha * (1 - l1_ratio) * w, elementwise.

    Args:
        w: Weights.
        alpha: Strength.
        l1_ratio: Share of the L1 half.
    Example:
        >>> penalty_gradient(-2.0, 0.1, 0.5)
        -0.1
    """
    return alpha * (constant(w, 1.0) - l1_ratio) * w


def soft_threshold(w: Any, threshold: Any) -> Any:
    """Returns w moved towards 0 by `threshold`, and exactly 0 within it: the prox of threshold * |w|,
    elementwise.

    Args:
        w: Weights.
        threshold: At least 0; scalar, or of a shape that broadcasts against w.
    Example:
        >>> [float(soft_threshold(w, 0.5)) for w in (2.0, -0.3, -0.75)]
        [1.5, 0.0, -0.25]
    """
    return where(absolute(w) <= threshold, constant(w, 0.0), w - sign(w) * threshold)


def prox(w: Any, step: Any, alpha: Any, l1_ratio: Any) -> Any:
    """Returns argmin_v 1/2 (v - w)^2 + step * penalty_value(v, alpha, l1_ratio), elementwise.

    soft_threshold(w, step * alpha * l1_ratio) / (1 + step * alpha * (1 - l1_ratio)).

    Args:
        w: Weights.
        step: Step size, at least 0; a tensor of the shape of w for a diagonal metric.
        alpha: Strength.
        l1_ratio: Share of the L1 half.
    Example:
        >>> float(prox(2.0, 1.0, 1.0, 0.5))
        1.0

    References:
        Parikh and Boyd, Proximal algorithms, 2014, sections 6.1.3 and 6.5.2.
    """
    one = constant(w, 1.0)
    threshold = step * alpha * l1_ratio
    # soft_threshold spelled out: numba compiles these functions as they stand and cannot call one from
    # another
    soft = where(absolute(w) <= threshold, constant(w, 0.0), w - sign(w) * threshold)
    return soft / (one + step * alpha * (one - l1_ratio))
