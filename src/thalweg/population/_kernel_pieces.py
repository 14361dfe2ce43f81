"""The elementwise pieces in compiled form: update rules, activations and losses, each picked by its number.

These are the very functions that the other programs call on tensors; here each becomes a loop over flat arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from thalweg.core import exp
from thalweg.models import ACTIVATIONS
from thalweg.optim import RULES, ElementwiseRule, soft_threshold
from thalweg.tasks import LOSSES

# no `nnan` and `ninf`: a loss that is not finite must be seen
MATH = {"contract", "nsz", "arcp", "reassoc"}

KERNEL_RULES = tuple(
    name
    for name, rule in RULES.items()
    if isinstance(rule, ElementwiseRule) and rule.update.__module__.startswith("thalweg.")
)
KERNEL_ACTIVATIONS = tuple(
    name for name, activation in ACTIVATIONS.items() if activation.value.__module__.startswith("thalweg.")
)
KERNEL_LOSSES = tuple(LOSSES)


def _inline(function: Callable[..., Any]) -> Any:
    return njit(function, inline="always")


def _loop(function: Callable[..., Any]) -> Any:
    return njit(function, fastmath=MATH, error_model="numpy", nogil=True)


def _switch(functions: list[Any], arguments: str) -> Any:
    """Returns one compiled function (number, *arguments) that calls the function of that number.

    numba cannot index a tuple of functions at run time, so the if-chain is written out, flat: a nested one would be
    optimised again at each level.
    """
    lines = [f"def switch(number, {arguments}):"]
    for number in range(len(functions)):
        lines.append(f"    if number == {number}:")
        lines.append(f"        return f{number}({arguments})")
    lines.append(f"    return f{len(functions) - 1}({arguments})")
    scope = {f"f{number}": function for number, function in enumerate(functions)}
    exec("\n".join(lines), scope)
    return njit(scope["switch"], nogil=True)


# ---- update rules -------------------------------------------------------------------------------------------------


def _update_loop(rule: ElementwiseRule) -> Any:
    update = _inline(rule.update)
    if len(rule.slots) == 0:

        def none(w, g, s, c):
            for i in range(w.size):
                w[i], _ = update(w[i], g[i], (), c)

        return _loop(none)
    if len(rule.slots) == 1:

        def one(w, g, s, c):
            a = s[0]
            for i in range(w.size):
                w[i], new = update(w[i], g[i], (a[i],), c)
                a[i] = new[0]

        return _loop(one)
    assert len(rule.slots) == 2, "the kernel carries at most two slots"

    def two(w, g, s, c):
        a, b = s[0], s[1]
        for i in range(w.size):
            w[i], new = update(w[i], g[i], (a[i], b[i]), c)
            a[i] = new[0]
            b[i] = new[1]

    return _loop(two)


def _prox_loop(rule: ElementwiseRule) -> Any:
    step_size = _inline(rule.step_size)
    soft = _inline(soft_threshold)
    if len(rule.slots) == 0:

        def none(w, s, c, l1):
            for i in range(w.size):
                w[i] = soft(w[i], step_size((), c) * l1)

        return _loop(none)
    if len(rule.slots) == 1:

        def one(w, s, c, l1):
            a = s[0]
            for i in range(w.size):
                w[i] = soft(w[i], step_size((a[i],), c) * l1)

        return _loop(one)

    def two(w, s, c, l1):
        a, b = s[0], s[1]
        for i in range(w.size):
            w[i] = soft(w[i], step_size((a[i], b[i]), c) * l1)

    return _loop(two)


_rules: list[ElementwiseRule] = [RULES[name] for name in KERNEL_RULES]  # type: ignore[misc]
apply_update = _switch([_update_loop(rule) for rule in _rules], "w, g, s, c")
apply_prox = _switch([_prox_loop(rule) for rule in _rules], "w, s, c, l1")


# ---- activations --------------------------------------------------------------------------------------------------


def _value_loop(activation: Any) -> Any:
    value = _inline(activation.value)

    def loop(z, a, p):
        for i in range(z.size):
            a[i] = value(z[i], p)

    return _loop(loop)


def _slope_loop(activation: Any) -> Any:
    slope = _inline(activation.slope)

    def loop(z, a, g, p):
        for i in range(z.size):
            g[i] *= slope(z[i], a[i], p)

    return _loop(loop)


_activations = [ACTIVATIONS[name] for name in KERNEL_ACTIVATIONS]
apply_value = _switch([_value_loop(activation) for activation in _activations], "z, a, p")
apply_slope = _switch([_slope_loop(activation) for activation in _activations], "z, a, g, p")

_learned = [a for a in _activations if a.learned]
assert len(_learned) == 1, "the kernel knows one activation with a trained parameter (prelu)"
assert _learned[0].parameter_slope is not None
parameter_slope = _inline(_learned[0].parameter_slope)


# ---- losses -------------------------------------------------------------------------------------------------------


def _loss_loop(loss: Any) -> Any:
    value, slope = _inline(loss.value), _inline(loss.slope)
    sigmoid_link = loss.link == "sigmoid"

    def loop(out, y_real, y_class, rows, delta, p, smoothing):
        B, K = out.shape
        total = 0.0
        scale = out.dtype.type(1.0 / (B * K))
        one, half = out.dtype.type(1.0), out.dtype.type(0.5)
        zero = one - one
        for i in range(B):
            r = rows[i]
            for k in range(K):
                if y_class.size > 0:
                    y = one if y_class[r] == k else zero
                else:
                    y = y_real[r, k]
                if sigmoid_link:
                    y = y * (one - smoothing) + half * smoothing
                total += value(out[i, k], y, p)
                delta[i, k] = slope(out[i, k], y, p) * scale
        return total / (B * K)

    return njit(loop, error_model="numpy", nogil=True)


@njit(error_model="numpy", nogil=True, fastmath={"contract"})
def _softmax_loss(out, y_real, y_class, rows, delta, p, smoothing):
    # softmax and cross-entropy on logits; targets are (1 - s) one-hot + s / C
    B, C = out.shape
    total = 0.0
    product = 1.0  # of the rows' norms, each in [1, C]: one logarithm serves many rows
    one = out.dtype.type(1.0)
    zero = one - one
    inv = out.dtype.type(1.0 / B)
    rest = smoothing / out.dtype.type(C)
    for i in range(B):
        top = out[i, 0]
        for k in range(1, C):
            top = max(top, out[i, k])  # a branch on it would be guessed wrong half the time
        logits = zero
        for k in range(C):
            delta[i, k] = out[i, k] - top
            logits += delta[i, k]
        total -= (one - smoothing) * delta[i, y_class[rows[i]]] + rest * logits
    flat = delta.reshape(B * C)
    for j in range(B * C):
        flat[j] = exp(flat[j])
    for i in range(B):
        norm = zero
        for k in range(C):
            norm += delta[i, k]
        product *= np.float64(norm)
        if product > 1e200:
            total += np.log(product)
            product = 1.0
        scale = inv / norm
        for k in range(C):
            delta[i, k] = delta[i, k] * scale - rest * inv
        delta[i, y_class[rows[i]]] -= (one - smoothing) * inv
    return (total + np.log(product)) / B


apply_loss = _switch(
    [_softmax_loss if LOSSES[name].rowwise else _loss_loop(LOSSES[name]) for name in KERNEL_LOSSES],
    "out, y_real, y_class, rows, delta, p, smoothing",
)
