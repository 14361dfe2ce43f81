"""Least-squares paths against scikit-learn and against optimality itself, on random problems of every shape."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, enet_path

from thalweg.core import InputError
from thalweg.linear import cross_validate, fit_path, path_from_gram
from thalweg.linear._dense_engine import DenseEngine
from thalweg.linear._gram_engine import GramEngine
from thalweg.linear._penalty import Penalty
from thalweg.linear._ridge_engine import RidgeEngine
from thalweg.linear._rows import Parts, Rows, RowSet
from thalweg.linear._solution import Request

ENGINES = {"gram": GramEngine, "dense": DenseEngine}
RIDGE = {**ENGINES, "ridge": RidgeEngine}


def objective(x, y, weights, coef, intercept, strength, penalty, scale):
    b = coef * scale
    values = penalty.factors * (penalty.alpha * np.abs(b) + (1 - penalty.alpha) / 2 * b**2)
    return 0.5 * weights @ (y - x @ coef - intercept) ** 2 + strength * values.sum()


def solve(engine, x, y, penalty, strengths, *, weights=None, sets=None, tol=1e-10, **setting):
    weights = np.full(len(y), 1 / len(y)) if weights is None else weights
    sets = sets or [RowSet.whole(len(y))]
    setting = {"intercept": True, "standardize": False, "threads": 1} | setting
    built = RIDGE[engine](Rows(x=x, y=y, weights=weights), sets, **setting)
    return built.solve(Request(penalty=penalty, strengths=np.asarray(strengths), tol=tol))


def plain(size, alpha=1.0, **changes):
    given = {"factors": np.ones(size), "lower": np.full(size, -np.inf), "upper": np.full(size, np.inf)} | changes
    return Penalty(alpha=alpha, **given)


def problem(rng, n, p, rank=None):
    x = rng.standard_normal((n, p)) if rank is None else rng.standard_normal((n, rank)) @ rng.standard_normal((rank, p))
    x = x * rng.uniform(0.1, 10, p) + rng.uniform(-5, 5, p)
    y = x[:, : min(p, 5)].sum(1) + 3 * rng.standard_normal(n) + 7
    return x, y


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(1, 40),
    p=st.integers(1, 60),
    rank=st.sampled_from([None, 1, 3]),
    alpha=st.sampled_from([0.0, 0.3, 1.0]),
    intercept=st.booleans(),
    engine=st.sampled_from(list(ENGINES)),
    spoilt=st.sampled_from(["", "duplicates", "constant", "zeros"]),
)
def test_the_objective_is_that_of_scikit_learn(seed, n, p, rank, alpha, intercept, engine, spoilt):
    rng = np.random.default_rng(seed)
    x, y = problem(rng, n, p, rank)
    if spoilt == "duplicates":
        x[:, -1] = x[:, 0]
    elif spoilt == "constant":
        x[:, 0] = 3.7
    elif spoilt == "zeros":
        x[:, p // 2 :] = 0.0
    centred = x - x.mean(0) if intercept else x
    goal = y - y.mean() if intercept else y
    highest = np.abs(centred.T @ goal).max() / n / max(alpha, 0.1) + 1e-3
    strengths = highest * np.array([0.7, 0.2, 0.05])
    penalty = plain(p, alpha)
    found = solve(engine, x, y, penalty, strengths, intercept=intercept)[0]
    assert (found.gap > -1e-12).all()
    assert (found.gap <= 1e-10).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)  # that alpha = 0 is slow there
        _, coefs, _ = enet_path(centred, goal, l1_ratio=alpha, alphas=strengths, tol=1e-13, max_iter=100_000)
    null = 0.5 * goal @ goal / n
    weights = np.full(n, 1 / n)
    for k, strength in enumerate(strengths):
        theirs = objective(centred, goal, weights, coefs[:, k], 0.0, strength, penalty, 1.0)
        ours = objective(x, y, weights, found.coef[k], found.intercept[k], strength, penalty, 1.0)
        assert ours - theirs <= 1e-8 * null
        # ours is certified: where theirs is higher, it is theirs that stopped early
        assert theirs - ours >= -1e-8 * null


@pytest.mark.parametrize("engine", list(ENGINES))
@pytest.mark.parametrize("seed", range(5))
def test_no_random_change_lowers_the_objective(engine, seed):
    rng = np.random.default_rng(seed)
    n, p = 50, 30
    x, y = problem(rng, n, p)
    weights = rng.uniform(0, 1, n) * (rng.uniform(size=n) < 0.8)
    weights /= weights.sum()
    lower, upper = np.where(rng.uniform(size=p) < 0.3, 0.0, -np.inf), np.where(rng.uniform(size=p) < 0.3, 0.1, np.inf)
    factors = rng.uniform(0.5, 2, p)
    factors[:2] = 0.0
    lower[:2], upper[:2] = -np.inf, np.inf
    penalty = plain(p, 0.7, factors=factors, lower=lower, upper=upper)
    strengths = np.array([2.0, 0.5, 0.1])
    found = solve(engine, x, y, penalty, strengths, weights=weights, standardize=True)[0]
    assert (found.gap <= 1e-10).all()
    mean = weights @ x
    scale = np.sqrt(weights @ (x - mean) ** 2)
    for k, strength in enumerate(strengths):
        b, b0 = found.coef[k], found.intercept[k]
        assert (b >= lower).all()
        assert (b <= upper).all()
        best = objective(x, y, weights, b, b0, strength, penalty, scale)
        for _ in range(200):
            size = 10 ** rng.uniform(-6, 0)
            moved = np.clip(b + size * rng.standard_normal(p) * (rng.uniform(size=p) < 0.3), lower, upper)
            moved0 = b0 + size * rng.standard_normal()
            assert objective(x, y, weights, moved, moved0, strength, penalty, scale) >= best - 1e-9 * best


@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_weight_is_a_count(engine):
    rng = np.random.default_rng(3)
    x, y = problem(rng, 20, 30)
    counts = rng.integers(0, 4, 20)
    strengths = [1.0, 0.3]
    weighted = solve(engine, x, y, plain(30), strengths, weights=counts / counts.sum(), standardize=True)[0]
    repeated = solve(engine, np.repeat(x, counts, 0), np.repeat(y, counts), plain(30), strengths, standardize=True)[0]
    np.testing.assert_allclose(weighted.coef, repeated.coef, rtol=1e-4, atol=1e-5)


def test_folds_of_both_engines_are_fits_of_their_own():
    rng = np.random.default_rng(4)
    x, y = problem(rng, 60, 40)
    fold = rng.integers(0, 4, 60)
    sets = [RowSet.whole(60), *(RowSet(train=fold != k, test=fold == k) for k in range(4))]
    strengths = [2.0, 1.0, 0.5, 0.2, 0.1]
    for engine in ENGINES:
        together = solve(engine, x, y, plain(40, 0.8), strengths, sets=sets, standardize=True, threads=2)
        for each, held in zip(sets, together, strict=True):
            alone = solve(engine, x[each.train], y[each.train], plain(40, 0.8), strengths, standardize=True)[0]
            np.testing.assert_allclose(held.coef, alone.coef, rtol=1e-4, atol=1e-5)
            if each.test is not None:
                errors = ((y[each.test][:, None] - x[each.test] @ held.coef.T - held.intercept) ** 2).mean(0)
                np.testing.assert_allclose(held.error, errors, rtol=1e-9)


def test_knots_of_an_orthogonal_design():
    """With X'X / n = I the solution is the soft threshold of X'y / n (Tibshirani, 1996, section 2.2)."""
    n = 8
    x = np.sqrt(n) * np.linalg.qr(np.random.default_rng(0).standard_normal((n, 4)))[0]
    y = x @ np.array([3.0, -2.0, 1.0, 0.0])
    strengths = np.linspace(3.5, 0.25, 14)
    path = fit_path(x, y, lambda_=strengths, intercept=False, tol=1e-12)
    expected = np.sign([3, -2, 1, 0]) * np.maximum(np.abs([3, -2, 1, 0]) - strengths[:, None], 0)
    np.testing.assert_allclose(path.coef, expected, atol=1e-6)


@pytest.mark.parametrize(("n", "p"), [(50, 10), (20, 100)])
def test_lambda_max_is_where_the_first_input_joins(n, p):
    rng = np.random.default_rng(n)
    x, y = problem(rng, n, p)
    top = fit_path(x, y).lambda_[0]
    path = fit_path(x, y, lambda_=[top * 1.0000001, top * 0.999])
    assert path.num_selected.tolist() == [0, 1]


def test_the_gap_bounds_the_distance_to_the_best():
    rng = np.random.default_rng(5)
    x, y = problem(rng, 30, 80)
    weights, null = np.full(30, 1 / 30), 0.5 * y.var()
    strengths = np.geomspace(1, 0.05, 5)
    best = solve("dense", x, y, plain(80), strengths, tol=1e-12)[0]
    for rounds in (1, 2, 3):
        built = DenseEngine(
            Rows(x=x, y=y, weights=weights), [RowSet.whole(30)], intercept=True, standardize=False, threads=1
        )
        rough = built.solve(Request(penalty=plain(80), strengths=strengths, tol=1e-15, max_rounds=rounds))[0]
        for k, s in enumerate(strengths):
            values = [objective(x, y, weights, f.coef[k], f.intercept[k], s, plain(80), 1.0) for f in (rough, best)]
            assert values[0] - values[1] <= (rough.gap[k] + 1e-12) * null


def test_a_gap_that_is_not_reached_is_seen():
    rng = np.random.default_rng(6)
    x, y = problem(rng, 30, 80)
    with pytest.warns(ConvergenceWarning, match="duality gap"):
        path = fit_path(x, y, lambda_=[0.01], max_rounds=1, tol=1e-12, start=np.zeros(80))
    assert not path.reached.all()


def test_a_start_changes_nothing_but_the_way():
    rng = np.random.default_rng(7)
    for n, p in ((100, 20), (30, 80)):
        x, y = problem(rng, n, p)
        near = fit_path(x, y, lambda_=[0.5]).coef[0]
        a, b = fit_path(x, y, lambda_=[0.4], tol=1e-10), fit_path(x, y, lambda_=[0.4], tol=1e-10, start=near)
        np.testing.assert_allclose(a.coef, b.coef, atol=1e-4)


def test_large_means_do_not_cost_digits():
    rng = np.random.default_rng(8)
    x = rng.standard_normal((500, 8))
    y = x @ np.arange(8.0) + rng.standard_normal(500)
    plain_path = fit_path(x, y, lambda_=[0.5, 0.1], tol=1e-10)
    far = fit_path(x + 1e7, y + 1e7, lambda_=[0.5, 0.1], tol=1e-8)
    np.testing.assert_allclose(far.coef, plain_path.coef, atol=1e-5)


def test_parts_of_folds():
    fold = np.array([0, 1, 0, 1, 2, 2])
    sets = [RowSet(train=fold != k, test=fold == k) for k in range(3)]
    parts = Parts.of(sets)
    covered = np.sort(np.concatenate([np.arange(6)[rows] for rows in parts.rows]))
    assert covered.tolist() == list(range(6))
    for k, each in enumerate(sets):
        held = np.concatenate([np.arange(6)[r] for r, t in zip(parts.rows, parts.trained[k], strict=True) if t])
        assert sorted(held) == np.flatnonzero(each.train).tolist()


@pytest.mark.parametrize(("n", "p"), [(80, 12), (40, 90)])
def test_cross_validation_is_that_of_scikit_learn(n, p):
    from sklearn.linear_model import LassoCV
    from sklearn.model_selection import KFold

    rng = np.random.default_rng(n)
    x, y = problem(rng, n, p)
    strengths = fit_path(x, y, lambda_=20, lambda_min_ratio=0.05).lambda_
    ours = cross_validate(x, y, folds=KFold(5), lambda_=strengths, tol=1e-10)
    theirs: Any = LassoCV(cv=5, tol=1e-9, max_iter=100_000)
    theirs.set_params(alphas=strengths).fit(x, y)
    np.testing.assert_allclose(ours.curve.errors, theirs.mse_path_, rtol=1e-4)
    assert ours.lambda_min == pytest.approx(theirs.alpha_)


def test_several_mixings_share_their_folds():
    rng = np.random.default_rng(9)
    x, y = problem(rng, 60, 10)
    both = cross_validate(x, y, alpha=[0.5, 1.0], folds=4)
    for alpha, curve in zip((0.5, 1.0), both.curves, strict=True):
        alone = cross_validate(x, y, alpha=alpha, folds=4)
        np.testing.assert_allclose(curve.errors, alone.curve.errors, rtol=1e-6)
    errors = [curve.mean.min() for curve in both.curves]
    assert both.path is both.curves[int(np.argmin(errors))].path


def test_elastic_net_of_scikit_learn_at_one_strength():
    rng = np.random.default_rng(10)
    x, y = problem(rng, 40, 60)
    theirs = ElasticNet(alpha=0.3, l1_ratio=0.6, tol=1e-10, max_iter=100_000).fit(x, y)
    ours = fit_path(x, y, alpha=0.6, lambda_=[0.3], tol=1e-11)
    np.testing.assert_allclose(ours.coef[0], theirs.coef_, atol=1e-4)
    np.testing.assert_allclose(ours.predict(x)[0], theirs.predict(x), atol=1e-3)


@pytest.mark.parametrize(("n", "p"), [(40, 15), (15, 40)])
@pytest.mark.parametrize("intercept", [True, False])
def test_ridge_of_one_decomposition_is_that_of_the_others(n, p, intercept):
    rng = np.random.default_rng(n + intercept)
    x, y = problem(rng, n, p)
    factors = rng.uniform(0.5, 2, p)
    factors[:2] = 0.0
    weights = rng.uniform(0, 1, n)
    penalty, strengths = plain(p, 0.0, factors=factors), [3.0, 0.3, 0.03]
    fold = rng.integers(0, 3, n)
    sets = [RowSet.whole(n), *(RowSet(train=fold != k, test=fold == k) for k in range(3))]
    setting = {"weights": weights / weights.sum(), "sets": sets, "intercept": intercept, "standardize": True}
    ridge = solve("ridge", x, y, penalty, strengths, **setting)
    gram = solve("gram", x, y, penalty, strengths, **setting)
    for one, other in zip(ridge, gram, strict=True):
        assert (one.gap <= 1e-10).all()
        np.testing.assert_allclose(one.coef, other.coef, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(one.intercept, other.intercept, rtol=1e-5, atol=1e-6)
        if other.error is not None:
            np.testing.assert_allclose(one.error, other.error, rtol=1e-5)


@pytest.mark.parametrize(("n", "p"), [(25, 6), (10, 30)])
def test_leaving_out_each_row_in_turn(n, p):
    rng = np.random.default_rng(n)
    x, y = problem(rng, n, p)
    weights = rng.uniform(0.5, 1.5, n)
    weights /= weights.sum()
    strengths = np.array([2.0, 0.1])
    engine = RidgeEngine(
        Rows(x=x, y=y, weights=weights), [RowSet.whole(n)], intercept=True, standardize=False, threads=1
    )
    found = engine.leave_one_out(plain(p, 0.0), strengths)
    for i in range(n):
        rest = np.arange(n) != i
        alone = solve("ridge", x[rest], y[rest], plain(p, 0.0), strengths, weights=weights[rest] / weights[rest].sum())[
            0
        ]
        np.testing.assert_allclose(found[:, i], (y[i] - alone.coef @ x[i] - alone.intercept) ** 2, rtol=1e-6)


def test_a_path_from_second_moments():
    rng = np.random.default_rng(11)
    x, y = problem(rng, 80, 12)
    factors = np.r_[0.0, np.ones(11)]
    whole = fit_path(x, y, alpha=0.8, penalty_factor=factors, tol=1e-12)
    a, b = x - x.mean(0), y - y.mean()
    found = path_from_gram(a.T @ a / 80, a.T @ b / 80, b @ b / 80, alpha=0.8, penalty_factor=factors, tol=1e-12)
    np.testing.assert_allclose(found.lambda_, whole.lambda_)
    np.testing.assert_allclose(found.coef, whole.coef, atol=1e-6)
    with pytest.raises(InputError, match="gram must be symmetric"):
        path_from_gram([[1.0, 2.0], [0.0, 1.0]], [1.0, 1.0], 1.0)
    with pytest.raises(InputError, match="cross must be 2 numbers"):
        path_from_gram(np.eye(2), [1.0], 1.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_inputs_that_are_nearly_one_another_reach_the_gap(seed):
    rng = np.random.default_rng(seed)  # like spectra: smooth curves, of which few differ by more than rounding
    waves = np.exp(-0.5 * ((np.linspace(0, 1, 80) - rng.random((12, 1))) / 0.25) ** 2)
    x = rng.standard_normal((150, 12)) @ waves + 1e-6 * rng.standard_normal((150, 80))
    y = x[:, 3] - 2 * x[:, 40] + 30 * (x[:, 10] - x[:, 12]) + 0.1 * rng.standard_normal(150)
    path = fit_path(x, y, lambda_min_ratio=1e-5, standardize=True, tol=1e-7)
    assert path.gap.max() <= 1e-7
