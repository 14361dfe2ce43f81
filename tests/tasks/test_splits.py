"""Splits: stratified, seeded, disjoint; scales that know training rows alone."""

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from thalweg.core import InputError
from thalweg.tasks import Preparation, load_task, prepare_rows
from thalweg.tasks._split import draw_splits


@pytest.mark.parametrize("seed", [0, 1, 12345])
@pytest.mark.parametrize(("validation", "test"), [(0.2, 0.2), (0.05, 0.6), (0.49, 0.49)])
def test_splits_are_disjoint_complete_and_stratified(seed, validation, test):
    labels = np.repeat([0, 1, 2], [500, 100, 5])
    parts = draw_splits(605, labels=labels, classes=("a", "b", "c"), validation=validation, test=test, seed=seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(605))
    for rows, share in zip(parts, (1 - validation - test, validation, test), strict=True):
        assert (np.diff(rows) > 0).all()
        counts = np.bincount(labels[rows], minlength=3)
        np.testing.assert_allclose(counts[:2], [500 * share, 100 * share], atol=1)
        assert counts[2] >= 1


def test_seed_decides_the_split():
    rows = [load_task("iris", seed=seed).test.rows.tolist() for seed in (0, 0, 1)]
    assert rows[0] == rows[1] != rows[2]


def test_a_given_test_split_is_kept_whatever_the_seed():
    x, y = np.arange(20.0), np.arange(20.0) ** 2
    for seed in (0, 1):
        task = load_task((x[:15], y[:15]), x_test=x[15:], y_test=y[15:], seed=seed, validation=0.4)
        assert task.test.rows.tolist() == [15, 16, 17, 18, 19]
        assert (len(task.train), len(task.validation)) == (9, 6)


@pytest.mark.parametrize(("given", "needed"), [(False, 3), (True, 2)])
def test_a_rare_class_is_refused(given, needed):
    x, y = np.arange(30.0), np.array(["a"] * 14 + ["b"] * 15 + ["rare"])
    options: dict[str, Any] = {"x_test": x, "y_test": y} if given else {}
    with pytest.raises(InputError, match=f"at least {needed} rows, one for each split; 'rare' has 1. Merge"):
        load_task((x, y), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": 0.0}, "validation must be a number above 0 and below 1, got 0.0"),
        ({"test": 1.5}, "test must be a number above 0 and below 1, got 1.5"),
        ({"validation": 0.5, "test": 0.5}, r"validation \+ test must be below 1"),
        ({"seed": 0.5}, "seed must be a whole number"),
    ],
)
def test_fractions_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        load_task("iris", **options)


def table(n=60):
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "length": rng.normal(5, 3, n),
            "count": rng.integers(0, 50, n),
            "colour": rng.choice(["red", "green", "blue"], n),
            "flag": rng.random(n) > 0.5,
            "same": np.full(n, 0.1),
            "y": rng.normal(100, 20, n),
        }
    )


def test_scales_are_those_of_training_rows_alone():
    frame = table()
    task = load_task(frame, target="y")
    train = frame[task.train.rows]
    by_name = {column.name: column for column in task.preparation.columns}
    for name in ("length", "count", "flag"):
        values = train[name].cast(pl.Float64).to_numpy()
        assert by_name[name].mean == pytest.approx(values.mean(), rel=1e-14)
        assert by_name[name].std == pytest.approx(values.std(), rel=1e-14)
    assert task.preparation.target_mean == pytest.approx((train["y"].to_numpy().mean(),), rel=1e-14)
    np.testing.assert_allclose(task.train.x[:, :2].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(task.train.y.std(), 1, rtol=1e-6)
    # rows outside training may hold anything: the training inputs do not move
    rows = np.concatenate([task.validation.rows, task.test.rows])
    held = np.zeros(len(frame), bool)
    held[rows] = True
    wild = frame.with_columns(pl.when(pl.Series(held)).then(1e6).otherwise(pl.col("length")).alias("length"))
    other = load_task(wild, target="y")
    assert np.array_equal(other.train.x, task.train.x)
    assert not np.array_equal(other.test.x, task.test.x)


def test_pixels_are_scaled_by_one_mean_and_deviation_of_training_pixels():
    x = np.random.default_rng(0).integers(0, 256, (40, 6, 5), dtype=np.uint8)
    task = load_task((x, np.arange(40) % 2))
    pixels = x[task.train.rows] / 255.0
    assert task.input_shape == (1, 6, 5)
    assert task.preparation.mean == pytest.approx((pixels.mean(),), rel=1e-12)
    assert task.preparation.std == pytest.approx((pixels.std(),), rel=1e-12)


def test_split_arrays_have_their_types():
    task = load_task(table(), target="y")
    for split in (task.train, task.validation, task.test):
        assert split.x.dtype == split.y.dtype == np.float32
        assert split.x.flags.c_contiguous
        assert split.x.shape == (len(split), *task.input_shape)
        assert split.y.shape == (len(split), task.output_size)
        assert split.rows.dtype == np.int64


def test_constant_columns_are_noted_and_left_at_zero():
    task = load_task(table(), target="y")
    assert not task.train.x[:, -1].any()
    assert any("'same'" in note and "Constant" in note for note in task.notes)
    array = load_task((np.column_stack([np.arange(20.0), np.full(20, 0.1)]), np.arange(20.0)))
    assert not array.test.x[:, 1].any()
    assert any("columns 1" in note for note in array.notes)


@pytest.mark.parametrize("name", ["table", "iris", "digits", "adult", "array", "sequence"])
def test_a_preparation_round_trips_through_json_and_prepares_the_same(name):
    rng = np.random.default_rng(0)
    source: Any
    if name == "table":
        task, source = load_task(table(), target="y"), table()
    elif name in ("array", "sequence"):
        source = rng.normal(size=(30, 4) if name == "array" else (30, 4, 3))
        task = load_task((source, rng.normal(size=30)))
    elif name == "digits":
        from sklearn.datasets import load_digits

        bunch: Any = load_digits()
        task, source = load_task("digits"), bunch.images
    elif name == "iris":
        from sklearn.datasets import load_iris

        bunch: Any = load_iris()
        task, source = load_task("iris"), bunch.data
    else:
        from thalweg.tasks._named import read_named

        task, source = load_task("adult"), read_named("adult").frame
    again = Preparation.from_json(json.loads(json.dumps(task.preparation.to_json())))
    assert again == task.preparation
    for split in (task.train, task.validation, task.test):
        rows = source[split.rows]
        assert np.array_equal(prepare_rows(again, rows, notes=[]), split.x)


def test_a_foreign_preparation_is_refused():
    data = load_task("iris").preparation.to_json()
    with pytest.raises(InputError, match=r"known keys, got \['novel'\]"):
        Preparation.from_json({**data, "novel": 1})
    with pytest.raises(InputError, match="complete"):
        Preparation.from_json({"layout": "table"})
