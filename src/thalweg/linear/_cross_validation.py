"""Cross-validation of whole paths: all folds, strengths and mixings from one pass over the data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from thalweg.core import InputError, check_choice, check_number
from thalweg.linear._check import check_penalty, check_ratio, check_rows, check_strengths, check_threads, check_tol
from thalweg.linear._engines import Engines, Setting, highest_strength, strengths_from
from thalweg.linear._folds import make_folds
from thalweg.linear._path import Path, as_path
from thalweg.linear._penalty import Penalty
from thalweg.linear._ridge_engine import RidgeEngine
from thalweg.linear._rows import RowSet
from thalweg.linear._solution import Request


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What cross-validation found for one mixing of the two penalties.

    Args:
        path: On all rows.
        errors: (L, F) mean loss on the rows that each fold holds out: squared error, or deviance (twice the negative
            log-likelihood).
        gap: (L,) the largest duality gap of the folds' fits.
    """

    path: Path
    errors: np.ndarray
    gap: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(L,) means of the errors over folds."""
        return self.errors.mean(1)

    @property
    def standard_error(self) -> np.ndarray:
        """(L,) standard errors of these means, folds taken as independent, which they are not quite."""
        return self.errors.std(1, ddof=1) / np.sqrt(self.errors.shape[1])

    @property
    def best(self) -> int:
        """Place of the least mean error; of the larger strength where two are equal."""
        return int(np.argmin(self.mean))

    @property
    def one_standard_error(self) -> int:
        """Place of the largest strength whose mean error is at most one standard error above the least."""
        k = self.best
        return int(np.argmax(self.mean <= self.mean[k] + self.standard_error[k]))


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """What cross-validation found.

    Args:
        curves: One for each mixing, in the order of `alphas`.
        alphas: (A,) shares of the absolute part.
        folds: Rows of each fold.
    """

    curves: Sequence[Curve]
    alphas: np.ndarray
    folds: Sequence[RowSet]

    @property
    def curve(self) -> Curve:
        """That of the mixing with the least mean error."""
        return min(self.curves, key=lambda curve: curve.mean[curve.best])

    @property
    def path(self) -> Path:
        """The path on all rows, of the best mixing."""
        return self.curve.path

    @property
    def lambda_min(self) -> float:
        """The strength of least mean error."""
        return float(self.path.lambda_[self.curve.best])

    @property
    def lambda_1se(self) -> float:
        """The largest strength whose mean error is at most one standard error above the least."""
        return float(self.path.lambda_[self.curve.one_standard_error])


def cross_validate(
    x: Any,
    y: Any,
    *,
    family: str = "gaussian",
    alpha: Any = 1.0,
    lambda_: Any = 100,
    lambda_min_ratio: float | None = None,
    folds: Any = 10,
    groups: Any = None,
    seed: int = 0,
    weights: Any = None,
    intercept: bool = True,
    standardize: bool = False,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    tol: float | str = 1e-6,
    max_rounds: int = 1000,
    threads: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> CrossValidation:
    """Returns the error of every strength on rows that are held out, and the path on all rows.

    All folds use the strengths of the path on all rows. Work is shared: the second moments of a fold are those of all
    rows minus its own, or one product serves all folds; several mixings cost one pass over the data.

    Args:
        x: (n, p) inputs. y: (n,) target. family: as in `fit_path`.
        alpha: Share of the absolute part, or several of them.
        lambda_: As in `fit_path`; a list serves all mixings. lambda_min_ratio: likewise.
        folds: How many, drawn at random, of equal shares of the classes; or a splitter of scikit-learn; or pairs of row
            numbers (train, test). For ridge, `leave-one-out` gives the error of leaving out each row in turn, exactly
            and from one decomposition.
        groups: (n,) rows of one group are held out together.
        seed: Of the draw of the folds.
        weights: (n,) of rows, for fits and for errors.
        intercept: As in `fit_path`. standardize: by the deviations of each fold's own rows. penalty_factor: as there.
        lower: As there. upper: as there. tol: as there. max_rounds: as there. threads: as there.
        on_progress: Called with how many fits were made since the last call, of strengths times folds plus one.

    Raises:
        InputError: where an argument cannot be.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> x, y = load_diabetes(return_X_y=True)
        >>> found = cross_validate(x, y, folds=5)
        >>> found.lambda_min < found.lambda_1se
        True
    """
    rows, classes = check_rows(x, y, weights, family)
    alphas = np.atleast_1d(np.asarray(alpha, dtype=object))
    if alphas.ndim != 1 or len(alphas) == 0:
        raise InputError("alpha", "a share of the absolute part, or a list of them", np.shape(alpha))
    penalties = [check_penalty(rows.shape[1], each, penalty_factor, lower, upper) for each in alphas]
    strengths, ratio = check_strengths(lambda_), check_ratio(lambda_min_ratio, rows.shape)
    limit = check_tol(tol)
    check_number("max_rounds", max_rounds, least=1, integer=True)
    check_number("seed", seed, least=0, integer=True)
    alone = isinstance(folds, str)
    sets = [] if alone else make_folds(folds, rows.y, classes=classes is not None, groups=groups, seed=seed)
    if alone:
        _check_alone(folds, penalties, family, sparse=not isinstance(rows.x, np.ndarray))
    setting = Setting(intercept=intercept, standardize=standardize, threads=check_threads(threads))
    engines = Engines(rows, [RowSet.whole(rows.shape[0]), *sets], setting, classes)
    curves = []
    for penalty in penalties:
        engine, grid = engines.of(penalty), strengths
        if isinstance(grid, int):
            grid = strengths_from(highest_strength(*engine.null_gradient(penalty), penalty), grid, ratio)
        request = Request(penalty=penalty, strengths=grid, tol=limit, max_rounds=max_rounds, on_progress=on_progress)
        whole, *parts = engine.solve(request)
        path = as_path(whole, request, family, classes, has_intercept=intercept)
        if isinstance(engine, RidgeEngine) and alone:  # the mean over rows is by their weights
            errors = engine.leave_one_out(penalty, path.lambda_) * (rows.weights * len(rows.y))
            curves.append(Curve(path=path, errors=errors, gap=path.gap))
            continue
        gap = np.max([part.gap for part in parts], axis=0)
        if (gap > limit).any():
            warnings.warn(
                f"In the folds the duality gap is up to {gap.max():.2g}, above tol = {limit:g}. "
                "A larger max_rounds or tol, or strengths that end earlier, would help.",
                ConvergenceWarning,
                stacklevel=2,
            )
        errors = np.stack([np.asarray(part.error) for part in parts], axis=1)
        curves.append(Curve(path=path, errors=errors, gap=gap))
    return CrossValidation(curves=curves, alphas=alphas.astype(np.float64), folds=sets)


def _check_alone(folds: str, penalties: Sequence[Penalty], family: str, *, sparse: bool) -> None:
    """Checks that every row can be left out in turn without a fit for each.

    Raises:
        InputError: where it cannot.
    """
    check_choice("folds", folds, ["leave-one-out"])
    if family != "gaussian" or sparse or any(p.alpha > 0 or p.bounded for p in penalties):
        rule = "leave-one-out for a dense gaussian ridge (alpha=0) without bounds only"
        raise InputError("folds", rule, remedy="Pass LeaveOneOut() of scikit-learn, which fits every one.")
