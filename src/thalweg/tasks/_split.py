"""Which rows train, which choose and which speak once."""

from __future__ import annotations

import numpy as np

from thalweg.core import InputError, Purpose, check_number, derive_key, draw_permutation


def check_fractions(validation: float, test: float) -> None:
    """Checks that the three splits all get a share.

    Raises:
        InputError: naming the fraction.
    """
    check_number("validation", validation, above=0, below=1)
    check_number("test", test, above=0, below=1)
    if validation + test >= 1:
        raise InputError("validation + test", "below 1", validation + test, "The rest is for training.")


def draw_splits(
    num_rows: int,
    *,
    labels: np.ndarray | None,
    classes: tuple[str, ...] = (),
    num_train: int | None = None,
    validation: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the rows of training, validation and test, each (n,) int64, ascending.

    One permutation of the rows is drawn, keyed by (seed, SPLIT). Where there are classes, each class gives
    its share to every split: round(fraction * rows of the class), and one at least.

    Args:
        num_rows: All rows, a given test split included.
        labels: (num_rows,) class numbers to stratify by; None splits without.
        classes: Names of the classes.
        num_train: Where a given test split starts; None draws one.
        validation: Share of the rows (of those before the given test split) that choose.
        test: Share of the rows that speak once; unused where a test split is given.
        seed: Of the split.

    Raises:
        InputError: if a class, or the data, has too few rows for every split to get one.

    Example:
        >>> [len(rows) for rows in draw_splits(10, labels=None, seed=1)]
        [6, 2, 2]
    """
    pool = num_rows if num_train is None else num_train
    order = draw_permutation(derive_key(seed, Purpose.SPLIT), pool)
    shares = (validation, 0.0 if num_train is not None else test)
    needed = 3 if num_train is None else 2
    if pool < needed or (pool == num_rows and num_train is not None):
        raise InputError("data", f"at least {needed} rows, and a test row where they are given", pool)
    if labels is None:
        parts = [order]
    else:
        inverse = labels[order]
        parts = [order[inverse == k] for k in range(len(classes))]
        _check_classes(parts, classes, needed)
    chosen: tuple[list, list, list] = ([], [], [])
    for part in parts:
        num_validation = _share(shares[0], len(part), len(part) - needed + 1)
        num_test = _share(shares[1], len(part), len(part) - num_validation - 1)
        chosen[1].append(part[:num_validation])
        chosen[2].append(part[num_validation : num_validation + num_test])
        chosen[0].append(part[num_validation + num_test :])
    train, held, drawn = (np.sort(np.concatenate(rows)) for rows in chosen)
    return train, held, drawn if num_train is None else np.arange(num_train, num_rows, dtype=np.int64)


def _share(fraction: float, num: int, most: int) -> int:
    return 0 if not fraction else max(1, min(round(fraction * num), most))


def _check_classes(parts: list[np.ndarray], classes: tuple[str, ...], needed: int) -> None:
    few = [f"{name!r} has {len(part)}" for name, part in zip(classes, parts, strict=True) if len(part) < needed]
    if few:
        shown = ", ".join(few[:5]) + (f" and {len(few) - 5} more do" if len(few) > 5 else "")
        raise InputError(
            "target",
            f"a column whose classes each have at least {needed} rows, one for each split; {shown}",
            remedy="Merge or remove the rare classes, or give kind='regression' if it holds quantities.",
        )
