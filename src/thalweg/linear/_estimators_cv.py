"""Estimators with scikit-learn's conventions that choose their strength by cross-validation."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.model_selection import check_cv

from thalweg.core import check_choice
from thalweg.linear._cross_validation import cross_validate
from thalweg.linear._estimators import LinearClassifier, LinearEstimator, LinearRegressor

RULES = ("min", "1se")


class _Chosen(LinearEstimator):
    """What estimators with cross-validation share."""

    l1_ratio: Any
    eps: float | None
    alphas: Any
    cv: Any
    rule: str

    def _folds(self, X: Any, y: Any, groups: Any) -> Any:
        """Returns the folds, as `cross_validate` takes them."""
        splitter: Any = check_cv(self.cv, y, classifier=self._CLASSES)
        return list(splitter.split(X, y, groups))

    def _fit(self, X: Any, y: Any, sample_weight: Any, groups: Any, family: str) -> None:
        check_choice("rule", self.rule, RULES)
        folds = self._folds(X, y, groups)
        found = cross_validate(
            X,
            y,
            family=family,
            alpha=self.l1_ratio,
            lambda_=self.alphas,
            lambda_min_ratio=self.eps,
            folds=folds,
            weights=sample_weight,
            **self._common(),
        )
        curve = found.curve
        place = curve.best if self.rule == "min" else curve.one_standard_error
        self._keep(curve.path, place)
        self.alpha_, self.lambda_1se_ = float(curve.path.lambda_[place]), found.lambda_1se
        self.l1_ratio_ = curve.path.penalty.alpha
        alphas, errors = [c.path.lambda_ for c in found.curves], [c.errors for c in found.curves]
        several = np.ndim(self.l1_ratio) > 0
        self.alphas_ = np.array(alphas) if several else alphas[0]
        self._errors = np.array(errors) if several else errors[0]


class ElasticNetCV(_Chosen, LinearRegressor):
    """Elastic net whose strength, and mixing where several are given, are chosen by cross-validation.

    Minimises (1/2n) ||y - X b - b0||^2 + alpha (l1_ratio ||b||_1 + (1 - l1_ratio)/2 ||b||^2).

    Args:
        l1_ratio: Share of the absolute part, or several to choose from.
        eps: The smallest strength over the largest.
        alphas: How many strengths, or strengths from the largest to the smallest.
        cv: As in scikit-learn: a number of folds (5 by default), a splitter, or pairs of row numbers.
        rule: min takes the strength of least error; 1se the largest within one standard error of it.
        fit_intercept: As in `ElasticNet`. standardize: as there. positive: as there. penalty_factor: as there.
        tol: As there. max_rounds: as there. n_jobs: as there.

    Attributes:
        coef_: (p,). intercept_: a number.
        alpha_: The strength that was chosen. l1_ratio_: the mixing.
        lambda_1se_: The largest strength within one standard error of the least error.
        alphas_: (L,), or (R, L) for several mixings. mse_path_: (L, F), or (R, L, F), errors of the F folds.
        dual_gap_: The gap that was reached, as a share. kkt_: distance of 0 from the subgradient.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> ElasticNetCV(l1_ratio=[0.5, 1.0]).fit(X, y).mse_path_.shape
        (2, 100, 5)
    """

    def __init__(
        self,
        *,
        l1_ratio: Any = 0.5,
        eps: float = 1e-3,
        alphas: Any = 100,
        cv: Any = None,
        rule: str = "min",
        fit_intercept: bool = True,
        standardize: bool = False,
        positive: bool = False,
        penalty_factor: Any = None,
        tol: float | str = 1e-6,
        max_rounds: int = 1000,
        n_jobs: int | None = None,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.cv = cv
        self.rule = rule
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.penalty_factor = penalty_factor
        self.tol = tol
        self.max_rounds = max_rounds
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Chooses the strength and fits the coefficients.

        Args:
            X: (n, p) inputs, dense or sparse. y: (n,) target.
            sample_weight: (n,) at least 0, or None; for fits and for errors.
            groups: (n,) for splitters that read them.

        Raises:
            InputError: where a parameter or the data cannot be.
        """
        X, y = self._checked(X, y)
        self._fit(X, y, sample_weight, groups, "gaussian")
        self.mse_path_ = self._errors
        return self


