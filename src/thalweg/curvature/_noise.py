"""How noisy minibatch gradients are, and the batch size from which more rows help little."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from thalweg.core import InputError, Interval, t_quantile
from thalweg.curvature._surface import Surface

#: numbers that the gradients of a chunk of rows hold
_CHUNK = 2**23


@dataclass(frozen=True, kw_only=True)
class NoiseScale:
    """The simple gradient noise scale at a point, in rows.

    Args:
        scale: tr(S) / |G|^2, where S is the covariance of one row's gradient and G their mean, with its 95% interval
            over rows. Where the gradient cannot be told from zero it is a lower bound, and the upper end is infinite.
        trace: tr(S). gradient_square: |G|^2, without the bias of the sample.
    """

    scale: Interval
    trace: float
    gradient_square: float


def gradient_noise_scale(surface: Surface, point: torch.Tensor | None = None) -> NoiseScale:
    """Returns the batch size at which noise and signal of a minibatch gradient are equally large.

    Below it, a batch of twice the size makes nearly twice the progress a step; far above it, hardly more. With n rows
    and sample mean g, E|g|^2 = |G|^2 + tr(S) / n, so the sample's own noise is taken off. The interval is by
    the jackknife over rows, on the logarithm.

    Args:
        surface: The loss over the rows that are looked at; at least 8.
        point: (N,) where; default is the centre.

    Raises:
        InputError: for fewer than 8 rows.

    References:
        McCandlish, Kaplan, Amodei et al., An empirical model of large-batch training, 2018, equation 2.9 and appendix
        A.1. Efron and Stein, The jackknife estimate of variance, 1981.
    """
    at = surface.centre if point is None else point
    n = surface.num_rows
    if n < 8:
        raise InputError("rows", "at least 8, to measure how they differ", n)
    total, squares, along = torch.zeros_like(at), [], []
    chunk = max(1, _CHUNK // surface.size)
    for part in surface.row_gradients(at, chunk):
        total += part.sum(0)
        squares.append(part.square().sum(1))
    for part in surface.row_gradients(at, chunk):
        along.append(part @ total)
    norms, dots = (torch.cat(parts).double().numpy() for parts in (squares, along))
    whole = float(total.double().square().sum())

    def scale_of(count: int, square_of_sum: np.ndarray, sum_of_squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        trace = (sum_of_squares - square_of_sum / count) / (count - 1)
        return trace, square_of_sum / count**2 - trace / count

    trace, signal = scale_of(n, np.array(whole), np.array(norms.sum()))
    # without row i the sum is total - g_i, whose square is |total|^2 - 2 total.g_i + |g_i|^2
    traces, signals = scale_of(n - 1, whole - 2 * dots + norms, norms.sum() - norms)
    if signal <= 0 or (signals <= 0).any():
        low = float(trace / max(whole / n**2, 1e-300))
        interval = Interval(
            mean=low,
            low=low,
            high=np.inf,
            level=0.95,
            method="the gradient is lost in its noise: a lower bound only",
            label="the noise scale over rows",
        )
        return NoiseScale(scale=interval, trace=float(trace), gradient_square=float(max(signal, 0.0)))
    logs = np.log(traces / signals)
    error = float(np.sqrt((n - 1) / n * ((logs - logs.mean()) ** 2).sum()))
    mean = float(trace / signal)
    half = t_quantile(0.95, n - 1) * error
    interval = Interval(
        mean=mean,
        low=mean * float(np.exp(-half)),
        high=mean * float(np.exp(half)),
        level=0.95,
        method="jackknife on the logarithm",
        label="the noise scale over rows",
    )
    return NoiseScale(scale=interval, trace=float(trace), gradient_square=float(signal))
