"""The axis: the values that one recipe field takes in a study."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thalweg.core import InputError, check_choice, check_number
from thalweg.recipes._fields import check_value, find_knob, format_value, parse_value


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The values of one recipe field: a list, a range, or one of these for each value of another axis.

    Args:
        field: The recipe field.
        values: The listed values; empty for a range.
        low: Lower end of a range. high: upper end.
        scale: `log` or `linear`; how a range is spaced.
        given: The field on which the values depend, with `cases`.
        cases: value of `given` -> (low, high) of a range of this axis' scale.

    Raises:
        InputError: for an unknown field, an empty list, ends in the wrong order or values out of the field's bounds.

    Example:
        >>> Axis(field="optimizer", values=("sgd", "adamw")).pick(0.75)
        'adamw'
        >>> round(Axis(field="lr", low=1e-4, high=1.0, scale="log").pick(0.5), 6)
        0.01
    """

    field: str
    values: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    scale: str = "linear"
    given: str | None = None
    cases: Mapping[Any, tuple[float, float]] | None = None

    def __post_init__(self) -> None:
        declared = find_knob(self.field)
        check_choice(f"scale of axis {self.field}", self.scale, ("log", "linear"))
        if (self.given is None) != (self.cases is None) or (self.cases is not None and not self.cases):
            raise InputError(f"axis {self.field}", "given its cases together with the field that they depend on")
        if self.given is not None:
            find_knob(self.given, what=f"field that axis {self.field} depends on")
        if self.values:
            for value in self.values:
                check_value(self.field, declared, value)
            return
        if self.given is None and (self.low is None or self.high is None):
            raise InputError(
                f"axis {self.field}", "a list of values or a range", remedy="Write lr=1e-4..1 or lr=0.1,0.01."
            )
        if declared.type not in (int, float):
            raise InputError(f"axis {self.field}", "a list of values, not a range")
        for low, high in self.ranges():
            check_number(f"axis {self.field}, lower end", low)
            check_number(f"axis {self.field}, upper end", high, above=low)
            if self.scale == "log":
                check_number(f"axis {self.field}, lower end of a log range", low, above=0)
            check_value(self.field, declared, declared.type(low))
            check_value(self.field, declared, declared.type(high))

    def ranges(self) -> list[tuple[float, float]]:
        """Returns the (low, high) of every case of a range; empty for a list."""
        if self.values:
            return []
        if self.cases is not None:
            return list(self.cases.values())
        assert self.low is not None
        assert self.high is not None
        return [(self.low, self.high)]

    def pick(self, position: float, others: Mapping[str, Any] | None = None) -> Any:
        """Returns the value at a position in [0, 1) of the axis, given the other fields' values."""
        if self.values:
            return self.values[min(int(position * len(self.values)), len(self.values) - 1)]
        if self.cases is not None:
            case = (others or {}).get(self.given or "")
            if case not in self.cases:
                known = ", ".join(map(str, self.cases))
                raise InputError(f"axis {self.field}", f"given for {self.given} {case}", known)
            low, high = self.cases[case]
        else:
            ((low, high),) = self.ranges()
        if self.scale == "log":
            value = math.exp(math.log(low) + position * (math.log(high) - math.log(low)))
        else:
            value = low + position * (high - low)
        kind = find_knob(self.field).type
        # three significant digits: a recipe that a person reads and types again; never past the ends
        return kind(round(value)) if kind is int else float(min(max(float(f"{value:.3g}"), low), high))

    def __str__(self) -> str:
        if self.values:
            return f"{self.field}={','.join(format_value(self.field, v) for v in self.values)}"
        if self.cases is not None:
            parts = ", ".join(f"{low:g}..{high:g} for {case}" for case, (low, high) in self.cases.items())
            return f"{self.field}: {parts}"
        return f"{self.field}={self.low:g}..{self.high:g} ({self.scale})"


def parse_axis(text: str) -> Axis:
    """Returns the axis that a `--vary` text stands for.

    Args:
        text: `optimizer=sgd,adamw`, `lr=1e-4..1` (a range), `lr=1e-4..1:12` (twelve points of it).

    Raises:
        InputError: for a name that is no recipe field (with the nearest one) or values it cannot take.

    Example:
        >>> parse_axis("lr=1e-4..1:5").values
        (0.0001, 0.001, 0.01, 0.1, 1.0)
        >>> parse_axis("widths=32,128x64").values
        ((32,), (128, 64))
    """
    name, equals, rest = text.partition("=")
    name = name.strip()
    if not equals or not rest.strip():
        raise InputError("--vary", "written as field=values", text, "For example --vary lr=1e-4..1:12.")
    declared = find_knob(name)
    if ".." not in rest:
        values = tuple(parse_value(name, part) for part in rest.split(","))
        if len(set(values)) < len(values):
            raise InputError(f"axis {name}", "a list of different values", rest)
        return Axis(field=name, values=values)
    ends, _, count = rest.partition(":")
    low_text, _, high_text = ends.partition("..")
    low, high = parse_value(name, low_text), parse_value(name, high_text)
    if declared.type not in (int, float) or low is None or high is None:
        raise InputError(f"axis {name}", "a list of values, not a range", rest)
    scale = declared.scale if low > 0 else "linear"
    axis = Axis(field=name, low=low, high=high, scale=scale)
    if not count:
        return axis
    if not count.isdigit() or int(count) < 2:
        raise InputError(f"axis {name}", "a range with 2 points or more", rest, f"Write {name}={ends}:12.")
    points = [axis.pick(i / (int(count) - 1)) for i in range(int(count))]
    return Axis(field=name, values=tuple(dict.fromkeys(points)))
