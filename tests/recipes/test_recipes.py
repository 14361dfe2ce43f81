"""Recipes: bounds of every field, TOML and text round trips, axes and the samples drawn from them."""

# wrong values are given on purpose
# pyright: reportArgumentType=false, reportOptionalCall=false, reportOptionalMemberAccess=false
from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.core import InputError
from thalweg.models import ACTIVATIONS, INITS
from thalweg.optim import RULES, SCHEDULES
from thalweg.recipes import (
    Axis,
    Recipe,
    default_axes,
    default_recipe,
    field_docs,
    format_value,
    parse_axis,
    parse_model,
    parse_value,
    read_recipe,
    recipe_from_text,
    recipe_to_text,
    sample_recipes,
)

KNOBS = {f.name: f.metadata["knob"] for f in dataclasses.fields(Recipe)}
NUMBERS = {name: declared for name, declared in KNOBS.items() if declared.type in (int, float)}
NAMES = {name: declared for name, declared in KNOBS.items() if declared.choices is not None}


def values_of(name: str) -> st.SearchStrategy:
    """All values that a field declares that it takes."""
    declared = KNOBS[name]
    bounds = declared.bounds
    if declared.choices is not None:
        known = [choice for choice in declared.choices() if choice != "keep"]
        found: st.SearchStrategy = st.sampled_from(known)
    elif name == "model":
        found = st.sampled_from(["linear", "mlp", "cnn", "package.module:factory"])
    elif declared.type is tuple:
        found = st.lists(st.integers(1, 4096), min_size=1, max_size=4).map(tuple)
    elif declared.type is int:
        found = st.integers(bounds.get("least", -100), 10**6)
    else:
        low, high = bounds.get("above", bounds.get("least")), bounds.get("below", bounds.get("most"))
        found = st.floats(
            low,
            high,
            exclude_min="above" in bounds,
            exclude_max="below" in bounds,
            allow_nan=False,
            allow_infinity=False,
        )
    return found if declared.none is None else st.one_of(st.none(), found)


RECIPES = st.fixed_dictionaries({name: values_of(name) for name in KNOBS}).map(lambda fields: Recipe(**fields))


@settings(max_examples=150, deadline=None)
@given(RECIPES)
def test_toml_gives_the_same_recipe_back(recipe):
    assert recipe_from_text(recipe_to_text(recipe)) == recipe


@settings(max_examples=150, deadline=None)
@given(RECIPES)
def test_the_text_of_a_value_is_parsed_to_the_same_value(recipe):
    for name in KNOBS:
        value = getattr(recipe, name)
        parsed = parse_value(name, format_value(name, value))
        assert parsed == value
        assert type(parsed) is type(value)


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_is_held_to_its_declared_bounds(name):
    declared = NUMBERS[name]
    bounds, kind = declared.bounds, declared.type
    step = 1 if kind is int else None

    def beside(value: float, towards: float) -> float:
        return value + math.copysign(step, towards) if step else float(np.nextafter(value, towards))

    good, bad = [], [math.nan, math.inf, -math.inf, True, "1", [1], 10**400]
    for key, inside in (("above", math.inf), ("below", -math.inf)):
        if key in bounds:
            bad.append(bounds[key])
            good.append(beside(bounds[key], inside))
    for key, outside in (("least", -math.inf), ("most", math.inf)):
        if key in bounds:
            good.append(bounds[key])
            bad.append(beside(bounds[key], outside))
    if kind is int:
        bad.append(1.5)
        good.append(3.0)
    for value in good:
        assert getattr(Recipe(**{name: value}), name) == value
        assert type(getattr(Recipe(**{name: value}), name)) is kind
    for value in bad:
        with pytest.raises(InputError, match=rf"^{name} must be a (whole )?number"):
            Recipe(**{name: value})
    if declared.none is None:
        with pytest.raises(InputError, match=rf"^{name} must be given"):
            Recipe(**{name: None})
    else:
        assert getattr(Recipe(**{name: None}), name) is None


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_one_of_its_choices(name):
    choices = NAMES[name].choices
    assert choices is not None
    for choice in choices():
        model = "package.module:factory" if choice == "keep" else "mlp"
        assert getattr(Recipe(**{name: choice, "model": model}), name) == choice
        parse_value(name, choice)
    with pytest.raises(InputError, match=f"^{name} must be a known name, got 'nonsense'"):
        Recipe(**{name: "nonsense"})
    with pytest.raises(InputError, match=f"^{name} must be a name, got 3"):
        Recipe(**{name: 3})


