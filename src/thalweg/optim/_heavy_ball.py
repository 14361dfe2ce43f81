"""Polyak's heavy ball, with the previous point as its only memory."""

from __future__ import annotations

from thalweg.optim._rule import ElementwiseRule, register_rule


def _coefficients(hyper, t):
    return hyper["lr"] + 0 * t, hyper["momentum"], hyper["weight_decay"]


def _update(w, g, slots, c):
    return w - c[0] * (g + c[2] * w) + c[1] * (w - slots[0]), (w,)


def _step_size(slots, c):
    # A prox after the step also enters the next difference w - previous, so that the threshold is lr as it
    # stands (iPiano, Ochs et al., 2014, algorithm 1), unlike that of `momentum`.
    return c[0]


HEAVY_BALL = register_rule(
    ElementwiseRule(
        name="heavy_ball",
        doc="w(t+1) = w(t) - lr * grad + momentum * (w(t) - w(t-1)), with coupled weight decay (Polyak, "
        "1964, equation 9); at a constant lr the same path as `momentum`",
        hyper=("lr", "momentum", "weight_decay"),
        slots=("previous",),
        start={"previous": "params"},
        coefficients=_coefficients,
        update=_update,
        step_size=_step_size,
        lr_range=(1e-4, 0.3),
    )
)
