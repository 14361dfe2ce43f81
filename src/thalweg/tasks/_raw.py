"""`Raw`: what every source becomes before anything is inferred from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from thalweg.core import InputError, nearest


@dataclass(frozen=True, kw_only=True)
class Raw:
    """Rows as they were found: either a frame or an array of features, and the targets where there are any.

    Args:
        name: What messages call the source.
        frame: Feature columns (target columns too, until `split_columns`).
        array: Features, (n, *row_shape), of a bool, integer or floating dtype.
        targets: Target columns; None where they are still in the frame, or absent.
        classes: Names of the classes where the target holds the codes 0, 1, ...; () otherwise.
        num_train: Rows from here on are a given test split; None where there is none.
        pixel_max: The value of a full pixel where the array holds images, else None.
        ignored: Columns that were in the frame and are no inputs.
        groups: Group columns over all rows.
        batch_size_hint: From a DataLoader.
        notes: What was done while reading.
    """

    name: str
    frame: pl.DataFrame | None = None
    array: np.ndarray | None = None
    targets: pl.DataFrame | None = None
    classes: tuple[str, ...] = ()
    num_train: int | None = None
    pixel_max: float | None = None
    ignored: tuple[str, ...] = ()
    groups: dict[str, np.ndarray] = field(default_factory=dict)
    batch_size_hint: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        if self.frame is not None:
            return self.frame.height
        assert self.array is not None
        return len(self.array)


def is_number(dtype: Any) -> bool:
    """Returns whether a polars dtype is taken as numbers (bools are 0 and 1)."""
    return dtype.is_numeric() or dtype == pl.Boolean


def is_text(dtype: Any) -> bool:
    """Returns whether a polars dtype is taken as categories."""
    return dtype in (pl.String, pl.Categorical, pl.Enum)


def list_some(names: Any, limit: int = 12) -> str:
    """Returns the first names with commas, and how many more there are.

    Example:
        >>> list_some([3, 5, 8], limit=2)
        '3, 5 and 1 more'
    """
    names = [str(name) for name in names]
    head = ", ".join(names[:limit])
    return head if len(names) <= limit else f"{head} and {len(names) - limit} more"


def check_names(source: str, names: list[str]) -> None:
    """Checks that every column has a name of its own.

    Raises:
        InputError: naming the duplicates, or the place of the nameless column.
    """
    repeated = sorted({name for name in names if names.count(name) > 1 and name})
    if repeated:
        raise InputError(source, "a table of distinct column names", repeated, "Rename the repeated columns.")
    if "" in names:
        raise InputError(
            source,
            f"a table with a name for every column; column {names.index('') + 1} has none",
            remedy="Name it, or write the table without its index (pandas: to_csv(path, index=False)).",
        )


def check_columns(field_name: str, wanted: tuple[str, ...], have: list[str]) -> None:
    """Checks that all wanted columns are there.

    Raises:
        InputError: with the nearest column.
    """
    for name in wanted:
        if name not in have:
            remedy = nearest(name, have)
            if len(have) > 30 and not remedy.startswith("Did you"):
                remedy = f"Columns: {list_some(have)}."
            raise InputError(field_name, "a column of the data", name, remedy)


def split_names(value: Any, have: list[str]) -> tuple[str, ...]:
    """Returns the columns that an option names: a name, names with commas between, or a sequence."""
    if value is None:
        return ()
    if isinstance(value, int):
        return (str(value),)
    if isinstance(value, str):
        return (value,) if value in have else tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(str(name) for name in value)


def split_columns(raw: Raw, target: Any, exclude: Any, groups: Any) -> Raw:
    """Returns the source with its targets, excluded columns and groups taken out of the features.

    Raises:
        InputError: if a column is unknown, no target is named, or nothing is left to learn from.
    """
    if raw.frame is None:
        for field_name, value in (("exclude", exclude), ("groups", groups)):
            if value:
                raise InputError(field_name, "left out for data without named columns", value)
        return _named_array_targets(raw, target)
    frame, have = raw.frame, raw.frame.columns
    targets, names = raw.targets, ()
    if targets is None:
        if target is None:
            raise InputError("target", "the name of a column", None, f"Columns: {list_some(have)}.")
        names = split_names(target, have)
        check_columns("target", names, have)
        targets = frame.select(names)
    elif target is not None and split_names(target, targets.columns) != tuple(targets.columns):
        raise InputError("target", f"left out: {raw.name} already has its target", target)
    excluded, grouped = split_names(exclude, have), split_names(groups, have)
    check_columns("exclude", excluded, have)
    check_columns("groups", grouped, have)
    ignored = tuple(dict.fromkeys((*names, *excluded)))
    features = frame.drop(ignored)
    if not features.width:
        raise InputError(raw.name, "a table with a column besides the target", have)
    return Raw(
        **{
            **vars(raw),
            "frame": features,
            "targets": targets,
            "ignored": ignored,
            "groups": {name: _group_values(frame[name]) for name in grouped},
        }
    )


def _named_array_targets(raw: Raw, target: Any) -> Raw:
    if raw.targets is None:
        raise InputError(raw.name, "data with a target", remedy="Give (X, y), or an npz file with x and y.")
    if target is not None and split_names(target, raw.targets.columns) != tuple(raw.targets.columns):
        raise InputError("target", f"left out: {raw.name} already has its target", target)
    return raw


def _group_values(series: pl.Series) -> np.ndarray:
    if is_number(series.dtype) and not series.null_count():
        return series.to_numpy()
    return np.asarray(["(missing)" if v is None else str(v) for v in series.to_list()])


def append_test(raw: Raw, test: Raw) -> Raw:
    """Returns the source with the rows of a given test split after its own.

    Raises:
        InputError: if the two do not have the same columns, types or shapes.
    """
    data = {**vars(raw), "num_train": raw.num_rows, "notes": raw.notes + test.notes}
    for part in ("frame", "targets"):
        mine, theirs = getattr(raw, part), getattr(test, part)
        if (mine is None) != (theirs is None):
            raise InputError("x_test", "of the same form as the source, with its target", test.name)
        if mine is not None:
            data[part] = _stack(mine, theirs)
    if raw.array is not None:
        assert test.array is not None
        if raw.array.shape[1:] != test.array.shape[1:]:
            raise InputError("x_test", f"of the row shape {raw.array.shape[1:]} of the source", test.array.shape[1:])
        if raw.pixel_max != test.pixel_max:
            raise InputError("x_test", f"of the source's type ({raw.array.dtype})", str(test.array.dtype))
        data["array"] = np.concatenate([raw.array, test.array])
    return Raw(**data)


def _stack(mine: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in mine.columns if name not in theirs.columns]
    extra = [name for name in theirs.columns if name not in mine.columns]
    if missing or extra:
        raise InputError(
            "x_test",
            f"a table of the source's columns; missing: {missing or 'none'}, extra: {extra or 'none'}",
        )
    try:
        return pl.concat([mine, theirs.select(mine.columns)], how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        line = " ".join(str(error).split())
        raise InputError("x_test", f"a table of the source's column types ({line})") from error
