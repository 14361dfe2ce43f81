"""RMSprop: each coordinate divided by a running root mean square of its gradient."""

from __future__ import annotations

from thalweg.core import sqrt
from thalweg.optim._rule import ElementwiseRule, register_rule


def _coefficients(hyper, t):
    rho = hyper["rho"]
    return hyper["lr"] + 0 * t, rho, 1 - rho, hyper["eps"], hyper["weight_decay"]


def _update(w, g, slots, c):
    g = g + c[4] * w
    v = c[1] * slots[0] + c[2] * g * g
    return w - c[0] * g / (sqrt(v) + c[3]), (v,)


def _step_size(slots, c):
    return c[0] / (sqrt(slots[0]) + c[3])


RMSPROP = register_rule(
    ElementwiseRule(
        name="rmsprop",
        doc="v = rho * v + (1 - rho) * grad^2; w - lr * grad / (sqrt(v) + eps), with coupled weight decay "
        "(Tieleman and Hinton, 2012, lecture 6.5; torch.optim.RMSprop, whose `alpha` is rho here)",
        hyper=("lr", "rho", "eps", "weight_decay"),
        slots=("square_avg",),
        coefficients=_coefficients,
        update=_update,
        step_size=_step_size,
        lr_range=(1e-4, 1e-1),
    )
)
