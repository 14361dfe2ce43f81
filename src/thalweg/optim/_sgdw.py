"""Gradient descent with momentum and decoupled weight decay."""

from __future__ import annotations

from thalweg.optim._rule import ElementwiseRule, register_rule


def _coefficients(hyper, t):
    lr, momentum = hyper["lr"], hyper["momentum"]
    # the last one is what a constant gradient is multiplied by in step t: 1 + m + ... + m**(t-1)
    return lr + 0 * t, momentum, 1 - lr * hyper["weight_decay"], lr * (1 - momentum**t) / (1 - momentum)


def _update(w, g, slots, c):
    velocity = c[1] * slots[0] + g
    return c[2] * w - c[0] * velocity, (velocity,)


def _step_size(slots, c):
    return c[3]  # as in `momentum`: the buffer is a sum of gradients


SGDW = register_rule(
    ElementwiseRule(
        name="sgdw",
        doc="v = momentum * v + grad; (1 - lr * weight_decay) * w - lr * v: momentum with decoupled weight decay "
        "(Loshchilov and Hutter, 2019, algorithm 1)",
        hyper=("lr", "momentum", "weight_decay"),
        slots=("velocity",),
        coefficients=_coefficients,
        update=_update,
        step_size=_step_size,
        lr_range=(1e-4, 0.3),
    )
)