def test_registries_are_the_choices():
    assert set(KNOBS["optimizer"].choices()) == set(RULES)
    assert set(KNOBS["activation"].choices()) == set(ACTIVATIONS)
    assert set(KNOBS["schedule"].choices()) == set(SCHEDULES)
    assert set(KNOBS["init"].choices()) == {*INITS, "keep"}
    assert field_docs().keys() == KNOBS.keys()
    assert all(doc.endswith(".") for doc in field_docs().values())


def test_numbers_of_numpy_are_numbers():
    recipe = Recipe(lr=np.float32(0.5), batch_size=np.int64(8), epochs=np.int32(3))
    assert (type(recipe.lr), type(recipe.batch_size), type(recipe.epochs)) == (float, int, int)
    assert recipe == Recipe(lr=0.5, batch_size=8, epochs=3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "mlpp"}, "model must be linear, mlp, cnn or .*, got 'mlpp'. Did you mean 'mlp'"),
        ({"model": 3}, "model must be a name, got 3"),
        ({"widths": ()}, "widths must be given for mlp"),
        ({"model": "cnn", "widths": ()}, "widths must be given for cnn"),
        ({"widths": [8]}, r"widths must be a tuple of whole numbers, got \[8\]. Write"),
        ({"widths": (0,)}, "widths must be a whole number at least 1, got 0"),
        ({"init": "keep"}, "init must be one that draws weights for mlp"),
    ],
)
def test_fields_that_do_not_fit_together(fields, message):
    with pytest.raises(InputError, match=message):
        Recipe(**fields)


def test_changed_and_differing_name_the_fields():
    recipe = Recipe()
    assert recipe.changed(lr=0.5).differing(recipe) == {"lr": (0.5, 0.001)}
    with pytest.raises(InputError, match=r"recipe field must be .*, got 'learning_rate'. Did you mean 'lr'"):
        recipe.changed(learning_rate=0.1)
    with pytest.raises(InputError, match=r"got 'batchsize'. Did you mean 'batch_size'"):
        recipe.changed(batchsize=3)


def test_recipe_files(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_to_text(Recipe(lr=0.25)))
    assert read_recipe(path) == Recipe(lr=0.25)
    path.write_text("[recipe]\nbatch_size = 'full'\nwidths = [4, 3]\nepochs = 7.0\n")
    assert read_recipe(path) == Recipe(batch_size=None, widths=(4, 3), epochs=7)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_recipe(path)


def test_model_texts():
    assert parse_model("mlp:8x4") == {"model": "mlp", "widths": (8, 4)}
    assert parse_model("cnn") == {"model": "cnn", "widths": (16, 32)}
    assert parse_model("a.b_c:make") == {"model": "a.b_c:make"}
    assert parse_model("mlp:") == {"model": "mlp"}
    for text in ("", "mlp:8,,4", ":f", "a:", "a b:c", "linear:3", "a.:b", "cnn:-1"):
        with pytest.raises(InputError, match=r"^--model must be"):
            parse_model(text)


def test_default_recipes_fit_small_data():
    for rows in (1, 3, 10, 36, 63, 64, 5000):
        recipe = default_recipe(rows)
        assert recipe.batch_size is not None
        assert recipe.batch_size <= rows
        for axis in default_axes(recipe, rows):
            if axis.field == "batch_size":
                assert max(axis.values) <= rows
    assert default_recipe(100, model="my.models:make").init == "keep"


