"""Arrays from a user's hand -> checked features and target columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from thalweg.core import InputError


def as_array(x: Any, name: str) -> tuple[np.ndarray, float | None]:
    """Returns features as an array of numbers, (n, *row_shape), and the value of a full pixel of images.

    Bytes (uint8) of shape (n, H, W), (n, C, H, W) or (n, H, W, C) are images; a vector is one feature.

    Raises:
        InputError: if it is empty or no array of numbers.
    """
    array = np.asarray(x)
    if array.dtype.kind not in "buif":
        raise InputError(name, "an array of numbers", str(array.dtype), "Give a data frame for columns of text.")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim == 0 or not array.size:
        raise InputError(name, "an array with rows and columns", array.shape)
    return array, 255.0 if array.dtype == np.uint8 and array.ndim in (3, 4) else None


def target_frame(y: Any, num_rows: int, *, name: str = "y") -> pl.DataFrame:
    """Returns targets as columns: `name` for a vector, `name`0, `name`1, ... for a matrix.

    Raises:
        InputError: if it is no vector or matrix, or its length differs from that of the inputs.
    """
    array = np.asarray(y)
    if array.ndim not in (1, 2) or array.dtype.kind in "cV":
        raise InputError(name, "a vector or a matrix of targets", f"shape {array.shape}, {array.dtype}")
    if len(array) != num_rows:
        raise InputError(name, f"as long as the inputs ({num_rows} rows)", len(array))
    columns = [array] if array.ndim == 1 else list(array.T)
    names = [name] if len(columns) == 1 else [f"{name}{k}" for k in range(len(columns))]
    return pl.DataFrame([_series(key, column) for key, column in zip(names, columns, strict=True)])


def _series(name: str, column: np.ndarray) -> pl.Series:
    if column.dtype.kind == "f":
        return pl.Series(name, column.astype(np.float64)).fill_nan(None)
    if column.dtype.kind in "bui":
        return pl.Series(name, np.ascontiguousarray(column))
    values = [None if v is None or v != v else v for v in column.tolist()]
    if all(isinstance(v, str | None) for v in values):
        return pl.Series(name, values, dtype=pl.String)
    if all(isinstance(v, bool | int | float | None) for v in values):
        return pl.Series(name, values, strict=False)
    found = next(v for v in values if not isinstance(v, str | bool | int | float | None))
    raise InputError(name, "made of numbers or of texts", found)
