"""Flips of signs: against scipy's exact test, by coverage, and where Student's t stands in."""

import numpy as np
import pytest
from scipy import stats

from thalweg.core import InputError, paired_difference, sign_flip_difference

REPS = 1_500


@pytest.mark.parametrize("num", [6, 8, 11])
@pytest.mark.parametrize("shift", [0.0, 0.4, -1.0])
def test_the_decision_is_that_of_the_exact_test(num, shift):
    rng = np.random.default_rng(num)
    for _ in range(10):
        a, b = rng.standard_t(3, num) + shift, rng.normal(size=num)
        found = sign_flip_difference(a, b)
        exact = stats.permutation_test(
            (a, b), lambda x, y, axis: (x - y).mean(axis), permutation_type="samples", vectorized=True
        )
        assert found.pvalue == pytest.approx(exact.pvalue)
        assert found.told_apart == (found.pvalue <= 0.05) == found.excludes(0)
        assert found.mean == pytest.approx((a - b).mean())


@pytest.mark.parametrize("num", [6, 8, 13])
@pytest.mark.parametrize("name", ["normal", "laplace", "standard_cauchy"])
def test_it_covers_the_centre_as_often_as_it_says(num, name):
    rng = np.random.default_rng(num)
    drawn = getattr(rng, name)(size=(REPS, num)) + 2.0
    covered = sum(not sign_flip_difference(row, np.zeros(num)).excludes(2.0) for row in drawn)
    known = 1 - 2 * int(2**num * 0.025) / 2**num  # what the number of flips allows
    low, high = stats.binom.ppf([0.0005, 0.9995], REPS, known)
    assert low <= covered <= high


@pytest.mark.parametrize("num", [1, 2, 5, 17])
def test_with_few_or_many_pairs_it_is_student(num):
    rng = np.random.default_rng(num)
    a, b = rng.normal(size=num), rng.normal(size=num)
    assert sign_flip_difference(a, b) == paired_difference(a, b)


def test_where_all_differ_by_the_same_or_the_level_is_beyond_the_pairs_it_is_what_paired_difference_says():
    a = np.arange(8.0)
    assert sign_flip_difference(a, a - 1) == paired_difference(a, a - 1)
    rng = np.random.default_rng(0)
    b = rng.normal(size=8)
    assert sign_flip_difference(a, b, 0.999) == paired_difference(a, b, 0.999)


def test_bad_input_is_one_line():
    with pytest.raises(InputError, match="a must be paired with b by seed: 7 values, got 8"):
        sign_flip_difference(np.zeros(8), np.zeros(7))
