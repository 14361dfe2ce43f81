"""Paths of classes against SciPy, scikit-learn and optimality itself, on random problems of every shape."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit, logsumexp, softmax
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

from thalweg.linear._logistic_engine import LogisticEngine
from thalweg.linear._penalty import Penalty
from thalweg.linear._rows import Rows, RowSet
from thalweg.linear._solution import Request


def scores_of(x, coef, intercept, num_classes):
    scores = np.asarray(x @ np.atleast_2d(coef).T) + intercept
    return np.hstack([np.zeros((len(scores), 1)), scores]) if num_classes == 2 else scores


def losses(x, y, coef, intercept, num_classes):
    scores = scores_of(x, coef, intercept, num_classes)
    return np.asarray(logsumexp(scores, axis=1)) - scores[np.arange(len(y)), y.astype(int)]


def objective(x, y, weights, coef, intercept, strength, penalty, scale=1.0):
    num_classes = max(2, len(np.atleast_2d(coef)))
    value = penalty.value(np.atleast_2d(coef) * scale, strength)
    return float(weights @ losses(x, y, coef, intercept, num_classes)) + value


def minimum(x, y, weights, strength, penalty, num_classes, intercept):
    """The least objective, by L-BFGS-B on the positive and negative parts of the coefficients."""
    size, num = x.shape[1], 1 if num_classes == 2 else num_classes
    own = (y[:, None] == (np.ones(1) if num == 1 else np.arange(num))).astype(float)

    def value(flat):
        up, down, b0 = np.split(flat, [num * size, 2 * num * size])
        up, down = up.reshape(num, size), down.reshape(num, size)
        coef, b0 = up - down, b0 if intercept else np.zeros(num)
        linear = x @ coef.T + b0
        prob = expit(linear) if num == 1 else softmax(linear, axis=1)
        total = weights @ losses(x, y, coef, b0, num_classes)
        residual = weights[:, None] * (prob - own)
        slope = (x.T @ residual).T + strength * penalty.l2 * coef
        total += strength * (penalty.l1 * (up + down) + penalty.l2 / 2 * coef**2).sum()
        l1 = strength * penalty.l1
        parts = [(slope + l1).ravel(), (l1 - slope).ravel(), residual.sum(0) if intercept else np.zeros(num)]
        return total, np.concatenate(parts)

    limits = [(0.0, b) for b in np.tile(penalty.upper, num)] + [(0.0, -b) for b in np.tile(penalty.lower, num)]
    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-16, "gtol": 1e-11, "maxcor": 30}
    limits += [(None, None)] * num
    flat = np.zeros(len(limits))
    for _ in range(3):
        flat = minimize(value, flat, jac=True, method="L-BFGS-B", bounds=limits, options=options).x
    return value(flat)[0]


def plain(size, alpha=1.0, **changes):
    given = {"factors": np.ones(size), "lower": np.full(size, -np.inf), "upper": np.full(size, np.inf)} | changes
    return Penalty(alpha=alpha, **given)


def engine(x, y, num_classes, *, weights=None, sets=None, **setting):
    weights = np.full(len(y), 1 / len(y)) if weights is None else weights
    setting = {"intercept": True, "standardize": False, "threads": 1} | setting
    sets = sets or [RowSet.whole(len(y))]
    return LogisticEngine(Rows(x=x, y=y, weights=weights), sets, num_classes=num_classes, **setting)


def solve(x, y, num_classes, penalty, strengths, *, tol=1e-10, start=None, max_rounds=1000, **setting):
    request = Request(penalty=penalty, strengths=np.asarray(strengths), tol=tol, start=start, max_rounds=max_rounds)
    return engine(x, y, num_classes, **setting).solve(request)


def problem(rng, n, p, num_classes, noise=1.0):
    x = rng.standard_normal((n, p)) * rng.uniform(0.3, 3, p) + rng.uniform(-2, 2, p)
    truth = rng.standard_normal((num_classes, p)) * (rng.uniform(size=p) < 0.5)
    scores = (x - x.mean(0)) @ truth.T + noise * rng.gumbel(size=(n, num_classes))
    return x, scores.argmax(1).astype(float)


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(2, 40),
    p=st.integers(1, 30),
    num_classes=st.integers(2, 4),
    alpha=st.sampled_from([0.0, 0.4, 1.0]),
    intercept=st.booleans(),
    kind=st.sampled_from(["dense", "sparse"]),
    spoilt=st.sampled_from(["", "duplicates", "constant", "zeros", "rare", "weights", "bounds", "factors"]),
)
def test_no_other_solver_finds_a_lower_objective(seed, n, p, num_classes, alpha, intercept, kind, spoilt):
    rng = np.random.default_rng(seed)
    x, y = problem(rng, n, p, num_classes, noise=rng.uniform(0, 2))
    weights, changes = np.full(n, 1 / n), {}
    if kind == "sparse":
        x *= rng.uniform(size=(n, p)) < 0.4
    if spoilt == "duplicates":
        x[:, -1] = x[:, 0]
    elif spoilt == "constant":
        x[:, 0] = 3.7
    elif spoilt == "zeros":
        x[:, p // 2 :] = 0.0
    elif spoilt == "rare":
        y[:] = 0.0
        y[: num_classes - 1] = np.arange(1, num_classes)[: len(y)]
    elif spoilt == "weights":
        weights = rng.uniform(size=n) * (rng.uniform(size=n) < 0.7)
        weights[0] += 0.1
        weights /= weights.sum()
    elif spoilt == "bounds":
        changes = {
            "lower": np.where(rng.uniform(size=p) < 0.5, -rng.uniform(0, 0.3, p), -np.inf),
            "upper": np.where(rng.uniform(size=p) < 0.5, 0.0, np.inf),
        }
    elif spoilt == "factors":
        changes = {"factors": rng.uniform(0.5, 2, p)}
    penalty = plain(p, alpha, **changes)
    built = engine(sparse.csc_array(x) if kind == "sparse" else x, y, num_classes, weights=weights, intercept=intercept)
    highest = np.abs(built.null_gradient(penalty)[0]).max() / max(alpha, 0.1) + 1e-3
    strengths = highest * np.array([1.0, 0.7, 0.2, 0.05, 0.01])
    found = built.solve(Request(penalty=penalty, strengths=strengths, tol=1e-10))[0]
    assert (found.gap >= -1e-12).all()
    assert (found.gap <= 1e-10).all()
    null = objective(x, y, weights, 0 * found.coef[0], 0.0, 1.0, penalty)
    for k in (0, 2, 4):
        ours = objective(x, y, weights, found.coef[k], found.intercept[k], strengths[k], penalty)
        theirs = minimum(x, y, weights, strengths[k], penalty, num_classes, intercept)
        assert ours <= theirs + 1e-9 * null
        # ours is certified, so theirs is not lower by more than the gap; an absent class has no finite intercept there
        assert theirs >= ours - 1e-8 * null


@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_large_working_sets_go_without_a_gram(kind, num_classes, alpha):
    rng = np.random.default_rng(5)
    x, y = problem(rng, 40, 500, num_classes)
    x *= rng.uniform(size=x.shape) < (1.0 if kind == "dense" else 0.1)
    weights, strengths, penalty = np.full(40, 1 / 40), np.array([0.1, 0.05, 0.02]), plain(500, alpha)
    inputs = x if kind == "dense" else sparse.csc_array(x)
    found = solve(inputs, y, num_classes, penalty, strengths, tol=1e-9)[0]
    assert (found.gap <= 1e-9).all()
    if alpha == 0:
        assert np.count_nonzero(found.coef[0]) > 300
    ours = objective(x, y, weights, found.coef[2], found.intercept[2], strengths[2], penalty)
    assert ours <= minimum(x, y, weights, strengths[2], penalty, num_classes, True) + 1e-8


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("num_classes", [2, 3])
def test_coefficients_are_those_of_scikit_learn(num_classes, l1_ratio):
    x, y = problem(np.random.default_rng(6), 200, 6, num_classes)
    strength = 0.03
    found = solve(x, y, num_classes, plain(6, l1_ratio), [0.1, strength], tol=1e-13)[0]
    solver = "saga" if l1_ratio else "newton-cg"
    theirs = LogisticRegression(
        C=1 / (200 * strength), l1_ratio=l1_ratio, solver=solver, tol=1e-11, max_iter=200_000
    ).fit(x, y)
    np.testing.assert_allclose(np.atleast_2d(found.coef[1]), theirs.coef_, atol=1e-5)
    shift = theirs.intercept_.mean() if num_classes > 2 else 0.0
    np.testing.assert_allclose(found.intercept[1], theirs.intercept_ - shift, atol=2e-5)


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("seed", range(3))
def test_no_random_change_lowers_the_objective(seed, kind, num_classes):
    rng = np.random.default_rng(seed)
    n, p = 60, 20
    x, y = problem(rng, n, p, num_classes)
    weights = rng.uniform(0, 1, n) * (rng.uniform(size=n) < 0.8)
    weights /= weights.sum()
    lower, upper = np.where(rng.uniform(size=p) < 0.3, 0.0, -np.inf), np.where(rng.uniform(size=p) < 0.3, 0.1, np.inf)
    factors = rng.uniform(0.5, 2, p)
    factors[:2], lower[:2], upper[:2] = 0.0, -np.inf, np.inf
    penalty = plain(p, 0.7, factors=factors, lower=lower, upper=upper)
    strengths = [0.1, 0.02]
    inputs = sparse.csc_array(x) if kind == "sparse" else x
    found = solve(inputs, y, num_classes, penalty, strengths, weights=weights, standardize=True, tol=1e-11)[0]
    assert (found.gap <= 1e-11).all()
    assert (found.coef[..., :2] != 0).all()
    scale = np.sqrt(weights @ (x - weights @ x) ** 2)
    for k, strength in enumerate(strengths):
        b, b0 = found.coef[k], found.intercept[k]
        assert ((b >= lower - 1e-15) & (b <= upper + 1e-15)).all()
        best = objective(x, y, weights, b, b0, strength, penalty, scale)
        for _ in range(200):
            size = 10 ** rng.uniform(-6, 0)
            moved = np.clip(b + size * rng.standard_normal(b.shape) * (rng.uniform(size=p) < 0.3), lower, upper)
            moved0 = b0 + size * rng.standard_normal(np.shape(b0))
            assert objective(x, y, weights, moved, moved0, strength, penalty, scale) >= best - 1e-9 * best


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_the_gap_bounds_what_is_left(seed, num_classes, alpha):
    rng = np.random.default_rng(seed)
    x, y = problem(rng, 40, 50, num_classes)
    weights, penalty = np.full(40, 1 / 40), plain(50, alpha)
    null = objective(x, y, weights, np.zeros((num_classes if num_classes > 2 else 1, 50)), 0.0, 0.0, penalty)
    for strength in (0.1, 0.01):
        best = solve(x, y, num_classes, penalty, [strength], tol=1e-12)[0]
        least = objective(x, y, weights, best.coef[0], best.intercept[0], strength, penalty)
        left = []
        for rounds in range(1, 6):
            rough = solve(x, y, num_classes, penalty, [strength], tol=1e-12, max_rounds=rounds)[0]
            value = objective(x, y, weights, rough.coef[0], rough.intercept[0], strength, penalty)
            # the gap is a share of the objective with the best intercept alone, which is a little less than this null
            assert rough.gap[0] * null >= value - least - 1e-12
            left.append(value - least)
        assert left[0] > 1e-9


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_folds_are_fits_of_their_own(kind, num_classes):
    rng = np.random.default_rng(4)
    x, y = problem(rng, 80, 30, num_classes)
    fold = rng.integers(0, 4, 80)
    sets = [RowSet.whole(80), *(RowSet(train=fold != k, test=fold == k) for k in range(4))]
    strengths = [0.2, 0.1, 0.05, 0.02]
    inputs = sparse.csc_array(x) if kind == "sparse" else x
    together = solve(inputs, y, num_classes, plain(30, 0.8), strengths, sets=sets, standardize=True, threads=2)
    for each, held in zip(sets, together, strict=True):
        alone = solve(inputs[each.train], y[each.train], num_classes, plain(30, 0.8), strengths, standardize=True)[0]
        np.testing.assert_allclose(held.dense_coef(), alone.dense_coef(), rtol=1e-3, atol=1e-4)
        if each.test is None:
            assert held.error is None
            continue
        assert held.error is not None
        assert held.mistakes is not None
        for k in range(4):
            left, target = x[each.test], y[each.test]
            deviance = 2 * losses(left, target, held.coef[k], held.intercept[k], num_classes).mean()
            scores = scores_of(left, held.coef[k], held.intercept[k], num_classes)
            np.testing.assert_allclose(held.error[k], deviance)
            np.testing.assert_allclose(held.mistakes[k], (scores.argmax(1) != target).mean())


@pytest.mark.parametrize("num_classes", [2, 3, 4])
def test_a_class_that_a_fold_has_not_seen_is_never_expected(num_classes):
    rng = np.random.default_rng(7)
    x, y = problem(rng, 50, 5, num_classes)
    y[y == num_classes - 1] = 0.0
    y[:3] = num_classes - 1
    held_out = np.arange(50) < 5
    sets = [RowSet(train=~held_out, test=held_out)]
    found = solve(x, y, num_classes, plain(5), [0.1, 0.01], sets=sets)[0]
    assert (found.gap <= 1e-10).all()
    scores = scores_of(x, found.coef[1], found.intercept[1], num_classes)
    assert (softmax(scores, axis=1)[:, -1] < 1e-12).all()
    assert found.error is not None
    assert found.mistakes is not None
    assert np.isfinite(found.error).all()
    assert (found.error > 10).all()  # three of five rows are a surprise
    assert (found.mistakes >= 0.6).all()


@pytest.mark.parametrize("num_classes", [2, 3])
def test_separable_classes_at_small_strengths(num_classes):
    rng = np.random.default_rng(8)
    x = rng.standard_normal((60, 100))
    y = np.arange(60.0) % num_classes
    x[:, 0] += 10 * y
    for start in (None, np.zeros((num_classes if num_classes > 2 else 1, 100))):
        found = solve(x, y, num_classes, plain(100), np.geomspace(0.1, 1e-6, 6), tol=1e-8, start=start)[0]
        assert (found.gap <= 1e-8).all()
        assert (found.gap >= -1e-12).all()
    cold = solve(x, y, num_classes, plain(100), [1e-6], tol=1e-8)[0]
    weights = np.full(60, 1 / 60)
    values = [objective(x, y, weights, f.coef[-1], f.intercept[-1], 1e-6, plain(100)) for f in (found, cold)]
    assert abs(values[0] - values[1]) <= 2e-8


def test_a_start_near_the_solution_leaves_nothing_to_do():
    x, y = problem(np.random.default_rng(9), 100, 20, 3)
    found = solve(x, y, 3, plain(20), [0.05], tol=1e-12)[0]
    again = solve(x, y, 3, plain(20), [0.05], tol=1e-6, max_rounds=1, start=found.coef[0])[0]
    assert again.gap[0] <= 1e-6
    np.testing.assert_allclose(again.dense_coef(), found.dense_coef(), atol=1e-6)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_the_null_gradient_gives_the_strength_at_which_the_first_input_enters(kind):
    data: Any = load_breast_cancer()
    x, y = data.data, data.target.astype(float)
    inputs = sparse.csc_array(x) if kind == "sparse" else x
    built = engine(inputs, y, 2, standardize=True)
    gradient, scale = built.null_gradient(plain(30))
    np.testing.assert_allclose(scale, x.std(0))
    np.testing.assert_allclose(gradient, (x - x.mean(0)).T @ y / len(y), rtol=1e-8)
    highest = np.abs(gradient / scale).max()
    request = Request(penalty=plain(30), strengths=highest * np.array([1.001, 0.999, 0.01]), tol=1e-8)
    found = built.solve(request)[0]
    assert [np.count_nonzero(each) for each in found.coef[:2]] == [0, 1]
    assert (found.gap <= 1e-8).all()
    assert (found.kkt[:2] <= 1e-3 * highest).all()