class LassoCV(ElasticNetCV):
    """Lasso whose strength is chosen by cross-validation: `ElasticNetCV` with `l1_ratio` 1.

    Minimises (1/2n) ||y - X b - b0||^2 + alpha ||b||_1.

    Args:
        eps: As in `ElasticNetCV`. alphas: as there. cv: as there. rule: as there.
        fit_intercept: As in `ElasticNet`. standardize: as there. positive: as there. penalty_factor: as there.
        tol: As there. max_rounds: as there. n_jobs: as there.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = LassoCV(cv=10).fit(X, y)
        >>> model.alpha_ <= model.lambda_1se_
        True
    """

    l1_ratio = 1.0

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: Any = 100,
        cv: Any = None,
        rule: str = "min",
        fit_intercept: bool = True,
        standardize: bool = False,
        positive: bool = False,
        penalty_factor: Any = None,
        tol: float | str = 1e-6,
        max_rounds: int = 1000,
        n_jobs: int | None = None,
    ) -> None:
        self.eps = eps
        self.alphas = alphas
        self.cv = cv
        self.rule = rule
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.penalty_factor = penalty_factor
        self.tol = tol
        self.max_rounds = max_rounds
        self.n_jobs = n_jobs


class RidgeCV(LassoCV):
    """Ridge regression whose strength is chosen by leaving out each row in turn, or by folds.

    Minimises (1/2n) ||y - X b - b0||^2 + alpha / 2 ||b||^2; scikit-learn's alpha is n times this one. All strengths
    come from one decomposition, and so do the errors of leaving out each row.

    Args:
        eps: As in `ElasticNetCV`. alphas: as there. rule: as there.
        cv: As in `ElasticNetCV`; None leaves out each row in turn (sparse inputs: 5 folds).
        fit_intercept: As in `ElasticNet`. standardize: as there. positive: as there; with it None is 5 folds, too.
        penalty_factor: As there. tol: as there. max_rounds: as there. n_jobs: as there.

    References:
        Hoerl and Kennard, Ridge regression: biased estimation for nonorthogonal problems, 1970.
        Allen, The relationship between variable selection and data augmentation, 1974 (PRESS).

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> RidgeCV().fit(X, y).mse_path_.shape
        (100, 442)
    """

    l1_ratio = 0.0

    def _folds(self, X: Any, y: Any, groups: Any) -> Any:
        if self.cv is None and not self.positive and isinstance(X, np.ndarray):
            return "leave-one-out"
        return super()._folds(X, y, groups)


class LogisticElasticNetCV(_Chosen, LinearClassifier):
    """Logistic or softmax regression whose elastic-net strength is chosen by cross-validation.

    Minimises -(1/n) sum_i log p(y_i | x_i) + alpha (l1_ratio ||B||_1 + (1 - l1_ratio)/2 ||B||^2).

    Args:
        l1_ratio: Share of the absolute part, or several to choose from.
        eps: As in `ElasticNetCV`. alphas: as there. cv: as there, with equal shares of the classes. rule: as there.
        fit_intercept: As in `ElasticNet`. standardize: as there. positive: as there. penalty_factor: as there.
        tol: As there. max_rounds: as there. n_jobs: as there.

    Attributes:
        classes_: (C,). coef_: (1, p) or (C, p). intercept_: (1,) or (C,).
        alpha_: As in `ElasticNetCV`. l1_ratio_: as there. lambda_1se_: as there. alphas_: as there.
        deviance_path_: (L, F), or (R, L, F): twice the mean negative log-likelihood on the rows of the F folds.
        dual_gap_: The gap that was reached, as a share. kkt_: distance of 0 from the subgradient.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> LogisticElasticNetCV(l1_ratio=1.0, alphas=20, eps=0.01).fit(X, y).score(X, y) > 0.9
        True
    """

    def __init__(
        self,
        *,
        l1_ratio: Any = 0.5,
        eps: float = 1e-3,
        alphas: Any = 100,
        cv: Any = None,
        rule: str = "min",
        fit_intercept: bool = True,
        standardize: bool = False,
        positive: bool = False,
        penalty_factor: Any = None,
        tol: float | str = 1e-6,
        max_rounds: int = 1000,
        n_jobs: int | None = None,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.cv = cv
        self.rule = rule
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.penalty_factor = penalty_factor
        self.tol = tol
        self.max_rounds = max_rounds
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Chooses the strength and fits the coefficients.

        Args:
            X: (n, p) inputs, dense or sparse. y: (n,) classes.
            sample_weight: (n,) at least 0, or None; for fits and for errors.
            groups: (n,) for splitters that read them.

        Raises:
            InputError: where a parameter or the data cannot be.
        """
        X, y = self._checked(X, y)
        self._fit(X, y, sample_weight, groups, self._family(y))
        self.deviance_path_ = self._errors
        return self
