"""Adam, with the coupled weight decay of its first form."""

from __future__ import annotations

from thalweg.core import sqrt
from thalweg.optim._rule import ElementwiseRule, register_rule


def _coefficients(hyper, t):
    lr, beta1, beta2 = hyper["lr"], hyper["beta1"], hyper["beta2"]
    # Both corrections are moved out of the root, which saves a product for each coordinate:
    # lr / (1 - beta1^t) * m / (sqrt(v / k^2) + eps) = lr * k / (1 - beta1^t) * m / (sqrt(v) + eps * k)
    k = (1 - beta2**t) ** 0.5
    return (
        hyper["weight_decay"],
        beta1,
        1 - beta1,
        beta2,
        1 - beta2,
        lr * k / (1 - beta1**t),
        hyper["eps"] * k,
        lr * k,
    )


def _update(w, g, slots, c):
    m, v = slots
    g = g + c[0] * w
    m = c[1] * m + c[2] * g
    v = c[3] * v + c[4] * g * g
    return w - c[5] * m / (sqrt(v) + c[6]), (m, v)


def _step_size(slots, c):
    return c[7] / (sqrt(slots[1]) + c[6])


ADAM = register_rule(
    ElementwiseRule(
        name="adam",
        doc="w - lr * m / (sqrt(v) + eps) with bias-corrected running means m of the gradient and v of its "
        "square; weight decay is coupled (Kingma and Ba, 2015, algorithm 1; torch.optim.Adam)",
        hyper=("lr", "beta1", "beta2", "eps", "weight_decay"),
        slots=("exp_avg", "exp_avg_sq"),
        coefficients=_coefficients,
        update=_update,
        step_size=_step_size,
        lr_range=(1e-4, 1e-1),
    )
)
