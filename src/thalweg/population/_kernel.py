"""Member-major training of dense networks: one core trains one member for many steps.

The weights and the optimizer state of a member stay in its core's cache while it trains; only rows of the
data stream in. One compiled kernel serves every shape, activation, optimizer, batch size and penalty, so there is no
compile wait for a new recipe and no padding, and a member computes the same bits alone or in company by construction.

Matrix products are BLAS calls of one thread (`np.dot` under numba calls SciPy's BLAS). Elementwise pieces are the very
functions that the other programs call on tensors: update rules of `optim`, activations of `models`, losses of `tasks`.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import njit

from thalweg.core import GAMMA
from thalweg.models import ACTIVATIONS, BATCH_NORM_MOMENTUM, NORM_EPS
from thalweg.optim import RULES, ElementwiseRule, soft_threshold
from thalweg.tasks import LOSSES

# no `nnan` and `ninf`: a loss that is not finite must be seen
_MATH = {"contract", "nsz", "arcp", "reassoc"}

#: columns of a layer's row; -1 marks what the layer does not have
(IN, OUT, PIECES, NORM, ACTIVATION, WEIGHT, BIAS, SCALE, SHIFT, SLOPE, MEAN, VAR) = range(12)
NUM_COLUMNS = 12
NORM_NONE, NORM_BATCH, NORM_LAYER = 0, 1, 2

#: columns of a layer's scratch row
(LINEAR, NORMED, ACTIVE, MASK, HIDDEN, GRAD_OUT, GRAD_LINEAR, XHAT, STATS) = range(9)

KERNEL_RULES = tuple(
    name
    for name, rule in RULES.items()
    if isinstance(rule, ElementwiseRule) and rule.update.__module__.startswith("thalweg.")
)
KERNEL_ACTIVATIONS = tuple(
    name for name, activation in ACTIVATIONS.items() if activation.value.__module__.startswith("thalweg.")
)
KERNEL_LOSSES = tuple(LOSSES)


def _find_cache() -> Path:
    """Returns the folder of compiled code: in the user's cache, named by the text of all pieces.

    numba watches only the file of the function that it compiles; the pieces come from other files. The folder also
    serves where the package itself is installed read-only.
    """
    package = Path(__file__).resolve().parents[1]
    pieces = [package / "core/_elementwise.py", package / "tasks/_losses.py", Path(__file__)]
    for room in ("models", "optim"):
        pieces += sorted((package / room).glob("_*.py"))
    digest = hashlib.sha256(sys.version.encode())
    for file in pieces:
        digest.update(file.read_bytes())
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "thalweg" / f"kernel-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    # a home that cannot be written: compiled code lives as long as the process
    return Path(tempfile.mkdtemp(prefix="thalweg-kernel-"))


CACHE = _find_cache()


def is_compiled() -> bool:
    """Returns whether this machine holds the compiled kernel; where not, the first training step takes longer."""
    return any(CACHE.rglob("*_train*.nbc"))


@contextmanager
def _compile_cache() -> Iterator[None]:
    """Makes numba keep what is declared inside in `CACHE`."""
    saved = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = str(CACHE)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.config.CACHE_DIR = saved  # type: ignore[attr-defined]


def _inline(function: Callable[..., Any]) -> Any:
    return njit(function, inline="always")


def _loop(function: Callable[..., Any]) -> Any:
    return njit(function, fastmath=_MATH, error_model="numpy", nogil=True)


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
_apply_update = _switch([_update_loop(rule) for rule in _rules], "w, g, s, c")
_apply_prox = _switch([_prox_loop(rule) for rule in _rules], "w, s, c, l1")


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
_apply_value = _switch([_value_loop(activation) for activation in _activations], "z, a, p")
_apply_slope = _switch([_slope_loop(activation) for activation in _activations], "z, a, g, p")

_learned = [a for a in _activations if a.learned]
assert len(_learned) == 1, "the kernel knows one activation with a trained parameter (prelu)"
assert _learned[0].parameter_slope is not None
_parameter_slope = _inline(_learned[0].parameter_slope)


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


@njit(error_model="numpy", nogil=True)
def _softmax_loss(out, y_real, y_class, rows, delta, p, smoothing):
    # softmax and cross-entropy on logits; targets are (1 - s) one-hot + s / C
    B, C = out.shape
    total = 0.0
    one = out.dtype.type(1.0)
    inv = out.dtype.type(1.0 / B)
    rest = smoothing / out.dtype.type(C)
    for i in range(B):
        top = out[i, 0]
        for k in range(1, C):
            if out[i, k] > top:
                top = out[i, k]
        norm = one - one
        mean_logit = one - one
        for k in range(C):
            shifted = out[i, k] - top
            mean_logit += shifted
            e = np.exp(shifted)
            delta[i, k] = e
            norm += e
        y = y_class[rows[i]]
        log_norm = np.log(norm)
        total += log_norm - (one - smoothing) * (out[i, y] - top) - rest * mean_logit
        for k in range(C):
            delta[i, k] = (delta[i, k] / norm - rest) * inv
        delta[i, y] -= (one - smoothing) * inv
    return total / B


_apply_loss = _switch(
    [_softmax_loss if LOSSES[name].rowwise else _loss_loop(LOSSES[name]) for name in KERNEL_LOSSES],
    "out, y_real, y_class, rows, delta, p, smoothing",
)


# ---- counter-based draws (core/_streams in compiled form) -----------------------------------------------------------

_GAMMA = np.uint64(GAMMA)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S40 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(40)


@njit(inline="always")
def _mix(z):
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@njit(inline="always")
def _chain_key(key, word):
    return _mix(key + np.uint64(word + 1) * _GAMMA)


@njit(nogil=True, error_model="numpy")
def _dropout_mask(mask, key, rate):
    # one draw an element of the row-major (B, width) mask; kept where uniform >= rate
    threshold = np.uint64(np.ceil(rate * 16777216.0))
    keep = mask.dtype.type(1.0 / (1.0 - rate))
    zero = keep - keep
    for i in range(mask.size):
        draw = _mix(key + np.uint64(i + 1) * _GAMMA) >> _S40
        mask[i] = keep if draw >= threshold else zero


# ---- forward and backward -------------------------------------------------------------------------------------------


@njit(nogil=True)
def _lay_out_scratch(layers, B):
    """Returns offsets of every layer's working arrays in one scratch buffer, and its size."""
    L = layers.shape[0]
    offsets = np.zeros((L, 9), np.int64)
    top = 0
    for k in range(L):
        wide = layers[k, OUT] * layers[k, PIECES]
        for column in range(9):
            offsets[k, column] = top
            if column == STATS:
                size = 2 * max(B, wide)
            elif column in (LINEAR, NORMED, GRAD_LINEAR, XHAT):
                size = B * wide
            else:
                size = B * layers[k, OUT]
            top += (size + 15) // 16 * 16
    return offsets, top


