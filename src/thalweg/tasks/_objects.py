"""Python objects -> `Raw`: frames of any library, arrays, tensors, torch data sets and loaders."""

from __future__ import annotations

import sys
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from narwhals.exceptions import DuplicateError

from thalweg.core import InputError

from ._arrays import as_array, target_frame
from ._files import clean_frame
from ._raw import Raw, append_test, check_names

_ACCEPTED = (
    "the name of a data set, a file, a folder of images, a data frame, (X, y) or (X_train, y_train, "
    "X_test, y_test), a torch Dataset or DataLoader"
)


def read_object(source: Any, *, max_bytes: int) -> Raw:
    """Returns what a Python object holds.

    Raises:
        InputError: if it is of no known form.
    """
    if isinstance(source, tuple | list) and len(source) in (2, 4):
        pairs = [_read_pair(source[k], source[k + 1]) for k in range(0, len(source), 2)]
        return pairs[0] if len(pairs) == 1 else append_test(*pairs)
    if is_torch_data(source):
        from ._torch_data import read_torch_data

        return read_torch_data(source, max_bytes=max_bytes)
    features = read_features(source)
    if features is None:
        raise InputError("source", _ACCEPTED, type(source).__name__)
    return features


def is_torch_data(source: Any) -> bool:
    """Returns whether it is a torch Dataset or DataLoader, without importing torch for anything else."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    from torch.utils.data import DataLoader, Dataset

    return isinstance(source, Dataset | DataLoader)


def read_features(source: Any) -> Raw | None:
    """Returns a frame, an array or a tensor as features; None if it is none of them."""
    frame = _read_frame(source)
    if frame is not None:
        return Raw(name="the data frame", frame=frame)
    source = to_numpy(source)
    if isinstance(source, list):
        source = np.asarray(source)
    if not isinstance(source, np.ndarray):
        return None
    array, pixel_max = as_array(source, "the array")
    return Raw(name="the array", array=array, pixel_max=pixel_max)


def to_numpy(value: Any) -> Any:
    """Returns a tensor as an array on the host (bfloat16 as float32); anything else unchanged."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor):
        return value
    value = value.detach().cpu()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


def _read_pair(x: Any, y: Any) -> Raw:
    features = read_features(x)
    if features is None:
        raise InputError("X", "a data frame, an array or a tensor", type(x).__name__)
    series = _read_targets(y)
    if series is None:
        targets = target_frame(to_numpy(y), features.num_rows)
    else:
        targets = series
        if targets.height != features.num_rows:
            raise InputError("y", f"as long as the inputs ({features.num_rows} rows)", targets.height)
    return Raw(**{**vars(features), "targets": targets})


def _read_targets(y: Any) -> pl.DataFrame | None:
    try:
        series = nw.from_native(y, series_only=True)
    except TypeError:
        return _read_frame(y)
    return clean_frame(pl.DataFrame([_to_polars(series, str(series.name or "y"))]))


def _read_frame(source: Any) -> pl.DataFrame | None:
    try:
        frame = nw.from_native(source)
    except TypeError:
        return None
    except DuplicateError as error:
        said = " ".join(str(error).split())
        raise InputError("the data frame", f"a frame with distinct column names ({said})") from error
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    names = [str(name) for name in frame.columns]
    check_names("the data frame", names)
    if not len(frame) or not names:
        raise InputError("the data frame", "a table with rows and columns", tuple(frame.shape))
    columns = [_to_polars(frame[column], name) for column, name in zip(frame.columns, names, strict=True)]
    return clean_frame(pl.DataFrame(columns))


def _to_polars(series: nw.Series, name: str) -> pl.Series:
    native = nw.to_native(series)
    if isinstance(native, pl.Series):
        return native.alias(name)
    absent = series.is_null().to_numpy().astype(bool)
    if (series.dtype.is_numeric() or series.dtype == nw.Boolean) and not absent.any():
        return pl.Series(name, np.ascontiguousarray(series.to_numpy()))
    values = [None if gone else value for value, gone in zip(series.to_list(), absent, strict=True)]
    kinds = {type(value) for value in values if value is not None}
    if str in kinds and len(kinds) > 1:
        raise InputError(
            f"column {name!r}",
            "of one type",
            sorted(kind.__name__ for kind in kinds),
            "Convert the column first.",
        )
    return pl.Series(name, values, strict=False)
