"""Whole paths of lasso, ridge and elastic net: one call for every family, kind of input and size."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.exceptions import ConvergenceWarning

from thalweg.core import InputError, check_number
from thalweg.linear._check import (
    check_inputs,
    check_moments,
    check_penalty,
    check_ratio,
    check_rows,
    check_start,
    check_strengths,
    check_threads,
    check_tol,
)
from thalweg.linear._engines import Engines, Setting, highest_strength, strengths_from
from thalweg.linear._moments import Held, solve_moments
from thalweg.linear._penalty import Penalty
from thalweg.linear._rows import RowSet
from thalweg.linear._solution import Request, Solution


@dataclass(frozen=True, kw_only=True)
class Path:
    """Solutions for L falling strengths.

    Args:
        family: gaussian, binomial or multinomial.
        penalty: At strength 1.
        lambda_: (L,) strengths.
        coef: (L, p), or (L, C, p) for multinomial. intercept: (L,), or (L, C).
        gap: (L,) duality gap, as a share of the objective at b = 0: no coefficients are better by more.
        kkt: (L,) distance of 0 from the subgradient, in the units of lambda.
        tol: The gap that was asked for.
        has_intercept: Whether there is one; else it is 0.
        classes: (C,) of a target of classes, or None.
    """

    family: str
    penalty: Penalty
    lambda_: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    gap: np.ndarray
    kkt: np.ndarray
    tol: float
    has_intercept: bool
    classes: np.ndarray | None = None

    @property
    def reached(self) -> np.ndarray:
        """(L,) bool: whether the gap is at most `tol`."""
        return self.gap <= self.tol

    @property
    def num_selected(self) -> np.ndarray:
        """(L,) how many inputs have a coefficient that is not 0."""
        used = self.coef != 0
        return (used.any(1) if used.ndim == 3 else used).sum(1)

    def predict(self, x: Any) -> np.ndarray:
        """Returns predictions at every strength.

        Args:
            x: (m, p) inputs.

        Returns:
            (L, m) numbers; for binomial, probabilities of the second class; for multinomial, (L, m, C) probabilities.

        Raises:
            InputError: where the inputs do not fit.
        """
        rows: Any = check_inputs(x)
        if rows.shape[1] != self.coef.shape[-1]:
            raise InputError("x", f"of {self.coef.shape[-1]:,} columns", rows.shape[1])
        if self.coef.ndim == 3:
            flat = (rows @ self.coef.reshape(-1, rows.shape[1]).T).reshape(rows.shape[0], *self.coef.shape[:2])
            return softmax(flat.transpose(1, 0, 2) + self.intercept[:, None], axis=2)
        scores = (rows @ self.coef.T).T + self.intercept[:, None]
        return expit(scores) if self.family == "binomial" else scores


def fit_path(
    x: Any,
    y: Any,
    *,
    family: str = "gaussian",
    alpha: float = 1.0,
    lambda_: Any = 100,
    lambda_min_ratio: float | None = None,
    weights: Any = None,
    intercept: bool = True,
    standardize: bool = False,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    tol: float | str = 1e-6,
    max_rounds: int = 1000,
    start: Any = None,
    threads: int | None = None,
) -> Path:
    """Returns lasso, ridge or elastic-net solutions for falling strengths, each with its certificate.

    For gaussian targets it minimises

        sum_i w_i / 2 (y_i - x_i'b - b0)^2 + lambda sum_j factor_j (alpha |b_j| + (1 - alpha) / 2 b_j^2)

    with weights w of sum 1, so 1 / (2n) ||y - X b - b0||^2 for equal ones; y is not rescaled. For binomial and
    multinomial targets the first term is the mean negative log-likelihood, -sum_i w_i log p(y_i | x_i). alpha = 1 is
    the lasso, alpha = 0 is ridge, what lies between is the elastic net. `alpha` and `lambda_` are named as in glmnet;
    the estimators of this room name the same numbers `l1_ratio` and `alpha`, as scikit-learn does.

    A path stops on the duality gap: the objective minus a lower bound of it, as a share of the objective at b = 0.

    Args:
        x: (n, p) inputs: array, data frame or sparse matrix.
        y: (n,) target: numbers, or classes of any kind.
        family: gaussian, binomial or multinomial.
        alpha: Share of the absolute part, 0 to 1.
        lambda_: Strengths from the largest to the smallest, or how many: evenly by their logarithm from the least at
            which all coefficients are 0.
        lambda_min_ratio: The smallest of these over the largest; default is 0.001 where n > p, else 0.01.
        weights: (n,) of rows, at least 0.
        intercept: Whether there is one; it is not penalised.
        standardize: Whether the penalty is on the coefficients of inputs of variance 1. Coefficients are returned in
            the units of the inputs in any case.
        penalty_factor: (p,) at least 0; 0 leaves a coefficient unpenalised.
        lower: (p,), or one number, at most 0: bounds of the coefficients. upper: at least 0.
        tol: Gap to reach; `fast` stands for 1e-3, what other solvers stop at by default.
        max_rounds: Of work at every strength; where they run out, the gap that was reached is given, with a warning.
        start: (p,), or (C, p) for multinomial, coefficients to start from, near the solution for the first strength.
        threads: Cores to use; default is all.

    Returns:
        A `Path`.

    Raises:
        InputError: where an argument cannot be.

    References:
        Tibshirani, Regression shrinkage and selection via the lasso, 1996.
        Zou and Hastie, Regularization and variable selection via the elastic net, 2005.
        Friedman, Hastie and Tibshirani, Regularization paths for generalized linear models via coordinate descent,
        2010.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> x, y = load_diabetes(return_X_y=True)
        >>> path = fit_path(x, y, lambda_=[1.0, 0.1])
        >>> path.num_selected
        array([3, 7])
        >>> bool((path.gap <= 1e-6).all())
        True
    """
    rows, classes = check_rows(x, y, weights, family)
    penalty = check_penalty(rows.shape[1], alpha, penalty_factor, lower, upper)
    strengths, ratio = check_strengths(lambda_), check_ratio(lambda_min_ratio, rows.shape)
    limit = check_tol(tol)
    check_number("max_rounds", max_rounds, least=1, integer=True)
    shape = (len(classes), rows.shape[1]) if classes is not None and family == "multinomial" else (rows.shape[1],)
    begin = None if start is None else check_start(start, shape)
    setting = Setting(intercept=intercept, standardize=standardize, threads=check_threads(threads))
    engine = Engines(rows, [RowSet.whole(rows.shape[0])], setting, classes).of(penalty)
    if isinstance(strengths, int):
        strengths = strengths_from(highest_strength(*engine.null_gradient(penalty), penalty), strengths, ratio)
    request = Request(penalty=penalty, strengths=strengths, tol=limit, max_rounds=max_rounds, start=begin)
    return as_path(engine.solve(request)[0], request, family, classes, has_intercept=intercept)


def path_from_gram(
    gram: Any,
    cross: Any,
    square: float,
    *,
    alpha: float = 1.0,
    lambda_: Any = 100,
    lambda_min_ratio: float = 1e-3,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    tol: float | str = 1e-6,
    max_rounds: int = 1000,
    start: Any = None,
) -> Path:
    """Returns the gaussian path of `fit_path` without the rows: from their second moments, about the means.

    Args:
        gram: (p, p) X'X / n of centred inputs. cross: (p,) X'y / n. square: y'y / n of the centred target.
        alpha: As in `fit_path`. lambda_: as there. lambda_min_ratio: as there. penalty_factor: as there.
        lower: As there. upper: as there. tol: as there. max_rounds: as there. start: as there.

    Returns:
        A `Path` without an intercept: it is mean(y) - mean(X) coef.

    Raises:
        InputError: where an argument cannot be, or the Gram matrix is not symmetric.

    Example:
        >>> path = path_from_gram([[1.0, 0.0], [0.0, 1.0]], [3.0, -1.0], 10.0, lambda_=[2.0, 0.5])
        >>> path.coef
        array([[ 1. ,  0. ],
               [ 2.5, -0.5]])
    """
    moments = check_moments(gram, cross, square)
    size = len(moments.cross)
    penalty = check_penalty(size, alpha, penalty_factor, lower, upper)
    strengths, ratio, limit = check_strengths(lambda_), check_ratio(lambda_min_ratio, (1, 1)), check_tol(tol)
    check_number("max_rounds", max_rounds, least=1, integer=True)
    begin = None if start is None else check_start(start, (size,))
    if isinstance(strengths, int):
        gradient = Held.of(moments, penalty).gradient()
        strengths = strengths_from(highest_strength(gradient, np.ones(size), penalty), strengths, ratio)
    request = Request(penalty=penalty, strengths=strengths, tol=limit, max_rounds=max_rounds, start=begin)
    coef, gap, kkt = solve_moments(moments, request, np.ones(size))
    solution = Solution(coef=coef, intercept=np.zeros(len(coef)), gap=gap, kkt=kkt)
    return as_path(solution, request, "gaussian", None, has_intercept=False)


def as_path(
    solution: Solution, request: Request, family: str, classes: np.ndarray | None, *, has_intercept: bool
) -> Path:
    """Returns a solution as a `Path`; warns where it has not reached its gap."""
    path = Path(
        family=family,
        penalty=request.penalty,
        lambda_=request.strengths,
        coef=solution.dense_coef(),
        intercept=solution.intercept,
        gap=solution.gap,
        kkt=solution.kkt,
        tol=request.tol,
        has_intercept=has_intercept,
        classes=classes,
    )
    short = np.flatnonzero(~path.reached)
    if len(short):
        warnings.warn(
            f"At {len(short)} of {len(path.gap)} strengths the duality gap is above tol = {request.tol:g}; the largest "
            f"is {path.gap.max():.2g}. A larger max_rounds or tol, or strengths that end earlier, would help.",
            ConvergenceWarning,
            stacklevel=3,
        )
    return path
