"""Convexity: a certificate where there is one, and measured chords where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from thalweg.core import Interval, Purpose, check_number, derive_key, interval_of_mean
from thalweg.curvature import Surface
from thalweg.recipes import Recipe
from thalweg.tasks import Task

#: losses that are convex in the outputs of a model
_CONVEX = {
    "mse": "a square is convex",
    "mae": "an absolute value is convex",
    "huber": "Huber's loss is convex",
    "bce": "log(1 + exp) is convex",
    "cross_entropy": "log-sum-exp is convex",
}


@dataclass(frozen=True, kw_only=True)
class Convexity:
    """How far chords lie above the loss.

    Args:
        share: Share of chords on which some point lies above the chord, with its interval over chords.
        gaps: (chords,) the largest amount by which the loss lies above the chord, 0 where it never does.
    """

    share: Interval
    gaps: np.ndarray


def is_convex_task(task: Task, recipe: Recipe) -> tuple[bool, str]:
    """Returns whether the training loss is certainly convex in the parameters, and why, in a clause.

    A linear model's outputs are linear in its parameters, and a convex function of something linear is convex; sums
    of convex functions and convex penalties keep it. No certificate does not mean that the loss is not convex.

    Args:
        task: What is optimised.
        recipe: How.
    """
    if recipe.model != "linear":
        return False, f"the outputs of {recipe.model} are not linear in its parameters"
    return True, f"the outputs are linear in the parameters, and {_CONVEX[task.loss]}"


def chord_gaps(
    surface: Surface, points: Sequence[torch.Tensor], *, chords: int = 64, places: int = 9, seed: int = 0
) -> Convexity:
    """Returns how often, and how far, the loss between two points lies above the straight line of their losses.

    A function is convex where no chord lies below it (Boyd and Vandenberghe, Convex optimization, 2004, equation 3.1);
    so one chord with a gap disproves convexity, and none in many only suggests it along such chords.

    Args:
        surface: The loss.
        points: Ends of the chords: random pairs of them are drawn; at least 2.
        chords: How many.
        places: Inner points of every chord.
        seed: Of the pairs.
    """
    check_number("points", len(points), least=2, integer=True)
    check_number("chords", chords, least=2, integer=True)
    rng = np.random.default_rng(derive_key(seed, Purpose.SPACE))
    losses = [float(surface.value(point)) for point in points]
    gaps = np.zeros(chords)
    inner = np.linspace(0, 1, places + 2)[1:-1]
    with torch.no_grad():
        for c in range(chords):
            i, j = rng.choice(len(points), 2, replace=False)
            between = [float(surface.value((1 - t) * points[i] + t * points[j])) for t in inner]
            chord = (1 - inner) * losses[i] + inner * losses[j]
            # rounding of a sum of losses is not a gap
            rounding = 1e-9 * max(abs(losses[i]), abs(losses[j]), 1e-300)
            gaps[c] = max(0.0, float((np.array(between) - chord).max()) - rounding)
    return Convexity(share=interval_of_mean((gaps > 0).astype(float)).within(0, 1), gaps=gaps)
