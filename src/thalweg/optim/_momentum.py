"""Gradient descent with momentum, in the form that PyTorch has."""

from __future__ import annotations

from thalweg.optim._rule import ElementwiseRule, register_rule


def _coefficients(hyper, t):
    lr, momentum = hyper["lr"], hyper["momentum"]
    # the last one is what a constant gradient is multiplied by in step t: 1 + m + ... + m**(t-1)
    return lr + 0 * t, momentum, hyper["weight_decay"], lr * (1 - momentum**t) / (1 - momentum)


def _update(w, g, slots, c):
    velocity = c[1] * slots[0] + (g + c[2] * w)
    return w - c[0] * velocity, (velocity,)


def _step_size(slots, c):
    # The buffer is a sum of gradients, not a mean. Thresholding by lr alone would weaken the penalty by 1 -
    # momentum: w = prox(w - lr * g / (1 - momentum)) is the fixed point.
    return c[3]


MOMENTUM = register_rule(
    ElementwiseRule(
        name="momentum",
        doc="v = momentum * v + grad; w - lr * v, with coupled weight decay (Polyak, 1964; Sutskever et "
        "al., 2013, with lr outside the sum; torch.optim.SGD)",
        hyper=("lr", "momentum", "weight_decay"),
        slots=("velocity",),
        coefficients=_coefficients,
        update=_update,
        step_size=_step_size,
        lr_range=(1e-4, 0.3),
    )
)
