"""Effects of axes: errors by direct formula, known truths, and every way in which data can be too poor."""

import importlib.util
import itertools
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.core import InputError
from thalweg.search._contrasts import hc3_contrasts
from thalweg.search._effects import AxisColumn, axis_effects
from thalweg.search._levels import find_levels

_SPEC = importlib.util.spec_from_file_location(
    "bench_effects", Path(__file__).parents[2] / "benchmarks" / "intervals.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
bench = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = bench  # dataclasses look their module up by name
_SPEC.loader.exec_module(bench)


def effects_of(columns, scores, *, diverged=None, higher_is_better=True, **scales):
    """Effects of columns {name: values}; a scale is "log" or ("log", "given"), and "choice" if not told."""
    axes = []
    for name in columns:
        scale = scales.get(name, "choice")
        axes.append(AxisColumn(name, scale) if isinstance(scale, str) else AxisColumn(name, *scale))  # type: ignore[arg-type]
    values = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    diverged = [None] * len(values) if diverged is None else diverged
    found = axis_effects(axes, values, scores, diverged, higher_is_better=higher_is_better)
    for effect in found:
        json.dumps(effect.to_json(), allow_nan=False)
    return {effect.axis: effect for effect in found}


# --- errors by direct formula ---


def test_hc3_by_direct_formula():
    rng = np.random.default_rng(0)
    X = np.c_[np.ones(12), rng.normal(size=(12, 2))]
    y = rng.normal(size=12)
    C = np.array([[0.0, 1.0, 0.0], [1.0, 0.5, -2.0]])
    inverse = np.linalg.inv(X.T @ X)
    H = X @ inverse @ X.T
    residual = y - H @ y
    sandwich = np.diag(residual**2 / (1 - np.diag(H)) ** 2)
    covariance = inverse @ X.T @ sandwich @ X @ inverse
    ours = hc3_contrasts(X, y, C)
    np.testing.assert_allclose(ours.estimates, C @ inverse @ X.T @ y, rtol=1e-10)
    np.testing.assert_allclose(ours.errors, np.sqrt(np.diag(C @ covariance @ C.T)), rtol=1e-10)
    # Degrees of freedom from the N x N matrices that the code avoids.
    M = np.eye(12) - H
    for c, df in zip(C, ours.dfs, strict=True):
        WM = np.diag((c @ inverse @ X.T) ** 2 / (1 - np.diag(H)) ** 2) @ M
        assert df == pytest.approx(np.trace(WM) ** 2 / np.trace(WM @ WM), rel=1e-10)


def test_hc3_of_two_groups():
    # For group means the formula is elementary: h = 1/n, and the error of a mean is sqrt(sum e^2) / (n - 1).
    y = np.array([1.0, 2.0, 6.0, 10.0, 14.0])
    X = np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]] * 2)
    ours = hc3_contrasts(X, y, np.eye(2))
    np.testing.assert_allclose(ours.errors, [math.sqrt(14) / 2, math.sqrt(8) / 1], rtol=1e-12)
    np.testing.assert_allclose(ours.dfs, [2, 1], rtol=1e-12)


def test_hc3_tells_what_it_cannot_know():
    y = np.array([1.0, 2.0, 6.0, 10.0])
    # Two equal columns: their sum is known, their difference is not.
    twice = np.c_[np.ones(4), np.r_[0.0, 0, 1, 1], np.r_[0.0, 0, 1, 1]]
    ours = hc3_contrasts(twice, y, np.array([[0.0, 1.0, 1.0], [0.0, 1.0, -1.0]]))
    assert ours.estimates[0] == pytest.approx(6.5)
    assert np.isnan([ours.estimates[1], ours.errors[1]]).all()
    # A member with a column of its own is fitted exactly: no error for it, and none of its doing for others.
    alone = np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]])
    ours = hc3_contrasts(alone, y, np.eye(2))
    assert ours.errors[0] == pytest.approx(math.sqrt(14) / 2)
    assert np.isnan(ours.errors[1])


# --- known truths ---


def test_balanced_choice_is_a_difference_of_means():
    rng = np.random.default_rng(1)
    names = ["relu", "tanh", "gelu"] * 20
    scores = rng.normal(0, 0.01, 60) + np.array([0.9, 0.8, 0.95] * 20)
    effect = effects_of({"activation": names}, scores)["activation"]
    means = scores.reshape(20, 3).mean(0)
    assert effect.best == "gelu"
    assert effect.effect is not None
    assert effect.effect.mean == pytest.approx(means[2] - means[:2].mean(), rel=1e-10)
    assert "Bonferroni over 3 levels" in effect.effect.method
    found = {level.label: level.mean.mean for level in effect.levels if level.mean}
    assert [found[name] for name in names[:3]] == pytest.approx(means, rel=1e-10)
    assert effect.sentence.startswith("activation gelu: score 0.1")
    assert effect.diverges is None