@njit(nogil=True)
def _view(buffer, start, rows, columns):
    return buffer[start : start + rows * columns].reshape((rows, columns))


@njit(nogil=True, error_model="numpy", fastmath=_MATH)
def _add_bias(z, bias):
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            z[i, j] += bias[j]


@njit(nogil=True, error_model="numpy")
def _batch_norm(z, xhat, out, scale, shift, mean, var, stats, training):
    # Ioffe and Szegedy, 2015, algorithm 1; running statistics as torch keeps them (unbiased variance)
    B, D = z.shape
    one = z.dtype.type(1.0)
    inv_b = z.dtype.type(1.0 / B)
    eps, rate = z.dtype.type(NORM_EPS), z.dtype.type(BATCH_NORM_MOMENTUM)
    mu, inv = stats[:D], stats[D : 2 * D]
    if training:
        for j in range(D):
            mu[j] = 0
            inv[j] = 0
        for i in range(B):
            for j in range(D):
                mu[j] += z[i, j]
        for j in range(D):
            mu[j] *= inv_b
        for i in range(B):
            for j in range(D):
                d = z[i, j] - mu[j]
                inv[j] += d * d
        unbiased = z.dtype.type(1.0 / max(B - 1, 1))
        for j in range(D):
            mean[j] += rate * (mu[j] - mean[j])
            var[j] += rate * (inv[j] * unbiased - var[j])
            inv[j] = one / np.sqrt(inv[j] * inv_b + eps)
    else:
        for j in range(D):
            mu[j] = mean[j]
            inv[j] = one / np.sqrt(var[j] + eps)
    for i in range(B):
        for j in range(D):
            xhat[i, j] = (z[i, j] - mu[j]) * inv[j]
            out[i, j] = xhat[i, j] * scale[j] + shift[j]


