"""Estimators with scikit-learn's conventions for one strength: lasso, ridge, elastic net, penalised logistic."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from thalweg.linear._path import Path, fit_path


class LinearEstimator(BaseEstimator):
    """What all estimators of this room share: checked input, and predictions of a linear function."""

    _CLASSES = False
    fit_intercept: bool
    standardize: bool
    positive: bool
    penalty_factor: Any
    tol: Any
    max_rounds: int
    n_jobs: int | None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _checked(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Returns inputs and target as scikit-learn checks them, and remembers the names of the inputs."""
        checked: Any = validate_data(
            self, X, y, accept_sparse="csc", dtype=np.float64, y_numeric=not self._CLASSES, multi_output=False
        )
        if self._CLASSES:
            check_classification_targets(checked[1])
        return checked[0], checked[1]

    def _common(self) -> dict[str, Any]:
        """Returns what is passed on to `fit_path` and `cross_validate` alike."""
        return {
            "intercept": self.fit_intercept,
            "standardize": self.standardize,
            "penalty_factor": self.penalty_factor,
            "lower": 0.0 if self.positive else None,
            "tol": self.tol,
            "max_rounds": self.max_rounds,
            "threads": self.n_jobs if self.n_jobs is None or self.n_jobs > 0 else None,
        }

    def _keep(self, path: Path, place: int) -> None:
        """Makes one solution of a path that of the estimator."""
        coef, intercept = path.coef[place], path.intercept[place]
        if path.classes is not None:
            self.classes_ = path.classes
            coef, intercept = np.atleast_2d(coef), np.atleast_1d(intercept)
        else:
            intercept = float(intercept)
        self.coef_, self.intercept_ = coef, intercept
        self.dual_gap_, self.kkt_ = float(path.gap[place]), float(path.kkt[place])

    def _scores(self, X: Any) -> np.ndarray:
        """Returns X coef' + intercept."""
        check_is_fitted(self)
        rows = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
        return np.asarray(rows @ np.asarray(self.coef_).T) + self.intercept_


class LinearRegressor(RegressorMixin, LinearEstimator):
    """Predicts numbers."""

    def predict(self, X: Any) -> np.ndarray:
        """Returns (m,) predictions.

        Args:
            X: (m, p) inputs.
        """
        return self._scores(X)


class LinearClassifier(ClassifierMixin, LinearEstimator):
    """Predicts classes, with probabilities."""

    _CLASSES = True

    def decision_function(self, X: Any) -> np.ndarray:
        """Returns (m,) log-odds of the second class, or (m, C) scores of all.

        Args:
            X: (m, p) inputs.
        """
        scores = self._scores(X)
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Returns (m, C) probabilities.

        Args:
            X: (m, p) inputs.
        """
        scores = self._scores(X)
        if len(self.classes_) == 2:
            second = expit(scores[:, 0])
            return np.stack([1 - second, second], axis=1)
        return softmax(scores, axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Returns (m,) classes.

        Args:
            X: (m, p) inputs.
        """
        scores = self.decision_function(X)
        numbers = (scores > 0).astype(np.int64) if scores.ndim == 1 else scores.argmax(1)
        return self.classes_[numbers]

    def _family(self, y: Any) -> str:
        return "multinomial" if len(np.unique(y)) > 2 else "binomial"


class ElasticNet(LinearRegressor):
    """Elastic net at one strength, certified by its duality gap.

    Minimises (1/2n) ||y - X b - b0||^2 + alpha (l1_ratio ||b||_1 + (1 - l1_ratio)/2 ||b||^2); with sample weights the
    first term is sum_i w_i / 2 (y_i - x_i'b - b0)^2 with w of sum 1. `alpha` is the strength and `l1_ratio` the mixing,
    as in scikit-learn; `fit_path` names them `lambda_` and `alpha`, as glmnet does.

    Args:
        alpha: Strength, above 0.
        l1_ratio: Share of the absolute part: 1 is the lasso, 0 ridge.
        fit_intercept: Whether there is an intercept; it is not penalised.
        standardize: Whether the penalty is on the coefficients of inputs of variance 1.
        positive: Whether coefficients are at least 0.
        penalty_factor: (p,) that the strength is multiplied by for each coefficient, or None for ones.
        tol: Duality gap to reach, as a share of the objective at b = 0; `fast` for 1e-3.
        max_rounds: Of work; where they run out, a `ConvergenceWarning` says so.
        warm_start: Whether the next fit starts from the coefficients of the last one.
        n_jobs: Cores to use; None or -1 for all.

    Attributes:
        coef_: (p,). intercept_: a number.
        dual_gap_: The gap that was reached, as a share. kkt_: distance of 0 from the subgradient.

    References:
        Zou and Hastie, Regularization and variable selection via the elastic net, 2005.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> ElasticNet(alpha=0.1, l1_ratio=0.9).fit(X, y).dual_gap_ <= 1e-6
        True
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        standardize: bool = False,
        positive: bool = False,
        penalty_factor: Any = None,
        tol: float | str = 1e-6,
        max_rounds: int = 1000,
        warm_start: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.penalty_factor = penalty_factor
        self.tol = tol
        self.max_rounds = max_rounds
        self.warm_start = warm_start
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fits the coefficients.

        Args:
            X: (n, p) inputs, dense or sparse. y: (n,) target.
            sample_weight: (n,) at least 0, or None.

        Raises:
            InputError: where a parameter or the data cannot be.
        """
        X, y = self._checked(X, y)
        start = self.coef_ if self.warm_start and hasattr(self, "coef_") and self.coef_.shape == X.shape[1:] else None
        path = fit_path(
            X, y, alpha=self.l1_ratio, lambda_=[self.alpha], weights=sample_weight, start=start, **self._common()
        )
        self._keep(path, 0)
        return self


