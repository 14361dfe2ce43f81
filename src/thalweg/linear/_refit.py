"""What lessens the bias of the lasso: weights from a first fit, and refits without a penalty."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.core import InputError, check_number
from thalweg.linear._check import check_rows
from thalweg.linear._cross_validation import cross_validate
from thalweg.linear._path import Path


def adaptive_factors(
    x: Any, y: Any, *, power: float = 1.0, weights: Any = None, standardize: bool = False, **options: Any
) -> np.ndarray:
    """Returns penalty factors for the adaptive lasso, from a ridge fit: |b_j|^-power, of mean 1.

    Inputs with a large coefficient in the first fit are penalised less, so that the second one shrinks them less; with
    a good first fit it selects the right inputs where the lasso alone does not.

    Args:
        x: (n, p) inputs. y: (n,) numbers.
        power: Above 0.
        weights: As in `fit_path`. standardize: as there, for the ridge fit.
        options: Others of `cross_validate`, which chooses the strength of the ridge fit.

    Returns:
        (p,) factors to pass on as `penalty_factor`, in the units in which the second fit has its coefficients; at most
        a million times the least.

    Raises:
        InputError: where an argument cannot be.

    References:
        Zou, The adaptive lasso and its oracle properties, 2006.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> x, y = load_diabetes(return_X_y=True)
        >>> factors = adaptive_factors(x, y)
        >>> int(factors.argmin())  # the body mass index
        2
    """
    check_number("power", power, above=0)
    found = cross_validate(x, y, alpha=0.0, weights=weights, standardize=standardize, **options)
    size = np.abs(found.path.coef[found.curve.best])
    if standardize:
        rows, _ = check_rows(x, y, weights, "gaussian")
        if not isinstance(rows.x, np.ndarray):
            raise InputError("x", "an array where standardize is set")
        size = size * np.sqrt(rows.weights @ (rows.x - rows.weights @ rows.x) ** 2)
    largest = float(size.max(initial=0.0))
    factors = np.maximum(size, 1e-6 * largest if largest > 0 else 1.0) ** -power
    factors = np.minimum(factors, 1e6 * factors.min())
    return factors / factors.mean()


def relaxed(path: Path, x: Any, y: Any, *, gamma: float = 0.0, weights: Any = None) -> Path:
    """Returns a path of least squares whose solutions are moved towards the unpenalised fit of their own inputs.

    Every solution becomes gamma times itself plus 1 - gamma times the least-squares fit of the inputs that it selects:
    the lasso selects, and least squares estimates.

    Args:
        path: Of `fit_path`, gaussian.
        x: (n, p) inputs it was fitted on. y: (n,) target.
        gamma: 0 for the fits without a penalty, 1 for the path itself.
        weights: As it was fitted with.

    Returns:
        A path whose `gap` and `kkt` are NaN: it minimises no penalised objective.

    Raises:
        InputError: where the path is of another family, or the data do not fit it.

    References:
        Meinshausen, Relaxed lasso, 2007. Hastie, Tibshirani and Tibshirani, Best subset, forward stepwise or lasso?,
        2020, section 2.4 (this form).

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> from thalweg.linear import fit_path
        >>> x, y = load_diabetes(return_X_y=True)
        >>> path = fit_path(x, y, lambda_=[1.0])
        >>> bool((abs(relaxed(path, x, y).coef) >= abs(path.coef)).sum() >= 8)
        True
    """
    check_number("gamma", gamma, least=0, most=1)
    if path.family != "gaussian":
        raise InputError("path", "of the gaussian family", path.family)
    rows, _ = check_rows(x, y, weights, "gaussian")
    if rows.shape[1] != path.coef.shape[1]:
        raise InputError("x", f"of {path.coef.shape[1]:,} columns, as the path is", rows.shape[1])
    root = np.sqrt(rows.weights)
    coef, intercept = gamma * path.coef, gamma * path.intercept
    for k, each in enumerate(path.coef):
        which = np.flatnonzero(each)
        columns: Any = rows.x[:, which]
        columns = np.asarray(columns.toarray() if hasattr(columns, "toarray") else columns)
        middle = rows.weights @ columns if path.has_intercept else np.zeros(len(which))
        level = float(rows.weights @ rows.y) if path.has_intercept else 0.0
        fit = np.linalg.lstsq((columns - middle) * root[:, None], (rows.y - level) * root, rcond=None)[0]
        coef[k, which] += (1 - gamma) * fit
        intercept[k] += (1 - gamma) * (level - float(middle @ fit))
    unknown = np.full(len(coef), np.nan)
    return replace(path, coef=coef, intercept=intercept, gap=unknown, kkt=unknown)