def test_other_axes_are_adjusted_for():
    # Most relu members have the bad depth; on its own relu would look worse by 0.2.
    rng = np.random.default_rng(2)
    relu = np.array([True] * 20 + [False] * 20)
    deep = np.array([True] * 15 + [False] * 5 + [True] * 5 + [False] * 15)
    scores = 0.5 + 0.1 * relu - 0.6 * deep + rng.normal(0, 0.01, 40)
    found = effects_of({"activation": np.where(relu, "relu", "tanh"), "depth": np.where(deep, 3, 1)}, scores)
    assert found["activation"].best == "relu"
    assert found["activation"].effect is not None
    assert found["activation"].effect.low <= 0.1 <= found["activation"].effect.high
    assert found["depth"].best == "1"


def test_lower_is_better_turns_the_words():
    names = ["a", "b"] * 15
    scores = np.random.default_rng(3).normal(0, 0.01, 30) + np.array([1.0, 0.5] * 15)
    effect = effects_of({"init": names}, scores, higher_is_better=False)["init"]
    assert effect.best == "b"
    assert effect.effect is not None
    assert effect.effect.high < 0
    assert effect.sentence.startswith("init b: score 0.5")
    assert "lower than at the other values (95% interval 0.4" in effect.sentence


def test_conditional_range_is_compared_within_its_choice():
    rng = np.random.default_rng(4)
    optimizer = np.array(["sgd", "adamw"] * 100)
    lr = 10 ** rng.uniform(-4, 0, 200)
    centre = np.where(optimizer == "sgd", -0.4, -3.0)
    scores = 0.9 - 0.05 * (np.log10(lr) - centre) ** 2 + 0.3 * (optimizer == "sgd")
    found = effects_of({"optimizer": optimizer, "lr": lr}, scores + rng.normal(0, 0.005, 200), lr=("log", "optimizer"))
    best = found["lr"]
    assert best.best_given == "sgd"
    assert isinstance(best.best, tuple)
    assert best.best[0] < 10**-0.4 < best.best[1]
    assert len(best.levels) == 10
    assert best.sentence.startswith("lr from 0.")
    assert "than at the other values with sgd" in best.sentence
    # Within sgd alone the other bins are the same ones.
    mine = [level for level in best.levels if level.given == "sgd" and level.mean is not None]
    means = np.array([level.mean.mean for level in mine if level.mean is not None])
    assert best.effect is not None
    assert best.effect.mean == pytest.approx(means.max() - (means.sum() - means.max()) / 4, rel=1e-9)


def test_conditional_axis_may_be_absent():
    rng = np.random.default_rng(5)
    momenta = rng.uniform(size=40).tolist()
    values = [{"optimizer": "sgd", "momentum": momentum} for momentum in momenta]
    values += [{"optimizer": "adamw"}] * 40
    scores = (np.array([*momenta, *[0.5] * 40]) + rng.normal(0, 0.01, 80)).tolist()
    axes = [AxisColumn("optimizer", "choice"), AxisColumn("momentum", "linear", "optimizer")]
    found = axis_effects(axes, values, scores, [None] * 80, higher_is_better=True)
    assert sum(level.num for level in found[1].levels) == 40
    assert found[1].best_given == "sgd"
    assert found[1].note is not None
    assert found[1].note.startswith("The best range is at the upper end of what was tried")


def test_range_with_few_values_keeps_them():
    sizes = [16, 32, 64] * 12
    scores = np.random.default_rng(6).normal(0, 0.01, 36) + np.array([0.0, 1.0, 0.0] * 12)
    effect = effects_of({"batch_size": sizes}, scores, batch_size="log")["batch_size"]
    assert [level.label for level in effect.levels] == ["16", "32", "64"]
    assert effect.best == (32.0, 32.0)
    assert effect.note is None


@settings(max_examples=50)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=80), st.integers(2, 5))
def test_bins_part_the_members(values, bins):
    (levels,) = find_levels(AxisColumn("x", "log"), values, None, bins)
    inside = np.stack([level.inside for level in levels])
    assert (inside.sum(0) == 1).all()
    assert (inside.sum(1) > 0).all()
    assert len(levels) <= bins
    for level in levels:
        held = np.array(values)[level.inside]
        assert level.low is not None
        assert level.high is not None
        assert level.low <= held.min()
        assert held.max() <= level.high
    for left, right in itertools.pairwise(levels):
        assert max(np.array(values)[left.inside]) < min(np.array(values)[right.inside])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 10), st.floats(-5, 5))
