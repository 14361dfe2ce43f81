"""A network forward and backward, in compiled form: matrix products by BLAS, the rest in fused loops.

Layers are dense, or, where they have a height and a width, blocks of a 3 x 3 convolution and 2 x 2 max pooling.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from thalweg.core import GAMMA
from thalweg.models import BATCH_NORM_MOMENTUM, NORM_EPS
from thalweg.population._kernel_conv import (
    channel_batch_norm,
    channel_norm_backward,
    conv_space,
    convolution,
    convolution_backward,
    image_norm,
    pool,
    unpool,
)
from thalweg.population._kernel_pieces import MATH, apply_slope, apply_value, parameter_slope
from thalweg.population._kernel_table import (
    ACTIVATION,
    ACTIVE,
    BIAS,
    DROPOUT,
    GRAD_ACTIVE,
    GRAD_LINEAR,
    GRAD_OUT,
    HEIGHT,
    HIDDEN,
    IN,
    LINEAR,
    MASK,
    MEAN,
    NORM,
    NORM_BATCH,
    NORM_NONE,
    NORMED,
    NUM_COLUMNS,
    NUM_PARTS,
    OUT,
    PIECES,
    PLACE,
    POOLED,
    SCALE,
    SHIFT,
    SLOPE,
    SPACE,
    STATS,
    VAR,
    WEIGHT,
    WIDTH,
    XHAT,
    num_given,
)
from thalweg.population._kernel_views import cube, stretch, view

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


# ---- forward and backward -------------------------------------------------------------------------------------------


@njit(nogil=True)
def _given_at(row, at, rate):
    """Returns where in the scratch lies what a layer gives to the next one."""
    if rate > 0 and row[DROPOUT] >= 0:
        return at[HIDDEN]
    return at[POOLED] if row[HEIGHT] > 0 else at[ACTIVE]


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
    L = layers.shape[0]
    h, h_at = stretch(x, 0, x.size), 0  # what a layer reads: the batch, or the scratch
    for k in range(L):
        row, at = stretch(layers, k * NUM_COLUMNS, NUM_COLUMNS), stretch(offsets, k * NUM_PARTS, NUM_PARTS)
        wide = row[OUT] * row[PIECES]
        bias = stretch(theta, row[BIAS], wide)
        pixels = 1
        if row[HEIGHT] > 0:
            H, W = row[HEIGHT], row[WIDTH]
            pixels = H * W
            below = stretch(h, h_at, B * row[IN] * pixels)
            weight = stretch(theta, row[WEIGHT], wide * row[IN] * 9)
            space = stretch(scratch, at[SPACE], conv_space(row[IN], wide, H, W))
            z = stretch(scratch, at[LINEAR], B * wide * pixels)
            convolution(below, weight, bias, B, row[IN], wide, H, W, space, z)
        else:
            product = view(scratch, at[LINEAR], B, wide)
            np.dot(view(h, h_at, B, row[IN]), view(theta, row[WEIGHT], row[IN], wide), product)
            _add_bias(product, bias)
        if k + 1 == L:
            break
        u = at[LINEAR]
        if row[NORM] != NORM_NONE:
            u = at[NORMED]
            _norm(row, at, theta, buffers, scratch, B, wide, pixels, training)
        size = B * row[OUT] * pixels
        if row[PIECES] > 1:
            _maxout(scratch, u, at[ACTIVE], B * row[OUT], row[PIECES], pixels)
        else:
            p = theta[row[SLOPE]] if row[SLOPE] >= 0 else slope
            apply_value(row[ACTIVATION], stretch(scratch, u, size), stretch(scratch, at[ACTIVE], size), p)
        given = at[ACTIVE]
        if row[HEIGHT] > 0:
            given = at[POOLED]
            planes, down, across = B * row[OUT], row[HEIGHT] // 2, row[WIDTH] // 2
            pool(
                cube(scratch, at[ACTIVE], planes, row[HEIGHT], row[WIDTH]),
                cube(scratch, given, planes, down, across),
                cube(scratch, at[PLACE], planes, down, across),
            )
        if training and rate > 0 and row[DROPOUT] >= 0:
            size = B * num_given(row)
            mask = stretch(scratch, at[MASK], size)
            _dropout_mask(mask, chain_key(key, row[DROPOUT]), rate)
            _multiply(stretch(scratch, given, size), mask, stretch(scratch, at[HIDDEN], size))
            given = at[HIDDEN]
        h, h_at = scratch, given


@njit(nogil=True)
def _norm(row, at, theta, buffers, scratch, B, wide, pixels, training):
    """Writes NORMED, XHAT and STATS of a layer from its LINEAR."""
    scale, shift = stretch(theta, row[SCALE], wide), stretch(theta, row[SHIFT], wide)
    stats = stretch(scratch, at[STATS], 2 * max(B, wide))
    if row[HEIGHT] > 0:
        size = B * wide * pixels
        z, xhat = stretch(scratch, at[LINEAR], size), stretch(scratch, at[XHAT], size)
        normed = stretch(scratch, at[NORMED], size)
        if row[NORM] == NORM_BATCH:
            mean, var = stretch(buffers, row[MEAN], wide), stretch(buffers, row[VAR], wide)
            channel_batch_norm(z, xhat, normed, scale, shift, mean, var, stats, B, pixels, training)
        else:
            image_norm(z, xhat, normed, scale, shift, stats, B, pixels)
    else:
        z, xhat = view(scratch, at[LINEAR], B, wide), view(scratch, at[XHAT], B, wide)
        normed = view(scratch, at[NORMED], B, wide)
        if row[NORM] == NORM_BATCH:
            mean, var = stretch(buffers, row[MEAN], wide), stretch(buffers, row[VAR], wide)
            _batch_norm(z, xhat, normed, scale, shift, mean, var, stats, training)
        else:
            _layer_norm(z, xhat, normed, scale, shift, stats)


@njit(nogil=True, fastmath=MATH)
def _multiply(a, b, out):
    for i in range(out.size):
        out[i] = a[i] * b[i]


@njit(nogil=True)
def _maxout(scratch, u, a, groups, pieces, pixels):
    """Takes the largest of each group of neighbouring units, or planes of pixels, from u on; writes from a on."""
    for group in range(groups):
        for i in range(pixels):
            first = u + group * pieces * pixels + i
            top = scratch[first]
            for q in range(1, pieces):
                top = max(top, scratch[first + q * pixels])
            scratch[a + group * pixels + i] = top


@njit(nogil=True)
def _maxout_backward(scratch, u, g_active, g, groups, pieces, pixels):
    """Gives the gradient to the first winner, as torch.max does."""
    for group in range(groups):
        for i in range(pixels):
            first = group * pieces * pixels + i
            best = first
            for q in range(1, pieces):
                if scratch[u + first + q * pixels] > scratch[u + best]:
                    best = first + q * pixels
            for q in range(pieces):
                scratch[g + first + q * pixels] = 0
            scratch[g + best] = scratch[g_active + group * pixels + i]


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
        row, at = stretch(layers, k * NUM_COLUMNS, NUM_COLUMNS), stretch(offsets, k * NUM_PARTS, NUM_PARTS)
        wide = row[OUT] * row[PIECES]
        is_conv = row[HEIGHT] > 0
        pixels = row[HEIGHT] * row[WIDTH] if is_conv else 1
        if k + 1 < L:
            _block_backward(row, at, theta, scratch, grad, B, wide, pixels, rate, slope)
        h, h_at = stretch(x, 0, x.size), 0
        if k > 0:
            below = stretch(layers, (k - 1) * NUM_COLUMNS, NUM_COLUMNS)
            h, h_at = scratch, _given_at(below, stretch(offsets, (k - 1) * NUM_PARTS, NUM_PARTS), rate)
        bias = stretch(grad, row[BIAS], wide)
        if is_conv:
            H, W = row[HEIGHT], row[WIDTH]
            size = B * row[IN] * pixels
            num_weights = wide * row[IN] * 9
            convolution_backward(
                stretch(h, h_at, size),
                stretch(scratch, at[GRAD_LINEAR], B * wide * pixels),
                stretch(theta, row[WEIGHT], num_weights),
                stretch(grad, row[WEIGHT], num_weights),
                bias,
                B,
                row[IN],
                wide,
                H,
                W,
                stretch(scratch, at[SPACE], conv_space(row[IN], wide, H, W)),
                k > 0,
                stretch(scratch, offsets[max(k - 1, 0), GRAD_OUT], size),
            )
        else:
            g = view(scratch, at[GRAD_LINEAR], B, wide)
            np.dot(view(h, h_at, B, row[IN]).T, g, view(grad, row[WEIGHT], row[IN], wide))
            _column_sums(g, bias)
            if k > 0:
                weight = view(theta, row[WEIGHT], row[IN], wide)
                np.dot(g, weight.T, view(scratch, offsets[k - 1, GRAD_OUT], B, row[IN]))


@njit(nogil=True)
def _block_backward(row, at, theta, scratch, grad, B, wide, pixels, rate, slope):
    """Makes GRAD_LINEAR of a hidden layer from its GRAD_OUT: dropout, pooling, activation and norm, backward."""
    if rate > 0 and row[DROPOUT] >= 0:
        size = B * num_given(row)
        given = stretch(scratch, at[GRAD_OUT], size)
        _multiply(given, stretch(scratch, at[MASK], size), given)
    size = B * row[OUT] * pixels
    if row[HEIGHT] > 0:
        H, W = row[HEIGHT], row[WIDTH]
        if H % 2 or W % 2:
            odd = stretch(scratch, at[GRAD_ACTIVE], size)
            for i in range(size):
                odd[i] = 0
        planes, down, across = B * row[OUT], H // 2, W // 2
        unpool(
            cube(scratch, at[GRAD_OUT], planes, down, across),
            cube(scratch, at[PLACE], planes, down, across),
            cube(scratch, at[GRAD_ACTIVE], planes, H, W),
        )
    u = at[LINEAR] if row[NORM] == NORM_NONE else at[NORMED]
    if row[PIECES] > 1:
        _maxout_backward(scratch, u, at[GRAD_ACTIVE], at[GRAD_LINEAR], B * row[OUT], row[PIECES], pixels)
    else:  # in place: GRAD_LINEAR is GRAD_ACTIVE
        flat_u, g_active = stretch(scratch, u, size), stretch(scratch, at[GRAD_ACTIVE], size)
        p = theta[row[SLOPE]] if row[SLOPE] >= 0 else slope
        if row[SLOPE] >= 0:
            total = theta.dtype.type(0.0)
            for i in range(size):
                total += g_active[i] * parameter_slope(flat_u[i], p)
            grad[row[SLOPE]] = total
        apply_slope(row[ACTIVATION], flat_u, stretch(scratch, at[ACTIVE], size), g_active, p)
    if row[NORM] == NORM_NONE:
        return
    scale = stretch(theta, row[SCALE], wide)
    grad_scale, grad_shift = stretch(grad, row[SCALE], wide), stretch(grad, row[SHIFT], wide)
    stats = stretch(scratch, at[STATS], 2 * max(B, wide))
    per_batch = row[NORM] == NORM_BATCH
    if row[HEIGHT] > 0:
        size = B * wide * pixels
        g, xhat = stretch(scratch, at[GRAD_LINEAR], size), stretch(scratch, at[XHAT], size)
        channel_norm_backward(g, xhat, scale, grad_scale, grad_shift, stats, B, pixels, per_batch)
    else:
        g2, xhat2 = view(scratch, at[GRAD_LINEAR], B, wide), view(scratch, at[XHAT], B, wide)
        _norm_backward(g2, xhat2, scale, grad_scale, grad_shift, stats, per_batch)
