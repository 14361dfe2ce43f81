"""Three kinds of interval that are kept apart and labelled.

1. `interval_of_mean`: of the mean over seeds, on this test set.
2. `interval_with_rows`: the same with the sampling of the test rows included.
3. `prediction_interval`: for the score of one new run.

They rest on Student's t, so they lean on the normal distribution where seeds are few; each docstring says
when that is fair, and `Interval.method` says what was done. docs/statistics.md has the formulas, and
benchmarks/intervals.py measures the coverage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np
import scipy
from numpy.typing import ArrayLike

from thalweg.core._errors import InputError, check_number

OVER_SEEDS = "the mean over seeds on this test set"
WITH_ROWS = "the mean over seeds and test rows"
ROWS_ONLY = "the score of this one seed over test rows; one seed cannot tell how seeds differ"
NEW_RUN = "the score of one new run"

# With fewer seeds than this, t rests wholly on the scores being normal, and `method` says so.
FEW_SEEDS = 5


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number with the interval around it, and what the interval is of.

    Example:
        >>> print(interval_of_mean([0.91, 0.93, 0.92, 0.90, 0.94]))
        0.920 (95% interval 0.900 to 0.940, of the mean over seeds on this test set; 5 seeds)
    """

    mean: float
    """The estimate; always inside the interval."""
    low: float
    """Lower end; -inf where the data cannot tell."""
    high: float
    """Upper end; inf where the data cannot tell."""
    level: float
    """How often, over repetitions, such an interval covers the truth: 0.95."""
    method: str
    """How the ends were computed, with what was special about this case."""
    label: str
    """What the interval is of, to be read after "of"."""
    seeds: int | None = None
    """Number of seeds that it rests on."""
    rows: int | None = None
    """Number of test rows that it rests on, where their sampling is included."""

    def __post_init__(self) -> None:
        check_number("level", self.level, above=0, below=1)
        check_number("mean", self.mean)
        if not self.low <= self.mean <= self.high:
            raise InputError(
                "low, mean and high", "in this order", (self.low, self.mean, self.high), "Compute it again."
            )

    @property
    def bounded(self) -> bool:
        """Whether both ends are finite; they are not where the data cannot tell."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def excludes(self, value: float = 0.0) -> bool:
        """Returns whether `value` lies outside the interval."""
        return not self.low <= value <= self.high

    def within(self, least: float, most: float) -> Self:
        """Returns the interval cut to the values that the number can have; `method` says so where an end moved.

        What is cut off cannot be the truth, so the interval covers as often as before. Ends that the data cannot tell
        stay.

        Example:
            >>> cut = interval_of_mean([0.99, 1.0, 0.97]).within(0, 1)
            >>> cut.high, cut.method.endswith("cut at 1")
            (1.0, True)
        """
        low = float(least) if math.isfinite(self.low) and self.low < least else self.low
        high = float(most) if math.isfinite(self.high) and self.high > most else self.high
        cut = [f"{new:g}" for new, old in ((low, self.low), (high, self.high)) if new != old]
        method = f"{self.method}; cut at {' and '.join(cut)}" if cut else self.method
        return replace(self, low=low, high=high, method=method)

    def to_json(self) -> dict[str, Any]:
        """Returns plain data; an end that the data cannot tell is None."""
        data = asdict(self)
        return data | {end: data[end] if math.isfinite(data[end]) else None for end in ("low", "high")}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Returns the interval that `to_json` wrote.

        Raises:
            InputError: for unknown or missing keys, or ends out of order.
        """
        known = {field.name for field in fields(cls)}
        if set(data) != known:
            raise InputError("interval", f"an object with the keys {', '.join(sorted(known))}", sorted(data))
        ends = {
            "low": -math.inf if data["low"] is None else data["low"],
            "high": math.inf if data["high"] is None else data["high"],
        }
        return cls(**{**data, **ends})

    def __str__(self) -> str:
        basis = [f"{num} {noun}" for num, noun in ((self.seeds, "seeds"), (self.rows, "test rows")) if num]
        if self.seeds == 1:
            basis[0] = "1 seed"
        tail = f"; {', '.join(basis)}" if basis else ""
        if not self.bounded:
            return f"{self.mean:.4g} (no {100 * self.level:g}% interval: {self.method}{tail})"
        mean, low, high = format_together(self.mean, self.low, self.high)
        return f"{mean} ({100 * self.level:g}% interval {low} to {high}, of {self.label}{tail})"


