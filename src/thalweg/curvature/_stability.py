"""How large lr times curvature may be before steps of an update rule grow on a quadratic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from thalweg.recipes import Recipe

#: rule -> the slot that holds mean or sum of squared gradients
_SQUARES = {"adam": "exp_avg_sq", "adamw": "exp_avg_sq", "rmsprop": "square_avg", "adagrad": "square_sum"}


def largest_stable(recipe: Recipe) -> float | None:
    """Returns the largest lr x curvature at which a rule is stable on a quadratic; None for rules without a known one.

    2 for gradient descent; 2 (1 + beta) for heavy ball (Polyak, 1964); 2 (1 + beta) / (1 + 2 beta) for Nesterov's form
    (Cohen et al., Gradient descent on neural networks typically occurs at the edge of stability, 2021, appendix B). For
    rules that divide by D the curvature is that of D^-1/2 H D^-1/2: 2 for RMSprop and Adagrad,
    2 (1 + beta1) / (1 - beta1) for Adam (Cohen et al., Adaptive gradient methods at the edge of stability, 2022,
    proposition 1).

    Args:
        recipe: Rule and momentum.

    Example:
        >>> [largest_stable(Recipe(optimizer=name)) for name in ("sgd", "momentum", "lion")]
        [2.0, 3.8, None]
    """
    beta = recipe.momentum
    if recipe.optimizer in ("sgd", *_SQUARES):
        momentum = recipe.beta1 if recipe.optimizer in ("adam", "adamw") else 0.0
        return 2.0 * (1 + momentum) / (1 - momentum)
    if recipe.optimizer in ("momentum", "heavy_ball", "sgdw"):
        return 2.0 * (1 + beta)
    if recipe.optimizer == "nesterov":
        return 2.0 * (1 + beta) / (1 + 2 * beta)
    return None


def preconditioned(recipe: Recipe) -> bool:
    """Returns whether a rule divides by a scale that it measures."""
    return recipe.optimizer in _SQUARES


def preconditioner(
    recipe: Recipe, names: Iterable[str], slots: Mapping[str, Mapping[str, np.ndarray]], step: int
) -> np.ndarray | None:
    """Returns what a rule multiplies lr by in every coordinate, (N,); None for 1.

    Args:
        recipe: Rule, eps and beta2.
        names: Of the parameters, in the order of the flat vector.
        slots: Slot -> parameter -> array, of a `Snapshot` after at least one step.
        step: Steps that were made, for Adam's correction of its mean.
    """
    if not preconditioned(recipe):
        return None
    found = slots[_SQUARES[recipe.optimizer]]
    squares = np.concatenate([np.asarray(found[name], float).ravel() for name in names])
    if recipe.optimizer in ("adam", "adamw"):
        squares = squares / (1 - recipe.beta2**step)
    return 1 / (np.sqrt(squares) + recipe.eps)
