"""Every kind of source becomes the same task, and the kind of target is inferred with its reason."""

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from thalweg.core import InputError
from thalweg.tasks import Task, load_task, named_tasks, prepare_rows


def columns(n=60):
    rng = np.random.default_rng(0)
    return {
        "length": rng.normal(5, 3, n),
        "count": rng.integers(0, 50, n),
        "colour": rng.choice(["red", "green", "blue"], n).tolist(),
        "y": np.where(np.arange(n) % 2, "yes", "no").tolist(),
    }


def assert_same_task(a: Task, b: Task):
    assert (a.kind, a.input_shape, a.output_size, a.classes) == (
        b.kind,
        b.input_shape,
        b.output_size,
        b.classes,
    )
    for x, y in zip((a.train, a.validation, a.test), (b.train, b.validation, b.test), strict=True):
        np.testing.assert_array_equal(x.rows, y.rows)
        np.testing.assert_allclose(x.x, y.x, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(x.y, y.y)


def test_the_comparison_can_fail():
    with pytest.raises(AssertionError):
        assert_same_task(load_task("iris"), load_task("iris", seed=1))


# names


@pytest.mark.parametrize("name", [name for name in named_tasks() if not name.endswith("-full")])
def test_every_name_loads(name):
    task = load_task(name)
    assert task.name == name
    assert len(task.classes) in (0, 2, task.output_size)
    for split in (task.train, task.validation, task.test):
        assert np.isfinite(split.x).all()
        assert np.isfinite(split.y).all()


def test_image_sets_keep_their_test_split():
    task = load_task("fashion-mnist", seed=3)
    assert task.input_shape == (1, 28, 28)
    assert [len(split) for split in (task.train, task.validation, task.test)] == [4000, 1000, 1000]
    assert task.test.rows.tolist() == list(range(5000, 6000))
    assert (np.bincount(task.validation.y) == 100).all()
    assert task.classes[9] == "ankle boot"


def test_adult_keeps_its_test_split_and_groups():
    task = load_task("adult")
    assert (len(task.train) + len(task.validation), len(task.test)) == (32561, 16281)
    assert set(task.groups) == {"sex", "race"}
    assert set(task.groups["sex"][task.test.rows]) == {"Female", "Male"}
    assert any("native_country" in note and "filled" in note for note in task.notes)
    assert len(load_task("adult", missing="drop").test) == 15060


def test_full_sets_say_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.delenv("THALWEG_DATA", raising=False)
    with pytest.raises(InputError, match=r"THALWEG_DATA must be a folder that holds mnist.npz.*sha256 06af5dfe"):
        load_task("mnist-full")
    rng = np.random.default_rng(0)
    parts: dict[str, Any] = {f"x_{p}": rng.integers(0, 256, (40, 28, 28), dtype=np.uint8) for p in ("train", "test")}
    np.savez(tmp_path / "mnist.npz", **parts, y_train=np.arange(40) % 10, y_test=np.arange(40) % 10)
    monkeypatch.setenv("THALWEG_DATA", str(tmp_path))
    task = load_task("mnist-full")
    assert len(task.test) == 40
    assert any("sha256" in note for note in task.notes)


@pytest.mark.data
@pytest.mark.skipif("THALWEG_DATA" not in os.environ, reason="THALWEG_DATA names no folder")
@pytest.mark.parametrize("name", ["mnist-full", "fashion-mnist-full"])
def test_full_sets_load(name):
    task = load_task(name)
    assert [len(split) for split in (task.train, task.validation, task.test)] == [48000, 12000, 10000]
    assert not any("sha256" in note for note in task.notes)


def test_a_task_passes_through():
    task = load_task("iris")
    assert load_task(task, seed=4) is task
    with pytest.raises(InputError, match="target must be left out: the source is a Task"):
        load_task(task, target="y")


# files and frames


def write(frame: pl.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix == ".gz":
        with gzip.open(path, "wb") as file:
            file.write(frame.write_csv().encode())
    else:
        marks = {".tsv": "\t", ".txt": ";"}
        frame.write_csv(path, separator=marks.get(path.suffix, ","), include_bom=path.stem == "marked")
    return path


@pytest.mark.parametrize("file", ["a.csv", "marked.csv", "a.csv.gz", "a.tsv", "a.txt", "a.parquet"])
def test_files_equal_the_frame(tmp_path, file):
    frame = pl.DataFrame(columns())
    path = write(frame, tmp_path / file)
    task = load_task(frame, target="y")
    assert_same_task(load_task(str(path), target="y"), task)
    assert_same_task(load_task(path, target=["y"]), task)
    np.testing.assert_allclose(prepare_rows(task.preparation, path)[task.test.rows], task.test.x, rtol=1e-6)


def test_frames_of_other_libraries_equal_polars():
    task = load_task(pl.DataFrame(columns()), target="y")
    assert_same_task(load_task(pl.LazyFrame(columns()), target="y"), task)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(columns())
    assert_same_task(load_task(frame, target="y"), task)
    assert_same_task(load_task(frame.astype({"colour": "category", "y": "category"}), target="y"), task)
    assert_same_task(load_task((frame.drop(columns="y"), frame["y"])), task)
    np.testing.assert_array_equal(prepare_rows(task.preparation, frame)[task.test.rows], task.test.x)


def test_pandas_missing_values_are_seen():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(columns()).astype({"count": "Int64"})
    frame.loc[3, "count"] = pandas.NA
    frame.loc[4, "colour"] = None
    frame.loc[5, "length"] = np.nan
    with pytest.raises(InputError, match=r"1 in 'length' \(row 5, from 0\); 1 in 'count' \(row 3.*'colour' \(row 4"):
        load_task(frame, target="y")


def test_excluded_columns_are_no_inputs_and_may_come_back():
    frame = pl.DataFrame(columns())
    task = load_task(frame, target="y", exclude=["colour"], groups=["colour"])
    assert task.input_shape == (2,)
    assert task.groups["colour"].tolist() == frame["colour"].to_list()
    np.testing.assert_array_equal(prepare_rows(task.preparation, frame)[task.test.rows], task.test.x)


def test_a_test_file_is_the_test_split(tmp_path):
    frame = pl.DataFrame(columns())
    train, test = write(frame[:40], tmp_path / "train.csv"), write(frame[40:], tmp_path / "test.csv")
    task = load_task(train, target="y", x_test=test)
    assert task.test.rows.tolist() == list(range(40, 60))
    with pytest.raises(InputError, match=r"x_test must be a table of the source's columns; missing: .'length'."):
        load_task(train, target="y", x_test=frame.drop("length"))


# arrays


def arrays(n=60):
    data = columns(n)
    return np.column_stack([data["length"], data["count"]]), (np.arange(n) % 2).astype(np.int64)


def test_arrays_tensors_npz_and_torch_data_agree(tmp_path):
    x, y = arrays()
    task = load_task((x, y))
    tensors = torch.from_numpy(x), torch.from_numpy(y)
    np.savez(tmp_path / "a.npz", X=x, Y=y)
    np.savez(tmp_path / "b.npz", inputs=x, label=y)
    data = TensorDataset(*tensors)

    class Pairs(Dataset):
        def __len__(self):
            return len(x)

        def __getitem__(self, row):
            return x[row], int(y[row])

    class Flow(IterableDataset):
        def __iter__(self):
            return zip(*tensors, strict=True)

    same: list[Any] = [[x, y.tolist()], tensors, str(tmp_path / "a.npz"), data, Pairs(), Flow()]
    same += [DataLoader(d, batch_size=16, shuffle=not isinstance(d, Flow)) for d in (data, Pairs(), Flow())]
    for source in same:
        assert_same_task(load_task(source), task)
    assert_same_task(load_task(tmp_path / "b.npz", target="label"), task)
    np.testing.assert_array_equal(prepare_rows(task.preparation, tensors[0])[task.test.rows], task.test.x)
    np.testing.assert_array_equal(prepare_rows(task.preparation, data)[task.test.rows], task.test.x)


def test_pixels_and_numbers_do_not_mix():
    x, y = np.zeros((30, 4, 4), np.uint8), np.arange(30) % 2
    with pytest.raises(InputError, match=r"x_test must be of the source's type \(uint8\), got 'float64'"):
        load_task((x, y), x_test=x / 255.0, y_test=y)


def test_four_arrays_and_named_npz_keep_the_test_split(tmp_path):
    x, y = arrays()
    task = load_task((x[:40], y[:40], x[40:], y[40:]))
    np.savez(tmp_path / "a.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    assert_same_task(load_task(tmp_path / "a.npz"), task)
    assert task.test.rows.tolist() == list(range(40, 60))


def test_a_loader_gives_its_collate_function_and_batch_size():
    x, y = arrays()

    def doubled(rows):
        xs, ys = zip(*rows, strict=True)
        return 2 * torch.stack(xs), torch.stack(ys)

    loader = DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=7, collate_fn=doubled)
    task = load_task(loader)
    assert task.batch_size_hint == 7
    assert_same_task(task, load_task((2 * x, y)))
    assert load_task((x, y)).batch_size_hint is None


def test_torch_data_beyond_the_cap_is_refused_early():
    reads = []

    class Large(Dataset):
        def __len__(self):
            return 10**9

        def __getitem__(self, row):
            reads.append(row)
            return np.zeros(100, np.float32), 0

    class Endless(IterableDataset):
        def __iter__(self):
            while True:
                yield np.zeros(100, np.float32), 0

    with pytest.raises(InputError, match=r"at most 1,000,000 bytes in memory, but takes about 408,000,000,000. Raise"):
        load_task(Large(), max_bytes=10**6)
    assert len(reads) <= 256
    with pytest.raises(InputError, match="but takes at least"):
        load_task(Endless(), max_bytes=10**6)


def test_subsets_and_pictures_in_data_sets():
    class Pictures(Dataset):
        def __len__(self):
            return 30

        def __getitem__(self, row):
            return Image.fromarray(np.full((4, 5), row * 8, np.uint8)), row % 2

    task = load_task(Subset(Pictures(), list(range(20))))
    assert task.input_shape == (1, 4, 5)
    assert len(task.train) + len(task.validation) + len(task.test) == 20


def test_bfloat16_tensors_are_read():
    x, y = arrays()
    assert load_task((torch.from_numpy(x).bfloat16(), torch.from_numpy(y))).input_shape == (2,)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((6, 5), (1, 6, 5)), ((6, 5, 3), (3, 6, 5)), ((3, 6, 5), (3, 6, 5)), ((1, 6, 5), (1, 6, 5))],
)
def test_pictures_become_channels_first(shape, expected):
    x = np.random.default_rng(0).integers(0, 256, (30, *shape), dtype=np.uint8)
    task = load_task((x, np.arange(30) % 3))
    assert task.input_shape == expected
    np.testing.assert_array_equal(prepare_rows(task.preparation, x)[task.test.rows], task.test.x)
    with pytest.raises(InputError, match="rows must be pixels from 0 to 255"):
        prepare_rows(task.preparation, x / 255.0)


