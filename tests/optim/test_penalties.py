from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.optim import (
    RULES,
    ElementwiseRule,
    clip_gradients,
    penalty_gradient,
    penalty_value,
    prox,
    soft_threshold,
)

weights = st.floats(-10, 10)
steps = st.floats(0, 5)
alphas = st.floats(0, 5)
ratios = st.floats(0, 1)


@settings(max_examples=100, deadline=None)
@given(w=weights, step=steps, alpha=alphas, l1_ratio=ratios)
def test_the_prox_beats_a_grid(w, step, alpha, l1_ratio):
    def objective(v):
        return 0.5 * (v - w) ** 2 + step * penalty_value(v, alpha, l1_ratio)

    best = objective(prox(w, step, alpha, l1_ratio))
    grid = np.append(np.linspace(-10, 10, 2001), [0.0, w])
    assert best <= objective(grid).min() + 1e-12


@settings(max_examples=100, deadline=None)
@given(a=weights, b=weights, step=steps, alpha=alphas, l1_ratio=ratios)
def test_the_prox_is_non_expansive(a, b, step, alpha, l1_ratio):
    moved = abs(prox(a, step, alpha, l1_ratio) - prox(b, step, alpha, l1_ratio))
    assert moved <= abs(a - b) + 1e-12


@settings(max_examples=50, deadline=None)
@given(w=weights, step=steps, alpha=alphas)
def test_the_ends_are_shrinkage_and_soft_threshold(w, step, alpha):
    assert prox(w, step, alpha, 0.0) == pytest.approx(w / (1 + step * alpha))
    expected = math.copysign(max(abs(w) - step * alpha, 0.0), w)
    assert prox(w, step, alpha, 1.0) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("function", [penalty_value, prox, penalty_gradient, soft_threshold])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_compiled_scalars_equal_tensors(function, dtype):
    compiled: Any = numba.njit(function)
    args = {
        penalty_value: (0.3, 0.4),
        penalty_gradient: (0.3, 0.4),
        prox: (0.9, 0.3, 0.4),
        soft_threshold: (0.5,),
    }
    rest = tuple(dtype(x) for x in args[function])
    w = np.linspace(-2, 2, 41).astype(dtype)
    tensor = function(torch.from_numpy(w), *(float(x) for x in rest))
    assert tensor.numpy().dtype == dtype
    rtol = 1e-14 if dtype is np.float64 else 1e-6
    np.testing.assert_allclose([compiled(x, *rest) for x in w], tensor, rtol=rtol, atol=1e-7 * rtol)
    kinds = {o.signature.return_type for o in compiled.overloads.values()}
    assert kinds == {numba.from_dtype(np.dtype(dtype))}


def test_the_gradient_is_that_of_the_quadratic_half():
    w = torch.randn(5, dtype=torch.float64, requires_grad=True)
    quadratic = (penalty_value(w, 0.7, 0.4) - 0.7 * 0.4 * w.abs()).sum()
    (expected,) = torch.autograd.grad(quadratic, w)
    torch.testing.assert_close(penalty_gradient(w.detach(), 0.7, 0.4), expected)


def test_a_nan_is_not_hidden():
    assert math.isnan(soft_threshold(math.nan, 1.0))
    assert torch.isnan(soft_threshold(torch.tensor([math.nan]), 1.0)).all()


