"""What a user gives, checked and brought into the form that engines read."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from scipy import sparse

from thalweg.core import InputError, check_choice, check_number
from thalweg.linear._moments import Moments
from thalweg.linear._penalty import Penalty
from thalweg.linear._rows import Rows

FAMILIES = ("gaussian", "binomial", "multinomial")
#: the gap, as a share of the objective at b = 0, that `tol="fast"` stands for
FAST = 1e-3


def check_rows(x: Any, y: Any, weights: Any, family: str) -> tuple[Rows, np.ndarray | None]:
    """Returns rows, and the classes in sorted order where the family has some.

    Args:
        x: (n, p) numbers: array, data frame or sparse matrix.
        y: (n,) numbers, or classes of any kind.
        weights: (n,) at least 0, or None for equal ones.
        family: A name of `FAMILIES`.

    Raises:
        InputError: where they are not of that form.
    """
    check_choice("family", family, FAMILIES)
    inputs = check_inputs(x)
    num = _shape(inputs)[0]
    target = np.asarray(y)
    if target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    if target.shape != (num,):
        raise InputError("y", f"one value for each of {num:,} rows", target.shape, "Give an array of shape (n,).")
    classes = None
    if family == "gaussian":
        target = _numbers("y", target)
    else:
        classes, target = _classes(target, family)
    if weights is None:
        share = np.full(num, 1 / num)
    else:
        share = _numbers("weights", np.asarray(weights))
        if share.shape != (num,):
            raise InputError("weights", f"{num:,} numbers, one for each row", share.shape)
        if (share < 0).any():
            raise InputError("weights", "at least 0", float(share.min()))
        if share.sum() == 0:
            raise InputError("weights", "above 0 for some row", "all zero")
        share = share / share.sum()
    return Rows(x=inputs, y=target.astype(np.float64), weights=share), classes


def check_inputs(x: Any) -> np.ndarray | sparse.csc_array:
    """Returns (n, p) inputs as float64: an array, or a sparse matrix in CSC format.

    Raises:
        InputError: where they are no finite numbers, or there are none.
    """
    if sparse.issparse(x):
        found = sparse.csc_array(x, dtype=np.float64)
        found.sum_duplicates()
        values = found.data
    else:
        found = values = _numbers("x", np.asarray(x), finite=False)
    shape = _shape(found)
    if len(shape) != 2 or 0 in shape:
        raise InputError("x", "a table of at least one row and one column", shape)
    if not np.isfinite(values.sum()) and not np.isfinite(values).all():  # a sum is quick, and may overflow
        raise InputError("x", "finite numbers", "NaN or infinity", "Drop these rows, or fill the gaps first.")
    return found


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(x.shape)


def _numbers(field: str, values: np.ndarray, *, finite: bool = True) -> np.ndarray:
    try:
        if np.iscomplexobj(values):
            raise ValueError("complex")
        found = values.astype(np.float64, copy=False)
    except (TypeError, ValueError):
        raise InputError(field, "real numbers", str(values.dtype), "Encode text as numbers first.") from None
    if finite and not np.isfinite(found).all():
        raise InputError(field, "finite numbers", "NaN or infinity", "Drop these rows, or fill the gaps first.")
    return found


def _classes(target: np.ndarray, family: str) -> tuple[np.ndarray, np.ndarray]:
    if target.dtype.kind == "f" and not np.isfinite(target).all():
        raise InputError("y", "without gaps", "NaN or infinity", "Drop these rows first.")
    classes, numbers = np.unique(target, return_inverse=True)
    if family == "binomial" and len(classes) != 2:
        raise InputError("y", "of two classes for binomial", f"{len(classes)} classes", "Use family='multinomial'.")
    if family == "multinomial" and len(classes) == 2:
        raise InputError("y", "of at least three classes for multinomial", "2 classes", "Use family='binomial'.")
    if len(classes) < 2:
        raise InputError("y", "of at least two classes", f"{len(classes)} class")
    if target.dtype.kind == "f" and len(classes) > max(20, len(target) // 2):
        raise InputError("y", "of classes", f"{len(classes):,} different numbers", "Use family='gaussian'.")
    return classes, numbers.reshape(-1)


def check_penalty(num: int, alpha: Any, penalty_factor: Any, lower: Any, upper: Any) -> Penalty:
    """Returns the penalty on p coefficients.

    Args:
        num: p.
        alpha: Share of the absolute part.
        penalty_factor: (p,), or None for ones.
        lower: (p,) or one number, or None. upper: likewise.

    Raises:
        InputError: where one of them cannot be.
    """
    check_number("alpha", alpha, least=0, most=1)
    factors = np.ones(num) if penalty_factor is None else _vector("penalty_factor", penalty_factor, num)
    if (factors < 0).any() or not np.isfinite(factors).all():
        raise InputError("penalty_factor", "finite and at least 0", float(factors.min()))
    low = _vector("lower", -np.inf if lower is None else lower, num)
    high = _vector("upper", np.inf if upper is None else upper, num)
    if (low > 0).any():
        raise InputError("lower", "at most 0", float(low.max()), "A coefficient can always be 0.")
    if (high < 0).any():
        raise InputError("upper", "at least 0", float(high.min()), "A coefficient can always be 0.")
    free = factors == 0
    if np.isfinite(low[free]).any() or np.isfinite(high[free]).any():
        raise InputError("penalty_factor", "above 0 for a coefficient with bounds", 0, "A small one, 1e-6, will do.")
    return Penalty(alpha=float(alpha), factors=factors, lower=low, upper=high)


def _vector(field: str, values: Any, num: int) -> np.ndarray:
    try:
        found = np.broadcast_to(np.asarray(values, np.float64), (num,)).copy()
    except (TypeError, ValueError):
        raise InputError(field, f"one number, or one for each of {num:,} inputs", np.shape(values)) from None
    if np.isnan(found).any():
        raise InputError(field, "numbers", "NaN")
    return found


def check_tol(tol: Any) -> float:
    """Returns the gap to reach, as a share.

    Raises:
        InputError: where it is no number between 0 and 1, and not `fast`.
    """
    if isinstance(tol, str):
        check_choice("tol", tol, ["fast"])
        return FAST
    check_number("tol", tol, above=0, below=1, remedy="1e-6 is a good one; 'fast' stands for 1e-3.")
    return float(tol)


def check_strengths(lambda_: Any) -> np.ndarray | int:
    """Returns strengths that fall, or how many are wanted.

    Raises:
        InputError: where they rise or are not above 0.
    """
    if isinstance(lambda_, int | np.integer) and not isinstance(lambda_, bool):
        check_number("lambda_", lambda_, least=1, integer=True)
        return int(lambda_)
    found = np.atleast_1d(_numbers("lambda_", np.asarray(lambda_)))
    if found.ndim != 1 or len(found) == 0:
        raise InputError("lambda_", "how many strengths, or a list of them", np.shape(lambda_))
    if (found <= 0).any():
        raise InputError("lambda_", "above 0", float(found.min()), "Without a penalty, use least squares.")
    if (np.diff(found) > 0).any():
        raise InputError("lambda_", "from the largest to the smallest", _rise(found), "Sort them downwards.")
    return found


def _rise(values: np.ndarray) -> str:
    k = int(np.flatnonzero(np.diff(values) > 0)[0])
    return f"{values[k]:g} before {values[k + 1]:g}"


def check_start(start: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Returns coefficients of a shape.

    Raises:
        InputError: where they are not of that shape.
    """
    found = _numbers("start", np.asarray(start))
    if found.shape != shape:
        raise InputError("start", f"coefficients of shape {shape}", found.shape)
    return found


