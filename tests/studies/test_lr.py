"""Suggested step sizes: the rule on curves that are known, and the study where the edge is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from thalweg.population import Plan
from thalweg.recipes import Recipe
from thalweg.studies._lr import suggest
from thalweg.tasks import load_task
from thalweg.workflows import study

RNG = np.random.default_rng(8)
RATES = np.geomspace(1e-4, 10, 41)


def curve(top: float, cliff: float) -> np.ndarray:
    """A score that rises over two decades, is flat for one below `top`, and breaks at `cliff`."""
    logs = np.log10(RATES)
    score = 0.9 - 0.2 * np.maximum(math.log10(top) - 1 - logs, 0) - 0.3 * np.maximum(logs - math.log10(top), 0)
    return np.where(cliff <= RATES, math.nan, score)


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_the_suggestion_is_the_middle_of_a_flat_top(higher_is_better):
    sign = 1 if higher_is_better else -1
    scores = sign * curve(0.1, 2.0)[:, None] + 0.002 * RNG.standard_normal((len(RATES), 4))
    found = suggest(RATES, scores, sign * 0.1, higher_is_better=higher_is_better)
    assert found is not None
    assert found.lr == pytest.approx(math.sqrt(0.01 * 0.1), rel=0.2)
    assert found.low <= found.lr <= found.high < 2.0


def test_the_suggestion_stays_from_seed_to_seed():
    found = [
        suggest(
            RATES, curve(0.1, 2.0)[:, None] + 0.01 * RNG.standard_normal((len(RATES), 4)), 0.1, higher_is_better=True
        )
        for _ in range(10)
    ]
    rates = [each.lr for each in found if each is not None]
    assert len(rates) == 10
    assert max(rates) / min(rates) < 1.5


def test_nothing_that_trains_is_no_suggestion():
    assert suggest(RATES, np.full((len(RATES), 2), math.nan), 0.1, higher_is_better=True) is None


def test_a_linear_model_breaks_where_its_curvature_says():
    """Full-batch gradient descent on a quadratic: the edge is 2 / lambda, exactly."""
    x = RNG.standard_normal((300, 5)) * [1, 1, 1, 1, 3]
    task = load_task((x, x @ RNG.standard_normal(5) + 0.1 * RNG.standard_normal(300)), kind="regression")
    rows = np.concatenate([task.train.x, np.ones((len(task.train), 1))], 1)
    edge = 2 / np.linalg.eigvalsh(2 * rows.T @ rows / len(rows))[-1]  # of the mean squared error, the bias included
    recipe = Recipe(model="linear", widths=(), optimizer="sgd", batch_size=None, epochs=400)
    data = study("lr", task, recipe, seeds=2, plan=Plan(threads=1)).answer.data
    grid = 10 ** (1 / 8)
    assert data["trains"][1] == pytest.approx(edge, rel=grid - 1 + 0.02)
    assert data["edge"] == pytest.approx(edge, rel=grid - 1 + 0.02)
    assert data["trains"][1] < edge < data["edge"]
    assert data["suggested"] < edge
    assert data["curvature"]["bound"] == pytest.approx(edge, rel=0.01)