@njit(nogil=True, error_model="numpy")
def _layer_norm(z, xhat, out, scale, shift, stats):
    # Ba, Kiros and Hinton, 2016, eq. 4
    B, D = z.shape
    one = z.dtype.type(1.0)
    inv_d = z.dtype.type(1.0 / D)
    eps = z.dtype.type(NORM_EPS)
    for i in range(B):
        mu = one - one
        for j in range(D):
            mu += z[i, j]
        mu *= inv_d
        v = one - one
        for j in range(D):
            d = z[i, j] - mu
            v += d * d
        inv = one / np.sqrt(v * inv_d + eps)
        stats[i] = inv
        for j in range(D):
            xhat[i, j] = (z[i, j] - mu) * inv
            out[i, j] = xhat[i, j] * scale[j] + shift[j]


@njit(nogil=True, error_model="numpy")
def _norm_backward(g, xhat, scale, grad_scale, grad_shift, stats, per_batch):
    """Turns g = dloss/d(normed) into dloss/d(linear), in place; writes the gradients of scale and shift."""
    B, D = g.shape
    zero = g.dtype.type(0.0)
    for j in range(D):
        grad_scale[j] = zero
        grad_shift[j] = zero
    for i in range(B):
        for j in range(D):
            grad_scale[j] += g[i, j] * xhat[i, j]
            grad_shift[j] += g[i, j]
    if per_batch:
        inv = stats[D : 2 * D]
        inv_b = g.dtype.type(1.0 / B)
        for i in range(B):
            for j in range(D):
                centred = g[i, j] - inv_b * (grad_shift[j] + xhat[i, j] * grad_scale[j])
                g[i, j] = scale[j] * inv[j] * centred
    else:
        inv_d = g.dtype.type(1.0 / D)
        for i in range(B):
            s1 = zero
            s2 = zero
            for j in range(D):
                gs = g[i, j] * scale[j]
                s1 += gs
                s2 += gs * xhat[i, j]
            for j in range(D):
                gs = g[i, j] * scale[j]
                g[i, j] = stats[i] * (gs - inv_d * (s1 + xhat[i, j] * s2))


@njit(nogil=True)
def _forward(layers, theta, buffers, x, scratch, offsets, training, rate, key, slope):
    """Fills the scratch with every layer's values; the output is the last layer's LINEAR."""
    B = x.shape[0]
    h = x
    for k in range(layers.shape[0]):
        row, at = layers[k], offsets[k]
        wide = row[OUT] * row[PIECES]
        z = _view(scratch, at[LINEAR], B, wide)
        np.dot(h, _view(theta, row[WEIGHT], wide, row[IN]).T, z)
        _add_bias(z, theta[row[BIAS] : row[BIAS] + wide])
        if k + 1 == layers.shape[0]:
            break
        u = z
        if row[NORM] != NORM_NONE:
            u = _view(scratch, at[NORMED], B, wide)
            xhat = _view(scratch, at[XHAT], B, wide)
            scale, shift = theta[row[SCALE] : row[SCALE] + wide], theta[row[SHIFT] : row[SHIFT] + wide]
            stats = scratch[at[STATS] : at[STATS] + 2 * max(B, wide)]
            if row[NORM] == NORM_BATCH:
                mean, var = buffers[row[MEAN] : row[MEAN] + wide], buffers[row[VAR] : row[VAR] + wide]
                _batch_norm(z, xhat, u, scale, shift, mean, var, stats, training)
            else:
                _layer_norm(z, xhat, u, scale, shift, stats)
        a = _view(scratch, at[ACTIVE], B, row[OUT])
        if row[PIECES] > 1:
            _maxout(u, a, row[PIECES])
        else:
            p = theta[row[SLOPE]] if row[SLOPE] >= 0 else slope
            _apply_value(row[ACTIVATION], u.ravel(), a.ravel(), p)
        h = a
        if training and rate > 0:
            mask = _view(scratch, at[MASK], B, row[OUT])
            h = _view(scratch, at[HIDDEN], B, row[OUT])
            _dropout_mask(mask.ravel(), _chain_key(key, k), rate)
            _multiply(a.ravel(), mask.ravel(), h.ravel())


