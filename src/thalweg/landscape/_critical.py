"""Whether a point is near a minimum, a saddle or a maximum: by curvature, not by the gradient alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from thalweg.curvature import Hessian, Surface, extreme_pair

#: accuracy of the eigenvalues, as a share of the largest
_EXACT = 1e-4


@dataclass(frozen=True, kw_only=True)
class CriticalPoint:
    """What a point is, with what it rests on.

    Args:
        kind: minimum, saddle, maximum, flat, or none, where the gradient is not near zero.
        gradient_norm: Of the loss.
        step: Norm of the Newton step along the eigenvectors that were found: how far the nearest zero of the gradient
            lies, if the loss were quadratic.
        smallest: The smallest eigenvalue. largest: the largest.
        negative_share: Part of the largest curvature that is negative, -smallest / largest; 0 for a minimum.
    """

    kind: str
    gradient_norm: float
    step: float
    smallest: float
    largest: float
    negative_share: float


def classify_point(
    surface: Surface, point: torch.Tensor | None = None, *, tolerance: float = 1e-3, flat: float = 1e-6
) -> CriticalPoint:
    """Returns what a point of a surface is.

    A gradient near zero belongs to minima, saddles and maxima alike; in many dimensions most critical points are
    saddles (Dauphin et al., Identifying and attacking the saddle point problem in high-dimensional non-convex
    optimization, 2014). The signs of the Hessian's extreme eigenvalues tell which: all above 0 a minimum, all below a
    maximum, both signs a saddle.

    Args:
        surface: The loss.
        point: (N,) where; default is the centre.
        tolerance: The gradient counts as zero where its norm is at most this times the largest |eigenvalue|.
        flat: An eigenvalue counts as zero where it is at most this share of the largest |eigenvalue|, or what it may be
            off by.
    """
    at = surface.centre if point is None else point
    gradient = surface.gradient(at)
    norm = float(gradient.norm())
    ends = extreme_pair(Hessian(surface, at), tol=_EXACT)
    largest, smallest = (float(value) for value in ends.values)
    scale = max(abs(smallest), abs(largest))
    along = ends.vectors.T @ gradient.double().numpy()
    # of a sign that is told: beyond what the value may be off
    zero = np.maximum(flat * scale, ends.residuals)
    told = np.abs(ends.values) > zero
    step = float(((along[told] / ends.values[told]) ** 2).sum() ** 0.5)
    up, down = largest > zero[0], smallest < -zero[1]
    if norm > tolerance * scale:
        kind = "none"
    elif scale == 0:
        kind = "flat"
    else:
        kind = "saddle" if up and down else "maximum" if down else "minimum"
    share = max(0.0, -smallest) / largest if largest > 0 else (1.0 if down else 0.0)
    return CriticalPoint(
        kind=kind, gradient_norm=norm, step=step, smallest=smallest, largest=largest, negative_share=share
    )
