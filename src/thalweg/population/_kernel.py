"""Member-major training of our own models: one core trains one member for many steps.

The weights and the optimizer state of a member stay in its core's cache while it trains; only rows of the
data stream in. One compiled kernel serves every shape, activation, optimizer, batch size and penalty, so there is no
compile wait for a new recipe and no padding, and a member computes the same bits alone or in company by construction.

Matrix products are BLAS calls of one thread (`np.dot` under numba calls SciPy's BLAS). Elementwise pieces are the very
functions that the other programs call on tensors: update rules of `optim`, activations of `models`, losses of `tasks`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from thalweg.population._kernel_cache import kept_in_cache
from thalweg.population._kernel_layers import backward, chain_key, forward
from thalweg.population._kernel_pieces import apply_loss, apply_prox, apply_update
from thalweg.population._kernel_table import GRAD_LINEAR, LINEAR, OUT, WEIGHT, lay_out_scratch, num_weights
from thalweg.population._kernel_views import view


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
        layers: (L, 15) int64, see the column names of `_kernel_table`.
        theta: (N,) parameters, changed in place; weights as (in, out), so that BLAS reads the rows of small ones.
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
    offsets, size = lay_out_scratch(layers, B)
    scratch = np.empty(size, theta.dtype)
    grad = np.zeros_like(theta)
    batch = np.empty((B, D), theta.dtype)
    out = view(scratch, offsets[L - 1, LINEAR], B, K)
    delta = view(scratch, offsets[L - 1, GRAD_LINEAR], B, K)
    for s in range(num_steps):
        step = first_step + s
        epoch = step // steps_per_epoch
        start = (step - epoch * steps_per_epoch) * B
        rows = order[epoch - first_epoch, start : start + B]
        for i in range(B):
            r = rows[i]
            for j in range(D):  # a loop is copied as vectors; numba's row assignment was not
                batch[i, j] = x[r, j]
        key = chain_key(dropout_key, step)
        forward(layers, theta, buffers, batch, scratch, offsets, True, rate, key, slope)
        value = apply_loss(loss, out, y_real, y_class, rows, delta, loss_parameter, smoothing)
        losses[s] = value
        if not np.isfinite(value):
            return s
        backward(layers, theta, batch, scratch, offsets, grad, rate, slope)
        if l2 > 0:
            for k in range(L):
                begin = layers[k, WEIGHT]
                end = begin + num_weights(layers[k])
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
        apply_update(rule, theta, grad, slots, c)
        if l1 is not None:  # numba drops this branch, and its compilation, where l1 is None
            for k in range(L):
                begin = layers[k, WEIGHT]
                end = begin + num_weights(layers[k])
                apply_prox(rule, theta[begin:end], slots[:, begin:end], c, l1)
    return num_steps


def _predict(layers, theta, buffers, x, slope, out, chunk):
    """Writes the outputs of one member for all rows of x, (n, D) -> (n, K), in evaluation mode."""
    n = x.shape[0]
    L = layers.shape[0]
    K = layers[L - 1, OUT]
    offsets, size = lay_out_scratch(layers, chunk)
    scratch = np.empty(size, theta.dtype)
    for start in range(0, n, chunk):
        stop = min(start + chunk, n)
        rows = x[start:stop]
        if stop - start < chunk:
            offsets, size = lay_out_scratch(layers, stop - start)
        forward(layers, theta, buffers, rows, scratch, offsets, False, 0.0, np.uint64(0), slope)
        out[start:stop] = view(scratch, offsets[L - 1, LINEAR], stop - start, K)


def _mean_losses(loss, outputs, y_real, y_class, parameter):
    """Returns (M,) mean losses of outputs (M, n, K) against their targets, without smoothing."""
    M, n, K = outputs.shape
    rows = np.arange(n)
    delta = np.empty((n, K), outputs.dtype)
    found = np.empty(M)
    for m in range(M):
        found[m] = apply_loss(loss, outputs[m], y_real, y_class, rows, delta, parameter, outputs.dtype.type(0.0))
    return found


with kept_in_cache():
    train = njit(_train, cache=True, nogil=True, error_model="numpy")
    predict = njit(_predict, cache=True, nogil=True)
    mean_losses = njit(_mean_losses, cache=True, nogil=True)
