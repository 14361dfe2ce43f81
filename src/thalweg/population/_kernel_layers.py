"""A dense network forward and backward, in compiled form: matrix products by BLAS, the rest in fused loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit, types  # pyright: ignore[reportPrivateImportUsage]
from numba.extending import intrinsic

from thalweg.core import GAMMA
from thalweg.models import BATCH_NORM_MOMENTUM, NORM_EPS
from thalweg.population._kernel_pieces import MATH, apply_slope, apply_value, parameter_slope

#: columns of a layer's row; -1 marks what the layer does not have
(IN, OUT, PIECES, NORM, ACTIVATION, WEIGHT, BIAS, SCALE, SHIFT, SLOPE, MEAN, VAR) = range(12)
NUM_COLUMNS = 12
NORM_NONE, NORM_BATCH, NORM_LAYER = 0, 1, 2

#: columns of a layer's scratch row
(LINEAR, NORMED, ACTIVE, MASK, HIDDEN, GRAD_OUT, GRAD_LINEAR, XHAT, STATS) = range(9)


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
def chain_key(key, word):
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


# ---- views -----------------------------------------------------------------------------------------------------------
# They are made from addresses: numba's slices and reshapes count references atomically and call into C, which took a
# third of the time of a small network's step. Whoever calls the kernel holds the arrays.


def _address(typingctx: Any, array: Any, start: Any) -> Any:
    """Returns the address of element `start` of a contiguous array."""
    pointer = types.CPointer(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.gep(data, [args[1]])

    return pointer(array, types.intp), generate


_address_of: Any = intrinsic(_address)


@njit(inline="always")
def view(array, start, rows, columns):
    """Returns the (rows, columns) matrix that begins at element `start` of a contiguous array."""
    return carray(_address_of(array, start), (rows, columns))


@njit(inline="always")
def stretch(array, start, size):
    """Returns the `size` elements that begin at `start` of a contiguous array."""
    return carray(_address_of(array, start), (size,))


# ---- forward and backward -------------------------------------------------------------------------------------------


@njit(nogil=True)
def lay_out_scratch(layers, B):
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
        if layers[k, PIECES] == 1:  # of one shape, and one is made from the other in place
            offsets[k, GRAD_LINEAR] = offsets[k, GRAD_OUT]
    return offsets, top


@njit(nogil=True, error_model="numpy", fastmath=MATH)
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
def forward(layers, theta, buffers, x, scratch, offsets, training, rate, key, slope):
    """Fills the scratch with every layer's values; the output is the last layer's LINEAR."""
    B = x.shape[0]
    h = x
    for k in range(layers.shape[0]):
        row, at = stretch(layers, k * NUM_COLUMNS, NUM_COLUMNS), stretch(offsets, k * 9, 9)
        wide = row[OUT] * row[PIECES]
        z = view(scratch, at[LINEAR], B, wide)
        np.dot(h, view(theta, row[WEIGHT], row[IN], wide), z)
        _add_bias(z, stretch(theta, row[BIAS], wide))
        if k + 1 == layers.shape[0]:
            break
        u = at[LINEAR]
        if row[NORM] != NORM_NONE:
            u = at[NORMED]
            normed, xhat = view(scratch, u, B, wide), view(scratch, at[XHAT], B, wide)
            scale, shift = stretch(theta, row[SCALE], wide), stretch(theta, row[SHIFT], wide)
            stats = stretch(scratch, at[STATS], 2 * max(B, wide))
            if row[NORM] == NORM_BATCH:
                mean, var = stretch(buffers, row[MEAN], wide), stretch(buffers, row[VAR], wide)
                _batch_norm(z, xhat, normed, scale, shift, mean, var, stats, training)
            else:
                _layer_norm(z, xhat, normed, scale, shift, stats)
        size = B * row[OUT]
        if row[PIECES] > 1:
            _maxout(view(scratch, u, B, wide), view(scratch, at[ACTIVE], B, row[OUT]), row[PIECES])
        else:
            p = theta[row[SLOPE]] if row[SLOPE] >= 0 else slope
            apply_value(row[ACTIVATION], stretch(scratch, u, size), stretch(scratch, at[ACTIVE], size), p)
        h = view(scratch, at[ACTIVE], B, row[OUT])
        if training and rate > 0:
            mask = stretch(scratch, at[MASK], size)
            _dropout_mask(mask, chain_key(key, k), rate)
            _multiply(stretch(scratch, at[ACTIVE], size), mask, stretch(scratch, at[HIDDEN], size))
            h = view(scratch, at[HIDDEN], B, row[OUT])


@njit(nogil=True, fastmath=MATH)
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


@njit(nogil=True, error_model="numpy", fastmath=MATH)
def _column_sums(g, out):
    # four rows at a time: each sum waits for the one before it to be stored
    B, D = g.shape
    whole = B - B % 4
    for j in range(D):
        out[j] = 0
    for i in range(0, whole, 4):
        for j in range(D):
            out[j] += (g[i, j] + g[i + 1, j]) + (g[i + 2, j] + g[i + 3, j])
    for i in range(whole, B):
        for j in range(D):
            out[j] += g[i, j]


@njit(nogil=True)
def backward(layers, theta, x, scratch, offsets, grad, rate, slope):
    """Writes dloss/dtheta into `grad`; the last layer's GRAD_LINEAR holds dloss/doutput."""
    B = x.shape[0]
    L = layers.shape[0]
    for k in range(L - 1, -1, -1):
        row, at = stretch(layers, k * NUM_COLUMNS, NUM_COLUMNS), stretch(offsets, k * 9, 9)
        wide = row[OUT] * row[PIECES]
        g = view(scratch, at[GRAD_LINEAR], B, wide)
        if k + 1 < L:
            size = B * row[OUT]
            g_out = stretch(scratch, at[GRAD_OUT], size)
            u = at[LINEAR] if row[NORM] == NORM_NONE else at[NORMED]
            if rate > 0:
                _multiply(g_out, stretch(scratch, at[MASK], size), g_out)
            if row[PIECES] > 1:
                _maxout_backward(view(scratch, u, B, wide), view(scratch, at[GRAD_OUT], B, row[OUT]), g, row[PIECES])
            else:  # in place: GRAD_LINEAR is GRAD_OUT
                flat_u = stretch(scratch, u, size)
                p = theta[row[SLOPE]] if row[SLOPE] >= 0 else slope
                if row[SLOPE] >= 0:
                    total = theta.dtype.type(0.0)
                    for i in range(size):
                        total += g_out[i] * parameter_slope(flat_u[i], p)
                    grad[row[SLOPE]] = total
                apply_slope(row[ACTIVATION], flat_u, stretch(scratch, at[ACTIVE], size), g_out, p)
            if row[NORM] != NORM_NONE:
                _norm_backward(
                    g,
                    view(scratch, at[XHAT], B, wide),
                    stretch(theta, row[SCALE], wide),
                    stretch(grad, row[SCALE], wide),
                    stretch(grad, row[SHIFT], wide),
                    stretch(scratch, at[STATS], 2 * max(B, wide)),
                    row[NORM] == NORM_BATCH,
                )
        h = x
        if k > 0:
            below = offsets[k - 1, HIDDEN if rate > 0 else ACTIVE]
            h = view(scratch, below, B, row[IN])
        np.dot(h.T, g, view(grad, row[WEIGHT], row[IN], wide))
        _column_sums(g, stretch(grad, row[BIAS], wide))
        if k > 0:
            weight = view(theta, row[WEIGHT], row[IN], wide)
            np.dot(g, weight.T, view(scratch, offsets[k - 1, GRAD_OUT], B, row[IN]))