def format_together(*numbers: float) -> list[str]:
    """Returns the numbers with as many decimals as two digits of half their spread need.

    Example:
        >>> format_together(0.92, 0.9003675, 0.9396325)
        ['0.920', '0.900', '0.940']
    """
    spread = max(numbers) - min(numbers)
    if not (math.isfinite(spread) and spread > 0):
        return [f"{number:.4g}" for number in numbers]
    decimals = max(0, 1 - math.floor(math.log10(spread / 2)))
    if decimals > 8:
        return [f"{number:.3g}" for number in numbers]
    # Adding 0.0 turns "-0.00" into "0.00".
    return [f"{round(number, decimals) + 0.0:.{decimals}f}" for number in numbers]


def t_quantile(level: float, df: float, comparisons: int = 1) -> float:
    """Returns the half-width in standard errors of a two-sided t interval, Bonferroni-corrected.

    The 1 - (1 - level) / (2 comparisons) quantile of t with `df` degrees of freedom (inf: normal).

    Example:
        >>> round(t_quantile(0.95, 4), 3)
        2.776
    """
    tail = 1 - (1 - level) / (2 * comparisons)
    return float(scipy.special.ndtri(tail) if math.isinf(df) else scipy.special.stdtrit(df, tail))


def interval_of_mean(values: ArrayLike, level: float = 0.95) -> Interval:
    """Returns Student's interval of the mean over seeds, on this test set.

    mean -+ t(S - 1) * s / sqrt(S). It says what the average of many more seeds would be with the same
    training and test rows; it does not say how another test set would come out.

    With S >= 5 seeds it is fair for scores of moderate skew (measured coverage is in docs/statistics.md);
    with 2 to 4 it rests on the scores being normal, and `method` says so. One seed has no spread: the ends
    are infinite. Where all scores are the same, the estimated spread of 0 would give a point whatever S is;
    the distribution-free interval from the lowest to the highest score is taken instead, which has level
    1 - 2^(1 - S) for the median, so that it is a point from 6 seeds on (95%) and infinite below.

    Args:
        values: One score per seed, (S,).
        level: Between 0 and 1.

    Raises:
        InputError: if a value is not finite or there is none.

    References:
        Student, The probable error of a mean, 1908.
        David and Nagaraja, Order statistics, 2003, section 7.1 (the distribution-free interval).
    """
    scores = check_scores("values", values)
    check_number("level", level, above=0, below=1)
    seeds, mean = len(scores), mean_of(scores)
    common = {"mean": mean, "level": level, "label": OVER_SEEDS, "seeds": seeds}
    if seeds == 1:
        return Interval(low=-math.inf, high=math.inf, method="one seed cannot tell", **common)
    if all_same(scores):
        low, high, method = same_scores(mean, known=2.0 ** (1 - seeds) <= 1 - level, what="scores")
        return Interval(low=low, high=high, method=method, **common)
    half = t_quantile(level, seeds - 1) * std_of(scores) / math.sqrt(seeds)
    return Interval(low=mean - half, high=mean + half, method=t_method("Student t", seeds), **common)


