"""The member: one recipe, one seed, one starting state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from thalweg.recipes._recipe import Recipe


@dataclass(frozen=True, kw_only=True, eq=False)
class Member:
    """A recipe with a seed and a start.

    Args:
        recipe: How it is optimised.
        seed: Of its stream: data order, random draws and, from a fresh start, the initial weights. Members of one seed
            share one stream, so they can be compared in pairs.
        start: A `Snapshot` of an equal structure to continue from, or None for a fresh init.
    """

    recipe: Recipe
    seed: int
    start: Any = None
