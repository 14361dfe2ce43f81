"""Paths of classes against SciPy, scikit-learn and optimality itself, on random problems of every shape."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit, logsumexp, softmax

from thalweg.linear._logistic_engine import LogisticEngine
from thalweg.linear._penalty import Penalty
from thalweg.linear._rows import Rows, RowSet
from thalweg.linear._solution import Request


def scores_of(x, coef, intercept, num_classes):
    scores = np.asarray(x @ np.atleast_2d(coef).T) + intercept
    return np.hstack([np.zeros((len(scores), 1)), scores]) if num_classes == 2 else scores


def losses(x, y, coef, intercept, num_classes):
    scores = scores_of(x, coef, intercept, num_classes)
    return logsumexp(scores, axis=1) - scores[np.arange(len(y)), y.astype(int)]


def objective(x, y, weights, coef, intercept, strength, penalty, scale=1.0):
    num_classes = max(2, len(np.atleast_2d(coef)))
    value = penalty.value(np.atleast_2d(coef) * scale, strength)
    return weights @ losses(x, y, coef, intercept, num_classes) + value


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
