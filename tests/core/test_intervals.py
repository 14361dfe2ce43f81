"""Intervals against scipy, by formula, by property and by coverage; the check is shown wrong ones."""

import importlib.util
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from thalweg.core import (
    InputError,
    Interval,
    PairedDifference,
    format_together,
    interval_of_mean,
    interval_with_rows,
    paired_difference,
    prediction_interval,
    t_quantile,
)

_SPEC = importlib.util.spec_from_file_location(
    "bench_intervals", Path(__file__).parents[2] / "benchmarks" / "intervals.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
bench = importlib.util.module_from_spec(_SPEC)
# dataclasses look their module up by name.
sys.modules[_SPEC.name] = bench
_SPEC.loader.exec_module(bench)

REPS = 300

scores = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12)


def spread_out(values):
    return np.ptp(values) > 1e-6


# --- against scipy ---


@pytest.mark.parametrize("seeds", [2, 5, 10])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_mean_agrees_with_scipy(seeds, level):
    values = np.random.default_rng(seeds).normal(0.9, 0.01, seeds)
    ours = interval_of_mean(values, level)
    theirs = stats.ttest_1samp(values, 0.0).confidence_interval(level)
    np.testing.assert_allclose([ours.low, ours.high], theirs, rtol=1e-12)
    assert ours.seeds == seeds


@pytest.mark.parametrize("comparisons", [1, 7])
def test_paired_agrees_with_scipy(comparisons):
    rng = np.random.default_rng(3)
    a, b = rng.normal(1, 1, 6), rng.normal(0, 1, 6)
    ours = paired_difference(a, b, comparisons=comparisons)
    theirs = stats.ttest_rel(a, b)
    ends = theirs.confidence_interval(1 - 0.05 / comparisons)
    np.testing.assert_allclose([ours.low, ours.high], ends, rtol=1e-12)
    assert ours.pvalue == pytest.approx(min(1, comparisons * theirs.pvalue), rel=1e-10)
    assert ours.told_apart == ours.excludes(0)


def test_prediction_interval_by_formula():
    values = [1.0, 2.0, 4.0]
    half = stats.t.ppf(0.975, 2) * np.std(values, ddof=1) * math.sqrt(4 / 3)
    ours = prediction_interval(values)
    np.testing.assert_allclose([ours.low, ours.high], [7 / 3 - half, 7 / 3 + half], rtol=1e-12)


def test_t_quantile():
    assert t_quantile(0.95, 7, 4) == pytest.approx(stats.t.ppf(1 - 0.05 / 8, 7), rel=1e-12)
    assert t_quantile(0.95, math.inf) == pytest.approx(stats.norm.ppf(0.975), rel=1e-12)


def test_power_agrees_with_simulation():
    rng = np.random.default_rng(11)
    differences = np.array([0.0, 2.0])  # effect of 1 / sqrt(2) deviations
    needed = paired_difference(differences, np.zeros(2)).needed
    assert needed is not None
    draws = rng.normal(1.0, np.std(differences, ddof=1), (4000, needed))
    rejected = stats.ttest_1samp(draws, 0.0, axis=1).pvalue <= 0.05  # type: ignore[attr-defined]
    assert 0.78 <= rejected.mean() <= 0.84
    fewer = stats.ttest_1samp(draws[:, : needed - 3], 0.0, axis=1).pvalue <= 0.05  # type: ignore[attr-defined]
    assert fewer.mean() < 0.78


# --- seeds and rows ---


def test_rows_variance_by_table():
    # Two-way table by hand: mean squares 4.5 (seeds), 8.16666667 (rows), 0.5 (rest).
    table = np.array([[1.0, 2.0, 5.0], [3.0, 3.0, 6.0]])
    grand = table.mean()
    ms_seed = 3 * ((table.mean(1) - grand) ** 2).sum() / 1
    ms_row = 2 * ((table.mean(0) - grand) ** 2).sum() / 2
    rest = table - table.mean(1, keepdims=True) - table.mean(0) + grand
    ms_rest = (rest**2).sum() / 2
    s2_seed, s2_row = (ms_seed - ms_rest) / 3, (ms_row - ms_rest) / 2
    assert min(s2_seed, s2_row) > 0
    variance = s2_seed / 2 + s2_row / 3 + ms_rest / 6
    df = (6 * variance) ** 2 / (ms_seed**2 / 1 + ms_row**2 / 2 + ms_rest**2 / 2)
    half = stats.t.ppf(0.975, df) * math.sqrt(variance)
    ours = interval_with_rows(table)
    np.testing.assert_allclose([ours.low, ours.high], [grand - half, grand + half], rtol=1e-12)
    assert (ours.seeds, ours.rows) == (2, 3)


