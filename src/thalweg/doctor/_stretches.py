"""Which passes of an evaluation only look at rows that were trained on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

#: a stretch without new rows that chance would leave among so many passes less often than this is one of training rows
_CHANCE = 1e-3


def untrained(passes: Sequence[tuple[int, int]]) -> list[int]:
    """Returns the numbers of the passes of an evaluation, without stretches that look at rows of training.

    Many loops evaluate the rows of training and those of validation, one after the other. Rows of validation that
    leaked into training lie among the others: a stretch of n rows, none of them new, has the chance (1 - u)^n where
    a share u of all rows is new, and may begin at any pass. Where no row is new, nothing tells the two apart, and all
    passes are returned; so are they where a stretch is as short as chance makes one. Rows that leaked and are evaluated
    first, or last, all together, look like rows of training.

    Args:
        passes: (new rows, rows) of each, in order.

    Example:
        >>> untrained([(0, 100), (0, 100), (50, 50)]), untrained([(48, 100), (52, 100)]), untrained([(0, 100)])
        ([2], [0, 1], [0])
    """
    new, num = np.array(passes, float).reshape(-1, 2).sum(0)
    kept: list[int] = []
    for is_new, stretch in groupby(range(len(passes)), key=lambda k: passes[k][0] > 0):
        places = list(stretch)
        rows = sum(passes[k][1] for k in places)
        if is_new or new == 0 or len(passes) * (1 - new / num) ** rows > _CHANCE:
            kept += places
    return kept
