"""Convolution, its norms and max pooling in compiled form, over planes of pixels (B, C, H, W).

A plane with a border of zeros is one row of (H + 2)(W + 2) numbers. A 3 x 3 convolution is then nine products of that
row, shifted, with a weight each: one loop over contiguous numbers, without a copy of patches. What it writes at the
borders is left behind when planes are copied back.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numba.extending import register_jitable

from thalweg.models import BATCH_NORM_MOMENTUM, NORM_EPS
from thalweg.population._kernel_pieces import MATH
from thalweg.population._kernel_views import stretch

#: numbers between the parts of the working space, so that vectors begin on a line of the cache
_GAP = 16


@register_jitable
def conv_space(num_in, num_units, height, width):
    """Returns the numbers of working space that a convolution needs, forward and backward."""
    plane = (height + 2) * (width + 2)
    return (2 * num_in + num_units) * plane + 9 * num_in * num_units + num_in + 5 * _GAP


# ---- convolution ----------------------------------------------------------------------------------------------------


@njit(nogil=True, error_model="numpy")
def _pad(x, num, height, width, padded):
    # (num, H, W) into (num, H + 2, W + 2), zeros around
    S = width + 2
    zero = x.dtype.type(0.0)
    for c in range(num):
        top = stretch(padded, c * (height + 2) * S, (height + 2) * S)
        for j in range(S):
            top[j] = zero
            top[(height + 1) * S + j] = zero
        for i in range(height):
            row, to = stretch(x, (c * height + i) * width, width), stretch(top, (i + 1) * S, S)
            to[0] = zero
            for j in range(width):
                to[j + 1] = row[j]
            to[width + 1] = zero


# A shift by whole rows is a view of its own: where an index might be negative, numba looks, and the loop is no vector.


@njit(nogil=True, error_model="numpy", fastmath=MATH)
def _into_two(x, S, w, v, z, y):
    # one input plane into two output planes: each number that is loaded is used twice
    w0, w1, w2, w3, w4, w5, w6, w7, w8 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8]
    v0, v1, v2, v3, v4, v5, v6, v7, v8 = v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8]
    n = z.size
    p, q, r = stretch(x, 0, n + 2), stretch(x, S, n + 2), stretch(x, 2 * S, n + 2)
    for i in range(n):
        a, b, c = p[i], p[i + 1], p[i + 2]
        d, e, f = q[i], q[i + 1], q[i + 2]
        g, h, k = r[i], r[i + 1], r[i + 2]
        z[i] += w0 * a + w1 * b + w2 * c + w3 * d + w4 * e + w5 * f + w6 * g + w7 * h + w8 * k
        y[i] += v0 * a + v1 * b + v2 * c + v3 * d + v4 * e + v5 * f + v6 * g + v7 * h + v8 * k


@njit(nogil=True, error_model="numpy", fastmath=MATH)
def _into_one(x, S, w, z):
    w0, w1, w2, w3, w4, w5, w6, w7, w8 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8]
    n = z.size
    p, q, r = stretch(x, 0, n + 2), stretch(x, S, n + 2), stretch(x, 2 * S, n + 2)
    for i in range(n):
        upper = w0 * p[i] + w1 * p[i + 1] + w2 * p[i + 2]
        middle = w3 * q[i] + w4 * q[i + 1] + w5 * q[i + 2]
        z[i] += upper + middle + (w6 * r[i] + w7 * r[i + 1] + w8 * r[i + 2])


@njit(nogil=True, error_model="numpy", fastmath=MATH)
def _weight_slopes(x, S, g, out):
    # the sums over pixels of g times the nine shifts of x, added to out
    zero = g.dtype.type(0.0)
    s0, s1, s2, s3, s4, s5, s6, s7, s8 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    n = g.size
    p, q, r = stretch(x, 0, n + 2), stretch(x, S, n + 2), stretch(x, 2 * S, n + 2)
    for i in range(n):
        s0 += g[i] * p[i]
        s1 += g[i] * p[i + 1]
        s2 += g[i] * p[i + 2]
        s3 += g[i] * q[i]
        s4 += g[i] * q[i + 1]
        s5 += g[i] * q[i + 2]
        s6 += g[i] * r[i]
        s7 += g[i] * r[i + 1]
        s8 += g[i] * r[i + 2]
    out[0] += s0
    out[1] += s1
    out[2] += s2
    out[3] += s3
    out[4] += s4
    out[5] += s5
    out[6] += s6
    out[7] += s7
    out[8] += s8


@njit(nogil=True, error_model="numpy")
def _convolve(x, weight, num_in, num_out, height, width, z):
    """Writes the planes of one image: x (num_in, padded), weight (num_out, num_in, 9), z (num_out, padded)."""
    S = width + 2
    plane, n = (height + 2) * S, height * S - 2
    for i in range(num_out * plane):
        z[i] = 0
    for out in range(0, num_out - 1, 2):
        for c in range(num_in):
            _into_two(
                stretch(x, c * plane, plane),
                S,
                stretch(weight, (out * num_in + c) * 9, 9),
                stretch(weight, ((out + 1) * num_in + c) * 9, 9),
                stretch(z, out * plane, n),
                stretch(z, (out + 1) * plane, n),
            )
    if num_out % 2:
        out = num_out - 1
        for c in range(num_in):
            w = stretch(weight, (out * num_in + c) * 9, 9)
            _into_one(stretch(x, c * plane, plane), S, w, stretch(z, out * plane, n))


@njit(nogil=True, error_model="numpy")
def _unpad(z, bias, num, height, width, out):
    # the planes of one image without their borders, each plus its bias
    S = width + 2
    for c in range(num):
        for i in range(height):
            row, to = stretch(z, (c * (height + 2) + i) * S, width), stretch(out, (c * height + i) * width, width)
            for j in range(width):
                to[j] = row[j] + bias[c]


@njit(nogil=True, error_model="numpy")
def convolution(x, weight, bias, B, num_in, num_units, height, width, space, out):
    """Writes the 3 x 3 convolution with padding 1: x (B, num_in, H, W) -> out (B, num_units, H, W), all flat."""
    padded, pixels = (height + 2) * (width + 2), height * width
    xp = stretch(space, 0, num_in * padded)
    zp = stretch(space, num_in * padded + _GAP, num_units * padded)
    for b in range(B):
        _pad(stretch(x, b * num_in * pixels, num_in * pixels), num_in, height, width, xp)
        _convolve(xp, weight, num_in, num_units, height, width, zp)
        _unpad(zp, bias, num_units, height, width, stretch(out, b * num_units * pixels, num_units * pixels))


@njit(nogil=True, error_model="numpy")
def convolution_backward(
    x, g, weight, grad_weight, grad_bias, B, num_in, num_units, height, width, space, with_input, grad_x
):
    """Writes the gradients of weight and bias, and of x where asked, from g = dloss/dout (B, num_units, H, W)."""
    S = width + 2
    padded, pixels, n = (height + 2) * S, height * width, height * S - 2
    xp = stretch(space, 0, num_in * padded)
    at = num_in * padded + _GAP
    gp = stretch(space, at, num_units * padded)
    at += num_units * padded + _GAP
    dx = stretch(space, at, num_in * padded)
    at += num_in * padded + _GAP
    turned = stretch(space, at, 9 * num_in * num_units)
    zeros = stretch(space, at + 9 * num_in * num_units + _GAP, num_in)
    for c in range(num_in):
        zeros[c] = 0
        for u in range(num_units):
            for t in range(9):
                turned[(c * num_units + u) * 9 + t] = weight[(u * num_in + c) * 9 + 8 - t]
    for i in range(grad_weight.size):
        grad_weight[i] = 0
    for u in range(num_units):
        grad_bias[u] = 0
    for b in range(B):
        _pad(stretch(x, b * num_in * pixels, num_in * pixels), num_in, height, width, xp)
        own = stretch(g, b * num_units * pixels, num_units * pixels)
        _pad(own, num_units, height, width, gp)
        for u in range(num_units):
            grad_bias[u] += _sum(stretch(own, u * pixels, pixels))
            # the row of z that this is the gradient of begins one row and one column into the border
            gu = stretch(gp, u * padded + S + 1, n)
            for c in range(num_in):
                slopes = stretch(grad_weight, (u * num_in + c) * 9, 9)
                _weight_slopes(stretch(xp, c * padded, padded), S, gu, slopes)
        if with_input:
            _convolve(gp, turned, num_units, num_in, height, width, dx)
            _unpad(dx, zeros, num_in, height, width, stretch(grad_x, b * num_in * pixels, num_in * pixels))


@njit(nogil=True, error_model="numpy", fastmath=MATH)
def _sum(x):
    total = x.dtype.type(0.0)
    for i in range(x.size):
        total += x[i]
    return total


# ---- max pooling ----------------------------------------------------------------------------------------------------


@njit(nogil=True, error_model="numpy")
def pool(x, out, place):
    """Takes the maxima of (N, H, W) by 2 x 2 and the place of each in its window, row by row; a NaN is the largest."""
    zero, one, two = np.uint8(0), np.uint8(1), np.uint8(2)
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                a, b, c, d = (
                    x[n, 2 * i, 2 * j],
                    x[n, 2 * i, 2 * j + 1],
                    x[n, 2 * i + 1, 2 * j],
                    x[n, 2 * i + 1, 2 * j + 1],
                )
                b_wins = b > a or b != b
                d_wins = d > c or d != d
                first, second = b if b_wins else a, d if d_wins else c
                second_wins = second > first or second != second
                out[n, i, j] = second if second_wins else first
                right = d_wins if second_wins else b_wins
                place[n, i, j] = (two if second_wins else zero) + (one if right else zero)


@njit(nogil=True, error_model="numpy")
def unpool(grad, place, found):
    """Puts the gradient of each maximum at its place in found (N, H, W); an odd last row or column is left alone."""
    zero = grad.dtype.type(0)
    for n in range(grad.shape[0]):
        for i in range(grad.shape[1]):
            for j in range(grad.shape[2]):
                at, g = place[n, i, j], grad[n, i, j]
                found[n, 2 * i, 2 * j] = g if at == 0 else zero
                found[n, 2 * i, 2 * j + 1] = g if at == 1 else zero
                found[n, 2 * i + 1, 2 * j] = g if at == 2 else zero
                found[n, 2 * i + 1, 2 * j + 1] = g if at == 3 else zero


# ---- norms ----------------------------------------------------------------------------------------------------------


@njit(nogil=True, error_model="numpy", fastmath=MATH)
def _centred_squares(x, mean):
    total = x.dtype.type(0.0)
    for i in range(x.size):
        total += (x[i] - mean) * (x[i] - mean)
    return total


@njit(nogil=True, error_model="numpy", fastmath=MATH)
def _product(x, y):
    total = x.dtype.type(0.0)
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@njit(nogil=True, error_model="numpy", fastmath=MATH)
def _normalise(z, mean, inv, scale, shift, xhat, out):
    for i in range(z.size):
        xhat[i] = (z[i] - mean) * inv
        out[i] = xhat[i] * scale + shift


@njit(nogil=True, error_model="numpy")
def channel_batch_norm(z, xhat, out, scale, shift, mean, var, stats, B, n, training):
    """Batch norm of each channel over rows and pixels, z (B, C, n) flat; running statistics as torch keeps them."""
    C = scale.size
    one = z.dtype.type(1.0)
    count = z.dtype.type(B * n)
    unbiased = z.dtype.type(max(B * n - 1, 1))
    eps, rate = z.dtype.type(NORM_EPS), z.dtype.type(BATCH_NORM_MOMENTUM)
    for c in range(C):
        mu, v = mean[c], var[c]
        if training:
            mu = one - one
            for b in range(B):
                mu += _sum(stretch(z, (b * C + c) * n, n))
            mu /= count
            v = one - one
            for b in range(B):
                v += _centred_squares(stretch(z, (b * C + c) * n, n), mu)
            mean[c] += rate * (mu - mean[c])
            var[c] += rate * (v / unbiased - var[c])
            v /= count
        inv = one / np.sqrt(v + eps)
        stats[C + c] = inv
        for b in range(B):
            at = (b * C + c) * n
            _normalise(stretch(z, at, n), mu, inv, scale[c], shift[c], stretch(xhat, at, n), stretch(out, at, n))


@njit(nogil=True, error_model="numpy")
def image_norm(z, xhat, out, scale, shift, stats, B, n):
    """Layer norm of each image over channels and pixels, z (B, C, n) flat (torch.nn.GroupNorm with one group)."""
    C = scale.size
    one = z.dtype.type(1.0)
    count = z.dtype.type(C * n)
    eps = z.dtype.type(NORM_EPS)
    for b in range(B):
        image = stretch(z, b * C * n, C * n)
        mu = _sum(image) / count
        inv = one / np.sqrt(_centred_squares(image, mu) / count + eps)
        stats[b] = inv
        for c in range(C):
            at = (b * C + c) * n
            _normalise(stretch(z, at, n), mu, inv, scale[c], shift[c], stretch(xhat, at, n), stretch(out, at, n))


@njit(nogil=True, error_model="numpy", fastmath=MATH)
def _norm_slopes(g, xhat, factor, level, along):
    for i in range(g.size):
        g[i] = factor * (g[i] - level - xhat[i] * along)


@njit(nogil=True, error_model="numpy")
def channel_norm_backward(g, xhat, scale, grad_scale, grad_shift, stats, B, n, per_batch):
    """Turns g = dloss/d(normed) into dloss/d(linear), in place; writes the gradients of scale and shift."""
    C = scale.size
    zero = g.dtype.type(0.0)
    for c in range(C):
        grad_scale[c] = zero
        grad_shift[c] = zero
        for b in range(B):
            at = (b * C + c) * n
            grad_scale[c] += _product(stretch(g, at, n), stretch(xhat, at, n))
            grad_shift[c] += _sum(stretch(g, at, n))
    if per_batch:
        inv_count = g.dtype.type(1.0 / (B * n))
        for c in range(C):
            level, along = grad_shift[c] * inv_count, grad_scale[c] * inv_count
            for b in range(B):
                at = (b * C + c) * n
                _norm_slopes(stretch(g, at, n), stretch(xhat, at, n), scale[c] * stats[C + c], level, along)
    else:
        inv_count = g.dtype.type(1.0 / (C * n))
        for b in range(B):
            level, along = zero, zero
            for c in range(C):
                at = (b * C + c) * n
                level += scale[c] * _sum(stretch(g, at, n))
                along += scale[c] * _product(stretch(g, at, n), stretch(xhat, at, n))
            for c in range(C):
                # scale (g - level / scale - xhat along / scale), without the division
                at = (b * C + c) * n
                one_channel, own = stretch(g, at, n), stretch(xhat, at, n)
                for i in range(n):
                    one_channel[i] = stats[b] * (scale[c] * one_channel[i] - inv_count * (level + own[i] * along))
