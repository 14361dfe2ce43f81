"""Levels of the axes of a study: choices as they are, ranges cut into bins, and where members diverged."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy

from thalweg.core import InputError, check_choice, nearest

MOST_BINS = 5
"""Bins of a range, where members suffice: about as many as a sentence can speak of."""
MOST_CHOICES = 200
"""More choices than that are a range under the wrong name; the fit would need a coefficient for each."""
LEAST_MEMBERS = 3
"""A level with fewer members that did not diverge gets no interval."""


@dataclass(frozen=True)
class AxisColumn:
    """One axis as a column of the members' values."""

    name: str
    """Key in every member's values."""
    scale: Literal["choice", "log", "linear"]
    """Whether the values are names or a range, and how the range was drawn."""
    given: str | None = None
    """Name of the choice axis on which this one is conditional (lr on optimizer); None: on none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Level:
    """A choice, or a bin of a range, within one value of the conditioning axis."""

    axis: str
    given: str | None
    """Value of the conditioning axis."""
    label: str
    low: float | None
    """Lower end of the bin; None for a choice."""
    high: float | None
    inside: np.ndarray
    """Which members are here, (N,) bool."""

    @property
    def title(self) -> str:
        """The label with the conditioning value."""
        return self.label if self.given is None else f"{self.label} with {self.given}"


def show(number: float, digits: int = 2) -> str:
    """Returns the number with so many significant digits; a whole number below 10,000 in full."""
    if number == round(number) and abs(number) < 10_000:
        return f"{number:.0f}"
    return f"{number:.{digits}g}"


def show_range(low: float, high: float) -> str:
    """Returns "low to high" with as many digits as it takes to show two different numbers.

    Example:
        >>> show_range(0.001, 0.0312), show_range(0.9991, 0.9992)
        ('0.001 to 0.031', '0.9991 to 0.9992')
    """
    for digits in range(2, 17):
        if show(low, digits) != show(high, digits):
            return f"{show(low, digits)} to {show(high, digits)}"
    return f"{low!r} to {high!r}"


def check_axes(axes: Sequence[AxisColumn]) -> None:
    """Checks names, scales and conditions.

    Raises:
        InputError: for a repeated name, an unknown scale, or a condition that is not an unconditional choice
            axis.
    """
    names = [axis.name for axis in axes]
    for axis in axes:
        check_choice(f"scale of {axis.name}", axis.scale, ("choice", "log", "linear"))
        if names.count(axis.name) > 1:
            raise InputError("axes", "named once each", axis.name, "Merge the two.")
        parents = [other.name for other in axes if other.scale == "choice" and other.given is None]
        if axis.given is not None and axis.given not in parents:
            rule = "the name of a choice axis that is conditional on none"
            raise InputError(f"given of {axis.name}", rule, axis.given, nearest(axis.given, parents))


def column_of(axis: AxisColumn, values: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Returns the axis' value of every member, None where a conditional axis has none.

    Raises:
        InputError: for a missing value, or one that is no number on a range (not above 0 on a log range).
    """
    column = [member.get(axis.name) for member in values]
    for at, value in enumerate(column):
        field = f"{axis.name} of member {at}"
        if value is None:
            if axis.given is None:
                raise InputError(field, "given", value, "Name the axis that it is conditional on, if any.")
        elif axis.scale != "choice":
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or (axis.scale == "log" and value <= 0):
                rule = "a number above 0" if axis.scale == "log" else "a number"
                raise InputError(field, rule, value, "Use the scale 'choice' for names.")
    if axis.scale == "choice" and (num := len({str(value) for value in column})) > MOST_CHOICES:
        rule = f"an axis with at most {MOST_CHOICES} choices"
        raise InputError(axis.name, rule, num, "Give it the scale 'log' or 'linear'.")
    return column


def find_levels(axis: AxisColumn, column: Sequence[Any], parents: Sequence[str] | None, bins: int) -> list[list[Level]]:
    """Returns the axis' levels, one list for every value of the conditioning axis (one in all if none).

    A range is cut at quantiles of its members' values (of a log range too: the cut does not depend on the
    scale, only the point between two values does), never between equal values, into at most `bins`
    bins of 6 members or more, or into two of 3; a range with no more values than that gets one level a value.
    """
    present = np.array([value is not None for value in column])
    groups = [None] if parents is None else sorted(set(parents))
    found = []
    for given in groups:
        here = present if given is None or parents is None else present & (np.array(parents) == given)
        if not here.any():
            continue
        if axis.scale == "choice":
            labels = np.array(["" if value is None else str(value) for value in column])
            found.append(
                [
                    Level(axis=axis.name, given=given, label=label, low=None, high=None, inside=inside)
                    for label in sorted(set(labels[here].tolist()), key=_natural)
                    if (inside := here & (labels == label)).any()
                ]
            )
        else:
            numbers = np.array([math.nan if value is None else float(value) for value in column])
            found.append(_bin_range(axis, given, numbers, here, bins))
    return found


