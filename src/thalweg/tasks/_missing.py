"""Missing and infinite values: refused with counts and rows, or handled as the user chose."""

from __future__ import annotations

import numpy as np

from thalweg.core import InputError

from ._preparation import number_values
from ._raw import Raw, is_number, list_some

MISSING = ("drop", "mean")


def keep_rows(raw: Raw, missing: str | None) -> tuple[np.ndarray, list[str]]:
    """Returns the rows to keep, (n,) int64, and notes on what was left out.

    A row without a target is left out under either choice: a target is never made up.

    Raises:
        InputError: if there are infinite values, or missing ones and `missing` is None.
    """
    infinite = _scan(raw, "inf")
    if infinite:
        raise InputError(
            raw.name,
            f"free of infinite values, but holds {_list(infinite)}",
            remedy="Remove or replace those rows.",
        )
    features, targets = _scan(raw, "nan", "features"), _scan(raw, "nan", "targets")
    every = np.arange(raw.num_rows, dtype=np.int64)
    if not features and not targets:
        return every, []
    if missing is None:
        remedy = "Choose missing='drop' to leave those rows out, or missing='mean' to fill in the training rows' "
        remedy += "mean or most common category (rows without a target are left out)."
        raise InputError(raw.name, f"free of missing values, but holds {_list({**features, **targets})}", remedy=remedy)
    bad = {**features, **targets} if missing == "drop" else targets
    lost = np.unique(np.concatenate([np.empty(0, np.int64), *bad.values()]))
    notes = []
    if len(lost):
        notes.append(f"{len(lost)} rows with missing values were left out: {_list(bad)}.")
    if len(lost) == raw.num_rows:
        raise InputError(raw.name, "left with rows, but every row has a missing value", remedy="Try missing='mean'.")
    if missing == "mean" and features:
        notes.append(
            f"Missing values were filled with the training rows' mean or most common category: {_list(features)}."
        )
    return np.setdiff1d(every, lost), notes


def check_present(raw: Raw, fills: bool) -> None:
    """Checks rows to predict: nothing infinite, and nothing missing unless the preparation fills it.

    Raises:
        InputError: naming columns and rows.
    """
    infinite, absent = _scan(raw, "inf", "features"), _scan(raw, "nan", "features")
    if infinite:
        raise InputError(raw.name, f"free of infinite values, but holds {_list(infinite)}", remedy="Remove those rows.")
    if absent and not fills:
        raise InputError(
            raw.name,
            f"free of missing values, but holds {_list(absent)}",
            remedy="Remove those rows, or train with missing='mean'.",
        )


def _list(found: dict[str, np.ndarray]) -> str:
    parts = [
        f"{len(rows)} in {name} (row{'s' if len(rows) > 1 else ''} {list_some(rows, 3)}, from 0)"
        for name, rows in found.items()
    ]
    return "; ".join(parts[:8]) + (f"; and in {len(parts) - 8} more columns" if len(parts) > 8 else "")


def _scan(raw: Raw, what: str, part: str = "both") -> dict[str, np.ndarray]:
    """Returns the rows with missing ('nan') or infinite ('inf') values by the column's name for messages."""
    found: dict[str, np.ndarray] = {}
    frames = [raw.frame] if part != "targets" and raw.frame is not None else []
    frames += [raw.targets] if part != "features" and raw.targets is not None else []
    for frame in frames:
        for series in frame:
            if what == "nan":
                rows = np.flatnonzero(series.is_null().to_numpy())
            elif is_number(series.dtype) and series.dtype.is_float():
                rows = np.flatnonzero(np.isinf(number_values(series)))
            else:
                continue
            if len(rows):
                found[repr(series.name)] = rows
    if raw.array is not None and part != "targets" and raw.array.dtype.kind == "f":
        found.update(_scan_array(raw.array, np.isnan if what == "nan" else np.isinf))
    return found


def _scan_array(array: np.ndarray, test: np.ufunc) -> dict[str, np.ndarray]:
    bad = test(array)
    if not bad.any():
        return {}
    if array.ndim > 2:
        return {"the inputs": np.flatnonzero(bad.any(tuple(range(1, array.ndim))))}
    return {f"column {j}": np.flatnonzero(bad[:, j]) for j in np.flatnonzero(bad.any(0))}
