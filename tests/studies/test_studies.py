"""Every study at a tiny size: it answers, its run folder is whole, and what is known comes out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from thalweg import study as studies
from thalweg.core import InputError
from thalweg.population import Plan
from thalweg.recipes import Recipe
from thalweg.studies import STUDIES, find_study
from thalweg.workflows import open_result, study

TINY = Recipe(widths=(6,), epochs=2, batch_size=16)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_answers(name, tmp_path):
    found = study(name, "iris", TINY, seeds=2, out=tmp_path / "run", plan=Plan(threads=1))
    answer = found.answer
    assert answer.headline.endswith(".")
    assert answer.charts
    json.dumps(found.to_json(), allow_nan=False)
    text = str(found)
    assert answer.headline[:40] in " ".join(text.split())
    assert max(len(line) for line in text.splitlines()) <= 130
    page = (tmp_path / "run" / "report.html").read_text()
    for chart in answer.charts:
        assert f'data-figure="{chart.name}"' in page
    stored = open_result(tmp_path / "run")
    assert stored.result["headline"] == answer.headline


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_tells_its_theory(name):
    found = find_study(name)
    theory = found.run.__doc__
    assert theory is not None
    assert len(theory.splitlines()) >= 8
    assert any(year in theory for year in map(str, range(1950, 2026)))
    assert found.name == name
    if name != "landscape":  # which is a call of its own
        assert getattr(studies, name.replace("-", "_")).__doc__ == theory


def test_the_same_seed_gives_the_same_study():
    one, two = (study("schedule", "iris", TINY, seeds=2, plan=Plan(threads=1)) for _ in range(2))
    assert one.answer.data == two.answer.data


def test_a_small_budget_shortens_all_levels_alike():
    long = Recipe(widths=(6,), epochs=40, batch_size=16)
    found = study("schedule", "iris", long, seeds=2, budget="600steps", plan=Plan(threads=1))
    assert set(found.answer.data["epochs"].values()) == {found.recipe.epochs}
    assert 1 <= found.recipe.epochs < 40
    assert any("epochs" in note for note in found.answer.notes)


def test_bad_input():
    with pytest.raises(InputError, match="study must be"):
        study("schedules", "iris")
    with pytest.raises(InputError, match="seeds must be"):
        study("schedule", "iris", seeds=1)
    with pytest.raises(InputError, match="budget must be"):
        study("schedule", "iris", Recipe(epochs=1, batch_size=16), budget="3steps")
    with pytest.raises(InputError, match="classification"):
        study("label-smoothing", "diabetes")
    with pytest.raises(InputError, match="an mlp or a cnn"):
        study("activation", "iris", "linear")
    with pytest.raises(AttributeError, match="there is no study"):
        studies.nothing  # noqa: B018


def test_sigmoid_attenuates_and_dead_units_are_counted():
    deep = Recipe(widths=(8, 8, 8), epochs=1, batch_size=16, init="xavier")
    found = study("activation", "iris", deep, seeds=2, plan=Plan(threads=1))
    signals = found.answer.data["signals"]
    gradients = [layer["gradient"] for layer in signals["sigmoid"]["before"]]
    assert gradients[0] < gradients[1] < gradients[2]
    assert all(not layer["dead_units"] for layer in signals["tanh"]["before"])
    widths = found.answer.data["widths"]
    assert np.prod(widths["maxout"]) < np.prod(widths["relu"])