def test_effects_move_with_scale_and_hold_their_estimate(seed, scale, shift):
    rng = np.random.default_rng(seed)
    columns = {"a": rng.choice(["x", "y"], 40), "b": rng.uniform(0, 1, 40)}
    scores = rng.normal(size=40)
    before = effects_of(columns, scores, b="linear")
    after = effects_of(columns, scale * scores + shift, b="linear")
    for name in columns:
        one, other = before[name].effect, after[name].effect
        assert one is not None
        assert other is not None
        np.testing.assert_allclose([other.mean, other.low], [scale * one.mean, scale * one.low], rtol=1e-6)
        assert one.low <= one.mean <= one.high
        assert one.mean >= 0


# --- divergence ---


def test_diverged_members_are_counted_and_never_filled():
    rng = np.random.default_rng(7)
    optimizer = np.array(["sgd", "adamw"] * 60)
    lr = 10 ** rng.uniform(-4, 0, 120)
    bad = (optimizer == "sgd") & (lr > 0.1)
    scores = rng.normal(0.9, 0.01, 120)
    steps = [310 if one else None for one in bad]
    columns = {"optimizer": optimizer, "lr": lr}
    found = effects_of(columns, np.where(bad, math.nan, scores), diverged=steps, lr=("log", "optimizer"))
    assert found["lr"].diverges is not None
    assert found["lr"].diverges.startswith("above 0.08")
    assert found["lr"].diverges.endswith(f" with sgd: {bad.sum()} of {bad.sum()} diverged")
    assert sum(level.diverged for level in found["lr"].levels) == bad.sum()
    assert f"{bad.sum()} diverged and left out" in found["lr"].sentence
    # What stands in the place of a diverged score changes nothing.
    filled = effects_of(columns, np.where(bad, -1e9, scores), diverged=steps, lr=("log", "optimizer"))
    assert filled["lr"].to_json() == found["lr"].to_json()


def test_choice_that_diverges_is_named_and_never_the_best():
    names = ["good", "fair", "bad"] * 8
    scores = np.random.default_rng(8).normal(0.5, 0.01, 24)
    scores[2] = 99.0
    steps = [5 if name == "bad" and at > 2 else None for at, name in enumerate(names)]
    effect = effects_of({"init": names}, scores, diverged=steps)["init"]
    assert effect.diverges == "bad: 7 of 8 diverged"
    assert effect.best in ("good", "fair")
    assert effect.sentence.endswith("7 diverged and left out); too few members to judge bad (1).")
    bad = next(level for level in effect.levels if level.label == "bad")
    assert bad.mean is None
    assert bad.share_diverged == 7 / 8


def test_scattered_divergence_is_no_statement():
    rng = np.random.default_rng(9)
    steps = [1 if at % 7 == 0 else None for at in range(70)]
    columns = {"a": rng.choice(["x", "y"], 70), "b": rng.uniform(0, 1, 70)}
    found = effects_of(columns, rng.normal(size=70), diverged=steps, b="linear")
    assert found["a"].diverges is None
    assert found["b"].diverges is None


def test_all_diverged():
    found = effects_of({"a": ["x", "y"] * 5, "b": range(10)}, [None] * 10, diverged=[3] * 10, b="linear")
    assert found["a"].effect is None
    assert found["a"].sentence == "All 10 members diverged, so nothing can be said about a."
    assert found["b"].levels[0].share_diverged == 1


# --- too little to say ---


def test_one_value():
    found = effects_of({"a": ["x"] * 12, "b": [1.0] * 12, "c": ["u", "v"] * 6}, range(12), b="linear")
    assert found["a"].sentence == "a was not varied (x), so there is nothing to compare."
    assert found["b"].sentence == "b was not varied (1), so there is nothing to compare."
    assert found["c"].effect is not None


def test_axes_that_change_together():
    rng = np.random.default_rng(10)
    columns = {"a": ["x", "y"] * 10, "b": ["u", "v"] * 10, "c": ["p"] * 10 + ["q"] * 10}
    found = effects_of(columns, rng.normal(size=20))
    assert found["a"].sentence == "a cannot be separated from the other axes: they changed together."
    assert found["c"].effect is not None


