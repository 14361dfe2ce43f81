"""`Preparation`: how rows of a source become a model's inputs; plain data that a run folder can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import polars as pl

from thalweg.core import InputError

from ._raw import is_number

#: rows are scaled in pieces of about this many values, so that float64 copies stay small
_CHUNK_VALUES = 8_000_000


@dataclass(frozen=True, kw_only=True)
class Column:
    """How one column of a table is prepared.

    Args:
        name: The column's name.
        kind: 'number' (standardised) or 'category' (one-hot).
        mean: Mean of the training rows; 0 for categories.
        std: Standard deviation of the training rows (divided by n); 0 marks a constant column, which is left
            at 0.
        categories: The categories of the training rows, sorted; a category that they do not hold is all
            zeros.
        fill: What stands for a missing value; None refuses it.
    """

    name: str
    kind: str
    mean: float = 0.0
    std: float = 0.0
    categories: tuple[str, ...] = ()
    fill: float | str | None = None

    @property
    def width(self) -> int:
        """The inputs that it becomes."""
        return 1 if self.kind == "number" else len(self.categories)


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What is needed to prepare new rows and to read outputs; every number is of the training rows.

    Args:
        layout: 'table' (named columns), 'array' (numbers) or 'image' (pixels).
        input_shape: Shape of one prepared row.
        row_shape: Shape of one source row (array and image).
        columns: The columns of a table, in the order of the inputs.
        mean: Subtracted: one number for each input of a flat array, one number for all of anything larger.
        std: Divided by, likewise; 0 marks a constant input, which is left at 0.
        fill: What stands for missing values of a flat array, one for each input; () refuses them.
        divisor: What pixels are divided by first; 1 for anything else.
        channels: Where the channels of images are: 'none', 'first' or 'last'; '' for anything else.
        ignored: Columns that a table may hold and that are no inputs: targets, and what was excluded.
        kind: The task's kind.
        targets: Names of the target columns.
        classes: Names of the classes.
        target_mean: Mean of each target; () for classes.
        target_std: Standard deviation of each target; prediction = output * std + mean. () for classes.

    Example:
        >>> from thalweg.tasks import load_task
        >>> preparation = load_task("iris").preparation
        >>> Preparation.from_json(preparation.to_json()) == preparation
        True
    """

    layout: str
    input_shape: tuple[int, ...]
    row_shape: tuple[int, ...] = ()
    columns: tuple[Column, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    fill: tuple[float, ...] = ()
    divisor: float = 1.0
    channels: str = ""
    ignored: tuple[str, ...] = ()
    kind: str = "regression"
    targets: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    target_mean: tuple[float, ...] = ()
    target_std: tuple[float, ...] = ()

    def named_inputs(self) -> list[tuple[str, str, float]]:
        """Returns for each input of a row its name, the column that it came from, and what it was divided by.

        The last is NaN for inputs that were not divided: those of a category.

        Example:
            >>> from thalweg.tasks import load_task
            >>> load_task("iris").preparation.named_inputs()[0][0]
            'sepal length (cm)'
        """
        if self.layout == "table":
            found = []
            for column in self.columns:
                if column.kind == "number":
                    found.append((column.name, column.name, column.std or math.nan))
                else:
                    found += [(f"{column.name}={each}", column.name, math.nan) for each in column.categories]
            return found
        size = math.prod(self.input_shape)
        word = "pixel" if self.layout == "image" else "x"
        stds = self.std if len(self.std) == size else (self.std[0] * self.divisor,) * size
        return [(f"{word}{k}", f"{word}{k}", std or math.nan) for k, std in enumerate(stds)]

    def to_json(self) -> dict[str, Any]:
        """Returns it as dicts, lists, numbers and strings; floats survive a trip through JSON exactly."""
        return _plain(asdict(self))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Preparation:
        """Returns the preparation that `to_json` wrote.

        Raises:
            InputError: if keys are missing or unknown.
        """
        columns = tuple(_build(Column, column, "preparation.columns") for column in data.get("columns", ()))
        return _build(cls, {**data, "columns": columns}, "preparation")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _build(cls: type, data: Mapping[str, Any], field: str) -> Any:
    unknown = sorted(set(data) - {f.name for f in fields(cls)})
    if unknown:
        raise InputError(field, "made of known keys", unknown, "It was written by another version.")
    try:
        return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in data.items()})
    except TypeError as error:
        raise InputError(field, "complete", sorted(data), "It was cut off or edited.") from error


def transform_frame(preparation: Preparation, frame: pl.DataFrame) -> np.ndarray:
    """Returns prepared rows of a table, (n, D) float32.

    Rule: (value - mean) / std for numbers, in float64; one-hot for categories; 0 for constant columns.

    Raises:
        InputError: if a number column holds text.
    """
    x = np.zeros((frame.height, *preparation.input_shape), dtype=np.float32)
    at = 0
    for column in preparation.columns:
        series = frame[column.name]
        if column.kind == "number":
            if column.std:
                values = number_values(series)
                if column.fill is not None:
                    values = np.where(np.isnan(values), float(column.fill), values)
                x[:, at] = (values - column.mean) / column.std
        else:
            texts = series.cast(pl.String)
            if column.fill is not None:
                texts = texts.fill_null(str(column.fill))
            for k, category in enumerate(column.categories):
                x[:, at + k] = (texts == category).fill_null(False).to_numpy()
        at += column.width
    return x


def transform_array(preparation: Preparation, array: np.ndarray) -> np.ndarray:
    """Returns prepared rows of an array, (n, *input_shape) float32.

    Rule: (value / divisor - mean) / std; 0 for constant inputs. Pixels in float32, other numbers in float64.
    """
    x = np.empty((len(array), *preparation.input_shape), dtype=np.float32)
    step = max(1, _CHUNK_VALUES // max(1, int(np.prod(preparation.input_shape))))
    for start in range(0, len(array), step):
        x[start : start + step] = _scale_piece(preparation, array[start : start + step])
    return x


def _scale_piece(preparation: Preparation, piece: np.ndarray) -> np.ndarray:
    if preparation.layout == "image":
        if preparation.channels == "none":
            piece = piece[:, None]
        elif preparation.channels == "last":
            piece = np.moveaxis(piece, -1, 1)
        x = piece.astype(np.float32) / np.float32(preparation.divisor)
        return (x - np.float32(preparation.mean[0])) / np.float32(preparation.std[0] or 1.0)
    x = piece.astype(np.float64)
    if preparation.fill:
        x = np.where(np.isnan(x), np.asarray(preparation.fill), x)
    std = np.asarray(preparation.std)
    mean = np.asarray(preparation.mean)
    x = (x - mean) / np.where(std > 0, std, 1.0)
    return np.where(std > 0, x, 0.0)


def number_values(series: pl.Series) -> np.ndarray:
    """Returns a number or bool column as float64 with NaN for missing values.

    Raises:
        InputError: if the column holds something else.
    """
    if not is_number(series.dtype):
        found = next((v for v in series.to_list() if v is not None), None)
        if found is None:
            return np.full(series.len(), np.nan)
        raise InputError(f"column {series.name!r}", "made of numbers", found, "Training saw numbers there.")
    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
