"""Bad input is one line that names the field, the rule, the value and the remedy."""

import numpy as np
import pytest
from scipy import sparse

from thalweg.core import InputError
from thalweg.linear import adaptive_factors, cross_validate, fit_path, relaxed, stability_selection

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((20, 3)), RNG.standard_normal(20)
HOLED = sparse.csc_array(np.where(X > 1, np.nan, np.where(X > 0, X, 0.0)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros((20, 0))}, "x must be a table of at least one row and one column"),
        ({"x": X[:, 0]}, "x must be a table"),
        ({"x": np.where(X > 1, np.inf, X)}, "x must be finite numbers, got 'NaN or infinity'"),
        ({"x": HOLED}, "x must be finite numbers"),
        ({"x": np.full((20, 2), "a")}, "x must be real numbers"),
        ({"y": Y[:5]}, "y must be one value for each of 20 rows"),
        ({"y": np.full(20, np.nan)}, "y must be finite numbers"),
        ({"y": Y, "family": "binomial"}, "y must be of two classes for binomial"),
        ({"y": np.zeros(20), "family": "multinomial"}, "y must be of at least two classes"),
        ({"family": "poisson"}, "family must be a known name"),
        ({"alpha": 1.5}, "alpha must be a number at least 0 and at most 1"),
        ({"lambda_": [0.1, 0.2]}, "lambda_ must be from the largest to the smallest, got '0.1 before 0.2'"),
        ({"lambda_": [0.1, -0.2]}, "lambda_ must be above 0, got -0.2"),
        ({"lambda_": 0}, "lambda_ must be a whole number at least 1"),
        ({"lambda_": []}, "lambda_ must be how many strengths, or a list of them"),
        ({"lambda_min_ratio": 1.0}, "lambda_min_ratio must be"),
        ({"weights": np.zeros(20)}, "weights must be above 0 for some row, got 'all zero'"),
        ({"weights": -np.ones(20)}, "weights must be at least 0"),
        ({"weights": np.ones(3)}, "weights must be 20 numbers"),
        ({"penalty_factor": [1, 1, -1]}, "penalty_factor must be finite and at least 0"),
        ({"penalty_factor": [1, 1]}, "penalty_factor must be one number, or one for each of 3 inputs"),
        ({"penalty_factor": [0, 1, 1], "lower": 0}, "penalty_factor must be above 0 for a coefficient with bounds"),
        ({"lower": 1}, "lower must be at most 0"),
        ({"upper": -1}, "upper must be at least 0"),
        ({"tol": 0}, "tol must be a number above 0 and below 1"),
        ({"tol": "slow"}, "tol must be a known name"),
        ({"start": [1.0]}, r"start must be coefficients of shape \(3,\)"),
        ({"threads": 0}, "threads must be"),
        ({"max_rounds": 0}, "max_rounds must be"),
    ],
)
def test_of_a_path(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        fit_path(**({"x": X, "y": Y} | changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 1}, "folds must be a whole number at least 2"),
        ({"folds": 30}, "folds must be at most 20, the number of rows"),
        ({"folds": 3, "groups": np.zeros(20)}, "folds must be at most 1, the number of groups"),
        ({"groups": [1]}, "groups must be one for each of 20 rows"),
        ({"folds": [(np.arange(20), np.arange(5))] * 2}, "without rows that are trained on and held out"),
        ({"folds": [([0, 1], [50])] * 2}, "folds must be pairs of numbers of 20 rows"),
        ({"folds": [([0, 1], [2])]}, "folds must be at least 2"),
        ({"folds": "leave-one-out"}, "leave-one-out for a dense gaussian ridge"),
        ({"folds": "all"}, "folds must be a known name"),
        ({"alpha": []}, "alpha must be a share of the absolute part"),
        ({"y": np.r_[np.zeros(18), 1, 1], "family": "binomial"}, "the rows of the smallest class"),
        (
            {
                "y": np.r_[np.zeros(10), np.ones(10)],
                "family": "binomial",
                "folds": [(np.arange(10), np.arange(10, 20)), (np.arange(10, 20), np.arange(10))],
            },
            "folds must be of rows of all classes",
        ),
    ],
)
def test_of_a_cross_validation(changes, message):
    with pytest.raises(InputError, match=message):
        cross_validate(**({"x": X, "y": Y} | changes))


def test_of_the_rest():
    with pytest.raises(InputError, match="lambda_ must be"):
        stability_selection(X, Y, lambda_=0)
    with pytest.raises(InputError, match="threshold must be"):
        stability_selection(X, Y, lambda_=0.1, num_halves=4).expected_false(0.5)
    with pytest.raises(InputError, match="power must be"):
        adaptive_factors(X, Y, power=0)
    with pytest.raises(InputError, match="gamma must be"):
        relaxed(fit_path(X, Y), X, Y, gamma=2)
    with pytest.raises(InputError, match="x must be of 3 columns"):
        fit_path(X, Y).predict(X[:, :2])
