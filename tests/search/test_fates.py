"""Fates of members: planted faults on real data come out by name, with the axis that brings them about."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.population import Plan, Population
from thalweg.probes import Stretch, watch_members
from thalweg.recipes import Member, Recipe
from thalweg.search import SYMPTOMS, AxisColumn, find_fates, find_split

AXES = [AxisColumn("optimizer", "choice"), AxisColumn("lr", "log", "optimizer"), AxisColumn("widths", "choice")]


def random_members(rng: np.random.Generator, num: int = 120) -> list[dict[str, Any]]:
    return [
        {
            "optimizer": str(rng.choice(["sgd", "adam"])),
            "lr": float(10 ** rng.uniform(-4, 0)),
            "widths": str(rng.choice(["64", "128", "256"])),
        }
        for _ in range(num)
    ]


def test_an_axis_without_an_effect_is_hardly_ever_named():
    rng = np.random.default_rng(5)
    named = 0
    for _ in range(400):
        members = random_members(rng, 60)
        named += find_split(AXES, members, rng.random(60) < rng.uniform(0.05, 0.5)) is not None
    assert named / 400 < 0.02


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_effect_is_found(seed):
    rng = np.random.default_rng(seed)
    members = random_members(rng)
    has = np.array([m["lr"] > 0.1 and rng.random() < 0.9 for m in members])
    split = find_split(AXES, members, has)
    assert split is not None
    assert split.axis == "lr"
    assert split.condition.startswith("lr above")
    assert split.inside[0] >= 0.8 * has.sum()
    assert split.inside[0] + split.outside[0] == has.sum()
    assert split.inside[1] + split.outside[1] == len(members)
    within = np.array([m["lr"] > 0.03 and m["optimizer"] == "sgd" for m in members])
    split = find_split(AXES, members, within)
    assert split is not None
    assert split.condition.endswith("with optimizer = sgd")
    assert split.inside == (within.sum(), within.sum())
    choice = np.array([m["widths"] == "128" for m in members])
    split = find_split(AXES, members, choice)
    assert split is not None
    assert split.condition == "widths = 128"


def test_all_or_none_go_with_no_axis():
    members = random_members(np.random.default_rng(0))
    assert find_split(AXES, members, np.ones(120, bool)) is None
    assert find_split(AXES, members, np.zeros(120, bool)) is None
    assert find_split([], members, np.arange(120) < 60) is None


@pytest.fixture(scope="module")
def digits():
    return tw.load_task("digits")


def fates_of(task, recipes, axes=(), values=()):
    members = [Member(recipe=recipe, seed=0) for recipe in recipes]
    watching = watch_members(task, [Stretch(recipes[0], 1, 0, 10**9)])
    population = Population(task, members, Plan(threads=1), watching=watching)
    population.run()
    found = find_fates(population, axes, values)
    for fate in found:
        assert fate.symptom in SYMPTOMS
        json.dumps(fate.to_json(), allow_nan=False)
    assert len({n for fate in found for n in fate.members}) == sum(len(fate.members) for fate in found)
    return {fate.symptom: fate for fate in found}


GOOD = Recipe(widths=(32,), epochs=6, batch_size=32, lr=0.003)


def test_a_good_recipe_has_none(digits):
    assert fates_of(digits, [GOOD, GOOD.changed(activation="tanh"), GOOD.changed(widths=(16, 16, 16))]) == {}


@pytest.mark.parametrize(
    ("symptom", "changes"),
    [
        ("diverged", {"optimizer": "sgd", "lr": 1e30, "activation": "identity"}),
        ("dead_units", {"activation": "relu", "optimizer": "adam", "lr": 3.0}),
        ("saturated", {"activation": "tanh", "init": "normal", "init_scale": 60.0, "lr": 1e-4}),
        ("vanishing_gradients", {"activation": "sigmoid", "widths": (32,) * 6, "init": "xavier", "lr": 1e-4}),
        ("loss_rose", {"model": "linear", "lr": 100.0, "epochs": 2}),
        ("hardly_moved", {"lr": 1e-6}),
    ],
)
def test_a_planted_fault_is_named(digits, symptom, changes):
    found = fates_of(digits, [GOOD, GOOD.changed(lr=0.002), GOOD.changed(**changes)])
    assert list(found) == [symptom]
    assert found[symptom].members == (2,)
    assert found[symptom].of == 3
    since = found[symptom].since
    assert since is None if symptom == "hardly_moved" else since is not None
    if symptom in ("saturated", "vanishing_gradients"):
        assert since == 0


def test_overfitting_is_named():
    """More weights than rows, and a third of the labels wrong."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((150, 10))
    y = np.where(rng.random(150) < 0.3, rng.integers(0, 2, 150), (x[:, 0] > 0).astype(int))
    task = tw.load_task((x, y))
    base = Recipe(widths=(128,), epochs=60, batch_size=16, lr=0.01)
    found = fates_of(task, [base, base.changed(widths=(2,), lr=0.001, epochs=20)])
    assert found["overfitting"].members == (0,)
    since = found["overfitting"].since
    assert since is not None
    assert 0 < since < 300


def test_no_seed_moved_where_none_got_anywhere(digits):
    found = fates_of(digits, [GOOD.changed(lr=1e-7, epochs=2)])
    assert found["hardly_moved"].of == 1


def test_the_axis_of_a_fate_is_named(digits):
    rates = [1e-6, 1e-3, 3e-3, 1e-2] * 8
    recipes = [GOOD.changed(lr=lr * (1 + 0.01 * k), epochs=2) for k, lr in enumerate(rates)]
    found = fates_of(digits, recipes, [AxisColumn("lr", "log")], [{"lr": recipe.lr} for recipe in recipes])
    split = found["hardly_moved"].split
    assert split is not None
    assert split.condition.startswith("lr below")
    assert split.inside == (8, 8)
    assert split.outside == (0, 24)
