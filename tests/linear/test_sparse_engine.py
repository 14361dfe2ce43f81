"""Sparse paths against the Gram engine and scikit-learn on dense copies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.linear_model import ElasticNet

from thalweg.linear._gram_engine import GramEngine
from thalweg.linear._penalty import Penalty
from thalweg.linear._rows import Rows, RowSet
from thalweg.linear._solution import Request, Solution
from thalweg.linear._sparse_engine import SparseEngine


def penalty_of(size: int, **changed) -> Penalty:
    plain = {"alpha": 1.0, "factors": np.ones(size), "lower": np.full(size, -np.inf), "upper": np.full(size, np.inf)}
    return Penalty(**(plain | changed))


def draw(seed: int, num: int, size: int, density: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((num, size)) * (rng.random((num, size)) < density)
    true = rng.standard_normal(size) * (rng.random(size) < 0.3)
    return x, x @ true + rng.standard_normal(num) + 3.0


def engine_of(kind, x, y, sets=None, weights=None, *, intercept=True, standardize=False, threads=1):
    weights = np.full(len(y), 1 / len(y)) if weights is None else weights
    inputs = sparse.csc_array(x) if kind is SparseEngine else x
    sets = [RowSet.whole(len(y))] if sets is None else sets
    rows = Rows(x=inputs, y=y, weights=weights)
    return kind(rows, sets, intercept=intercept, standardize=standardize, threads=threads)


def objectives(found: Solution, x, y, weights, scale, penalty: Penalty, strengths) -> np.ndarray:
    rest = y[:, None] - x @ found.dense_coef().T - found.intercept
    losses = 0.5 * weights @ rest**2
    return losses + [penalty.value(b * scale, s) for b, s in zip(found.dense_coef(), strengths, strict=True)]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_agrees_with_the_gram_engine(seed, data):
    rng = np.random.default_rng(seed)
    num, size = data.draw(st.integers(12, 50)), data.draw(st.integers(3, 70))
    x, y = draw(seed, num, size, data.draw(st.sampled_from([0.1, 0.4, 1.0])))
    weights = (0.1 + rng.random(num)) * (rng.random(num) < 0.8) if data.draw(st.booleans()) else np.ones(num)
    weights = (weights + (np.arange(num) < 2)) / (weights.sum() + 2)
    test = np.arange(num) % 4 == 3
    x[:, 0] = data.draw(st.sampled_from([0.0, 2.0]))  # a column that does not vary
    factors = rng.random(size) + 0.2
    if data.draw(st.booleans()):
        factors[rng.integers(1, size, 2)] = 0.0
    lower, upper = np.full(size, -np.inf), np.full(size, np.inf)
    if data.draw(st.booleans()):
        lower[factors > 0.6], upper[factors > 0.9] = 0.0, 0.1
    penalty = Penalty(
        alpha=data.draw(st.sampled_from([0.0, 0.3, 0.95, 1.0])), factors=factors, lower=lower, upper=upper
    )
    intercept, standardize = data.draw(st.booleans()), data.draw(st.booleans())
    sets = [RowSet.whole(num), RowSet(train=~test, test=test)]
    ours, theirs = (
        engine_of(kind, x, y, sets, weights, intercept=intercept, standardize=standardize)
        for kind in (SparseEngine, GramEngine)
    )
    gradient, scale = ours.null_gradient(penalty)
    expected, expected_scale = theirs.null_gradient(penalty)
    np.testing.assert_allclose(scale, expected_scale, rtol=1e-10)
    np.testing.assert_allclose(gradient, expected, atol=1e-11)

    strengths = max(np.abs(gradient).max(), 0.1) * np.geomspace(1.5, 0.02, 9)
    tol = 1e-11
    request = Request(penalty=penalty, strengths=strengths, tol=tol)
    trained = [weights, np.where(test, 0.0, weights) / weights[~test].sum()]
    # the second set has scales of its own
    _, scale_of_train = engine_of(
        SparseEngine, x, y, sets[1:], weights, intercept=intercept, standardize=standardize
    ).null_gradient(penalty)
    for a, b, w, s in zip(ours.solve(request), theirs.solve(request), trained, [scale, scale_of_train], strict=True):
        assert a.gap.max() <= tol
        assert a.gap.min() > -1e-12
        first, second = (objectives(each, x, y, w, s, penalty, strengths) for each in (a, b))
        np.testing.assert_allclose(first, second, rtol=1e-8)
        free = penalty.free
        assert ((a.dense_coef() >= lower - 1e-12) & (a.dense_coef() * s <= upper * s + 1e-12))[:, ~free].all()


@pytest.mark.parametrize("alpha", [0.4, 1.0])
@pytest.mark.parametrize(("num", "size"), [(40, 120), (150, 30)])
def test_agrees_with_scikit_learn(alpha, num, size):
    x, y = draw(3, num, size, 0.2)
    engine = engine_of(SparseEngine, x, y)
    penalty = penalty_of(size, alpha=alpha)
    gradient, scale = engine.null_gradient(penalty)
    strengths = np.abs(gradient).max() / alpha * np.geomspace(1.0, 0.05, 6)
    (ours,) = engine.solve(Request(penalty=penalty, strengths=strengths, tol=1e-11))
    assert (ours.dense_coef()[0] == 0).all()
    coef, intercept = [], []
    for s in strengths:
        each = ElasticNet(alpha=s, l1_ratio=alpha, tol=1e-13, max_iter=500_000).fit(x, y)
        coef.append(each.coef_)
        intercept.append(each.intercept_)
    theirs = Solution(coef=np.array(coef), intercept=np.array(intercept), gap=ours.gap, kkt=ours.kkt)
    weights = np.full(num, 1 / num)
    first, second = (objectives(each, x, y, weights, scale, penalty, strengths) for each in (ours, theirs))
    np.testing.assert_allclose(first, second, rtol=1e-8)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), alpha=st.sampled_from([0.3, 1.0]), rounds=st.integers(0, 3))
def test_gap_bounds_the_distance_from_the_optimum_whenever_it_stops(seed, alpha, rounds):
    x, y = draw(seed, 40, 60, 0.3)
    penalty = penalty_of(60, alpha=alpha)
    engine = engine_of(SparseEngine, x, y, standardize=True)
    gradient, scale = engine.null_gradient(penalty)
    strengths = np.abs(gradient).max() / alpha * np.geomspace(0.9, 0.03, 5)
    (early,) = engine.solve(Request(penalty=penalty, strengths=strengths, tol=0.0, max_rounds=rounds))
    (best,) = engine.solve(Request(penalty=penalty, strengths=strengths, tol=1e-12))
    weights = np.full(40, 1 / 40)
    reached, least = (objectives(each, x, y, weights, scale, penalty, strengths) for each in (early, best))
    null = 0.5 * np.var(y)
    assert (reached - least <= null * (early.gap + 1e-12)).all()
    assert early.gap.min() > -1e-12
    # the gap is not only a bound: at the optimum it is closed
    assert best.gap.max() <= 1e-12


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_violations_and_gaps_are_those_of_all_columns(seed):
    x, y = draw(seed, 60, 300, 0.1)
    penalty = penalty_of(300)
    engine = engine_of(SparseEngine, x, y)
    gradient, _ = engine.null_gradient(penalty)
    top = np.abs(gradient).max()
    strengths = top * np.array([1.0, 0.9, 0.3, 0.28, 0.05])  # uneven: the strong rule fails at some of them
    (found,) = engine.solve(Request(penalty=penalty, strengths=strengths, tol=1e-9))
    centred = x - x.mean(0)
    for s, b, gap, kkt in zip(strengths, found.dense_coef(), found.gap, found.kkt, strict=True):
        rest = y - y.mean() - centred @ b
        slopes = centred.T @ rest / len(y)
        violation = np.where(b != 0, np.abs(slopes - s * np.sign(b)), np.abs(slopes) - s).max()
        assert kkt == pytest.approx(max(violation, 0.0), abs=1e-12 * top)
        feasible = rest * min(1.0, s / np.abs(slopes).max())
        primal = 0.5 * rest @ rest / len(y) + s * np.abs(b).sum()
        dual = (feasible @ (y - y.mean()) - 0.5 * feasible @ feasible) / len(y)
        null = 0.5 * np.var(y)
        assert gap <= 1e-9
        assert gap <= (primal - dual) / null + 1e-12  # ours also scales up


def test_error_is_that_of_the_rows_held_out_and_threads_change_nothing():
    x, y = draw(5, 90, 200, 0.1)
    folds = np.arange(90) % 3
    weights = np.random.default_rng(0).random(90)
    weights /= weights.sum()
    sets = [RowSet(train=folds != k, test=folds == k) for k in range(3)]
    penalty = penalty_of(200)
    request = Request(penalty=penalty, strengths=np.geomspace(0.5, 0.02, 10), tol=1e-9)
    found = engine_of(SparseEngine, x, y, sets, weights, threads=2).solve(request)
    for each, one, again in zip(sets, found, engine_of(SparseEngine, x, y, sets, weights).solve(request), strict=True):
        assert one.error is not None
        rest = (y[:, None] - x @ one.dense_coef().T - one.intercept)[each.test]
        w = weights[each.test] / weights[each.test].sum()
        np.testing.assert_allclose(one.error, w @ rest**2, rtol=1e-10)
        np.testing.assert_array_equal(one.dense_coef(), again.dense_coef())


def test_a_start_is_used_and_does_not_change_the_answer():
    x, y = draw(8, 60, 80, 0.3)
    penalty = penalty_of(80, factors=np.where(np.arange(80) == 4, 0.0, 1.0))
    engine = engine_of(SparseEngine, x, y, standardize=True)
    gradient, _ = engine.null_gradient(penalty)
    strengths = np.array([0.1 * np.abs(gradient).max()])
    (cold,) = engine.solve(Request(penalty=penalty, strengths=strengths, tol=1e-13))
    (warm,) = engine.solve(
        Request(penalty=penalty, strengths=strengths, tol=1e-10, start=cold.dense_coef()[0], max_rounds=0)
    )
    assert warm.gap[0] <= 1e-12
    np.testing.assert_allclose(warm.dense_coef(), cold.dense_coef(), atol=1e-12)
    np.testing.assert_allclose(warm.intercept, cold.intercept, rtol=1e-10)


def test_a_constant_target_and_empty_inputs_give_zeros():
    x = np.zeros((10, 4))
    x[:, 1] = np.arange(10)
    found = engine_of(SparseEngine, x, np.full(10, 2.0)).solve(
        Request(penalty=penalty_of(4), strengths=np.array([0.1, 0.01]))
    )[0]
    assert (found.dense_coef() == 0).all()
    assert (np.abs(found.gap) < 1e-12).all()
    np.testing.assert_allclose(found.intercept, 2.0)


@pytest.mark.parametrize("indices", [np.int32, np.int64])
def test_columns_in_order_give_the_same_answer_for_either_width_of_index(indices):
    x, y = draw(1, 30, 20, 0.3)
    inputs = sparse.csc_array(x)
    inputs.indices, inputs.indptr = inputs.indices.astype(indices), inputs.indptr.astype(indices)
    rows = Rows(x=inputs, y=y, weights=np.full(30, 1 / 30))
    engine = SparseEngine(rows, [RowSet.whole(30)], intercept=True, standardize=True, threads=1)
    request = Request(penalty=penalty_of(20), strengths=np.array([0.3, 0.1]))
    (expected,) = engine_of(SparseEngine, x, y, standardize=True).solve(request)
    np.testing.assert_array_equal(engine.solve(request)[0].dense_coef(), expected.dense_coef())
