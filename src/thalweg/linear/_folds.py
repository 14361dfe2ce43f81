"""Which rows a cross-validation holds out."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from thalweg.core import InputError, check_number
from thalweg.linear._rows import RowSet


def make_folds(folds: Any, y: np.ndarray, *, classes: bool, groups: Any, seed: int) -> list[RowSet]:
    """Returns the rows that each fold trains on and those that it holds out.

    Args:
        folds: How many: drawn at random, with equal shares of the classes where there are some, and whole groups where
            groups are given. Or a splitter of scikit-learn (`TimeSeriesSplit`, `LeaveOneGroupOut`), or pairs of row
            numbers (train, test).
        y: (n,) target.
        classes: Whether it holds classes.
        groups: (n,) or None.
        seed: Of the draw.

    Raises:
        InputError: where they do not fit, or a fold trains on one class alone.
    """
    num, pairs = len(y), folds
    if groups is not None and len(groups) != num:
        raise InputError("groups", f"one for each of {num:,} rows", len(groups))
    if isinstance(folds, int | np.integer):
        check_number("folds", folds, least=2, integer=True)
        units = num if groups is None else len(np.unique(np.asarray(groups)))
        if folds > units:
            raise InputError(
                "folds", f"at most {units:,}, the number of {'rows' if groups is None else 'groups'}", folds
            )
        if groups is not None:
            splitter: Any = GroupKFold(int(folds), shuffle=True, random_state=seed)
        elif classes:
            least = int(np.bincount(y.astype(np.int64)).min())
            if least < folds:
                rule = f"at most {least}, the rows of the smallest class"
                raise InputError("folds", rule, folds, "Give pairs of row numbers to do without equal shares.")
            splitter = StratifiedKFold(int(folds), shuffle=True, random_state=seed)
        else:
            splitter = KFold(int(folds), shuffle=True, random_state=seed)
        pairs = splitter.split(np.zeros(num), y, groups)
    elif hasattr(folds, "split"):
        try:
            pairs = list(folds.split(np.zeros(num), y, groups))
        except ValueError as error:
            raise InputError("folds", "a splitter that fits the rows", str(folds), str(error)) from None
    sets = [_as_set(pair, num, k) for k, pair in enumerate(pairs)]
    if len(sets) < 2:
        raise InputError("folds", "at least 2", len(sets))
    for k, each in enumerate(sets):
        if classes and len(np.unique(y[each.train])) < len(np.unique(y)):
            raise InputError("folds", "of rows of all classes", f"fold {k} trains without one", "Try fewer folds.")
    return sets


def _as_set(pair: Any, num: int, number: int) -> RowSet:
    try:
        train, test = (np.asarray(part) for part in pair)
        found = RowSet(train=np.zeros(num, bool), test=np.zeros(num, bool))
        found.train[train] = True
        found.test[test] = True  # pyright: ignore[reportOptionalSubscript]
    except (TypeError, ValueError, IndexError):
        raise InputError("folds", f"pairs of numbers of {num:,} rows", f"fold {number}") from None
    if not found.train.any() or not np.any(found.test):
        raise InputError("folds", "of rows to train on and rows to hold out", f"fold {number} has none")
    if (found.train & found.test).any():
        raise InputError("folds", "without rows that are trained on and held out", f"fold {number}")
    return found
