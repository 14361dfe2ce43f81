"""Stochastic gradient descent; with all rows in the batch, gradient descent."""

from __future__ import annotations

from thalweg.optim._rule import ElementwiseRule, register_rule


def _coefficients(hyper, t):
    return hyper["lr"] + 0 * t, hyper["weight_decay"]


def _update(w, g, slots, c):
    return w - c[0] * (g + c[1] * w), slots


def _step_size(slots, c):
    return c[0]


SGD = register_rule(
    ElementwiseRule(
        name="sgd",
        doc="w - lr * grad, with coupled weight decay (Robbins and Monro, 1951; torch.optim.SGD)",
        hyper=("lr", "weight_decay"),
        coefficients=_coefficients,
        update=_update,
        step_size=_step_size,
        lr_range=(1e-3, 1.0),
    )
)
