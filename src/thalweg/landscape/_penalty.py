"""The penalty of a recipe at many points of a plane."""

from __future__ import annotations

import numpy as np

from thalweg.landscape._directions import Plane

#: numbers of a chunk
_CHUNK = 2**22


def penalty_at(plane: Plane, a: np.ndarray, b: np.ndarray, *, l1: float, l2: float) -> np.ndarray:
    """Returns l1 ||w||_1 + (l2 / 2) ||w||^2 of the weights (matrices and kernels) at M points, (M,).

    Args:
        plane: Where they lie.
        a: (M,) first coordinates. b: (M,) second ones.
        l1: Strength of the absolute part. l2: of the squared part.

    Example:
        >>> w = {"weight": np.array([[3.0, -4.0]])}
        >>> still = {"weight": np.zeros((1, 2))}
        >>> plane = Plane(origin=w, u=w, v=still, u_name="", v_name="", places={})
        >>> penalty_at(plane, np.array([0.0, 1.0]), np.zeros(2), l1=1.0, l2=0.0)
        array([ 7., 14.])
    """
    total = np.zeros(len(a))
    for name, value in plane.origin.items():
        if value.ndim < 2:
            continue
        o, u, v = (np.asarray(tree[name], np.float64).ravel() for tree in (plane.origin, plane.u, plane.v))
        if l2 > 0:
            squares = o @ o + a**2 * (u @ u) + b**2 * (v @ v) + 2 * (a * (o @ u) + b * (o @ v) + a * b * (u @ v))
            total += l2 / 2 * squares
        if l1 > 0:
            step = max(1, _CHUNK // len(o))
            for k in range(0, len(a), step):
                part = slice(k, k + step)
                total[part] += l1 * np.abs(o + a[part, None] * u + b[part, None] * v).sum(1)
    return total