@njit(nogil=True, fastmath=_MATH)
def _multiply(a, b, out):
    for i in range(out.size):
        out[i] = a[i] * b[i]


@njit(nogil=True)
def _maxout(u, a, pieces):
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            top = u[i, j * pieces]
            for q in range(1, pieces):
                if u[i, j * pieces + q] > top:
                    top = u[i, j * pieces + q]
            a[i, j] = top


@njit(nogil=True)
def _maxout_backward(u, g_out, g, pieces):
    # the first winner takes the gradient, as torch.max does
    zero = g.dtype.type(0.0)
    for i in range(g_out.shape[0]):
        for j in range(g_out.shape[1]):
            best = j * pieces
            for q in range(1, pieces):
                g[i, j * pieces + q] = zero
                if u[i, j * pieces + q] > u[i, best]:
                    best = j * pieces + q
            g[i, j * pieces] = zero
            g[i, best] = g_out[i, j]


@njit(nogil=True, error_model="numpy", fastmath=_MATH)
def _column_sums(g, out):
    for j in range(g.shape[1]):
        out[j] = 0
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            out[j] += g[i, j]


@njit(nogil=True)
def _backward(layers, theta, x, scratch, offsets, grad, rate, slope):
    """Writes dloss/dtheta into `grad`; the last layer's GRAD_LINEAR holds dloss/doutput."""
    B = x.shape[0]
    L = layers.shape[0]
    for k in range(L - 1, -1, -1):
        row, at = layers[k], offsets[k]
        wide = row[OUT] * row[PIECES]
        g = _view(scratch, at[GRAD_LINEAR], B, wide)
        if k + 1 < L:
            g_out = _view(scratch, at[GRAD_OUT], B, row[OUT])
            u = _view(scratch, at[LINEAR] if row[NORM] == NORM_NONE else at[NORMED], B, wide)
            a = _view(scratch, at[ACTIVE], B, row[OUT])
            if rate > 0:
                mask = _view(scratch, at[MASK], B, row[OUT])
                _multiply(g_out.ravel(), mask.ravel(), g_out.ravel())
            if row[PIECES] > 1:
                _maxout_backward(u, g_out, g, row[PIECES])
            else:
                flat_u, flat_g = u.ravel(), g_out.ravel()
                p = theta[row[SLOPE]] if row[SLOPE] >= 0 else slope
                if row[SLOPE] >= 0:
                    total = theta.dtype.type(0.0)
                    for i in range(flat_u.size):
                        total += flat_g[i] * _parameter_slope(flat_u[i], p)
                    grad[row[SLOPE]] = total
                _apply_slope(row[ACTIVATION], flat_u, a.ravel(), flat_g, p)
                g.ravel()[:] = flat_g
            if row[NORM] != NORM_NONE:
                _norm_backward(
                    g,
                    _view(scratch, at[XHAT], B, wide),
                    theta[row[SCALE] : row[SCALE] + wide],
                    grad[row[SCALE] : row[SCALE] + wide],
                    grad[row[SHIFT] : row[SHIFT] + wide],
                    scratch[at[STATS] : at[STATS] + 2 * max(B, wide)],
                    row[NORM] == NORM_BATCH,
                )
        if k == 0:
            h = x
        else:
            below = offsets[k - 1]
            h = _view(scratch, below[HIDDEN] if rate > 0 else below[ACTIVE], B, row[IN])
        np.dot(g.T, h, _view(grad, row[WEIGHT], wide, row[IN]))
        _column_sums(g, grad[row[BIAS] : row[BIAS] + wide])
        if k > 0:
            weight = _view(theta, row[WEIGHT], wide, row[IN])
            np.dot(g, weight, _view(scratch, offsets[k - 1][GRAD_OUT], B, row[IN]))


# ---- the two entry points -------------------------------------------------------------------------------------------