def test_too_few_members():
    found = effects_of({"a": ["x", "y", "z", "x"]}, [1.0, 2.0, 3.0, 4.0])
    assert found["a"].sentence.startswith("Too few members ran through to compare values of a")
    # Seven columns of a Hadamard matrix: every axis is separable, and nothing is left for the errors.
    many = {f"axis{at}": [bin(at & row).count("1") % 2 for row in range(8)] for at in range(1, 8)}
    for name, effect in effects_of(many, range(8)).items():
        assert effect.sentence == f"8 members are too few to separate {name} from the other axes; run more."
    narrow = effects_of({"lr": [0.1, 0.2, 0.3]}, [1.0, 2.0, 3.0], lr="log")["lr"]
    assert narrow.sentence.startswith("Too few members ran through")


def test_equal_scores():
    effect = effects_of({"a": ["x", "y"] * 10}, [0.1] * 20)["a"]
    assert effect.effect is None
    assert effect.sentence == "All 20 members that ran through have the same score: a made no difference."


def test_one_member_that_rules_the_error_is_noted():
    scores = np.random.default_rng(11).normal(size=30)
    scores[4] = -1e6
    effect = effects_of({"a": ["x", "y"] * 15}, scores)["a"]
    assert effect.note is not None
    assert effect.note.startswith("Member 4 (score -1e+06) alone brings 93% of the squared error")
    assert effect.effect is not None
    assert not effect.effect.excludes(0)


def test_errors_name_the_value():
    def call(axes, values, scores=None, steps=None):
        scores = [1.0] * len(values) if scores is None else scores
        steps = [None] * len(values) if steps is None else steps
        axis_effects(axes, values, scores, steps, higher_is_better=True)

    one = AxisColumn("lr", "log")
    with pytest.raises(InputError, match=r"lr of member 1 must be a number above 0, got -1\."):
        call([one], [{"lr": 1}, {"lr": -1}])
    with pytest.raises(InputError, match="lr of member 0 must be given, got None"):
        call([one], [{}])
    with pytest.raises(InputError, match=r"score of member 0 must be finite, got nan\. Give its step"):
        call([one], [{"lr": 1}], [math.nan])
    with pytest.raises(InputError, match="scores must be one for each of the 1 members, got 2"):
        call([one], [{"lr": 1}], [1.0, 2.0])
    with pytest.raises(InputError, match="values must be given for one member at least"):
        call([one], [])
    with pytest.raises(InputError, match=r"given of lr must be the name of a choice axis .*got 'optimiser'"):
        call([AxisColumn("optimizer", "choice"), AxisColumn("lr", "log", "optimiser")], [{"optimizer": "sgd"}])
    with pytest.raises(InputError, match="axes must be named once each"):
        call([one, one], [{"lr": 1}])
    with pytest.raises(InputError, match=r"Did you mean 'log'"):
        call([AxisColumn("lr", "logs")], [{"lr": 1}])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at most 200 choices"):
        call([AxisColumn("lr", "choice")], [{"lr": at} for at in range(201)])


# --- coverage ---


@pytest.mark.parametrize("screen", [(40, 0.0), (120, 0.0), (80, 0.15)])
def test_coverage(screen):
    for check in bench.check_effects(100, 72, (screen,)):
        assert check.plausible, check


def test_coverage_check_sees_a_false_level(monkeypatch):
    # A level of 30% under the name of 95%.
    right = bench.axis_effects

    def wrong(*given, **named):
        named["level"] = 0.3
        return right(*given, **named)

    monkeypatch.setattr(bench, "axis_effects", wrong)
    checks = bench.check_effects(100, 72, ((120, 0.0),))
    assert all(not check.plausible for check in checks if check.counts == "covered")


def test_many_members_are_quick():
    members, scores = bench.draw_members(np.random.default_rng(12), 10_000)
    found = axis_effects(bench.AXES, members, scores.tolist(), [None] * 10_000, higher_is_better=True)
    assert {effect.axis for effect in found if effect.effect and effect.effect.excludes(0)} >= {
        "lr",
        "activation",
        "dropout",
    }


def test_levels_stand_in_their_natural_order():
    widths = ["256", "64x32", "64", "128"] * 10
    decay = ["0", "0.001", "0.0001", "0.01"] * 10
    found = effects_of({"widths": widths, "decay": sorted(decay)}, np.random.default_rng(3).normal(size=40))
    assert [level.label for level in found["widths"].levels] == ["64", "64x32", "128", "256"]
    assert [level.label for level in found["decay"].levels] == ["0", "0.0001", "0.001", "0.01"]
