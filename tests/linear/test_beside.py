"""What stands beside paths: stability, collinearity, adaptive and relaxed lasso."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from thalweg.linear import adaptive_factors, collinearity, cross_validate, fit_path, relaxed, stability_selection


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    found: Any = load_diabetes(return_X_y=True)
    return found


def test_inputs_with_an_effect_are_selected_again():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 30))
    y = 2 * x[:, 0] - 2 * x[:, 1] + rng.standard_normal(200)
    found = stability_selection(x, y, lambda_=0.3)
    assert (found.share[:2] == 1).all()
    assert found.share[2:].max() < 0.6
    assert (found.low <= found.high).all()
    assert found.expected_false(0.9) == pytest.approx(found.num_selected**2 / (0.8 * 30))


def test_halves_spread_as_samples_do():
    """The spread over halves of one sample is about that of fits to fresh samples."""
    rng = np.random.default_rng(1)

    def sample():
        x = rng.standard_normal((300, 3))
        return x, x @ [1.0, -1.0, 0.5] + rng.standard_normal(300)

    fresh = np.array([fit_path(*sample(), lambda_=[0.05]).coef[0] for _ in range(300)])
    widths = []
    for seed in range(10):
        found = stability_selection(*sample(), lambda_=0.05, seed=seed)
        widths.append(found.high - found.low)
    expected = np.percentile(fresh, 95, axis=0) - np.percentile(fresh, 5, axis=0)
    np.testing.assert_allclose(np.mean(widths, axis=0), expected, rtol=0.2)


def test_halves_of_classes_hold_both():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((30, 4))
    y = np.r_[np.zeros(26), np.ones(4)]
    assert stability_selection(x, y, family="binomial", lambda_=0.01, num_halves=10).share.shape == (4,)


def test_inflation_is_that_of_regressing_each_input_on_the_others():
    x, _ = diabetes()
    found = collinearity(x)
    for j in range(x.shape[1]):
        others = np.delete(x, j, axis=1)
        fit = others @ np.linalg.lstsq(others, x[:, j], rcond=None)[0]
        share = 1 - ((x[:, j] - fit) ** 2).sum() / (x[:, j] ** 2).sum()
        assert found.inflation[j] == pytest.approx(1 / (1 - share))
    unit = x / np.sqrt((x**2).sum(0))
    assert found.condition_number == pytest.approx(np.linalg.cond(unit))
    assert found.with_ridge(0.1).condition_number < found.condition_number
    inverse = np.linalg.inv(found.correlations + 0.1 * np.eye(10))
    expected = np.diag(inverse @ found.correlations @ inverse)
    np.testing.assert_allclose(found.with_ridge(0.1).inflation, expected)


def test_combinations_and_constants():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((30, 3))
    x = np.c_[x, x[:, 0] + x[:, 1], np.full(30, 7.0)]
    found = collinearity(x)
    assert found.condition_number == np.inf
    assert np.isinf(found.inflation[[0, 1, 3]]).all()
    assert found.inflation[2] < 2
    assert np.isnan(found.inflation[4])


def test_the_adaptive_lasso_selects_fewer_inputs_without_effect():
    rng = np.random.default_rng(4)
    excess = np.zeros(2)
    for _ in range(10):
        x = rng.standard_normal((150, 20))
        y = 3 * x[:, 0] + 2 * x[:, 1] + rng.standard_normal(150)
        for k, factors in enumerate((None, adaptive_factors(x, y, folds=5))):
            found = cross_validate(x, y, folds=5, penalty_factor=factors)
            coef = found.path.coef[found.curve.best]
            assert (coef[:2] != 0).all()
            excess[k] += (coef[2:] != 0).sum()
    assert excess[1] < 0.6 * excess[0]


def test_relaxed_is_least_squares_of_the_selected():
    x, y = diabetes()
    path = fit_path(x, y, lambda_=[1.0, 0.3])
    free = relaxed(path, x, y)
    for coef, intercept in zip(free.coef, free.intercept, strict=True):
        which = np.flatnonzero(coef)
        design = np.c_[np.ones(len(y)), x[:, which]]
        expected = np.linalg.lstsq(design, y, rcond=None)[0]
        np.testing.assert_allclose(coef[which], expected[1:], rtol=1e-8)
        assert intercept == pytest.approx(expected[0])
    half = relaxed(path, x, y, gamma=0.5)
    np.testing.assert_allclose(half.coef, (path.coef + free.coef) / 2)
