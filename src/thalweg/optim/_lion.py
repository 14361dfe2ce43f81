"""Lion: the sign of an interpolated momentum."""

from __future__ import annotations

from thalweg.core import sign
from thalweg.optim._rule import ElementwiseRule, register_rule


def _coefficients(hyper, t):
    lr, beta1, beta2 = hyper["lr"], hyper["beta1"], hyper["beta2"]
    return lr + 0 * t, 1 - lr * hyper["weight_decay"], beta1, 1 - beta1, beta2, 1 - beta2


def _update(w, g, slots, c):
    m = slots[0]
    u = c[2] * m + c[3] * g
    # The sign of a NaN is 0, which would leave a member that has diverged standing still with a finite loss;
    # u - u is 0 for a number and NaN for anything else.
    w = c[1] * w - c[0] * (sign(u) + (u - u))
    return w, (c[4] * m + c[5] * g,)


def _step_size(slots, c):
    # A sign has no metric: the threshold is decoupled from the gradient's size, as Lion's weight decay is.
    return c[0]


LION = register_rule(
    ElementwiseRule(
        name="lion",
        doc="w - lr * (sign(beta1 * m + (1 - beta1) * grad) + weight_decay * w); m = beta2 * m + (1 - "
        "beta2) * grad (Chen et al., 2023, algorithm 2)",
        hyper=("lr", "beta1", "beta2", "weight_decay"),
        slots=("exp_avg",),
        coefficients=_coefficients,
        update=_update,
        step_size=_step_size,
        lr_range=(1e-5, 1e-2),
    )
)