@pytest.mark.parametrize(("mode", "shape"), [("L", (1, 4, 6)), ("RGB", (3, 4, 6)), ("RGBA", (3, 4, 6))])
def test_a_folder_of_images_by_class(tmp_path, mode, shape):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for k in range(6):
            picture = Image.fromarray(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)).convert(mode)
            picture.save(tmp_path / name / f"{k}.png")
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    task = load_task(tmp_path, kind="multiclass")
    assert task.input_shape == shape
    assert task.classes == ("cat", "dog")
    assert "1 files that are no images were left out." in task.notes
    assert any("RGBA were converted to RGB" in note for note in task.notes) == (mode == "RGBA")
    np.testing.assert_array_equal(prepare_rows(task.preparation, tmp_path)[task.test.rows], task.test.x)
    assert prepare_rows(task.preparation, tmp_path / "dog").shape == (6, *shape)


# kinds of target


@pytest.mark.parametrize(
    ("y", "kind", "size", "classes"),
    [
        (np.arange(60) % 2, "binary", 1, ("0", "1")),
        (np.arange(60) % 2 * 2.0 - 1, "binary", 1, ("-1", "1")),
        (np.arange(60) % 2 == 1, "binary", 1, ("False", "True")),
        (np.array(["no", "yes"])[np.arange(60) % 2], "binary", 1, ("no", "yes")),
        (np.arange(60) % 3 + 4, "multiclass", 3, ("4", "5", "6")),
        (np.array(["c", "b", "a"])[np.arange(60) % 3], "multiclass", 3, ("a", "b", "c")),
        (np.arange(60), "regression", 1, ()),
        (np.arange(60) / 7, "regression", 1, ()),
        (np.arange(60) % 3 / 2, "regression", 1, ()),
        (np.arange(120).reshape(60, 2) / 7, "regression", 2, ()),
        ((np.arange(180).reshape(60, 3) % 5 > 2).astype(int), "multilabel", 3, ("y0", "y1", "y2")),
        (np.eye(3)[np.arange(60) % 3], "multiclass", 3, ("y0", "y1", "y2")),
    ],
)
def test_kind_is_inferred_with_a_reason(y, kind, size, classes):
    task = load_task((np.arange(60.0), y))
    assert (task.kind, task.output_size, task.classes) == (kind, size, classes)
    assert task.train.y.shape == ((len(task.train),) if kind == "multiclass" else (len(task.train), size))
    assert task.train.y.dtype == (np.int64 if kind == "multiclass" else np.float32)
    assert ", so the task is " in task.notes[0]


