"""The paired comparison of two recipes on the same seeds, and how many seeds it needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from thalweg.core._errors import InputError, check_number
from thalweg.core._intervals import (
    Interval,
    all_same,
    check_scores,
    mean_of,
    rounding_of,
    same_scores,
    std_of,
    t_method,
    t_quantile,
)

PAIRED = "the mean paired difference over seeds"
#: probability with which the seeds that are named would tell; above so many none are named
_POWER, _MOST_SEEDS = 0.8, 100_000


@dataclass(frozen=True, kw_only=True)
class PairedDifference(Interval):
    """The interval of a mean paired difference, with the decision that it supports."""

    told_apart: bool
    """Whether the two can be told apart: the test at this level, corrected, rejects "no difference"."""
    pvalue: float
    """Two-sided, after the correction; at most 1 - level exactly where told_apart."""
    comparisons: int = 1
    """Number of comparisons made at once; `level` holds for all of them together."""

    @property
    def needed(self) -> int | None:
        """The total number of seeds that would tell the two apart; None above 100,000, or where they do not differ.

        It is the smallest S for which the paired t test at this level, corrected, rejects on the right side with
        probability 0.8, if the true mean and spread are those that were seen (noncentral t; Cohen, Statistical power
        analysis for the behavioral sciences, 1988, chapter 2). A difference that was picked because it is large needs
        more seeds than this says.
        """
        seeds = self.seeds or 0
        if seeds < 2:
            return None
        half = (self.high - self.low) / 2 if math.isfinite(self.low) else 0.0  # all are the same, and too few
        std = half * math.sqrt(seeds) / t_quantile(self.level, seeds - 1, self.comparisons)
        return _enough_seeds(abs(self.mean), std, self.level, self.comparisons)

    def __str__(self) -> str:
        return f"{super().__str__()}: {'told apart' if self.told_apart else 'not told apart'}"


def paired_difference(a: ArrayLike, b: ArrayLike, level: float = 0.95, comparisons: int = 1) -> PairedDifference:
    """Returns the interval of mean(a - b), where a and b are scores of two recipes on the same seeds.

    Student's t on the S differences at the level 1 - (1 - level) / comparisons (Bonferroni), so that with
    `comparisons` of them at once no true "no difference" is rejected with probability `level` or more.

    Pairing takes out what a seed does to both. Differences are less skewed than scores, so t is fair with
    S >= 5 seeds; 2 to 4 are allowed and labelled. One seed cannot tell: infinite ends. Where all differences
    are the same (no spread to estimate), the sign test decides: p = 2^(1 - S), which needs 6 seeds at 95% and
    one comparison; the interval is then that point, and infinite below. Nothing is ever told apart by
    differences that are all 0.

    Args:
        a: Scores of the first recipe, (S,).
        b: Scores of the second on the same seeds in the same order, (S,).
        level: Between 0 and 1, for all comparisons together.
        comparisons: How many such differences are looked at, so that any may stand out by chance.

    Raises:
        InputError: if lengths differ or a score is not finite.

    Example:
        >>> print(paired_difference([0.93, 0.95, 0.94, 0.96, 0.95], [0.90, 0.93, 0.90, 0.93, 0.92]))
        0.0300 (95% interval 0.0212 to 0.0388, of the mean paired difference over seeds; 5 seeds): told apart

    References:
        Student, The probable error of a mean, 1908 (the paired form).
        Dunn, Multiple comparisons among means, 1961 (Bonferroni's inequality for intervals).
    """
    first, second = check_scores("a", a), check_scores("b", b)
    check_number("level", level, above=0, below=1)
    check_number("comparisons", comparisons, least=1, integer=True)
    if len(first) != len(second):
        rule = f"paired with b by seed: {len(second)} values"
        raise InputError("a", rule, len(first), "Leave out a seed that diverged in both, and say how many.")
    differences = first - second
    seeds, mean = len(differences), mean_of(differences)
    scale = float(max(np.abs(first).max(), np.abs(second).max()))
    correction = "" if comparisons == 1 else f", Bonferroni over {comparisons} comparisons"
    if seeds == 1:
        low, high, method, pvalue = -math.inf, math.inf, "one seed cannot tell", 1.0
    elif all_same(differences, scale):
        zero = abs(mean) <= rounding_of(scale)
        mean = 0.0 if zero else mean
        sign = min(1.0, 2.0 ** (1 - seeds) * comparisons)
        low, high, method = same_scores(mean, known=sign <= 1 - level, what="differences")
        method, pvalue = method + f"; sign test{correction}", 1.0 if zero else sign
    else:
        error = std_of(differences) / math.sqrt(seeds)
        half = t_quantile(level, seeds - 1, comparisons) * error
        low, high = mean - half, mean + half
        pvalue = min(1.0, 2 * comparisons * float(scipy.special.stdtr(seeds - 1, -abs(mean) / error)))
        method = t_method("paired Student t", seeds) + correction
    return PairedDifference(
        mean=mean,
        low=low,
        high=high,
        level=level,
        method=method,
        label=PAIRED,
        seeds=seeds,
        told_apart=pvalue <= 1 - level,
        pvalue=pvalue,
        comparisons=comparisons,
    )


def _enough_seeds(mean: float, std: float, level: float, comparisons: int) -> int | None:
    """Returns the smallest number of seeds that tells differences of this mean and spread apart from 0."""
    if mean == 0:
        return None
    if std == 0:
        needed = math.ceil(1 - math.log2((1 - level) / comparisons))
        return needed if needed <= _MOST_SEEDS else None
    effect = mean / std

    def enough(seeds: int) -> bool:
        quantile = t_quantile(level, seeds - 1, comparisons)
        reached = 1 - float(scipy.special.nctdtr(seeds - 1, effect * math.sqrt(seeds), quantile))
        # The noncentral distribution has no number for huge effects, which any test would see.
        return math.isnan(reached) or reached >= _POWER

    if not enough(_MOST_SEEDS):
        return None
    low, high = 1, _MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
