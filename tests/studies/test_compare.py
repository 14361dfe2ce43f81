"""Levels on common seeds: who leads, who is told apart, and what is said of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from thalweg.studies._compare import Comparison, comparison_data, comparison_table, headline

RNG = np.random.default_rng(4)


def comparison(*means: float, noise: float = 0.001, seeds: int = 6) -> Comparison:
    """Levels of given means; seeds shift all levels alike, which pairing takes out."""
    shift = 0.05 * RNG.standard_normal(seeds)
    scores = np.array([mean + shift + noise * RNG.standard_normal(seeds) for mean in means])
    labels = [f"level {k}" for k in range(len(means))]
    return Comparison(labels=labels, seeds=list(range(seeds)), scores=scores, metric="accuracy")


def test_pairing_tells_levels_apart_that_seeds_hide():
    found = comparison(0.5, 0.52, 0.54)
    assert found.leader == 2
    assert found.told_apart_from(2) == [0, 1]
    text = headline(found, "levels")
    assert text.startswith("level 2 has the best validation accuracy")
    assert "told apart from all 2 other levels" in text


def test_equal_levels_are_not_told_apart_and_the_seeds_that_would_are_named():
    found = comparison(0.5, 0.5005, noise=0.01)
    assert found.told_apart_from(found.leader or 0) == []
    text = headline(found, "levels")
    assert "not told apart from any" in text
    assert "seeds would tell it from" in text or "More seeds would not tell" in text


def test_a_level_that_diverged_never_leads():
    found = comparison(0.5, 0.6)
    found.scores[1, 2] = math.nan
    assert found.leader == 0
    table = comparison_table(found, "level")
    assert table.rows[1][-1] == "1"
    assert comparison_data(found)["scores"]["level 1"][2] is None
    found.scores[0, 0] = math.nan
    assert found.leader is None
    assert headline(found, "levels") == "None of the 2 levels finished on every seed, so none leads."


@pytest.mark.parametrize("num", [2, 5, 12])
def test_no_difference_is_seldom_called_one(num):
    """Of levels that are alike, some pair is told apart in about 5% of the studies at most, however many there are."""
    alarms = sum(
        any(found.told_apart_from(k) for k in range(num))
        for found in (comparison(*[0.5] * num, noise=0.01, seeds=8) for _ in range(200))
    )
    assert alarms <= 20  # 5% of 200 is 10; above 20 has probability 0.001