# ---- axes -----------------------------------------------------------------------------------------------------------


@given(st.floats(0, 1, exclude_max=True))
def test_an_axis_gives_values_of_its_range(position):
    assert Axis(field="optimizer", values=("sgd", "adam", "adamw")).pick(position) in ("sgd", "adam", "adamw")
    assert 1e-4 <= Axis(field="lr", low=1e-4, high=1.0, scale="log").pick(position) <= 1.0
    assert 0.99961 <= Axis(field="dropout", low=0.99961, high=0.99969).pick(position) <= 0.99969
    batch = Axis(field="batch_size", low=3, high=9).pick(position)
    assert type(batch) is int
    assert 3 <= batch <= 9


def test_pick_by_hand():
    axis = Axis(field="optimizer", values=("sgd", "adam"))
    assert [axis.pick(p) for p in (0.0, 0.49, 0.5, 0.99)] == ["sgd", "sgd", "adam", "adam"]
    log = Axis(field="lr", low=1e-4, high=1.0, scale="log")
    assert [log.pick(p) for p in (0.0, 0.25, 0.5, 0.75)] == [1e-4, 1e-3, 1e-2, 1e-1]
    linear = Axis(field="dropout", low=0.0, high=0.8)
    assert [linear.pick(p) for p in (0.0, 0.25, 0.5)] == [0.0, 0.2, 0.4]
    cases = Axis(field="lr", scale="log", given="optimizer", cases={"sgd": (0.01, 1.0), "adam": (1e-4, 1e-2)})
    assert cases.pick(0.5, {"optimizer": "sgd"}) == 0.1
    assert cases.pick(0.5, {"optimizer": "adam"}) == 0.001
    with pytest.raises(InputError, match="axis lr must be given for optimizer lion, got 'sgd, adam'"):
        cases.pick(0.5, {"optimizer": "lion"})


def test_axis_texts():
    assert parse_axis("lr=1e-4..1") == Axis(field="lr", low=1e-4, high=1.0, scale="log")
    assert parse_axis(" lr = 0.1, 0.01 ") == Axis(field="lr", values=(0.1, 0.01))
    assert parse_axis("batch_size=16,1e2,full").values == (16, 100, None)
    assert parse_axis("weight_decay=0..0.1").scale == "linear"
    assert parse_axis("batch_size=8..64:3").values == (8, 36, 64)
    assert parse_axis("clip_norm=off,1").values == (None, 1.0)
    for text in ("lr=1e-4..1", "optimizer=sgd,adam", "widths=32,128x64", "batch_size=16,full"):
        axis = parse_axis(text)
        assert axis.values == () or parse_axis(str(axis)) == axis


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"field": "lr"}, "axis lr must be a list of values or a range. Write"),
        ({"field": "lr", "low": 0.1}, "a list of values or a range"),
        ({"field": "nope", "values": (1,)}, "axis must be a recipe field, got 'nope'"),
        ({"field": "lr", "low": 1.0, "high": 0.1}, "upper end must be a number above 1"),
        ({"field": "lr", "low": 0.0, "high": 0.1, "scale": "log"}, "lower end of a log range must be a number above 0"),
        ({"field": "dropout", "low": 0.0, "high": 1.0}, "dropout must be a number at least 0 and below 1, got 1.0"),
        ({"field": "lr", "low": 0.1, "high": 1.0, "scale": "lgo"}, "scale of axis lr must be a known name, got 'lgo'"),
        ({"field": "lr", "given": "optimizer", "low": 0.1, "high": 1.0}, "together with the field"),
        ({"field": "lr", "cases": {"sgd": (0.1, 1.0)}}, "together with the field"),
        ({"field": "lr", "given": "optimiser", "cases": {"sgd": (0.1, 1.0)}}, "got 'optimiser'. Did you mean"),
        ({"field": "activation", "low": 0.1, "high": 1.0}, "a list of values, not a range"),
        ({"field": "lr", "values": (0.1, -1)}, "lr must be a number above 0, got -1"),
    ],
)
def test_axes_that_cannot_be(fields, message):
    with pytest.raises(InputError, match=message):
        Axis(**fields)


