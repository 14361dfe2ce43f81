"""Every bad input gets one line that names the field, the rule, the value and the remedy."""

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from thalweg.core import InputError
from thalweg.tasks import load_task, prepare_rows


def refuse(message, *args, **options):
    with pytest.raises(InputError, match=message) as caught:
        load_task(*args, **options)
    assert "\n" not in str(caught.value)


CSV_CASES = {
    "ragged_short": (
        "a,b,y\n1,2,3\n1,2\n4,5,6\n",
        "3 fields a line, as the header has; line 3 has 2. Correct",
    ),
    "ragged_long": ("a,b,y\n1,2,3\n4,5,6\n1,2,3,4\n", "line 4 has 4"),
    "blank_line": ("a,b,y\n1,2,3\n\n4,5,6\n", "line 3 has 0"),
    "empty": ("", r"empty.csv must be a file with rows; it is empty"),
    "header": ("a,b,y\n", "it holds a header alone"),
    "duplicates": ("a,b,a,y\n1,2,3,4\n", r"distinct column names, got \['a'\]. Rename"),
    "nameless": (",b,y\n0,2,3\n", r"column 1 has none. Name it.*index=False"),
    "one_value": ("a,y\n1,5\n2,5\n3,5\n", "target 'y' must be a column of at least two values, got 5"),
    "missing": (
        "a,b,y\n1,2,3\n,2,4\nNA,3,5\n",
        r"2 in 'a' \(rows 1, 2, from 0\). Choose missing='drop'.*missing='mean'",
    ),
    "infinite": ("a,y\n1,3\ninf,4\n2,5\n", r"free of infinite values, but holds 1 in 'a' \(row 1"),
    "only_target": ("y\n1\n2\n", "a table with a column besides the target"),
}


@pytest.mark.parametrize("case", CSV_CASES)
def test_bad_csv(tmp_path, case):
    text, message = CSV_CASES[case]
    path = tmp_path / f"{case}.csv"
    path.write_text(text)
    refuse(message, path, target="y")


def test_infinity_is_never_filled_in(tmp_path):
    x = np.arange(40.0).reshape(20, 2)
    x[3, 1] = -np.inf
    for missing in (None, "drop", "mean"):
        refuse(r"infinite values, but holds 1 in column 1 \(row 3", (x, np.arange(20.0)), missing=missing)


def test_bad_encoding(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("é,y\n1,2\n".encode("latin-1"))
    refuse("a.csv must be a text file in UTF-8", path, target="y")


@pytest.mark.parametrize("name", ["a.parquet", "a.npz", "a.csv.gz"])
def test_unreadable_files(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"this is something else entirely")
    refuse(f"{name} must be", path, target="y")


def test_missing_file_and_wrong_type(tmp_path):
    refuse("nothing.csv must be a file or folder that is there", tmp_path / "nothing.csv")
    refuse("nothing.csv must be a file or folder that is there", "nothing.csv")
    path = tmp_path / "data.xlsx"
    path.write_bytes(b"x")
    refuse(r"data.xlsx must be of a known type \(.csv, .*\), got '.xlsx'", path, target="y")


def test_unknown_names():
    refuse(
        "the name of a data set or a file that is there, got 'fashon-mnist'. Did you mean 'fashion-mnist'",
        "fashon-mnist",
    )
    frame = pl.DataFrame({"length": [1.0, 2.0], "width": [1.0, 2.0]})
    refuse("target must be the name of a column, got None. Columns: length, width", frame)
    refuse("target must be a column of the data, got 'widht'. Did you mean 'width'", frame, target="widht")
    wide = pl.DataFrame({f"feature{k:03}": [1.0, 2.0] for k in range(200)})
    refuse("Did you mean 'feature123'", wide, target="featur123")
    refuse("Columns: feature000, .* and 188 more", wide, target="zzz")
    refuse("exclude must be a column of the data", frame, target="width", exclude=["size"])
    refuse("missing must be a known name, got 'median'", frame, target="width", missing="median")
    refuse("kind must be a known name, got 'binry'. Did you mean 'binary'", frame, target="width", kind="binry")
    refuse("target must be left out: iris already has its target", "iris", target="petal")


def test_long_texts_are_refused_with_an_example():
    frame = pl.DataFrame({"name": [f"person {k}" for k in range(5000)], "it's": ["x"] * 5000, "y": range(5000)})
    refuse(
        r"at most 100 distinct values; 'name' holds 5000 distinct texts, such as 'person 0'. Leave out or "
        r"convert: exclude=\['name'\]",
        frame,
        target="y",
    )
    assert load_task(frame, target="y", exclude="name").input_shape == (1,)


def test_dates_are_refused():
    dates = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, 20), eager=True)
    refuse("'day' holds Date", pl.DataFrame({"day": dates, "y": np.arange(20.0)}), target="y")
    refuse(
        "target 'day' must be numbers, texts or bools",
        pl.DataFrame({"day": dates, "a": range(20)}),
        target="day",
    )


