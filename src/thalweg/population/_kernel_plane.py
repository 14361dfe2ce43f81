"""A network at many points of a plane, by the compiled pieces: what lies behind the first layer, block by block."""

from __future__ import annotations

import numpy as np
from numba import njit

from thalweg.population._kernel import mean_losses, predict
from thalweg.population._kernel_cache import kept_in_cache
from thalweg.population._kernel_pieces import MATH, apply_value
from thalweg.population._kernel_table import ACTIVATION, OUT, SLOPE


@njit(nogil=True, fastmath=MATH)
def _combine(origin, first, second, a, b, out):
    for i in range(out.size):
        out[i] = origin[i] + a * first[i] + b * second[i]


def _measure_plane(layers, theta, begin, z, places, slope, loss, y_real, y_class, parameter, chunk, losses, right):
    """Writes the mean loss and the share of right classes at every point (a, b), with parameters o + a u + b v.

    Args:
        layers: (L, 15), at least two, dense, without norm and pieces.
        theta: (3, N) parameters of o, u and v; those from `begin` on are read, behind the first layer's weight.
        z: (3, n * H) results of the first layer with the parameters of o, u and v.
        places: (M, 2) of a and b.
        slope: Parameter of the activation.
        y_real: (n, K) or empty. y_class: (n,) or empty.
        chunk: Rows at a time, so that they stay in the cache.
        losses: (M,), written. right: (M,), written where there are classes.
    """
    H = layers[0, OUT]
    n = z.shape[1] // H
    K = layers[layers.shape[0] - 1, OUT]
    tail, activation, own = layers[1:], layers[0, ACTIVATION], layers[0, SLOPE]
    at = theta[0].copy()
    out = np.empty((chunk, K), z.dtype)
    buffers = np.empty(0, z.dtype)
    hidden = np.empty(chunk * H, z.dtype)
    active = np.empty(chunk * H, z.dtype)
    for m in range(places.shape[0]):
        a, b = places[m, 0], places[m, 1]
        _combine(theta[0, begin:], theta[1, begin:], theta[2, begin:], a, b, at[begin:])
        p = at[own] if own >= 0 else slope
        total, num_right = 0.0, 0
        for start in range(0, n, chunk):
            stop = min(start + chunk, n)
            size = (stop - start) * H
            o, u, v = z[0, start * H : stop * H], z[1, start * H : stop * H], z[2, start * H : stop * H]
            _combine(o, u, v, a, b, hidden[:size])
            apply_value(activation, hidden[:size], active[:size], p)
            shown = out[: stop - start]
            predict(tail, at, buffers, active[:size].reshape(stop - start, H), slope, shown, chunk)
            outputs = shown.reshape(1, stop - start, K)
            mean = mean_losses(loss, outputs, y_real[start:stop], y_class[start:stop], parameter)[0]
            total += mean * (stop - start)
            if y_class.size:
                for i in range(stop - start):
                    num_right += np.argmax(shown[i]) == y_class[start + i]
        losses[m] = total / n
        right[m] = num_right / n


with kept_in_cache():
    measure_plane = njit(_measure_plane, cache=True, nogil=True)
