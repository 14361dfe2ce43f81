"""The paired comparison where differences are few and may be skewed: by flips of their signs."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from thalweg.core._intervals import mean_of
from thalweg.core._paired import PairedDifference, paired_difference

#: pairs below which no interval of 95% is finite, and above which Student's t is as good and needs no 2^S means
_FEWEST, _MOST = 6, 16


def sign_flip_difference(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> PairedDifference:
    """Returns the interval of mean(a - b) that holds where the differences lie evenly around it, whatever their spread.

    Were there no difference, each pair could as well stand the other way round: every flip of the signs of the S
    differences is as likely as what was seen. The means of all 2^S - 1 subsets then cut the line into 2^S parts, each
    as likely to hold the centre. The interval goes from the k-th lowest mean to the k-th highest, with k the largest
    whole number up to 2^S (1 - level) / 2; it excludes 0 exactly where the test by flips rejects "no difference". A
    pair that differs much more than the others moves one of its ends, where it widens Student's interval on both.

    With fewer pairs than 6 no such interval is finite at 95%, and above 16 t is as good: there it is
    `paired_difference`, and so it is where the level asks for more than S pairs can give.

    Args:
        a: Scores of the first, (S,). b: of the second on the same seeds in the same order, (S,).
        level: Between 0 and 1.

    Raises:
        InputError: as `paired_difference`.

    Example:
        >>> a, b = [0.19, 0.29, 0.17, 0.15, 0.17, 0.16, 0.15, 0.17], [0.15, 0.15, 0.16, 0.14, 0.15, 0.15, 0.14, 0.15]
        >>> print(sign_flip_difference(a, b))
        0.033 (95% interval 0.010 to 0.075, of the mean paired difference over seeds; 8 seeds): told apart
        >>> paired_difference(a, b).told_apart
        False

    References:
        Fisher, The design of experiments, 1935, section 21 (the test).
        Hartigan, Using subsample values as typical values, 1969 (the interval).
    """
    by_t = paired_difference(a, b, level)
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    num = len(differences)
    place = math.floor(2**num * (1 - level) / 2 + 1e-9)
    if not _FEWEST <= num <= _MOST or place < 1 or np.ptp(differences) == 0:
        return by_t
    members = _subsets(num)
    means = np.sort(members @ differences / members.sum(1))
    extreme = 1 + min(int((means <= 0).sum()), int((means >= 0).sum()))
    pvalue = min(1.0, 2 * extreme / 2**num)
    mean, low, high = mean_of(differences), float(means[place - 1]), float(means[-place])
    return PairedDifference(
        mean=mean,
        low=min(low, mean),  # they are one number but for rounding where all but one are the same
        high=max(high, mean),
        level=level,
        method=f"flips of the signs of {num} differences",
        label=by_t.label,
        seeds=num,
        told_apart=low > 0 or high < 0,
        pvalue=pvalue,
    )


@cache
def _subsets(num: int) -> np.ndarray:
    """Returns (2^num - 1, num), a row of 0 and 1 for each subset that is not empty."""
    return (np.arange(1, 2**num)[:, None] >> np.arange(num) & 1).astype(np.float64)
