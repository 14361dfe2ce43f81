"""A `Preparation` from training rows: scales, categories, what stands for missing values."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from thalweg.core import InputError

from ._preparation import Column, Preparation, number_values
from ._raw import Raw, is_number, is_text, list_some

#: a text column with more distinct values than this is refused
MAX_CATEGORIES = 100
_CHUNK_ROWS = 8192


def fit_preparation(
    raw: Raw, train: np.ndarray, *, missing: str | None, about_target: dict[str, Any]
) -> tuple[Preparation, list[str]]:
    """Returns the preparation with the statistics of the training rows, and notes.

    Args:
        raw: The source.
        train: (n,) rows of the training split.
        missing: None, 'drop' or 'mean'.
        about_target: Kind, names and scale of the target.

    Raises:
        InputError: if a column is neither numbers nor a few categories, or cannot be filled.
    """
    common = {"ignored": raw.ignored, **about_target}
    if raw.frame is not None:
        check_frame(raw.frame, raw.name)
        columns = [_fit_column(series, train, missing) for series in raw.frame]
        width = sum(column.width for column in columns)
        if not width:
            raise InputError(raw.name, "a table with something to learn from", raw.frame.columns)
        preparation = Preparation(layout="table", input_shape=(width,), columns=tuple(columns), **common)
        return preparation, _note_table(raw.frame, columns, train)
    assert raw.array is not None
    if raw.pixel_max is not None:
        return _fit_image(raw.array, train, raw.pixel_max, common)
    return _fit_array(raw.array, train, missing, common)


def check_frame(frame: pl.DataFrame, name: str) -> None:
    """Checks that every column is numbers or a few categories.

    Raises:
        InputError: listing the columns that are neither, with an example value.
    """
    wide, other, names = [], [], []
    for series in frame:
        before = len(wide) + len(other)
        if is_text(series.dtype):
            num = series.n_unique()
            if num > MAX_CATEGORIES:
                example = series.drop_nulls().cast(pl.String)[0]
                wide.append(f"{series.name!r} holds {num} distinct texts, such as {example[:40]!r}")
        elif not is_number(series.dtype) and series.dtype != pl.Null:
            other.append(f"{series.name!r} holds {series.dtype}")
        if len(wide) + len(other) > before:
            names.append(series.name)
    if names:
        raise InputError(
            name,
            f"a table of numbers and of texts with at most {MAX_CATEGORIES} distinct values; "
            + list_some(wide + other, 5),
            remedy=f"Leave out or convert: exclude={names[:8]}.",
        )


def _fit_column(series: pl.Series, train: np.ndarray, missing: str | None) -> Column:
    part = series.gather(train)
    if part.null_count() == part.len():
        raise InputError(
            f"column {series.name!r}",
            "given in some training row",
            remedy=f"Leave it out: exclude=[{series.name!r}].",
        )
    if is_number(series.dtype):
        values = number_values(part)
        values = values[~np.isnan(values)]
        fill = float(values.mean()) if missing == "mean" else None
        if fill is not None:  # the statistics are of the rows that training sees, filled ones included
            values = np.concatenate([values, np.full(part.len() - len(values), fill)])
        mean, std = _scale(values)
        return Column(name=series.name, kind="number", mean=mean, std=std, fill=fill)
    counts = (
        part.cast(pl.String)
        .drop_nulls()
        .value_counts(sort=False)
        .sort(["count", series.name], descending=[True, False])
    )
    texts = counts[series.name].to_list()
    return Column(
        name=series.name,
        kind="category",
        categories=tuple(sorted(texts)),
        fill=texts[0] if missing == "mean" else None,
    )


def _scale(values: np.ndarray) -> tuple[float, float]:
    """Returns mean and standard deviation; exactly 0 for a constant, whatever the rounding of its mean."""
    mean = float(values.mean())
    return mean, 0.0 if values.min() == values.max() else float(values.std())


def _note_table(frame: pl.DataFrame, columns: list[Column], train: np.ndarray) -> list[str]:
    notes = []
    numbers = [c.name for c in columns if c.kind == "number" and c.std]
    constant = [c.name for c in columns if c.kind == "number" and not c.std]
    constant += [c.name for c in columns if c.kind == "category" and c.width == 1]
    texts = [c for c in columns if c.kind == "category"]
    if numbers:
        notes.append(f"{_num(numbers, 'number column')} standardised with the training rows.")
    if texts:
        listed = list_some([f"{c.name!r} ({c.width})" for c in texts])
        notes.append(f"{_num(texts, 'text column')} one-hot encoded: {listed}.")
    if constant:
        notes.append(f"Constant in the training rows, so without information: {list_some(map(repr, constant))}.")
    for column in texts:
        unseen = find_unseen(column, frame[column.name])
        if unseen:
            notes.append(note_unseen(column.name, unseen))
    return notes


def find_unseen(column: Column, series: pl.Series) -> list[str]:
    """Returns the categories of a column that its training rows did not hold, sorted."""
    return sorted(set(series.cast(pl.String).drop_nulls().unique().to_list()) - set(column.categories))


def note_unseen(name: str, unseen: list[str]) -> str:
    """Returns the sentence on categories of column `name` that no training row had."""
    return f"Column {name!r}: {list_some(unseen, 5)} occur in no training row and are all zeros."


def _num(items: list, what: str) -> str:
    return f"1 {what} was" if len(items) == 1 else f"{len(items)} {what}s were"


def _fit_image(
    array: np.ndarray, train: np.ndarray, pixel_max: float, common: dict[str, Any]
) -> tuple[Preparation, list[str]]:
    channels, input_shape = _find_channels(array.shape[1:])
    # sums of integers are exact, so that the statistics do not depend on the order of the rows
    total, squares, num = 0, 0, 0
    for start in range(0, len(train), _CHUNK_ROWS):
        piece = array[train[start : start + _CHUNK_ROWS]].astype(np.int64)
        total, squares, num = total + int(piece.sum()), squares + int((piece * piece).sum()), num + piece.size
    mean = total / num / pixel_max
    std = max(squares / num / pixel_max**2 - mean * mean, 0.0) ** 0.5
    preparation = Preparation(
        layout="image",
        input_shape=input_shape,
        row_shape=tuple(int(n) for n in array.shape[1:]),
        mean=(mean,),
        std=(std,),
        divisor=float(pixel_max),
        channels=channels,
        **common,
    )
    return preparation, [
        f"Pixels were divided by {pixel_max:g}, then standardised with one mean ({mean:.4f}) and one "
        f"standard deviation ({std:.4f}) of all training pixels; inputs are (channels, height, width) = "
        f"{input_shape}."
    ]


def _find_channels(shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """Returns where the channels of a picture are, and its shape as (channels, height, width)."""
    if len(shape) == 2:
        return "none", (1, *shape)
    if shape[0] not in (1, 3, 4) and shape[2] in (1, 3, 4):
        return "last", (shape[2], *shape[:2])
    return "first", tuple(shape)


def _fit_array(
    array: np.ndarray, train: np.ndarray, missing: str | None, common: dict[str, Any]
) -> tuple[Preparation, list[str]]:
    shape: tuple[int, ...] = tuple(int(n) for n in array.shape[1:])
    rows = array[train].astype(np.float64)
    if len(shape) > 1:
        if missing == "mean" and np.isnan(rows).any():
            raise InputError("missing", "'drop' for inputs that are no flat rows", missing)
        mean, std = _scale(rows)
        note = f"Inputs were standardised with one mean ({mean:.4g}) and one standard deviation ({std:.4g})."
        preparation = Preparation(
            layout="array", input_shape=shape, row_shape=shape, mean=(mean,), std=(std,), **common
        )
        return preparation, [note]
    fill: tuple[float, ...] = ()
    if missing == "mean":
        empty = np.flatnonzero(np.isnan(rows).all(0))
        if len(empty):
            raise InputError(f"column {empty[0]}", "given in some training row", remedy="Remove the column.")
        fill = tuple(np.nanmean(rows, 0).tolist())
        rows = np.where(np.isnan(rows), np.asarray(fill), rows)
    means = rows.mean(0)
    stds = np.where(rows.min(0) == rows.max(0), 0.0, rows.std(0))
    preparation = Preparation(
        layout="array",
        input_shape=shape,
        row_shape=shape,
        mean=tuple(means.tolist()),
        std=tuple(stds.tolist()),
        fill=fill,
        **common,
    )
    notes = [f"{_num(list(means), 'number column')} standardised with the training rows."]
    constant = np.flatnonzero(stds == 0)
    if len(constant):
        notes.append(f"Constant in the training rows, so left at 0: columns {list_some(constant)}.")
    return preparation, notes