def prediction_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Returns the interval for the score of one new run with a new seed, on this test set.

    mean -+ t(S - 1) * s * sqrt(1 + 1/S). It does not shrink to a point with more seeds, as a new run keeps
    its own spread. More seeds do not mend skew here either: it is fair where the scores themselves
    are near normal. Where all scores are the same, the distribution-free interval from the lowest to the
    highest, of level (S - 1)/(S + 1), is taken if it reaches `level` (39 seeds for 95%); else the ends are
    infinite.

    Args:
        values: One score per seed, (S,).
        level: Between 0 and 1.

    Raises:
        InputError: if a value is not finite or there is none.

    References:
        Hahn and Meeker, Statistical intervals, 1991, sections 4.7 and 5.4.
    """
    scores = check_scores("values", values)
    check_number("level", level, above=0, below=1)
    seeds, mean = len(scores), mean_of(scores)
    common = {"mean": mean, "level": level, "label": NEW_RUN, "seeds": seeds}
    if seeds == 1:
        return Interval(low=-math.inf, high=math.inf, method="one seed cannot tell", **common)
    if all_same(scores):
        low, high, method = same_scores(mean, known=(seeds - 1) / (seeds + 1) >= level, what="scores")
        return Interval(low=low, high=high, method=method, **common)
    half = t_quantile(level, seeds - 1) * std_of(scores) * math.sqrt(1 + 1 / seeds)
    return Interval(low=mean - half, high=mean + half, method=t_method("Student t", seeds), **common)


def interval_with_rows(
    row_scores: ArrayLike, level: float = 0.95, *, display: Callable[[float], float] | None = None
) -> Interval:
    """Returns the interval of the mean score with both the seeds and the test rows taken as samples.

    Every seed scores the same rows, so the effects are crossed: score = mean + seed + row + rest. The three
    variances are estimated from the two-way mean squares, a negative one is set to 0, and

        var(mean) = s2_seed / S + s2_row / n + s2_rest / (S n),

    with Satterthwaite's degrees of freedom for the sum. The ends are mean -+ t * sqrt(var) for real-valued
    scores. Scores that are all 0 or 1 (correct or not) get Wilson's interval instead, with the effective
    number of rows mean (1 - mean) / var(mean), at most S n, in the place of n and t in the place of the
    normal quantile: it stays inside 0 and 1 and does not collapse at them. Where all such scores are the
    same, the rows alone count: n.

    Fair for n >= 50 rows or so, drawn alike and singly (not in blocks that share a cause); a few rows with
    huge scores make it too narrow. With one seed the part of the seeds is missing, and the label says so.

    Args:
        row_scores: Score of every test row under every seed, (S, n): correctness, squared error, loss.
        level: Between 0 and 1.
        display: A monotone function that maps mean and ends to the scale that is shown (`math.sqrt` for mean
            squared error to its root); a falling one swaps the ends. An end where it has no finite
            value is first moved to the nearest row score, and `method` says so.

    Raises:
        InputError: if a score is not finite, there are fewer than 2 rows, or `display` is not monotone.

    References:
        Searle, Casella and McCulloch, Variance components, 1992, chapter 4 (crossed effects).
        Satterthwaite, An approximate distribution of estimates of variance components, 1946.
        Wilson, Probable inference, the law of succession, and statistical inference, 1927.
        Franco, Little, Louis and Slud, Comparative study of confidence intervals for proportions in complex
        sample surveys, 2019 (Wilson's interval with an effective sample size).
    """
    scores = np.asarray(row_scores, dtype=np.float64)
    check_number("level", level, above=0, below=1)
    if scores.ndim != 2 or scores.shape[0] < 1 or scores.shape[1] < 2:
        raise InputError("row_scores", "of shape (seeds, rows) with at least 2 rows", scores.shape)
    if not np.isfinite(scores).all():
        at = [int(i) for i in np.argwhere(~np.isfinite(scores))[0]]
        raise InputError("row_scores", f"finite (seed {at[0]}, row {at[1]} is not)", float(scores[*at]))
    seeds, rows = scores.shape
    mean = min(max(float(scores.mean()), float(scores.min())), float(scores.max()))
    variance, df = _crossed_variance(scores)
    t = t_quantile(level, df)
    if bool(((scores == 0) | (scores == 1)).all()):
        # Scores that are all the same say nothing about independence of the seeds: count the rows once.
        effective = min(mean * (1 - mean) / variance, seeds * rows) if variance > 0 else rows
        low, high = _wilson(mean, effective, t)
        method = f"crossed seeds and rows, Wilson with {effective:.0f} effective rows"
        if variance == 0:
            method = f"all scores are the same: Wilson with the {rows} rows"
    elif variance == 0:
        low, high, method = same_scores(mean, known=False, what="scores")
    else:
        half = t * math.sqrt(variance)
        low, high = mean - half, mean + half
        method = f"crossed seeds and rows, t with {df:.1f} degrees of freedom"
    if display is not None:
        limits = float(scores.min()), float(scores.max())
        mean, low, high, note = _displayed(display, mean, low, high, limits)
        method += note
    return Interval(
        mean=mean,
        low=low,
        high=high,
        level=level,
        method=method,
        label=ROWS_ONLY if seeds == 1 else WITH_ROWS,
        seeds=seeds,
        rows=rows,
    )


def check_scores(field: str, values: ArrayLike, least: int = 1) -> np.ndarray:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or len(scores) < least:
        raise InputError(field, f"a list of at least {least} number{'s' * (least > 1)}", values)
    if not np.isfinite(scores).all():
        at = int(np.flatnonzero(~np.isfinite(scores))[0])
        remedy = "Leave out seeds that diverged, and say how many."
        raise InputError(field, f"finite (number {at} is not)", float(scores[at]), remedy)
    return scores


def mean_of(scores: np.ndarray) -> float:
    # The mean of equal numbers may round to another number; keep it among the scores.
    return min(max(float(scores.mean()), float(scores.min())), float(scores.max()))


def std_of(scores: np.ndarray) -> float:
    return float(scores.std(ddof=1))


def rounding_of(scale: float) -> float:
    return 16 * float(np.finfo(np.float64).eps) * scale


def all_same(scores: np.ndarray, scale: float | None = None) -> bool:
    """Returns whether the scores differ by no more than rounding does."""
    scale = float(np.abs(scores).max()) if scale is None else scale
    return float(np.ptp(scores)) <= rounding_of(scale) or std_of(scores) == 0


def same_scores(mean: float, *, known: bool, what: str) -> tuple[float, float, str]:
    method = f"all {what} are the same, so their spread cannot be estimated"
    if known:
        return mean, mean, method + "; the range of what was seen is taken"
    return -math.inf, math.inf, method


def t_method(name: str, seeds: int) -> str:
    few = f" (only {seeds} seeds: rests on normal scores)" if seeds < FEW_SEEDS else ""
    return f"{name} with {seeds - 1} degrees of freedom{few}"


def _crossed_variance(scores: np.ndarray) -> tuple[float, float]:
    """Returns the variance of the grand mean of crossed seeds and rows, and its degrees of freedom."""
    seeds, rows = scores.shape
    if all_same(scores.ravel()):
        return 0.0, float(rows - 1)
    if seeds == 1:
        return float(scores.var(ddof=1)) / rows, float(rows - 1)
    by_seed, by_row = scores.mean(axis=1), scores.mean(axis=0)
    rest = scores - by_seed[:, None] - by_row[None, :] + scores.mean()
    # Mean squares with expectations n s2_seed + s2_rest, S s2_row + s2_rest, s2_rest.
    df_seed, df_row, df_rest = seeds - 1, rows - 1, (seeds - 1) * (rows - 1)
    ms_seed = rows * float(by_seed.var(ddof=1))
    ms_row = seeds * float(by_row.var(ddof=1))
    ms_rest = float((rest**2).sum()) / df_rest
    # S n var(mean) = (ms_seed - ms_rest)+ + (ms_row - ms_rest)+ + ms_rest
    seen_seed, seen_row = ms_seed > ms_rest, ms_row > ms_rest
    terms = (
        (seen_seed, ms_seed, df_seed),
        (seen_row, ms_row, df_row),
        (1 - seen_seed - seen_row, ms_rest, df_rest),
    )
    total = sum(times * ms for times, ms, _ in terms)
    spread = sum((times * ms) ** 2 / df for times, ms, df in terms)
    return total / (seeds * rows), total**2 / spread


def _wilson(mean: float, effective: float, t: float) -> tuple[float, float]:
    shrink = t**2 / effective
    centre = (mean + shrink / 2) / (1 + shrink)
    half = t / (1 + shrink) * math.sqrt(mean * (1 - mean) / effective + shrink / (4 * effective))
    # At a mean of exactly 0 or 1 the end is 0 or 1; rounding must not push it past.
    return max(0.0, min(mean, centre - half)), min(1.0, max(mean, centre + half))


def _displayed(
    display: Callable[[float], float], mean: float, low: float, high: float, limits: Sequence[float]
) -> tuple[float, float, float, str]:
    def shown(value: float) -> float:
        with np.errstate(all="ignore"):
            try:
                return float(display(value))
            except (ValueError, OverflowError, ZeroDivisionError):
                return math.nan

    ends, note = [], ""
    for end, limit, which in ((low, limits[0], "lower"), (high, limits[1], "upper")):
        if math.isinf(end):
            ends.append(None)
            continue
        value = shown(end)
        if not math.isfinite(value):
            value, note = shown(limit), f"{note}; {which} end moved to the nearest row score"
        ends.append(value)
    centre = shown(mean)
    if None in ends:
        return centre, -math.inf, math.inf, note
    ends = sorted(ends)
    if not ends[0] <= centre <= ends[1]:
        raise InputError("display", "a monotone function with values at the row scores", display)
    return centre, ends[0], ends[1], note