class Lasso(ElasticNet):
    """Lasso at one strength: `ElasticNet` with `l1_ratio` 1.

    Minimises (1/2n) ||y - X b - b0||^2 + alpha ||b||_1.

    Args:
        alpha: Strength, above 0.
        fit_intercept: As in `ElasticNet`. standardize: as there. positive: as there. penalty_factor: as there.
        tol: As there. max_rounds: as there. warm_start: as there. n_jobs: as there.

    References:
        Tibshirani, Regression shrinkage and selection via the lasso, 1996.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> int((Lasso(alpha=1.0).fit(X, y).coef_ != 0).sum())
        3
    """

    l1_ratio = 1.0

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        standardize: bool = False,
        positive: bool = False,
        penalty_factor: Any = None,
        tol: float | str = 1e-6,
        max_rounds: int = 1000,
        warm_start: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.penalty_factor = penalty_factor
        self.tol = tol
        self.max_rounds = max_rounds
        self.warm_start = warm_start
        self.n_jobs = n_jobs


class Ridge(Lasso):
    """Ridge regression at one strength: `ElasticNet` with `l1_ratio` 0.

    Minimises (1/2n) ||y - X b - b0||^2 + alpha / 2 ||b||^2. scikit-learn's Ridge does not divide by n: its alpha is n
    times this one.

    Args:
        alpha: Strength, above 0.
        fit_intercept: As in `ElasticNet`. standardize: as there. positive: as there. penalty_factor: as there.
        tol: As there. max_rounds: as there. warm_start: as there. n_jobs: as there.

    References:
        Hoerl and Kennard, Ridge regression: biased estimation for nonorthogonal problems, 1970.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> int((Ridge(alpha=0.001).fit(X, y).coef_ != 0).sum())
        10
    """

    l1_ratio = 0.0


class LogisticElasticNet(LinearClassifier):
    """Logistic or softmax regression with an elastic-net penalty, at one strength.

    Minimises -(1/n) sum_i log p(y_i | x_i) + alpha (l1_ratio ||B||_1 + (1 - l1_ratio)/2 ||B||^2), with one vector of
    coefficients for two classes and one for each class beyond. scikit-learn's C is 1 / (n alpha).

    Args:
        alpha: Strength, above 0.
        l1_ratio: Share of the absolute part.
        fit_intercept: As in `ElasticNet`. standardize: as there. positive: as there. penalty_factor: as there.
        tol: As there. max_rounds: as there. n_jobs: as there.

    Attributes:
        classes_: (C,). coef_: (1, p) or (C, p). intercept_: (1,) or (C,).
        dual_gap_: The gap that was reached, as a share. kkt_: distance of 0 from the subgradient.

    References:
        Friedman, Hastie and Tibshirani, Regularization paths for generalized linear models via coordinate descent,
        2010.

    Example:
        >>> from sklearn.datasets import load_breast_cancer
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> LogisticElasticNet(alpha=0.01, l1_ratio=1.0, standardize=True).fit(X, y).score(X, y) > 0.95
        True
    """

    def __init__(
        self,
        alpha: float = 0.01,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        standardize: bool = False,
        positive: bool = False,
        penalty_factor: Any = None,
        tol: float | str = 1e-6,
        max_rounds: int = 1000,
        n_jobs: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.penalty_factor = penalty_factor
        self.tol = tol
        self.max_rounds = max_rounds
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fits the coefficients.

        Args:
            X: (n, p) inputs, dense or sparse. y: (n,) classes.
            sample_weight: (n,) at least 0, or None.

        Raises:
            InputError: where a parameter or the data cannot be.
        """
        X, y = self._checked(X, y)
        path = fit_path(
            X,
            y,
            family=self._family(y),
            alpha=self.l1_ratio,
            lambda_=[self.alpha],
            weights=sample_weight,
            **self._common(),
        )
        self._keep(path, 0)
        return self