def test_rows_make_it_wider_than_seeds_alone():
    rng = np.random.default_rng(0)
    table = rng.normal(0, 1, (1, 400)) + rng.normal(0, 0.05, (5, 1)) + rng.normal(0, 0.3, (5, 400))
    with_rows, seeds_only = interval_with_rows(table), interval_of_mean(table.mean(1))
    assert with_rows.label != seeds_only.label
    assert with_rows.high - with_rows.low > 1.05 * (seeds_only.high - seeds_only.low)


def test_one_seed_counts_rows_only_and_says_so():
    ours = interval_with_rows(np.random.default_rng(0).normal(size=(1, 50)))
    assert "one seed cannot tell" in ours.label
    assert str(ours).endswith("1 seed, 50 test rows)")


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_right_or_all_wrong_is_wilson(value):
    ours = interval_with_rows(np.full((5, 100), value))
    wilson = stats.binomtest(int(100 * value), 100).proportion_ci(method="wilson")
    # t on 99 degrees of freedom in the place of the normal quantile: slightly wider.
    np.testing.assert_allclose([ours.low, ours.high], wilson, atol=1e-3)
    assert ours.method == "all scores are the same: Wilson with the 100 rows"


def test_correctness_stays_inside_0_and_1():
    table = np.ones((3, 40))
    table[0, 0] = 0
    ours = interval_with_rows(table)
    assert 0 < ours.low < ours.mean < ours.high <= 1
    assert "Wilson" in ours.method


def test_equal_real_scores_cannot_tell():
    ours = interval_with_rows(np.full((3, 40), 0.3))
    assert not ours.bounded
    assert "cannot be estimated" in str(ours)


def test_display_maps_the_ends():
    table = np.random.default_rng(0).uniform(1, 2, (4, 60))
    plain = interval_with_rows(table)
    root = interval_with_rows(table, display=math.sqrt)
    np.testing.assert_allclose(
        [root.mean, root.low, root.high], np.sqrt([plain.mean, plain.low, plain.high]), rtol=1e-12
    )
    falling = interval_with_rows(table, display=lambda x: -x)
    assert (falling.low, falling.high) == (-plain.high, -plain.low)


@pytest.mark.parametrize("root", [math.sqrt, np.sqrt])
def test_display_end_without_a_value_is_moved_aloud(root):
    table = np.array([[0.01, 0.02, 0.01, 9.0]] * 2)
    assert interval_with_rows(table).low < 0
    ours = interval_with_rows(table, display=root)
    assert ours.low == pytest.approx(0.1)
    assert "lower end moved to the nearest row score" in ours.method


def test_display_must_be_monotone():
    with pytest.raises(InputError, match="display must be a monotone function"):
        interval_with_rows([[-1.0, 1.0, 0.5], [-1.0, 1.1, 0.4]], display=abs)


# --- no spread, one seed ---


@pytest.mark.parametrize("method", [interval_of_mean, prediction_interval])
def test_one_seed_cannot_tell(method):
    ours = method([0.7])
    assert (ours.low, ours.high) == (-math.inf, math.inf)
    assert str(ours) == "0.7 (no 95% interval: one seed cannot tell; 1 seed)"


def test_one_pair_cannot_tell():
    ours = paired_difference([0.9], [0.1])
    assert not ours.told_apart
    assert not ours.bounded
    assert ours.method == "one seed cannot tell"


