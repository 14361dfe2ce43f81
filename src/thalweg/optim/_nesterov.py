"""Nesterov's accelerated gradient, in the form that PyTorch has."""

from __future__ import annotations

from thalweg.optim._rule import ElementwiseRule, register_rule


def _coefficients(hyper, t):
    lr, momentum = hyper["lr"], hyper["momentum"]
    # the last one is what a constant gradient is multiplied by in step t: 1 + m + ... + m**t
    return lr + 0 * t, momentum, hyper["weight_decay"], lr * (1 - momentum ** (t + 1)) / (1 - momentum)


def _update(w, g, slots, c):
    g = g + c[2] * w
    velocity = c[1] * slots[0] + g
    return w - c[0] * (g + c[1] * velocity), (velocity,)


def _step_size(slots, c):
    return c[3]  # as in `momentum`: a sum of gradients, not a mean


NESTEROV = register_rule(
    ElementwiseRule(
        name="nesterov",
        doc="v = momentum * v + grad; w - lr * (grad + momentum * v), with coupled weight decay (Nesterov, "
        "1983; Sutskever et al., 2013, section 2; torch.optim.SGD with nesterov=True)",
        hyper=("lr", "momentum", "weight_decay"),
        slots=("velocity",),
        coefficients=_coefficients,
        update=_update,
        step_size=_step_size,
        lr_range=(1e-4, 0.3),
    )
)