def test_a_column_without_training_values():
    frame = pl.DataFrame({"a": [None] * 20, "b": range(20), "y": np.arange(20.0)}, schema_overrides={"a": pl.Float64})
    refuse(r"column 'a' must be given in some training row. Leave it out", frame, target="y", missing="mean")
    refuse("every row has a missing value. Try missing='mean'", frame, target="y", missing="drop")


@pytest.mark.parametrize(
    ("kind", "y", "message"),
    [
        ("regression", ["a", "b"] * 10, "kind must be one that fits a target of texts"),
        ("binary", list(range(20)), "fits a target of 20 distinct values, got 'binary'. Try multiclass"),
        ("multilabel", list(range(20)), "multilabel wants columns of 0 and 1"),
        (
            "multiclass",
            np.ones((20, 2)) * np.arange(20)[:, None],
            "multilabel or regression for several target",
        ),
        (None, [1] * 20, "at least two values, got 1"),
        (None, list(range(19)), r"y must be as long as the inputs \(20 rows\), got 19"),
        (None, np.zeros((20, 2, 2)), "a vector or a matrix of targets"),
        (None, [1.0, np.inf] * 10, "free of infinite values, but holds 10 in 'y'"),
        (None, [1.0, 3.0, np.nan, 2.5] * 5, r"free of missing values, but holds 5 in 'y' \(rows 2, 6, 10"),
    ],
)
def test_targets_that_do_not_fit(kind, y, message):
    refuse(message, (np.arange(20.0), y), kind=kind)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (42, "source must be the name of a data set, a file.*got 'int'"),
        (np.zeros((4, 2)), "the array must be data with a target. Give .X, y."),
        ((np.array([["a", "b"]]), [1]), "an array of numbers, got '<U1'. Give a data frame"),
        ((np.zeros((0, 3)), []), "an array with rows and columns"),
        (({"a": 1}, [1]), "X must be a data frame, an array or a tensor, got 'dict'"),
        (TensorDataset(torch.zeros(4, 2)), "made of pairs of inputs and target, got '1 parts'"),
        (pl.DataFrame({"a": []}), "a table with rows and columns"),
        (([1.0, 2.0], [1.0, 2.0]), "data must be at least 3 rows"),
    ],
)
def test_objects_that_are_no_data(source, message):
    refuse(message, source)


def test_frames_with_repeated_or_mixed_columns():
    pandas = pytest.importorskip("pandas")
    refuse("distinct column names", pandas.DataFrame(np.zeros((2, 2)), columns=["a", "a"]), target="a")
    refuse(
        r"column 'a' must be of one type, got \['int', 'str'\]",
        pandas.DataFrame({"a": pandas.Series([1, "x"], dtype=object), "y": [1, 2]}),
        target="y",
    )


def test_npz_without_objects_or_with_unclear_arrays(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((3, 2)), y=np.array([{"a": 1}, 2, 3], dtype=object), allow_pickle=True)
    refuse("it holds pickled objects, which are never loaded", path)
    np.savez(path, a=np.zeros((3, 2)), b=np.zeros(3))
    refuse("an npz file with x and y .*; it holds a, b", path)
    refuse("the name of an array in the file, got 'c'. Arrays: a, b", path, target="c")
    np.savez(path, x=np.zeros((3, 2)))
    refuse("data with a target", path)


def test_bad_image_folders(tmp_path):
    refuse("a folder with images", tmp_path)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
    Image.new("L", (4, 5)).save(tmp_path / "cat" / "a.png")
    refuse(r"dog must be a folder with images .*Give one subfolder a class", tmp_path)
    Image.new("L", (6, 5)).save(tmp_path / "dog" / "a.png")
    refuse(r"a.png must be 4x5 pixels as a.png is, got '6x5'. Resize", tmp_path)
    (tmp_path / "dog" / "a.png").write_bytes(b"no picture")
    refuse("a.png must be a readable image", tmp_path)


def test_rows_that_do_not_fit_the_preparation(tmp_path):
    frame = pl.DataFrame({"a": np.arange(20.0), "b": ["x", "y"] * 10, "y": np.arange(20.0)})
    table = load_task(frame, target="y").preparation
    array = load_task((np.arange(60.0).reshape(20, 3), np.arange(20.0))).preparation
    for rows, preparation, message in [
        (frame.drop("a"), table, "with the columns of training; missing: 'a'"),
        (frame.with_columns(z=1), table, "unknown: 'z'. Remove them"),
        (frame.with_columns(a=pl.lit("text")), table, "column 'a' must be made of numbers, got 'text'"),
        (np.zeros((2, 2)), table, "a table with the columns a, b"),
        (np.zeros((2, 4)), array, r"rows must be of shape \(n, 3\), got \(2, 4\)"),
        (np.full((2, 3), np.nan), array, "free of missing values, but holds 2 in column 0"),
        (np.full((2, 3), np.inf), array, "free of infinite values"),
        (42, array, "rows must be a file, a data frame, an array or a tensor, got 'int'"),
        (tmp_path / "none.csv", table, "a file or folder that is there"),
    ]:
        with pytest.raises(InputError, match=message):
            prepare_rows(preparation, rows)


def test_importing_the_room_loads_no_torch():
    import subprocess
    import sys

    code = "import sys, thalweg.tasks as t; t.load_task('iris'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
