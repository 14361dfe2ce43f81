"""Recipes drawn from axes, evenly spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from thalweg.core import InputError, Purpose, derive_key
from thalweg.recipes._axis import Axis
from thalweg.recipes._recipe import Recipe


def sample_recipes(base: Recipe, axes: Sequence[Axis], num: int, seed: int) -> list[Recipe]:
    """Returns up to `num` different recipes: the whole grid where it is no larger, else a scrambled Sobol sample.

    Args:
        base: The recipe whose other fields stay.
        axes: What varies; an axis that depends on another may stand before or after it.
        num: How many, >= 1.
        seed: Of the scrambling.

    Raises:
        InputError: for two axes of one field, or an axis that depends on a field that has no axis and another value.

    References:
        Owen, Randomly permuted (t, m, s)-nets, 1995 (scrambling keeps the sample evenly spread).

    Example:
        >>> axes = [Axis(field="lr", low=1e-3, high=1e-1, scale="log")]
        >>> len(sample_recipes(Recipe(), axes, 8, seed=0))
        8
    """
    fields = [axis.field for axis in axes]
    if len(set(fields)) < len(fields):
        raise InputError("axes", "of different fields", fields, "Name all values of a field in one axis.")
    ordered = sorted(axes, key=lambda axis: axis.given is not None)
    grid = math.prod(len(axis.values) if axis.values else num + 1 for axis in axes)
    if grid <= num:
        from itertools import product

        return [
            base.changed(**dict(zip([a.field for a in ordered], combination, strict=True)))
            for combination in product(*(axis.values for axis in ordered))
        ]
    from torch import float64
    from torch.quasirandom import SobolEngine

    sobol = SobolEngine(len(ordered), scramble=True, seed=derive_key(seed, Purpose.SPACE) % 2**63)
    found: dict[Recipe, None] = {}
    for _ in range(8):  # a small space gives repeats; draw on until there are enough
        points = sobol.draw(2 ** max(1, math.ceil(math.log2(num))) if not found else num, dtype=float64)
        for point in points.tolist():
            picked: dict[str, Any] = {}
            for axis, position in zip(ordered, point, strict=True):
                picked[axis.field] = axis.pick(position, {**vars(base), **picked})
            found.setdefault(base.changed(**picked))
            if len(found) == num:
                return list(found)
    return list(found)
