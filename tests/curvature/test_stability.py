"""The edge of stability of every rule that has one, against simulation on a quadratic."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thalweg.curvature import largest_stable, preconditioned, preconditioner
from thalweg.optim import RULES
from thalweg.recipes import Recipe

KNOWN = [name for name in RULES if largest_stable(Recipe(optimizer=name)) is not None]


def run(recipe: Recipe, curvature: float, steps: int, w0: float = 1.0) -> float:
    """The size of one coordinate under a rule on h w^2 / 2."""
    rule = RULES[recipe.optimizer]
    params = {"w": torch.tensor([w0], dtype=torch.float64)}
    state = rule.init(params)
    hyper = {name: getattr(recipe, name) for name in rule.hyper}
    for _ in range(steps):
        params, state = rule.step(params, {"w": curvature * params["w"]}, state, hyper)
    return abs(params["w"].item())


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("name", [name for name in KNOWN if not preconditioned(Recipe(optimizer=name))])
def test_steps_shrink_below_the_edge_and_grow_above(name, momentum):
    recipe = Recipe(optimizer=name, lr=0.1, momentum=momentum)
    edge = largest_stable(recipe)
    assert edge is not None
    assert run(recipe, 0.98 * edge / recipe.lr, 4000) < 1e-3
    assert not run(recipe, 1.02 * edge / recipe.lr, 4000) < 1e3  # NaN has grown, too


def test_the_edge_of_adam_holds_for_a_frozen_scale():
    # with a fixed preconditioner d, Adam is an averaged momentum with step lr d
    recipe = Recipe(optimizer="adam", lr=0.01, beta1=0.9)
    edge = largest_stable(recipe)
    assert edge is not None
    assert edge == pytest.approx(38)
    for factor, grows in ((0.98, False), (1.02, True)):
        w, m = 1.0, 0.0
        for _ in range(4000):
            m = 0.9 * m + 0.1 * (factor * edge / recipe.lr) * w
            w -= recipe.lr * m
        assert (not abs(w) < 1) == grows


@pytest.mark.parametrize("name", [name for name in KNOWN if preconditioned(Recipe(optimizer=name))])
def test_the_preconditioner_is_what_the_rule_divides_by(name):
    recipe = Recipe(optimizer=name, lr=0.01, beta1=0.0, eps=1e-8)
    rule, rng = RULES[name], np.random.default_rng(0)
    params = {"b": torch.zeros(2, dtype=torch.float64), "a": torch.zeros(3, dtype=torch.float64)}
    state = rule.init(params)
    hyper = {key: getattr(recipe, key) for key in rule.hyper}
    for _ in range(5):
        grads = {key: torch.from_numpy(rng.standard_normal(len(value))) for key, value in params.items()}
        before = params
        params, state = rule.step(params, grads, state, hyper)
    slots = {slot: {k: v.numpy() for k, v in tree.items()} for slot, tree in state.items() if isinstance(tree, dict)}
    scale = preconditioner(recipe, ["a", "b"], slots, 5)
    assert scale is not None
    moved = np.concatenate([(before[key] - params[key]).numpy() for key in ("a", "b")])
    flat = np.concatenate([grads[key].numpy() for key in ("a", "b")])
    np.testing.assert_allclose(moved, recipe.lr * scale * flat, rtol=1e-8)
    assert preconditioner(Recipe(optimizer="sgd"), ["a"], {}, 1) is None