def _natural(label: str) -> tuple[list[float], str]:
    """Sorts 0.001 before 0.01 and 64x32 before 128; words by the alphabet, after numbers."""
    try:
        return [float(part) for part in label.split("x")], ""
    except ValueError:
        return [math.inf], label


def _bin_range(axis: AxisColumn, given: str | None, numbers: np.ndarray, here: np.ndarray, bins: int) -> list[Level]:
    values = np.sort(numbers[here])
    num = len(values)
    distinct = np.unique(values)
    starts = np.searchsorted(values, distinct)[1:]  # where a bin may begin, as a count of members
    wanted = max(1, min(bins, max(num // 6, 2 if num >= 6 else 1)))
    if len(distinct) > wanted:
        ideal = num * np.arange(1, wanted) / wanted
        starts = np.unique([starts[np.abs(starts - at).argmin()] for at in ideal]).astype(int)
    cuts = [between(float(values[at - 1]), float(values[at]), axis.scale) for at in starts]
    edges = [-math.inf, *cuts, math.inf]
    levels = []
    for left, right in itertools.pairwise(edges):
        inside = here & (numbers > left) & (numbers <= right)
        low, high = max(left, float(numbers[inside].min())), min(right, float(numbers[inside].max()))
        if low < high:
            low, high = max(left, float(values[0])), min(right, float(values[-1]))
        label = show(low) if low == high else show_range(low, high)
        levels.append(Level(axis=axis.name, given=given, label=label, low=low, high=high, inside=inside))
    return levels


def between(low: float, high: float, scale: str) -> float:
    """Returns the middle of two values on the scale, at least `low` and below `high`."""
    middle = math.sqrt(low) * math.sqrt(high) if scale == "log" else low + (high - low) / 2
    return middle if low <= middle < high else low


def where_diverged(
    axis: AxisColumn, column: Sequence[Any], groups: Sequence[Sequence[Level]], diverged: np.ndarray
) -> str | None:
    """Returns a plain statement of where members of this axis diverged, or None if nowhere in particular.

    A choice is named if half or more of its members (3 at least) diverged; a range gets the cut with the
    largest difference between the shares of diverged and of other members that lie beyond it, under the same
    rule. Either must be beyond chance: Fisher's exact test at 5%, corrected for the cuts or choices that
    were tried.
    """
    numbers = np.zeros(len(column))
    if axis.scale != "choice":
        numbers = np.array([math.nan if value is None else float(value) for value in column])
    statements = []
    for levels in groups:
        here = np.logical_or.reduce([level.inside for level in levels])
        with_given = "" if levels[0].given is None else f" with {levels[0].given}"
        if axis.scale == "choice":
            found = [(level.label, level.inside) for level in levels]
        else:
            found = _best_cut(axis.scale, numbers, here, diverged)
        tried = len(levels) if axis.scale == "choice" else 2 * len(np.unique(numbers[here]))
        for label, beyond in found:
            hits, size = int((diverged & beyond).sum()), int(beyond.sum())
            total, num = int((diverged & here).sum()), int(here.sum())
            if hits < LEAST_MEMBERS or 2 * hits < size or size == num:
                continue
            if tried * scipy.stats.hypergeom.sf(hits - 1, num, total, size) <= 0.05:
                statements.append(f"{label}{with_given}: {hits} of {size} diverged")
    return "; ".join(statements) or None


def _best_cut(scale: str, numbers: np.ndarray, here: np.ndarray, diverged: np.ndarray) -> list[tuple[str, np.ndarray]]:
    order = np.flatnonzero(here)[np.argsort(numbers[here], kind="stable")]
    values, bad = numbers[order], diverged[order].astype(float)
    cuts = np.flatnonzero(values[1:] > values[:-1]) + 1
    if len(cuts) == 0 or not 0 < bad.sum() < len(bad):
        return []
    # Share of the diverged, less share of the others, that lie below each cut.
    gap = np.cumsum(bad)[cuts - 1] / bad.sum() - np.cumsum(1 - bad)[cuts - 1] / (1 - bad).sum()
    at = int(np.abs(gap).argmax())
    cut = between(float(values[cuts[at] - 1]), float(values[cuts[at]]), scale)
    if gap[at] > 0:
        return [(f"below {show(cut)}", here & (numbers <= cut))]
    return [(f"above {show(cut)}", here & (numbers > cut))]