def _train(
    layers,
    theta,
    slots,
    buffers,
    x,
    y_real,
    y_class,
    order,
    first_epoch,
    first_step,
    num_steps,
    batch_size,
    steps_per_epoch,
    coefficients,
    rule,
    loss,
    loss_parameter,
    smoothing,
    rate,
    dropout_key,
    slope,
    l1,
    l2,
    clip_norm,
    losses,
):
    """Trains one member for `num_steps`; returns the steps done, fewer where the loss stopped being finite.

    Args:
        layers: (L, 12) int64, see the column names above.
        theta: (N,) parameters, changed in place.
        slots: (S, N) optimizer state, changed in place.
        buffers: (M,) running statistics, changed in place.
        x: (n, D) rows. y_real: (n, K) or empty. y_class: (n,) or empty.
        order: (E, n) row order of the epochs from `first_epoch`.
        first_step: Steps done before.
        coefficients: (num_steps, 8) of the update rule.
        l1: Proximal L1 strength on weights, or None. l2: strength of the squared penalty on weights.
        clip_norm: Largest norm of the gradient; 0 is off.
        losses: (num_steps,) mean loss of every batch, written.
    """
    B, D = batch_size, x.shape[1]
    L = layers.shape[0]
    K = layers[L - 1, OUT]
    offsets, size = _lay_out_scratch(layers, B)
    scratch = np.zeros(size, theta.dtype)
    grad = np.zeros_like(theta)
    batch = np.empty((B, D), theta.dtype)
    out = _view(scratch, offsets[L - 1, LINEAR], B, K)
    delta = _view(scratch, offsets[L - 1, GRAD_LINEAR], B, K)
    for s in range(num_steps):
        step = first_step + s
        epoch = step // steps_per_epoch
        start = (step - epoch * steps_per_epoch) * B
        rows = order[epoch - first_epoch, start : start + B]
        for i in range(B):
            batch[i] = x[rows[i]]
        key = _chain_key(dropout_key, step)
        _forward(layers, theta, buffers, batch, scratch, offsets, True, rate, key, slope)
        value = _apply_loss(loss, out, y_real, y_class, rows, delta, loss_parameter, smoothing)
        losses[s] = value
        if not np.isfinite(value):
            return s
        _backward(layers, theta, batch, scratch, offsets, grad, rate, slope)
        if l2 > 0:
            for k in range(L):
                begin = layers[k, WEIGHT]
                end = begin + layers[k, IN] * layers[k, OUT] * layers[k, PIECES]
                for i in range(begin, end):
                    grad[i] += l2 * theta[i]
        if clip_norm > 0:
            total = 0.0
            for i in range(grad.size):
                total += np.float64(grad[i]) * np.float64(grad[i])
            factor = clip_norm / (np.sqrt(total) + 1e-6)
            if factor < 1:
                shrink = theta.dtype.type(factor)
                for i in range(grad.size):
                    grad[i] *= shrink
        row = coefficients[s]
        c = (row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7])
        _apply_update(rule, theta, grad, slots, c)
        if l1 is not None:  # numba drops this branch, and its compilation, where l1 is None
            for k in range(L):
                begin = layers[k, WEIGHT]
                end = begin + layers[k, IN] * layers[k, OUT] * layers[k, PIECES]
                _apply_prox(rule, theta[begin:end], slots[:, begin:end], c, l1)
    return num_steps


def _predict(layers, theta, buffers, x, slope, out, chunk):
    """Writes the outputs of one member for all rows of x, (n, D) -> (n, K), in evaluation mode."""
    n = x.shape[0]
    L = layers.shape[0]
    K = layers[L - 1, OUT]
    offsets, size = _lay_out_scratch(layers, chunk)
    scratch = np.zeros(size, theta.dtype)
    for start in range(0, n, chunk):
        stop = min(start + chunk, n)
        rows = x[start:stop]
        if stop - start < chunk:
            offsets, size = _lay_out_scratch(layers, stop - start)
        _forward(layers, theta, buffers, rows, scratch, offsets, False, 0.0, np.uint64(0), slope)
        out[start:stop] = _view(scratch, offsets[L - 1, LINEAR], stop - start, K)


def _mean_loss(loss, out, y_real, y_class, parameter):
    """Returns the mean loss of outputs (n, K) against their targets, without smoothing."""
    rows = np.arange(out.shape[0])
    delta = np.empty_like(out)
    return _apply_loss(loss, out, y_real, y_class, rows, delta, parameter, out.dtype.type(0.0))


with _compile_cache():
    train = njit(_train, cache=True, nogil=True, error_model="numpy")
    predict = njit(_predict, cache=True, nogil=True)
    mean_loss = njit(_mean_loss, cache=True, nogil=True)