def test_the_note_on_a_binary_target():
    task = load_task((np.arange(60.0), np.arange(60) % 2))
    assert task.notes[0] == (
        "target 'y': it holds 2 distinct values ('0', '1'), so the task is binary classification: sigmoid "
        "with binary cross-entropy on one logit; '1' is the positive class."
    )


@pytest.mark.parametrize(("kind", "size"), [("multiclass", 2), ("regression", 1), ("binary", 1), ("multilabel", 1)])
def test_kind_can_be_given(kind, size):
    task = load_task((np.arange(60.0), np.arange(60) % 2), kind=kind)
    assert (task.kind, task.output_size) == (kind, size)
    assert "the kind was given" in task.notes[0]


def test_target_codes_follow_the_classes():
    data = columns()
    task = load_task(pl.DataFrame(data), target="y", kind="multiclass")
    names = np.array(task.classes)[task.train.y]
    assert names.tolist() == [data["y"][row] for row in task.train.rows]


def test_several_targets_by_name():
    frame = pl.DataFrame({**columns(), "z": np.arange(60.0)}).drop("y")
    task = load_task(frame, target="length, z")
    assert (task.kind, task.output_size) == ("regression", 2)
    assert task.preparation.targets == ("length", "z")


# missing values and categories


def holes():
    frame = pl.DataFrame(columns())
    rows = pl.int_range(pl.len())
    return frame.with_columns(
        pl.when(rows.is_in([3, 8])).then(None).otherwise("length").alias("length"),
        pl.when(rows == 5).then(None).otherwise("colour").alias("colour"),
        pl.when(rows == 7).then(None).otherwise("y").alias("y"),
    )


