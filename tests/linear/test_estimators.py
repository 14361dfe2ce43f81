"""Estimators keep scikit-learn's conventions, and agree with its own where those are exact."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge as TheirRidge
from sklearn.linear_model import RidgeCV as TheirRidgeCV
from sklearn.model_selection import GridSearchCV, GroupKFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from thalweg.core import InputError
from thalweg.linear import (
    ElasticNet,
    ElasticNetCV,
    Lasso,
    LassoCV,
    LogisticElasticNet,
    LogisticElasticNetCV,
    Ridge,
    RidgeCV,
    fit_path,
)

ESTIMATORS = [
    Lasso(),
    ElasticNet(),
    Ridge(),
    LogisticElasticNet(),
    LassoCV(),
    ElasticNetCV(),
    RidgeCV(),
    LogisticElasticNetCV(alphas=10),
]


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    found: Any = load_diabetes(return_X_y=True)
    return found


def fresh(model: Any) -> Any:
    return clone(model)


@parametrize_with_checks(ESTIMATORS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_conventions(estimator, check):
    check(estimator)


def test_ridge_is_that_of_scikit_learn_with_n_times_the_strength():
    x, y = diabetes()
    ours, theirs = Ridge(alpha=0.002).fit(x, y), TheirRidge(alpha=0.002 * len(y)).fit(x, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8)
    assert ours.intercept_ == pytest.approx(theirs.intercept_)


def test_leave_one_out_of_ridge_is_nearly_that_of_scikit_learn():
    """Ours rescales the strength for the rows that are left; theirs keeps it, which is a share 1/n off."""
    x, y = diabetes()
    strengths = np.geomspace(1e-2, 1e-5, 7)
    ours = RidgeCV(alphas=strengths).fit(x, y)
    theirs = TheirRidgeCV(alphas=strengths * len(y), store_cv_results=True).fit(x, y)
    np.testing.assert_allclose(ours.mse_path_.T, theirs.cv_results_, rtol=0.02, atol=2.0)
    assert ours.alpha_ == pytest.approx(float(theirs.alpha_ or 0) / len(y))


def test_in_a_pipeline_and_a_grid():
    x, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticElasticNet())
    grid = GridSearchCV(
        model, {"logisticelasticnet__alpha": [0.1, 0.01], "logisticelasticnet__l1_ratio": [0.5, 1.0]}, cv=3
    )
    assert grid.fit(x, y).best_score_ > 0.95


def test_cross_validated_attributes():
    x, y = diabetes()
    model = ElasticNetCV(l1_ratio=[0.3, 1.0], alphas=30, cv=4, rule="1se").fit(x, y)
    assert model.alphas_.shape == (2, 30)
    assert model.mse_path_.shape == (2, 30, 4)
    assert model.alpha_ == model.lambda_1se_
    assert model.dual_gap_ <= 1e-6
    single = ElasticNet(alpha=model.alpha_, l1_ratio=model.l1_ratio_).fit(x, y)
    np.testing.assert_allclose(model.coef_, single.coef_, rtol=1e-4, atol=1e-3)
    assert fresh(model).get_params()["rule"] == "1se"


def test_splitters_groups_and_weights():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 5))
    y, groups = x[:, 0] + rng.standard_normal(60), np.repeat(np.arange(12), 5)
    assert LassoCV(cv=GroupKFold(3)).fit(x, y, groups=groups).mse_path_.shape == (100, 3)
    assert LassoCV(cv=TimeSeriesSplit(4)).fit(x, y, sample_weight=rng.uniform(1, 2, 60)).mse_path_.shape == (100, 4)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_inputs_are_those_of_the_array(kind):
    rng = np.random.default_rng(1)
    dense = rng.standard_normal((50, 20)) * (rng.uniform(size=(50, 20)) < 0.3)
    y = dense[:, 0] - dense[:, 1] + 0.1 * rng.standard_normal(50)
    for model in (Lasso(alpha=0.02, tol=1e-12), ElasticNet(alpha=0.1, standardize=True, tol=1e-12)):
        one, other = fresh(model).fit(dense, y), fresh(model).fit(kind(dense), y)
        np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-5)
        np.testing.assert_allclose(one.predict(dense), other.predict(kind(dense)), atol=1e-5)


def test_multinomial_probabilities():
    x, y = load_iris(return_X_y=True)
    names = np.array(["a", "b", "c"])[y]
    model = LogisticElasticNet(alpha=0.01).fit(x, names)
    assert model.predict_proba(x).sum(1) == pytest.approx(np.ones(150))
    assert (model.classes_[model.predict_proba(x).argmax(1)] == model.predict(x)).all()
    assert model.score(x, names) > 0.93


def test_positive_and_warm_start():
    x, y = diabetes()
    assert (Lasso(alpha=0.01, positive=True).fit(x, y).coef_ >= 0).all()
    model = Lasso(alpha=0.5, warm_start=True).fit(x, y)
    moved = model.set_params(alpha=0.4).fit(x, y).coef_
    np.testing.assert_allclose(moved, Lasso(alpha=0.4).fit(x, y).coef_, atol=1e-3)


def test_a_gap_that_is_not_reached_is_a_warning():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((30, 60))
    y = x[:, :10].sum(1) + rng.standard_normal(30)
    model = ElasticNet(alpha=1e-3, l1_ratio=1.0, max_rounds=1, tol=1e-14)
    with pytest.warns(ConvergenceWarning):
        assert model.fit(x, y).dual_gap_ > 1e-14


def test_fast_says_what_it_reached():
    x, y = diabetes()
    path = fit_path(x, y, tol="fast")
    assert path.tol == 1e-3
    assert (path.gap <= 1e-3).all()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Lasso(alpha=0), "lambda_ must be above 0"),
        (ElasticNet(l1_ratio=2), "alpha must be a number at least 0 and at most 1"),
        (LassoCV(alphas=[1.0, 2.0]), "from the largest to the smallest"),
        (LassoCV(rule="2se"), "rule must be a known name"),
        (LassoCV(eps=2), "lambda_min_ratio must be"),
        (Ridge(tol=0), "tol must be"),
    ],
)
def test_bad_parameters(model, message):
    x, y = diabetes()
    with pytest.raises(InputError, match=message):
        model.fit(x, y)
