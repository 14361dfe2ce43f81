"""What an experiment found, as plain data: sentences, tables and charts that any face can draw."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line or cloud of a chart.

    Args:
        name: What it is.
        x: Numbers, or texts where the axis has no order. y: numbers; None where there is none.
        low: Lower ends of the intervals of y, or None. high: upper ends.
        style: line, points or both.
        role: main, second, third, quiet or bad; a face gives it a colour.
    """

    name: str
    x: Sequence[float | str]
    y: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    style: str = "both"
    role: str = "main"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Series over one axis.

    Args:
        name: Unique within an answer.
        title: What it shows. caption: how to read it.
        x: Title of the axis. y: title of the axis.
        series: What is drawn, first to last.
        log_x: Whether x is drawn by its logarithm. log_y: whether y is.
    """

    name: str
    title: str
    caption: str
    x: str
    y: str
    series: Sequence[Series]
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, kw_only=True)
class Field:
    """A quantity over a plane, with what lies on it.

    Args:
        name: Unique within an answer.
        title: What it shows. caption: how to read it.
        x: Title of the axis. y: title of the axis. z: what the quantity is.
        xs: (X,) places. ys: (Y,) places. values: (Y, X); None where there is none.
        series: Lines and points over it.
        log_x: Whether x is drawn by its logarithm. log_y: whether y is.
        solid: Whether it is drawn as a surface in three dimensions.
    """

    name: str
    title: str
    caption: str
    x: str
    y: str
    z: str
    xs: Sequence[float]
    ys: Sequence[float]
    values: Sequence[Sequence[float | None]]
    series: Sequence[Series] = ()
    log_x: bool = False
    log_y: bool = False
    solid: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """Texts in rows.

    Args:
        title: What it shows.
        head: Names of the columns.
        rows: Texts.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an experiment found.

    Args:
        headline: The answer in one sentence, with its interval where it has one.
        findings: Further sentences.
        tables: The numbers behind them.
        charts: What shows them.
        data: Everything as plain data, by name.
        notes: What the reader should know about how it was found.
        arrays: What is too large for `data`, by name; a run folder keeps it as arrays.npz.
    """

    headline: str
    findings: Sequence[str] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Chart | Field] = ()
    data: dict[str, Any]
    notes: Sequence[str] = ()
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns the answer as plain data."""
        return _finite(asdict(replace(self, arrays={})) | {"arrays": list(self.arrays)})


def known(values: Iterable[float]) -> list[float | None]:
    """Returns numbers as a chart holds them: None where there is none.

    Example:
        >>> known([1.0, float("nan")])
        [1.0, None]
    """
    return [float(value) if math.isfinite(value) else None for value in values]


def _finite(value: Any) -> Any:
    """Returns plain data with None for numbers that are not finite, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
