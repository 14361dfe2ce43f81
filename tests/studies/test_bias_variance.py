"""Bias and variance: an identity, and a case that is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.core import InputError
from thalweg.population import Plan
from thalweg.recipes import Recipe
from thalweg.studies._bias_variance import split_error
from thalweg.tasks import load_task
from thalweg.workflows import study

RNG = np.random.default_rng(11)


def test_the_parts_sum_to_the_error():
    predictions, targets = RNG.standard_normal((7, 50, 3)), RNG.standard_normal((50, 3))
    parts = split_error(predictions, targets)
    assert parts.bias + parts.variance == pytest.approx(parts.error.mean(), rel=1e-12)
    with pytest.raises(InputError, match="at least 2"):
        split_error(predictions[:1], targets)


def test_the_parts_are_those_of_theory():
    # predictors that are off by 0.5 with variance 0.09, targets without noise
    predictions = 0.5 + 0.3 * RNG.standard_normal((400, 200, 1))
    parts = split_error(predictions, np.zeros((200, 1)))
    assert parts.bias == pytest.approx(0.25, rel=0.02)
    assert parts.variance == pytest.approx(0.09, rel=0.02)


def test_a_strong_penalty_has_bias_and_little_variance():
    recipe = Recipe(model="linear", widths=(), optimizer="sgd", lr=0.1, epochs=60, batch_size=None)
    x, truth, noise = RNG.standard_normal((160, 30)), RNG.standard_normal(30), RNG.standard_normal(160)

    def weak_and_strong(noise_size):
        task = load_task((x, x @ truth + noise_size * noise), kind="regression")
        data = study("bias-variance", task, recipe, seeds=6, plan=Plan(threads=1)).answer.data
        return data["penalty 0.0001"], data["penalty 0.1"]

    weak, strong = weak_and_strong(0.0)
    assert strong["bias"] > 2 * weak["bias"]
    weak, strong = weak_and_strong(5.0)
    assert strong["variance"] < 0.9 * weak["variance"]