def check_ratio(ratio: Any, shape: tuple[int, int]) -> float:
    """Returns the smallest strength as a share of the largest; default is 0.001 where n > p, else 0.01.

    Raises:
        InputError: where it is not between 0 and 1.
    """
    if ratio is None:
        return 1e-3 if shape[0] > shape[1] else 1e-2
    check_number("lambda_min_ratio", ratio, above=0, below=1)
    return float(ratio)


def check_threads(threads: Any) -> int:
    """Returns how many cores to use; default is all.

    Raises:
        InputError: where it is no whole number above 0.
    """
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    check_number("threads", threads, least=1, integer=True)
    return int(threads)


def check_moments(gram: Any, cross: Any, square: Any) -> Moments:
    """Returns second moments.

    Raises:
        InputError: where they do not fit each other.
    """
    found, beside = _numbers("gram", np.asarray(gram)), _numbers("cross", np.asarray(cross))
    check_number("square", square, least=0)
    size = len(found) if found.ndim == 2 else 0
    if size == 0 or found.shape != (size, size):
        raise InputError("gram", "a square matrix", found.shape)
    if not np.allclose(found, found.T, rtol=1e-8, atol=1e-12 * np.abs(found).max()):
        raise InputError("gram", "symmetric", remedy="It is X'X / n.")
    if beside.shape != (size,):
        raise InputError("cross", f"{size:,} numbers, one for each input", beside.shape)
    zeros, variance = np.zeros(size), np.diag(found)
    return Moments(
        gram=np.ascontiguousarray(found),
        cross=beside,
        square=float(square),
        mean=zeros,
        target=0.0,
        second=variance,
        variance=variance,
    )
