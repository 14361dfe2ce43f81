"""Files -> `Raw`: CSV, Parquet, npz. Nothing is unpickled."""

from __future__ import annotations

import csv
import gzip
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
import polars as pl

from thalweg.core import InputError

from ._arrays import as_array, target_frame
from ._images import read_image_folder
from ._raw import Raw, append_test, check_names, list_some

#: texts that stand for a missing value in a CSV file
NULL_VALUES = ("", "NA", "NaN", "nan", "null", "None", "NULL", "N/A")
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".parquet", ".npz")


def read_path(path: Path, target: str | None = None) -> Raw:
    """Returns what a file, or a folder of images by class, holds.

    Args:
        path: The file or folder.
        target: For an npz file that does not name its target `y`: the array that is the target.

    Raises:
        InputError: if it is not there, not readable, or not well formed.
    """
    if path.is_dir():
        return read_image_folder(path)
    if not path.exists():
        raise InputError(str(path), "a file or folder that is there", remedy="Check the spelling and the folder.")
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise InputError(path.name, f"of a known type ({', '.join(SUFFIXES)}, or a folder of images)", path.suffix)
    if path.stat().st_size == 0:
        raise InputError(path.name, "a file with rows; it is empty")
    if name.endswith(".npz"):
        return _read_npz(path, target)
    raw = _read_parquet(path) if name.endswith(".parquet") else _read_csv(path)
    assert raw.frame is not None
    if not raw.frame.height:
        raise InputError(path.name, "a table with rows; it holds a header alone")
    return raw


def clean_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """Returns the frame with NaN as null, so that there is one mark for missing values."""
    return frame.with_columns(pl.selectors.float().fill_nan(None))


def _read_parquet(path: Path) -> Raw:
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(path.name, f"a readable Parquet file ({_line(error)})") from error
    check_names(path.name, frame.columns)
    return Raw(name=path.name, frame=clean_frame(frame))


def _read_csv(path: Path) -> Raw:
    try:
        with _open_text(path) as file:
            first = file.readline()
            file.seek(0)
            separator = max(",;\t", key=first.count)
            header = next(csv.reader(file, delimiter=separator), [])
    except (UnicodeDecodeError, OSError, EOFError, csv.Error, zlib.error) as error:
        raise InputError(path.name, "a text file in UTF-8", remedy="Save it as UTF-8.") from error
    check_names(path.name, [name.strip() for name in header] or [""])
    try:
        frame = pl.read_csv(
            path, separator=separator, infer_schema_length=None, null_values=list(NULL_VALUES), glob=False
        )
    except pl.exceptions.PolarsError as error:
        _check_ragged(path, separator, len(header))
        raise InputError(path.name, f"a readable CSV file ({_line(error)})") from error
    if frame.height and frame.to_series(-1).null_count():
        _check_ragged(path, separator, len(header))  # polars fills short lines with nulls without a word
    frame.columns = [name.strip() for name in header]
    marks = {
        ",": (),
        ";": ("Columns are separated by semicolons.",),
        "\t": ("Columns are separated by tabs.",),
    }
    return Raw(name=path.name, frame=clean_frame(frame), notes=marks[separator])


def _open_text(path: Path) -> TextIO:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")  # type: ignore[return-value]
    return open(path, encoding="utf-8-sig", newline="")


def _check_ragged(path: Path, separator: str, num_columns: int) -> None:
    """Raises with the line of the first row whose number of fields is not the header's."""
    with _open_text(path) as file:
        for line, fields in _count_fields(file, separator):
            if fields != num_columns and not (fields == 0 and num_columns == 1):
                raise InputError(
                    path.name,
                    f"a table of {num_columns} fields a line, as the header has; line {line} has {fields}",
                    remedy="Correct that line.",
                )


def _count_fields(file: TextIO, separator: str) -> Iterator[tuple[int, int]]:
    reader = csv.reader(file, delimiter=separator)
    try:
        for fields in reader:
            yield reader.line_num, len(fields)
    except (csv.Error, UnicodeDecodeError):
        return  # what polars said about the file is the better message


def _read_npz(path: Path, target: str | None) -> Raw:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        if "pickle" in str(error) or "Object arrays" in str(error):
            raise InputError(
                path.name,
                "made of plain arrays; it holds pickled objects, which are never loaded",
                remedy="Save numbers or fixed-width texts (astype(str)).",
            ) from error
        raise InputError(path.name, f"a readable npz file ({_line(error)})") from error
    lower = {key.lower(): value for key, value in arrays.items()}
    if {"x_train", "y_train", "x_test", "y_test"} <= set(lower):
        train, test = (_pair(path.name, lower[f"x_{part}"], lower[f"y_{part}"], "y") for part in ("train", "test"))
        return append_test(train, test)
    if target is not None and target not in arrays:
        raise InputError("target", "the name of an array in the file", target, f"Arrays: {list_some(arrays)}.")
    key = target or ("y" if "y" in lower else None)
    y = None if key is None else arrays[key] if key in arrays else lower[key]
    others = [k for k in arrays if k.lower() != (key or "").lower()]
    x_key = "x" if "x" in lower else others[0].lower() if len(others) == 1 else None
    if x_key is None:
        raise InputError(
            path.name,
            f"an npz file with x and y (or x_train, y_train, x_test, y_test); it holds {list_some(arrays)}",
        )
    unused = [k for k in others if k.lower() != x_key]
    notes = (f"Arrays that were not used: {list_some(unused)}.",) if unused else ()
    return _pair(path.name, lower[x_key], y, key or "y", notes)


def _pair(name: str, x: np.ndarray, y: np.ndarray | None, key: str, notes: tuple[str, ...] = ()) -> Raw:
    array, pixel_max = as_array(x, name)
    targets = None if y is None else target_frame(y, len(array), name=key)
    return Raw(name=name, array=array, pixel_max=pixel_max, targets=targets, notes=notes)


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else text[:157] + "..."
