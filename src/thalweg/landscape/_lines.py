"""The straight line between two networks, and the barrier on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from thalweg.core import check_number
from thalweg.landscape._directions import Plane
from thalweg.landscape._grid import Scorer


@dataclass(frozen=True, kw_only=True)
class Line:
    """The losses between two networks.

    Args:
        t: (M,) places, 0 the first network, 1 the second.
        loss: (M,) loss at each.
        right: (M,) share of rows that are right, or None.
        barrier: max over t of loss(t) - [(1 - t) loss(0) + t loss(1)]: how far the line rises above the chord; 0 where
            it does not (Frankle et al., Linear mode connectivity and the lottery ticket hypothesis, 2020; Entezari et
            al., The role of permutation invariance in linear mode connectivity, 2022, definition 2.2).
    """

    t: np.ndarray
    loss: np.ndarray
    right: np.ndarray | None
    barrier: float


def line_between(
    scorer: Scorer, first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray], *, num: int = 25
) -> Line:
    """Returns the losses on the straight line between two networks of one shape.

    Args:
        scorer: The data and the model.
        first: Parameters at 0. second: parameters at 1.
        num: Points, both ends included, at least 3.

    Raises:
        InputError: for fewer than 3 points.
    """
    check_number("num", num, least=3, integer=True)
    t = np.linspace(0, 1, num)
    towards = {name: np.asarray(second[name], np.float64) - np.asarray(first[name], np.float64) for name in first}
    still = {name: np.zeros_like(value) for name, value in towards.items()}
    line = Plane(origin=first, u=towards, v=still, u_name="from the first to the second", v_name="", places={})
    found = scorer.at(line, t, np.zeros(num))
    chord = (1 - t) * found.loss[0] + t * found.loss[-1]
    return Line(t=t, loss=found.loss, right=found.right, barrier=max(0.0, float((found.loss - chord).max())))
