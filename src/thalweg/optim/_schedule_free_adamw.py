"""Schedule-free AdamW: an average in place of a learning-rate schedule.

Three points are in play: z takes the steps, x is their running mean and is what one predicts with, and
y = (1 - beta1) z + beta1 x is where the gradient is taken. The parameters of the rule are y; z is a slot;
and x follows from the two, x = y + (1 - 1/beta1) (z - y), so that beta1 must be above 0.

At a constant lr the paper's weights c(t) = lr^2 / sum(lr^2) are 1/t. They are 1/t here under any lr, so leave
the schedule constant, which is the point of the method.
"""

from __future__ import annotations

from thalweg.core import constant, sqrt
from thalweg.optim._rule import ElementwiseRule, register_rule


def _coefficients(hyper, t):
    beta2 = hyper["beta2"]
    k = (1 - beta2**t) ** 0.5  # g / (sqrt(v / k^2) + eps) = k * g / (sqrt(v) + eps * k)
    return (
        hyper["lr"] + 0 * t,
        hyper["beta1"],
        beta2,
        1 - beta2,
        k,
        hyper["eps"] * k,
        hyper["weight_decay"],
        1 / t,
    )


def _update(w, g, slots, c):
    z, v = slots
    one = constant(w, 1.0)
    v = c[2] * v + c[3] * g * g
    # weight decay is taken at y, as the reference code does
    move = c[0] * (c[4] * g / (sqrt(v) + c[5]) + c[6] * w)
    # y of the new x and z, without x: the old y moves towards the old z, and by its share of z's step
    w = w + c[7] * (z - w) - (one - c[1] * (one - c[7])) * move
    return w, (z - move, v)


def _step_size(slots, c):
    return c[0] * c[4] / (sqrt(slots[1]) + c[5])


def _average(w, slots, c):
    one = constant(w, 1.0)
    return w + (one - one / c[1]) * (slots[0] - w)


SCHEDULE_FREE_ADAMW = register_rule(
    ElementwiseRule(
        name="schedule_free_adamw",
        doc="AdamW at a constant lr that predicts with the running mean of its points, so needs no schedule "
        "(Defazio et al., 2024, algorithm 1; schedulefree.AdamWScheduleFree)",
        hyper=("lr", "beta1", "beta2", "eps", "weight_decay"),
        slots=("z", "exp_avg_sq"),
        start={"z": "params"},
        coefficients=_coefficients,
        update=_update,
        step_size=_step_size,
        average=_average,
        lr_range=(3e-4, 3e-1),
        proximal=False,  # a prox of y would not reach z, which would drift for ever
    )
)
