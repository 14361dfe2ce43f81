"""What kind of target the rows have, why, and the numbers that it becomes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from thalweg.core import InputError

from ._preparation import number_values
from ._raw import Raw, is_number, is_text, list_some

#: whole numbers with at most this many distinct values are taken as classes
MAX_INTEGER_CLASSES = 20

_HOW = {
    "binary": "sigmoid with binary cross-entropy on one logit",
    "multiclass": "softmax with cross-entropy on {size} logits",
    "multilabel": "sigmoid with binary cross-entropy on {size} logits",
    "regression": "squared error on {size} standardised {outputs}",
}
_WHAT = {
    "binary": "binary classification",
    "multiclass": "classification",
    "multilabel": "classification with several labels",
    "regression": "regression",
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """Encoded targets.

    Args:
        kind: The kind of task.
        y: As `Split.y`, but regression is float64 and not yet standardised.
        classes: Names of the classes or labels.
        size: The outputs that a model must give.
        note: What was inferred and why.
    """

    kind: str
    y: np.ndarray
    classes: tuple[str, ...]
    size: int
    note: str


def encode_target(raw: Raw, kind: str | None, loss: str | None) -> Target:
    """Returns the encoded target, of the given kind or of the kind that its values suggest.

    Raises:
        InputError: if the values are all alike, are no target, or do not fit the kind.
    """
    targets = raw.targets
    assert targets is not None
    for series in targets:
        _check_values(series)
    one_hot = targets.width > 2 and _is_indicator(targets) and _one_per_row(targets)
    found, reason = ("multiclass", "each row holds a single 1") if one_hot else _infer(targets)
    chosen = kind or found
    if chosen == "multiclass" and targets.width > 1 and one_hot:
        y, classes = np.stack([number_values(s) for s in targets], 1).argmax(1), tuple(targets.columns)
    else:
        y, classes = _ENCODERS[chosen](targets, raw.classes)
    size = len(classes) if chosen in ("multiclass", "multilabel") else y.shape[1]
    return Target(
        kind=chosen,
        y=y,
        classes=classes,
        size=size,
        note=_explain(targets, chosen, kind, reason, classes, size, loss),
    )


def _explain(
    targets: pl.DataFrame,
    chosen: str,
    kind: str | None,
    reason: str,
    classes: tuple[str, ...],
    size: int,
    loss: str | None,
) -> str:
    who = " and ".join(repr(name) for name in targets.columns[:3]) + (", ..." if targets.width > 3 else "")
    label = f"target {who}" if targets.width == 1 else f"targets {who}"
    outputs = "output" if size == 1 else "outputs"
    how = f"the loss {loss}" if loss else _HOW[chosen].format(size=size, outputs=outputs)
    why = f"{label}: {reason}, so the task is" if kind is None else f"{label}: the kind was given, the task is"
    positive = f"; {classes[1]!r} is the positive class" if chosen == "binary" else ""
    return f"{why} {_WHAT[chosen]}: {how}{positive}."


def _check_values(series: pl.Series) -> None:
    if not (is_number(series.dtype) or is_text(series.dtype)):
        raise InputError(
            f"target {series.name!r}",
            "numbers, texts or bools",
            str(series.dtype),
            "Convert the column first.",
        )
    distinct = series.drop_nulls().unique()
    if distinct.len() < 2:
        value = distinct[0] if distinct.len() else None
        raise InputError(
            f"target {series.name!r}",
            "a column of at least two values",
            value,
            "There is nothing to learn from one.",
        )


def _infer(targets: pl.DataFrame) -> tuple[str, str]:
    if targets.width > 1:
        if _is_indicator(targets):
            return "multilabel", f"{targets.width} columns of 0 and 1"
        texts = [s.name for s in targets if not is_number(s.dtype)]
        if texts:
            raise InputError("target", "number columns where there are several", texts, "Name one class column.")
        return "regression", f"{targets.width} columns of numbers"
    series = targets.to_series()
    num = series.n_unique()
    if num == 2:
        return "binary", f"it holds 2 distinct values ({list_some(map(repr, _levels(series)[0]))})"
    if not is_number(series.dtype):
        return "multiclass", f"it holds {num} distinct texts"
    if series.dtype.is_float():
        return "regression", f"it holds {num} distinct numbers"
    if num <= MAX_INTEGER_CLASSES:
        return "multiclass", f"it holds {num} distinct whole numbers"
    return "regression", f"it holds {num} distinct whole numbers, more than {MAX_INTEGER_CLASSES}"


def _is_indicator(targets: pl.DataFrame) -> bool:
    return all(is_number(s.dtype) and bool(np.isin(number_values(s), (0.0, 1.0)).all()) for s in targets)


def _one_per_row(targets: pl.DataFrame) -> bool:
    return bool((np.sum([number_values(s) for s in targets], axis=0) == 1).all())


def _levels(series: pl.Series) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the sorted names of the distinct values and each row's place among them."""
    if is_text(series.dtype):
        values: np.ndarray = np.asarray(series.cast(pl.String).to_list(), dtype=object)
    else:
        values = series.to_numpy()
    levels, codes = np.unique(values, return_inverse=True)
    names = [str(int(v)) if isinstance(v, np.floating) and v == int(v) else str(v) for v in levels]
    return tuple(names), codes.astype(np.int64)


def _single(targets: pl.DataFrame, kind: str) -> pl.Series:
    if targets.width > 1:
        raise InputError("kind", "multilabel or regression for several target columns", kind)
    return targets.to_series()


def _encode_classes(targets: pl.DataFrame, classes: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    series = _single(targets, "multiclass")
    if classes:
        return series.cast(pl.Int64).to_numpy(), classes
    names, codes = _levels(series)
    return codes, names


def _encode_binary(targets: pl.DataFrame, classes: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    codes, names = _encode_classes(_single(targets, "binary").to_frame(), classes)
    if len(names) != 2:
        raise InputError("kind", f"one that fits a target of {len(names)} distinct values", "binary", "Try multiclass.")
    return codes[:, None].astype(np.float32), names


def _encode_labels(targets: pl.DataFrame, classes: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    if not _is_indicator(targets):
        raise InputError("kind", "one that fits the target: multilabel wants columns of 0 and 1", "multilabel")
    return np.stack([number_values(s) for s in targets], 1).astype(np.float32), tuple(targets.columns)


def _encode_numbers(targets: pl.DataFrame, classes: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    texts = [s.name for s in targets if not is_number(s.dtype)]
    if texts:
        raise InputError("kind", f"one that fits a target of texts ({list_some(texts)})", "regression")
    return np.stack([number_values(s) for s in targets], 1), ()


_ENCODERS = {
    "multiclass": _encode_classes,
    "binary": _encode_binary,
    "multilabel": _encode_labels,
    "regression": _encode_numbers,
}
