"""The one axis that a symptom goes with: the split under which members with it gather on one side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from thalweg.search._levels import AxisColumn, between, column_of, show

#: a split is told below this probability, corrected for all that were tried
LEVEL = 0.01


@dataclass(frozen=True, kw_only=True)
class Split:
    """Members on one side of a value of an axis, and the others.

    Args:
        axis: Its name.
        condition: What holds inside, as text.
        inside: (members with the symptom, all members) where it holds. outside: the same of the others.
        p: Probability of a split as uneven as this one among all that were tried, by chance.
    """

    axis: str
    condition: str
    inside: tuple[int, int]
    outside: tuple[int, int]
    p: float

    def to_json(self) -> dict[str, Any]:
        """Returns plain data."""
        return {
            "axis": self.axis,
            "condition": self.condition,
            "inside": list(self.inside),
            "outside": list(self.outside),
            "p": self.p,
        }


def find_split(axes: Sequence[AxisColumn], values: Sequence[Mapping[str, Any]], has: np.ndarray) -> Split | None:
    """Returns the split of one axis that a symptom goes with, or None where chance would do as well.

    Tried are every value of a choice, and of a range every threshold between two members (in the middle, on a log
    scale for a log axis), from either side; where the range depends on another axis, also within each of its values.
    The split with the least p-value of Fisher's exact test is taken, as the largest difference of shares would often be
    that of three members. The p-value, doubled for the two directions, is multiplied by the number of splits
    (Bonferroni), so that an axis without an effect is named in less than 1% of searches.

    Args:
        axes: What varied.
        values: For every member its value of each axis.
        has: (N,) whether a member has the symptom.

    Example:
        >>> values = [{"lr": 10.0 ** -(k % 5)} for k in range(40)]
        >>> has = np.array([member["lr"] > 0.5 for member in values])
        >>> find_split([AxisColumn("lr", "log")], values, has).condition
        'lr above 0.32'
    """
    tried = [(axis, condition, inside) for axis in axes for condition, inside in _splits(axis, values)]
    total, num = int(has.sum()), len(has)
    if not tried or not 0 < total < num:
        return None
    sides = np.stack([inside for _, _, inside in tried])
    sizes, hits = sides.sum(1), (sides & has).sum(1)
    chances = scipy.stats.hypergeom.sf(hits - 1, num, total, sizes)
    best = int(chances.argmin())
    p = min(1.0, 2 * len(tried) * float(chances[best]))
    if p >= LEVEL:
        return None
    axis, condition, _ = tried[best]
    inside = int(hits[best]), int(sizes[best])
    return Split(axis=axis.name, condition=condition, inside=inside, outside=(total - inside[0], num - inside[1]), p=p)


def _splits(axis: AxisColumn, values: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, np.ndarray]]:
    """Yields (condition, members inside) of an axis."""
    column = column_of(axis, values)
    if axis.scale == "choice":
        labels = np.array([str(value) for value in column])
        found = sorted(set(labels.tolist()))
        yield from ((f"{axis.name} = {label}", labels == label) for label in found if len(found) > 1)
        return
    numbers = np.array([np.nan if value is None else float(value) for value in column])
    everywhere = ~np.isnan(numbers)
    within = [("", everywhere)]
    if axis.given is not None:
        parents = np.array([str(member.get(axis.given)) for member in values])
        found = sorted(set(parents[everywhere].tolist()))
        within += [(f" with {axis.given} = {p}", everywhere & (parents == p)) for p in found if len(found) > 1]
    for told, here in within:
        distinct = np.unique(numbers[here])
        for low, high in zip(distinct[:-1].tolist(), distinct[1:].tolist(), strict=True):
            cut = between(low, high, axis.scale)
            yield f"{axis.name} above {show(cut)}{told}", here & (numbers > cut)
            yield f"{axis.name} below {show(cut)}{told}", here & (numbers <= cut)