def test_rows_with_missing_values_are_dropped_when_asked():
    task = load_task(holes(), target="y", missing="drop")
    rows = np.concatenate([task.train.rows, task.validation.rows, task.test.rows])
    assert sorted(set(range(60)) - set(rows.tolist())) == [3, 5, 7, 8]
    assert any(note.startswith("4 rows with missing values were left out: 2 in 'length'") for note in task.notes)


def test_missing_values_are_filled_from_training_rows_when_asked():
    frame = holes()
    task = load_task(frame, target="y", missing="mean")
    rows = np.concatenate([task.train.rows, task.validation.rows, task.test.rows])
    assert sorted(set(range(60)) - set(rows.tolist())) == [7]
    train = frame[task.train.rows]
    length, _, colour = task.preparation.columns
    assert length.fill == pytest.approx(train["length"].mean(), rel=1e-14)
    assert colour.fill in train["colour"].drop_nulls().mode().to_list()
    filled = prepare_rows(task.preparation, frame[[3]])
    assert filled[0, 0] == pytest.approx(0, abs=1e-6)
    strict = load_task(frame, target="y", missing="drop")
    with pytest.raises(InputError, match=r"1 in 'length'.*train with missing='mean'"):
        prepare_rows(strict.preparation, frame[[3]])


def test_missing_values_of_arrays():
    x, y = arrays()
    x[4, 1] = np.nan
    with pytest.raises(InputError, match=r"1 in column 1 \(row 4, from 0\). Choose missing='drop'"):
        load_task((x, y))
    assert len(load_task((x, y), missing="drop").train) == 35
    task = load_task((x, y), missing="mean")
    assert task.preparation.fill[1] == pytest.approx(np.nanmean(x[task.train.rows, 1]))


def test_categories_that_training_never_saw():
    colours = ["red", "blue"] * 30
    frame = pl.DataFrame({"colour": [*colours, "green"], "y": np.arange(61.0)})
    task = load_task(frame[:60], target="y", x_test=frame[60:])
    assert any("green occur in no training row" in note for note in task.notes)
    assert not task.test.x.any()
    with pytest.warns(UserWarning, match="'colour': green occur in no training row"):
        prepare_rows(task.preparation, frame[60:])
    notes: list[str] = []
    prepare_rows(task.preparation, frame[60:], notes=notes)
    assert len(notes) == 1