@pytest.mark.parametrize(("seeds", "comparisons", "told"), [(5, 1, False), (6, 1, True), (6, 2, False), (8, 3, True)])
def test_equal_differences_are_left_to_the_sign_test(seeds, comparisons, told):
    # 0.3 - 0.1 rounds to other bits than 0.2, which must not pass for a spread.
    a = np.array([0.3, 0.5, 0.9, 0.4, 0.6, 0.3, 0.7, 0.8])[:seeds]
    ours = paired_difference(a, a - 0.2, comparisons=comparisons)
    assert ours.told_apart is told
    assert ours.bounded is told
    assert ours.pvalue == min(1.0, 2.0 ** (1 - seeds) * comparisons)


def test_no_difference_is_never_told_apart():
    ours = paired_difference([0.5] * 20, [0.5] * 20)
    assert (ours.told_apart, ours.low, ours.high, ours.pvalue) == (False, 0.0, 0.0, 1.0)


def test_equal_scores_by_seed():
    assert not interval_of_mean([0.9] * 5).bounded
    assert interval_of_mean([0.9] * 6).bounded
    assert not prediction_interval([0.9] * 38).bounded
    assert prediction_interval([0.9] * 39).bounded


def test_few_seeds_are_labelled():
    assert "only 4 seeds" in interval_of_mean([1.0, 2.0, 3.0, 4.0]).method
    assert "only" not in interval_of_mean([1.0, 2.0, 3.0, 4.0, 5.0]).method


def test_seeds_needed():
    def needed(differences, comparisons=1):
        return paired_difference(differences, np.zeros(len(differences)), comparisons=comparisons).needed

    assert needed([1.0]) is None
    assert needed([1.0, -1.0]) is None
    assert needed([0.0, 0.0, 0.0]) is None
    assert needed([0.2, 0.2, 0.2]) == needed([0.2] * 9) == 6
    assert needed([1e9, 1e9 + 1]) == 2
    assert needed([-1.0, 1.001]) is None
    few, many = needed([0.0, 2.0]), needed([0.0, 2.0], comparisons=10)
    assert few is not None
    assert many is not None
    assert few < many


# --- bad input ---


def test_errors_name_the_value():
    with pytest.raises(InputError, match=r"values must be finite \(number 1 is not\), got nan"):
        interval_of_mean([1.0, math.nan])
    with pytest.raises(InputError, match="a must be paired with b by seed: 2 values, got 1"):
        paired_difference([1.0], [1.0, 2.0])
    with pytest.raises(InputError, match="level must be a number above 0 and below 1, got 95"):
        interval_of_mean([1.0, 2.0], 95)
    with pytest.raises(InputError, match="comparisons must be a whole number at least 1"):
        paired_difference([1.0, 2.0], [1.0, 2.0], comparisons=0)
    with pytest.raises(InputError, match=r"row_scores must be finite \(seed 1, row 0 is not\)"):
        interval_with_rows([[1.0, 2.0], [math.inf, 1.0]])
    with pytest.raises(InputError, match="row_scores must be of shape"):
        interval_with_rows([1.0, 2.0])
    with pytest.raises(InputError, match="values must be a list of at least 1 number"):
        interval_of_mean([])


# --- as data, as text ---


@pytest.mark.parametrize(
    "interval",
    [
        interval_of_mean([1.0, 2.0, 4.0]),
        interval_of_mean([1.0]),
        interval_with_rows([[0, 1, 1], [1, 1, 0]]),
        paired_difference([1.0, 2.0], [0.5, 1.0], comparisons=3),
    ],
)
def test_json_round_trip(interval):
    text = json.dumps(interval.to_json(), allow_nan=False)
    assert type(interval).from_json(json.loads(text)) == interval


def test_json_keys_are_checked():
    data = interval_of_mean([1.0, 2.0]).to_json()
    with pytest.raises(InputError, match="interval must be an object with the keys"):
        Interval.from_json(data | {"more": 1})
    with pytest.raises(InputError, match="in this order"):
        Interval.from_json(data | {"low": 5.0})


def test_text():
    interval = Interval(mean=0.5, low=-0.04, high=1.04, level=0.9, method="", label="this")
    assert str(interval) == "0.50 (90% interval -0.04 to 1.04, of this)"
    assert str(paired_difference([1.0, 2.0], [1.1, 1.9])).endswith(": not told apart")
    assert format_together(-0.001, -1.0, 12345.0) == ["0", "-1", "12345"]