# what the rules need to settle on a quadratic of curvature 1
SETTINGS = {
    "sgd": {"lr": 0.5},
    "momentum": {"lr": 0.05},
    "heavy_ball": {"lr": 0.05},
    "nesterov": {"lr": 0.05},
    "sgdw": {"lr": 0.05},
    "rmsprop": {"lr": 2e-3},
    "adagrad": {"lr": 0.5},
    "adam": {"lr": 0.02},
    "adamw": {"lr": 0.02},
}


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_proximal_steps_reach_the_lasso_on_an_orthogonal_design(name, l1_ratio):
    # X'X / n = I: the solution is prox(X'y / n, 1, alpha, l1_ratio) (Tibshirani, 1996, section 2.2; Zou and
    # Hastie, 2005)
    generator = torch.Generator().manual_seed(0)
    num_rows, alpha = 24, 0.3
    X = torch.linalg.qr(torch.randn(num_rows, 6, generator=generator, dtype=torch.float64))[0] * num_rows**0.5
    truth = torch.tensor([2.0, -1.0, 0.1, 0.0, 0.5, -0.2], dtype=torch.float64)
    y = X @ truth + 0.1 * torch.randn(num_rows, generator=generator, dtype=torch.float64)
    expected = prox(X.T @ y / num_rows, 1.0, alpha, l1_ratio)

    rule = RULES[name]
    assert isinstance(rule, ElementwiseRule)
    assert rule.proximal
    hyper = {"momentum": 0.9, "beta1": 0.9, "beta2": 0.99, "rho": 0.99, "eps": 1e-8, "weight_decay": 0.0}
    hyper |= SETTINGS[name]
    params = {"w": torch.zeros(6, dtype=torch.float64)}
    state = rule.init(params)
    for step in range(1, 2001):
        w = params["w"]
        grads = {"w": X.T @ (X @ w - y) / num_rows + penalty_gradient(w, alpha, l1_ratio)}
        params, state = rule.step(params, grads, state, hyper)
        metric = rule.step_size(tuple(state[slot]["w"] for slot in rule.slots), rule.padded_coefficients(hyper, step))
        params = {"w": soft_threshold(params["w"], metric * alpha * l1_ratio)}
    # RMSprop's steps do not shrink at the end, so it stays within about its lr of the optimum
    tolerance = 5e-3 if name == "rmsprop" else 1e-6
    torch.testing.assert_close(params["w"], expected, rtol=0, atol=tolerance)
    if name != "rmsprop":
        assert torch.equal(params["w"] == 0, expected == 0)


def test_rules_that_no_prox_can_follow_say_so():
    without = {name for name, rule in RULES.items() if not rule.proximal}
    assert without == {"schedule_free_adamw", "muon", "random_search"}


@pytest.mark.parametrize("max_norm", [0.1, 1.0, 100.0])
def test_clipping_matches_torch(max_norm):
    generator = torch.Generator().manual_seed(0)
    grads = {k: torch.randn(s, generator=generator, dtype=torch.float64) for k, s in {"a": (3, 4), "b": (5,)}.items()}
    leaves = [torch.zeros_like(g, requires_grad=True) for g in grads.values()]
    for leaf, g in zip(leaves, grads.values(), strict=True):
        leaf.grad = g.clone()
    expected = torch.nn.utils.clip_grad_norm_(leaves, max_norm)
    before = {k: g.clone() for k, g in grads.items()}
    clipped, norm = clip_gradients(grads, max_norm)
    torch.testing.assert_close(norm, expected, rtol=1e-13, atol=0)
    for k, leaf in zip(grads, leaves, strict=True):
        torch.testing.assert_close(clipped[k], leaf.grad, rtol=1e-13, atol=0)
        assert torch.equal(grads[k], before[k])


def test_stacked_members_are_clipped_one_by_one():
    grads = {"a": torch.randn(4, 3, 2, dtype=torch.float64), "b": torch.randn(4, 5, dtype=torch.float64)}
    limits = torch.tensor([0.1, 1.0, 2.0, 50.0], dtype=torch.float64)
    clipped, norms = clip_gradients(grads, limits, stacked=True)
    for i in range(4):
        alone, norm = clip_gradients({k: g[i] for k, g in grads.items()}, float(limits[i]))
        torch.testing.assert_close(norms[i], norm, rtol=1e-13, atol=0)
        for k in grads:
            torch.testing.assert_close(clipped[k][i], alone[k], rtol=1e-13, atol=0)


def test_a_norm_that_is_nan_shows():
    clipped, norm = clip_gradients({"a": torch.tensor([1.0, math.nan])}, 1.0)
    assert bool(torch.isnan(norm))
    assert bool(torch.isnan(clipped["a"]).all())
