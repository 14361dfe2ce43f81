"""The duality gap by which the benchmark of paths measures everybody, and the problems that it hands over."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import linear_cases
from benchmarks.linear_cases import Problem, gaps, load, make, save, small
from benchmarks.linear_contenders import CONTENDERS, sklearn_logistic, sklearn_path
from scipy import optimize, sparse


def _zero(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    p, num = problem.x.shape[1], len(problem.lambdas)
    if problem.kind == "gaussian":
        return np.zeros((num, p)), np.full(num, problem.y.mean())
    shares = np.bincount(problem.y.astype(int)) / len(problem.y)
    if problem.kind == "binomial":
        return np.zeros((num, p)), np.full(num, np.log(shares[1] / shares[0]))
    return np.zeros((num, len(shares), p)), np.tile(np.log(shares), (num, 1))


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize(("kind", "classes"), [("gaussian", 0), ("binomial", 2), ("multinomial", 3)])
def test_zero_is_optimal_at_the_largest_strength_only(kind, classes, is_sparse):
    problem = small(kind, is_sparse, classes)
    found = gaps(problem, *_zero(problem))
    assert abs(found[0]) < 1e-12
    assert (found[1:] > 1e-7).all()
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_path_of_scikit_learn_has_a_small_gap_and_a_wrong_one_a_large_gap(is_sparse):
    problem = small("gaussian", is_sparse, 0)
    coef, intercept = sklearn_path(problem, 1e-10, 1, precompute=False)
    found = gaps(problem, coef, intercept)
    assert (found > -1e-13).all()
    assert found.max() < 1e-9
    assert gaps(problem, coef, intercept + 0.1).max() > 1e-4
    assert gaps(problem, 1.1 * coef, intercept).max() > 1e-4


@pytest.mark.parametrize("kind", ["binomial", "multinomial"])
def test_the_gap_of_classes_bounds_the_distance_to_the_best_objective(kind):
    problem = small(kind, False, 3 if kind == "multinomial" else 2)
    few = Problem(x=problem.x[:200, :5], y=problem.y[:200], lambdas=problem.lambdas[[20]], kind=kind)
    coef, intercept = sklearn_logistic(few, 1e-10, 1, solver="saga")
    found = gaps(few, coef, intercept)
    assert -1e-12 < found[0] < 1e-7
    off = np.random.default_rng(0).standard_normal(coef.shape) * 0.01
    null = gaps(few, *_zero(few))
    assert found[0] < gaps(few, coef + off, intercept)[0] < null[0]


def test_the_gap_of_classes_is_the_objective_minus_a_bound_that_holds():
    problem = small("binomial", False, 2)
    few = Problem(x=problem.x[:100, :2], y=problem.y[:100], lambdas=np.array([0.05]), kind="binomial")
    truth = np.eye(2)[few.y.astype(int)]
    null = -(truth.mean(0) * np.log(truth.mean(0))).sum()

    def objective(b: np.ndarray) -> float:
        logits = few.x @ b[:2] + b[2]
        return float(np.mean(np.logaddexp(0, logits) - few.y * logits) + 0.05 * abs(b[:2]).sum())

    best = min(
        optimize.minimize(objective, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14}).fun
        for start in np.eye(3)
    )
    at = np.array([0.3, -0.2, 0.1])
    assert gaps(few, at[None, :2], at[2:])[0] * null >= objective(at) - best - 1e-12


@pytest.mark.parametrize("case", ["a", "d", "breast-cancer", "sparse-logistic"])
def test_a_problem_is_read_as_it_was_written(case, tmp_path):
    problem = make(case, scale=0.02)
    save(problem, tmp_path)
    found = load(tmp_path)
    assert found.kind == problem.kind
    np.testing.assert_array_equal(found.y, problem.y)
    np.testing.assert_array_equal(found.lambdas, problem.lambdas)
    if sparse.issparse(problem.x):
        assert (found.x != problem.x).nnz == 0
    else:
        np.testing.assert_array_equal(found.x, problem.x)
        assert found.x.flags.f_contiguous


def test_neighbouring_columns_have_the_correlation_that_was_asked_for():
    problem = linear_cases.dense(20_000, 4, rho=0.9, support=2, snr=3.0, ratio=0.1, seed=0)
    np.testing.assert_allclose(np.corrcoef(problem.x.T), 0.9 ** abs(np.subtract.outer(range(4), range(4))), atol=0.01)


def test_a_contender_whose_tolerance_is_taken_from_another_names_one():
    for each in CONTENDERS.values():
        assert each.tolerances or each.like in CONTENDERS