# ---- samples --------------------------------------------------------------------------------------------------------

SPACE = default_axes(default_recipe(5000), 5000)


def test_samples_are_different_and_the_same_for_one_seed():
    base = default_recipe(5000)
    found = sample_recipes(base, SPACE, 100, seed=3)
    assert len(set(found)) == 100
    assert sample_recipes(base, SPACE, 100, seed=3) == found
    assert sample_recipes(base, SPACE, 100, seed=4) != found
    varied = {axis.field for axis in SPACE}
    for recipe in found:
        assert recipe.differing(base).keys() <= varied


def test_samples_are_spread_evenly():
    found = sample_recipes(default_recipe(5000), SPACE, 256, seed=0)
    for axis in SPACE:
        if axis.values:
            counts = [sum(getattr(r, axis.field) == value for r in found) for value in axis.values]
            assert max(counts) - min(counts) <= 6, axis.field
    lr = Axis(field="lr", low=1e-4, high=1.0, scale="log")
    places = np.log10([r.lr for r in sample_recipes(Recipe(), [lr], 64, seed=1)])
    counts, _ = np.histogram(places, bins=8, range=(-4, 0))
    assert counts.min() >= 7
    assert counts.max() <= 9


def test_a_conditional_step_size_stays_in_the_range_of_its_optimizer():
    for recipe in sample_recipes(default_recipe(5000), SPACE, 128, seed=5):
        low, high = RULES[recipe.optimizer].lr_range
        assert low <= recipe.lr <= high
    alone = Axis(field="lr", scale="log", given="optimizer", cases={"sgd": (0.01, 1.0)})
    assert all(0.01 <= r.lr <= 1 for r in sample_recipes(Recipe(optimizer="sgd"), [alone], 8, seed=0))
    with pytest.raises(InputError, match="axis lr must be given for optimizer adamw"):
        sample_recipes(Recipe(), [alone], 8, seed=0)
    by_model = Axis(field="dropout", given="schedule", cases={"constant": (0.0, 0.1), "cosine": (0.3, 0.5)})
    schedules = Axis(field="schedule", values=("constant", "cosine"))
    for recipe in sample_recipes(Recipe(), [by_model, schedules], 16, seed=0):
        assert (recipe.dropout <= 0.1) == (recipe.schedule == "constant")


def test_a_small_space_is_its_grid():
    axes = [parse_axis("lr=0.1,0.01"), parse_axis("batch_size=8,16,32")]
    found = sample_recipes(Recipe(), axes, 6, seed=0)
    assert {(r.lr, r.batch_size) for r in found} == {(lr, b) for lr in (0.1, 0.01) for b in (8, 16, 32)}
    assert len(found) == 6
    assert len(sample_recipes(Recipe(), axes, 4, seed=0)) == 4
    assert len(sample_recipes(Recipe(), axes, 300, seed=0)) == 6
    assert sample_recipes(Recipe(), [], 5, seed=0) == [Recipe()]


def test_a_space_with_few_values_gives_what_it_has():
    narrow = Axis(field="batch_size", low=2, high=5)
    found = sample_recipes(Recipe(), [narrow], 50, seed=0)
    assert sorted(r.batch_size or 0 for r in found) == [2, 3, 4, 5]


def test_one_field_has_one_axis():
    with pytest.raises(InputError, match="axes must be of different fields"):
        sample_recipes(Recipe(), [parse_axis("lr=0.1,1"), parse_axis("lr=0.2,2")], 4, seed=0)
