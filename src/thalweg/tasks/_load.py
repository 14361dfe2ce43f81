"""`load_task` and `prepare_rows`: from any source to a `Task`, and from new rows to its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.core import InputError, check_choice, check_number, nearest

from ._files import SUFFIXES, read_path
from ._fit import find_unseen, fit_preparation, note_unseen
from ._missing import MISSING, check_present, keep_rows
from ._named import NAMED_DEFAULTS, named_tasks, read_named
from ._objects import is_torch_data, read_features, read_object
from ._preparation import Preparation, transform_array, transform_frame
from ._raw import Raw, append_test, list_some, split_columns
from ._split import check_fractions, draw_splits
from ._target import Target, encode_target
from ._task import DEFAULT_LOSS, DEFAULT_METRIC, KINDS, Split, Task, check_task_names


def load_task(
    source: Any,
    *,
    target: str | Sequence[str] | None = None,
    kind: str | None = None,
    loss: str | None = None,
    metric: str | None = None,
    missing: str | None = None,
    seed: int = 0,
    validation: float = 0.2,
    test: float = 0.2,
    x_test: Any = None,
    y_test: Any = None,
    exclude: Sequence[str] = (),
    groups: Sequence[str] = (),
    max_bytes: int = 2 * 2**30,
) -> Task:
    """Returns a task from a name, a file, a folder of images, a frame, arrays, or torch data.

    Scales and categories are those of the training rows. Images, uint8 of shape (n, H, W), (n, C, H, W) or
    (n, H, W, C), become (n, C, H, W), divided by 255 and standardised with one mean and one standard
    deviation; columns of numbers are standardised each, columns of text one-hot encoded; regression targets
    are standardised, and metrics are reported in their own units.

    Args:
        source: A name of `named_tasks()`; the path of a .csv, .tsv (also .gz), .parquet or .npz file or of a
            folder with one subfolder of images a class; a data frame of any library; (X, y) or (X_train,
            y_train, X_test, y_test) of frames, arrays or tensors; a torch Dataset or DataLoader. A Task is
            returned unchanged.
        target: The target column, or several (a sequence, or names with commas between).
        kind: 'regression', 'binary', 'multiclass' or 'multilabel'; None infers it from the target and notes
            why.
        loss: A key of `LOSSES`; None takes the one of the kind.
        metric: A key of `METRICS`; None takes the one of the kind.
        missing: 'drop' leaves rows with missing values out, 'mean' fills them with the training rows' mean or
            most common category; None refuses them. Rows without a target are left out under either.
        seed: Of the split.
        validation: Share of the rows (of the training rows where a test split is given) that choose.
        test: Share of the rows that speak once; not used where a test split is given.
        x_test: A test split of the source's form.
        y_test: Its target, where `x_test` is an array or a frame without it.
        exclude: Columns that are left out.
        groups: Columns that are kept as groups (they stay inputs unless excluded).
        max_bytes: Most memory that rows of torch data may take.

    Raises:
        InputError: if the source or an option is not usable; one line with the remedy.

    Example:
        >>> task = load_task("iris", seed=1)
        >>> task.kind, task.input_shape, task.output_size, len(task.train)
        ('multiclass', (4,), 3, 90)
        >>> print(task.notes[0].split(":")[1].strip())
        it holds 3 distinct whole numbers, so the task is classification
    """
    given = {
        "target": target,
        "kind": kind,
        "loss": loss,
        "metric": metric,
        "missing": missing,
        "x_test": x_test,
    }
    if isinstance(source, Task):
        for field, value in given.items():
            if value is not None:
                raise InputError(field, "left out: the source is a Task, which has its own", value)
        return source
    _check_options(kind, missing, seed, validation, test, max_bytes)
    name = source if isinstance(source, str) else ""
    defaults = NAMED_DEFAULTS.get(name, {})
    target = defaults.get("target") if target is None else target
    missing = defaults.get("missing") if missing is None else missing
    raw = _read(source, target, max_bytes)
    if x_test is not None:
        raw = _with_test(raw, x_test, y_test, target, max_bytes)
    elif y_test is not None:
        raise InputError("y_test", "given with x_test")
    raw = split_columns(raw, target, exclude, groups or defaults.get("groups", ()))
    kept, lost_notes = keep_rows(raw, missing)
    raw = _select(raw, kept)
    return _build_task(raw, kept, lost_notes, kind, loss, metric, missing, seed=seed, validation=validation, test=test)


def _check_options(
    kind: str | None, missing: str | None, seed: int, validation: float, test: float, max_bytes: int
) -> None:
    if kind is not None:
        check_choice("kind", kind, KINDS)
    if missing is not None:
        check_choice("missing", missing, MISSING)
    check_number("seed", seed, integer=True)
    check_number("max_bytes", max_bytes, above=0)
    check_fractions(validation, test)


def _read(source: Any, target: Any, max_bytes: int) -> Raw:
    if isinstance(source, str):
        if source in named_tasks():
            return read_named(source)
        path = Path(source)
        if not path.exists() and path.suffix not in SUFFIXES and len(path.parts) == 1:
            remedy = nearest(source, named_tasks())
            raise InputError("source", "the name of a data set or a file that is there", source, remedy)
        source = path
    if isinstance(source, Path):
        return read_path(source, target if isinstance(target, str) else None)
    return read_object(source, max_bytes=max_bytes)


def _with_test(raw: Raw, x_test: Any, y_test: Any, target: Any, max_bytes: int) -> Raw:
    if raw.num_train is not None:
        raise InputError("x_test", f"left out: {raw.name} has a test split of its own")
    test = _read(x_test if y_test is None else (x_test, y_test), target, max_bytes)
    return append_test(raw, test)


def _select(raw: Raw, rows: np.ndarray) -> Raw:
    if len(rows) == raw.num_rows:
        return raw
    return replace(
        raw,
        frame=None if raw.frame is None else raw.frame[rows],
        array=None if raw.array is None else raw.array[rows],
        targets=None if raw.targets is None else raw.targets[rows],
        num_train=None if raw.num_train is None else int((rows < raw.num_train).sum()),
    )


def _build_task(
    raw: Raw,
    kept: np.ndarray,
    lost_notes: list[str],
    kind: str | None,
    loss: str | None,
    metric: str | None,
    missing: str | None,
    *,
    seed: int,
    validation: float,
    test: float,
) -> Task:
    found = encode_target(raw, kind, loss)
    loss, metric = loss or DEFAULT_LOSS[found.kind], metric or DEFAULT_METRIC[found.kind]
    check_task_names(found.kind, loss, metric)
    by_class = found.kind in ("binary", "multiclass")
    parts = draw_splits(
        raw.num_rows,
        labels=found.y.reshape(-1).astype(np.int64) if by_class else None,
        classes=found.classes,
        num_train=raw.num_train,
        validation=validation,
        test=test,
        seed=seed,
    )
    y, about_target, target_notes = _scale_target(found, raw, parts[0])
    preparation, notes = fit_preparation(raw, parts[0], missing=missing, about_target=about_target)
    splits = [Split(x=_transform(preparation, raw, rows), y=y[rows], rows=kept[rows]) for rows in parts]
    shares = ", ".join(f"{len(p)} {word}" for p, word in zip(parts, ("training", "validation", "test"), strict=True))
    drawn = "the test split is the given one" if raw.num_train is not None else f"all drawn with seed {seed}"
    strata = ", stratified by class" if by_class else ""
    return Task(
        name=raw.name,
        kind=found.kind,
        loss=loss,
        metric=metric,
        input_shape=preparation.input_shape,
        output_size=found.size,
        classes=found.classes,
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        preparation=preparation,
        notes=(
            found.note,
            *raw.notes,
            *lost_notes,
            *notes,
            *target_notes,
            f"Rows: {shares}; {drawn}{strata}.",
        ),
        groups=raw.groups,
        batch_size_hint=raw.batch_size_hint,
    )


def _scale_target(found: Target, raw: Raw, train: np.ndarray) -> tuple[np.ndarray, dict[str, Any], list[str]]:
    assert raw.targets is not None
    about: dict[str, Any] = {
        "kind": found.kind,
        "targets": tuple(raw.targets.columns),
        "classes": found.classes,
    }
    if found.kind != "regression":
        return found.y, about, []
    mean, std = found.y[train].mean(0), found.y[train].std(0)
    if not (found.y[train].max(0) > found.y[train].min(0)).all():
        raise InputError("target", "a column of at least two values among the training rows", raw.targets.columns)
    about |= {"target_mean": tuple(mean.tolist()), "target_std": tuple(std.tolist())}
    shown = list_some(f"mean {m:.6g}, standard deviation {s:.6g}" for m, s in zip(mean, std, strict=True))
    note = f"The target was standardised with the training rows ({shown}); metrics are in its own unit."
    return ((found.y - mean) / std).astype(np.float32), about, [note]


def _transform(preparation: Preparation, raw: Raw, rows: np.ndarray | None = None) -> np.ndarray:
    if raw.frame is not None:
        return transform_frame(preparation, raw.frame if rows is None else raw.frame[rows])
    assert raw.array is not None
    return transform_array(preparation, raw.array if rows is None else raw.array[rows])


def prepare_rows(preparation: Preparation, source: Any, *, notes: list[str] | None = None) -> np.ndarray:
    """Returns new rows as a model's inputs, (n, *input_shape) float32, prepared as the task's rows were.

    Target columns and columns that the task left out may be there and are not read.

    Args:
        preparation: The task's.
        source: A file, a folder of images, a frame, an array or a tensor (of the columns in their order,
            where the task came from a table of numbers), or torch data.
        notes: A list that gets a sentence on each column with categories that no training row had (they
            become all zeros); None warns instead.

    Raises:
        InputError: if columns are missing or unknown, shapes differ, or values are missing or infinite.

    Warns:
        UserWarning: on unseen categories, where `notes` is None.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> task = load_task("iris")
        >>> prepare_rows(task.preparation, load_iris().data[:2]).shape
        (2, 4)
    """
    import warnings

    raw = _read_rows(source)
    raw = _fit_table(preparation, raw) if preparation.layout == "table" else _fit_shape(preparation, raw)
    check_present(raw, bool(preparation.fill) or any(c.fill is not None for c in preparation.columns))
    if raw.frame is not None:
        for column in preparation.columns:
            unseen = [] if column.kind == "number" else find_unseen(column, raw.frame[column.name])
            if unseen:
                said = note_unseen(column.name, unseen)
                if notes is None:
                    warnings.warn(said, UserWarning, stacklevel=2)
                else:
                    notes.append(said)
    return _transform(preparation, raw)


def _read_rows(source: Any) -> Raw:
    if isinstance(source, str | Path):
        return read_path(Path(source))
    if is_torch_data(source):
        return read_object(source, max_bytes=2 * 2**30)
    raw = read_features(source)
    if raw is None:
        raise InputError("rows", "a file, a data frame, an array or a tensor", type(source).__name__)
    return raw


def _fit_table(preparation: Preparation, raw: Raw) -> Raw:
    import polars as pl

    wanted = [column.name for column in preparation.columns]
    if raw.frame is None:
        assert raw.array is not None
        texts = [column.name for column in preparation.columns if column.kind == "category"]
        if texts or raw.array.ndim != 2 or raw.array.shape[1] != len(wanted):
            raise InputError(
                "rows",
                f"a table with the columns {list_some(wanted)}",
                f"an array of shape {raw.array.shape}",
            )
        frame = pl.DataFrame(dict(zip(wanted, np.ascontiguousarray(raw.array.T), strict=True)))
        return replace(raw, frame=frame.with_columns(pl.selectors.float().fill_nan(None)), array=None)
    absent = [name for name in wanted if name not in raw.frame.columns]
    if absent:
        raise InputError(raw.name, f"a table with the columns of training; missing: {list_some(map(repr, absent))}")
    extra = [name for name in raw.frame.columns if name not in {*wanted, *preparation.ignored, *preparation.targets}]
    if extra:
        raise InputError(
            raw.name,
            f"a table with the columns of training; unknown: {list_some(map(repr, extra))}",
            remedy="Remove them, or train on a table that has them.",
        )
    return replace(raw, frame=raw.frame.select(wanted))


def _fit_shape(preparation: Preparation, raw: Raw) -> Raw:
    if raw.array is None:
        assert raw.frame is not None
        known = [name for name in raw.frame.columns if name not in preparation.targets]
        raw = replace(raw, frame=None, array=raw.frame.select(known).to_numpy())
    assert raw.array is not None
    shape = raw.array.shape[1:]
    if shape != preparation.row_shape:
        raise InputError("rows", f"of shape (n, {', '.join(map(str, preparation.row_shape))})", raw.array.shape)
    if preparation.layout == "image" and raw.array.dtype.kind == "f" and raw.array.max() <= 1.0:
        raise InputError(
            "rows",
            f"pixels from 0 to {preparation.divisor:g}, as in training",
            "values from 0 to 1",
            "Do not divide.",
        )
    return raw
