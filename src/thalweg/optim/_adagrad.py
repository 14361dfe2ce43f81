"""Adagrad: each coordinate divided by the root of the sum of its squared gradients."""

from __future__ import annotations

from thalweg.core import sqrt
from thalweg.optim._rule import ElementwiseRule, register_rule


def _coefficients(hyper, t):
    return hyper["lr"] + 0 * t, hyper["eps"], hyper["weight_decay"]


def _update(w, g, slots, c):
    g = g + c[2] * w
    total = slots[0] + g * g
    return w - c[0] * g / (sqrt(total) + c[1]), (total,)


def _step_size(slots, c):
    return c[0] / (sqrt(slots[0]) + c[1])


ADAGRAD = register_rule(
    ElementwiseRule(
        name="adagrad",
        doc="s = s + grad^2; w - lr * grad / (sqrt(s) + eps), with coupled weight decay (Duchi, Hazan and "
        "Singer, 2011, figure 1, diagonal; torch.optim.Adagrad)",
        hyper=("lr", "eps", "weight_decay"),
        slots=("square_sum",),
        coefficients=_coefficients,
        update=_update,
        step_size=_step_size,
        lr_range=(1e-3, 1.0),
    )
)