# --- properties ---


@given(scores)
def test_intervals_hold_their_mean(values):
    plain, one = interval_of_mean(values), prediction_interval(values)
    assert plain.low <= plain.mean <= plain.high
    if spread_out(values):
        assert one.low < plain.low
        assert plain.high < one.high


@given(scores, st.floats(0.01, 100), st.floats(-100, 100))
def test_intervals_move_with_scale_and_shift(values, scale, shift):
    assume(spread_out(values))
    for method in (interval_of_mean, prediction_interval):
        before, after = method(values), method(scale * np.array(values) + shift)
        expected = [scale * end + shift for end in (before.low, before.mean, before.high)]
        np.testing.assert_allclose([after.low, after.mean, after.high], expected, rtol=1e-6, atol=1e-6)


@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-100, 100))
def test_rows_interval_moves_with_scale_and_shift(seed, scale, shift):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(int(rng.integers(1, 5)), int(rng.integers(3, 9))))
    before, after = interval_with_rows(table), interval_with_rows(scale * table + shift)
    expected = [scale * end + shift for end in (before.low, before.mean, before.high)]
    np.testing.assert_allclose([after.low, after.mean, after.high], expected, rtol=1e-6, atol=1e-6)


@given(st.integers(0, 10_000))
def test_paired_swaps_sign_and_widens_with_comparisons(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, int(rng.integers(2, 9))))
    one, other, many = (
        paired_difference(a, b),
        paired_difference(b, a),
        paired_difference(a, b, comparisons=5),
    )
    np.testing.assert_allclose([one.low, one.high], [-other.high, -other.low], rtol=1e-12)
    assert one.told_apart == other.told_apart
    assert many.low < one.low
    assert isinstance(many, PairedDifference)
    assert many.pvalue >= one.pvalue
    assert one.told_apart or not many.told_apart


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=6, max_size=60))
def test_correctness_interval_is_inside_0_and_1(values):
    rows = len(values) // 2
    ours = interval_with_rows(np.reshape(values[: 2 * rows], (2, rows)))
    assert 0 <= ours.low <= ours.mean <= ours.high <= 1
    assert ours.low < ours.high


# --- coverage ---


@pytest.mark.parametrize("part", ["check_means", "check_rows", "check_predictions", "check_pairs"])
def test_coverage(part):
    for check in getattr(bench, part)(REPS, 71):
        assert check.plausible, check


def halved(method):
    def wrong(*given):
        right = method(*given)
        half = (right.high - right.low) / 4
        return replace(right, low=right.mean - half, high=right.mean + half)

    return wrong


def too_wide(method):
    def wrong(*given):
        right = method(*given)
        width = right.high - right.low
        return replace(right, low=right.low - width, high=right.high + width)

    return wrong


@pytest.mark.parametrize("sabotage", [halved, too_wide])
@pytest.mark.parametrize(
    ("part", "method"),
    [
        ("check_means", interval_of_mean),
        ("check_rows", interval_with_rows),
        ("check_predictions", prediction_interval),
    ],
)
def test_coverage_check_sees_a_wrong_interval(part, method, sabotage):
    # On three seeds an interval may be off by less than the check can see; most rows must fail.
    checks = [
        check for check in getattr(bench, part)(1000, 71, sabotage(method)) if (check.low, check.high) != bench.LIMIT
    ]
    failed = [check for check in checks if not check.plausible]
    assert len(failed) >= 0.6 * len(checks)
    assert not any(check.passed for check in failed)


def test_coverage_check_sees_normal_quantiles_on_five_seeds():
    def wrong(values):
        values = np.asarray(values)
        half = 1.96 * values.std(ddof=1) / math.sqrt(len(values))
        return replace(interval_of_mean(values), low=values.mean() - half, high=values.mean() + half)

    five = [check for check in bench.check_means(1000, 71, wrong) if check.setting == "normal, 5 seeds"]
    assert not five[0].passed
    assert not five[0].plausible


def test_false_alarm_check_sees_a_loose_test():
    loose = bench.Check(part="", setting="", counts="", hits=110, reps=1000, low=0.0, high=0.061)
    assert not loose.passed
    assert not loose.plausible
