"""Heads of a classifier: what they share, and what they do not."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.core import InputError
from thalweg.population import Plan
from thalweg.recipes import Recipe
from thalweg.studies._head import PER_LABEL, SIGMOID, SOFTMAX, heads
from thalweg.tasks import load_task
from thalweg.workflows import study


def test_two_logits_take_the_path_of_one_at_twice_the_step():
    found = study("head", "breast-cancer", Recipe(widths=(4,), epochs=3, batch_size=32), seeds=2, plan=Plan(threads=1))
    assert 0 < found.answer.data["two_logits_against_one"] < 1e-5
    sums = found.answer.data["sums"]
    assert sums[SOFTMAX]["least"] == pytest.approx(1, abs=1e-5)
    assert sums[SIGMOID]["most"] == pytest.approx(1, abs=1e-5)
    assert sums[PER_LABEL]["most"] - sums[PER_LABEL]["least"] > 1e-3
    parameters = found.answer.data["parameters"]
    assert parameters[SOFTMAX] == parameters[PER_LABEL] == parameters[SIGMOID] + 5  # 4 weights and a bias


def test_every_head_has_the_same_classes():
    task = load_task("iris")
    found = heads(task)
    assert list(found) == [SOFTMAX, PER_LABEL]
    np.testing.assert_array_equal(found[PER_LABEL].train.y.argmax(1), task.train.y)
    with pytest.raises(InputError, match="exclude each other"):
        heads(load_task("diabetes"))
