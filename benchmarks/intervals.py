"""Do the intervals cover what they say? Repetitions on synthetic tasks with a known truth.

    python benchmarks/intervals.py            # 1,000 repetitions, writes results/intervals.json
    python benchmarks/intervals.py --reps 200 --out ""

A row passes if its coverage is inside the wanted range (93% to 97% for plain intervals, at least 93% for
simultaneous ones), or its false alarms are at most 61 in 1,000 (a true 5% exceeds that once in 20 times).
Rows marked "limit" show where a method stops being fair; they have no wanted range, and are in
docs/statistics.md for that reason.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from machine import hardware, today, versions, write_result
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import binom

from thalweg.core import (
    Interval,
    interval_of_mean,
    interval_with_rows,
    paired_difference,
    prediction_interval,
)
from thalweg.search._effects import AxisEffect, axis_effects
from thalweg.search._levels import AxisColumn

SEED = 20260
WANTED = (0.93, 0.97)
AT_LEAST = (0.93, 1.0)
FALSE_ALARMS = (0.0, 0.061)
LIMIT = (0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Check:
    """How often something happened, and how often it should have."""

    part: str
    setting: str
    counts: str
    """What is counted: "covered" or "false alarms"."""
    hits: int
    reps: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.hits / self.reps

    @property
    def passed(self) -> bool:
        """Whether the share is inside the wanted range."""
        return self.low <= self.share <= self.high

    @property
    def plausible(self) -> bool:
        """Whether a true share inside the wanted range could give these hits, at 1 in 1,000 either way.

        For few repetitions, where `passed` would fail a right method by chance.
        """
        few = binom.cdf(self.hits, self.reps, self.low)
        many = binom.sf(self.hits - 1, self.reps, self.high)
        return bool(few > 1e-3 and many > 1e-3)


def count(
    part: str,
    setting: str,
    draw: Callable[[np.random.Generator], bool],
    *,
    reps: int,
    seed: int,
    wanted: tuple[float, float] = WANTED,
    counts: str = "covered",
) -> Check:
    """Returns how often `draw` was true over repetitions from one generator."""
    rng = np.random.default_rng(seed)
    hits = sum(draw(rng) for _ in range(reps))
    return Check(part=part, setting=setting, counts=counts, hits=hits, reps=reps, low=wanted[0], high=wanted[1])


def covers(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


# (a), (c): scores of seeds. A gamma variable of shape k has mean k and skewness 2 / sqrt(k).
SCORES: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], float, bool]] = {
    "normal": (lambda rng, num: rng.normal(0.9, 0.01, num), 0.9, True),
    "skewness 0.7": (lambda rng, num: rng.gamma(8.0, size=num), 8.0, True),
    "skewness 2": (lambda rng, num: rng.exponential(size=num), 1.0, False),
}


def check_means(reps: int, seed: int, method: Callable[..., Interval] = interval_of_mean) -> list[Check]:
    checks = []
    for name, (draw, truth, fair) in SCORES.items():
        for seeds in (3, 5, 10):
            checks.append(
                count(
                    "interval_of_mean",
                    f"{name}, {seeds} seeds{'' if fair else ' (limit)'}",
                    lambda rng, draw=draw, truth=truth, seeds=seeds: covers(method(draw(rng, seeds)), truth),
                    reps=reps,
                    seed=seed,
                    wanted=WANTED if fair else LIMIT,
                )
            )
    return checks


def check_predictions(reps: int, seed: int, method: Callable[..., Interval] = prediction_interval) -> list[Check]:
    def draw_one(rng: np.random.Generator, draw: Callable, seeds: int) -> bool:
        scores = draw(rng, seeds + 1)
        return covers(method(scores[:-1]), float(scores[-1]))

    return [
        count(
            "prediction_interval",
            f"{name}, {seeds} seeds{'' if fair else ' (limit)'}",
            lambda rng, draw=draw, seeds=seeds: draw_one(rng, draw, seeds),
            reps=reps,
            seed=seed,
            wanted=WANTED if fair else LIMIT,
        )
        for name, (draw, _, fair) in SCORES.items()
        for seeds in (5, 10)
    ]


# (b): crossed seeds and rows.
GAUSSIAN = [  # seeds, rows, variances of seed, row and rest
    (5, 200, 0.01, 1.0, 1.0),
    (5, 200, 0.0, 1.0, 1.0),
    (5, 200, 0.05, 0.05, 1.0),
    (10, 1000, 0.001, 0.3, 1.0),
]
CORRECT = [  # seeds, rows, accuracy, deviations of seed and row on the logit scale, whether it is a limit
    (5, 1000, 0.86, 0.1, 2.0, False),
    (5, 1000, 0.86, 0.3, 2.0, False),
    (10, 1000, 0.86, 0.1, 3.0, False),
    (5, 1000, 0.97, 0.1, 2.0, False),
    (5, 1000, 0.99, 0.1, 2.0, True),
    (5, 100, 0.98, 0.2, 4.0, True),
]


def intercept_for(accuracy: float, deviation: float) -> float:
    """Returns m with E[expit(m + deviation * z)] = accuracy for z ~ N(0, 1), by Gauss-Hermite integration."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    weights = weights / weights.sum()
    root = brentq(lambda m: float(expit(m + deviation * nodes) @ weights) - accuracy, -60.0, 60.0)
    return float(root)  # type: ignore[arg-type]


def check_rows(reps: int, seed: int, method: Callable[..., Interval] = interval_with_rows) -> list[Check]:
    def gaussian(rng: np.random.Generator, case: tuple[int, int, float, float, float]) -> bool:
        seeds, rows, *variances = case
        shapes = ((seeds, 1), (1, rows), (seeds, rows))
        parts = [np.sqrt(v) * rng.normal(size=shape) for v, shape in zip(variances, shapes, strict=True)]
        return covers(method(parts[0] + parts[1] + parts[2]), 0.0)

    def correct(rng: np.random.Generator, case: tuple[int, int, float, float, float, bool]) -> bool:
        seeds, rows, accuracy, by_seed, by_row, _ = case
        logit = intercepts[case] + by_seed * rng.normal(size=(seeds, 1))
        logit = logit + by_row * rng.normal(size=(1, rows))
        return covers(method(rng.random((seeds, rows)) < expit(logit)), accuracy)

    intercepts = {case: intercept_for(case[2], float(np.hypot(case[3], case[4]))) for case in CORRECT}
    checks = [
        count(
            "interval_with_rows",
            f"Gaussian, {case[0]} seeds x {case[1]} rows, variances {case[2:]}",
            lambda rng, case=case: gaussian(rng, case),
            reps=reps,
            seed=seed,
        )
        for case in GAUSSIAN
    ]
    for case in CORRECT:
        limit = case[5]
        name = f"0/1 at {case[2]}, {case[0]} seeds x {case[1]} rows, logit deviations {case[3:5]}"
        checks.append(
            count(
                "interval_with_rows",
                name + " (limit)" * limit,
                lambda rng, case=case: correct(rng, case),
                reps=reps,
                seed=seed,
                wanted=LIMIT if limit else WANTED,
            )
        )
    return checks


# (d): pairs that share what a seed does to both.
def check_pairs(reps: int, seed: int) -> list[Check]:
    def draw_pair(rng: np.random.Generator, seeds: int, gain: float) -> tuple[np.ndarray, np.ndarray]:
        shared = rng.gamma(4.0, size=seeds)
        return shared + gain + rng.normal(size=seeds), shared + rng.normal(size=seeds)

    def any_told(rng: np.random.Generator, seeds: int, num: int) -> bool:
        """Several candidates against one baseline, none of them better."""
        base = rng.normal(size=seeds)
        drawn = [rng.normal(size=seeds) for _ in range(num)]
        return any(paired_difference(scores, base, comparisons=num).told_apart for scores in drawn)

    checks = []
    for seeds in (3, 5, 10):
        checks += [
            count(
                "paired_difference",
                f"no difference, {seeds} seeds",
                lambda rng, seeds=seeds: paired_difference(*draw_pair(rng, seeds, 0.0)).told_apart,
                reps=reps,
                seed=seed,
                wanted=FALSE_ALARMS,
                counts="false alarms",
            ),
            count(
                "paired_difference",
                f"true difference 1.5, {seeds} seeds",
                lambda rng, seeds=seeds: covers(paired_difference(*draw_pair(rng, seeds, 1.5)), 1.5),
                reps=reps,
                seed=seed,
            ),
        ]
    checks.append(
        count(
            "paired_difference",
            "none of 8 candidates differs, 5 seeds",
            lambda rng: any_told(rng, 5, 8),
            reps=reps,
            seed=seed,
            wanted=FALSE_ALARMS,
            counts="false alarms",
        )
    )
    return checks


# (e): members of a first rung with an additive response.
AXES = [
    AxisColumn("optimizer", "choice"),
    AxisColumn("lr", "log", given="optimizer"),
    AxisColumn("activation", "choice"),
    AxisColumn("dropout", "linear"),
    AxisColumn("null_choice", "choice"),
    AxisColumn("null_range", "log"),
]
OFFSET = {"sgd": 0.0, "adamw": 0.02, "lion": 0.01}
BEST_LR = {"sgd": -1.0, "adamw": -2.5, "lion": -3.5}
ACTIVATION = {"relu": 0.02, "tanh": 0.0, "gelu": 0.03}


def draw_members(rng: np.random.Generator, num: int, failing: float = 0.0) -> tuple[list[dict], np.ndarray]:
    """Returns members and scores; the noise has far tails and grows away from the best lr.

    A share `failing` of the members does not learn: 0.8 less, whatever their values.
    """

    def pick(names: list[str]) -> str:
        return names[int(rng.integers(len(names)))]

    members, scores = [], []
    for _ in range(num):
        member = {
            "optimizer": pick(list(OFFSET)),
            "lr": float(10 ** rng.uniform(-5, 0)),
            "activation": pick(list(ACTIVATION)),
            "dropout": float(rng.uniform(0, 0.5)),
            "null_choice": pick(["a", "b", "c", "d"]),
            "null_range": float(10 ** rng.uniform(-6, -1)),
        }
        away = np.log10(member["lr"]) - BEST_LR[member["optimizer"]]
        truth = OFFSET[member["optimizer"]] - 0.01 * away**2
        truth += ACTIVATION[member["activation"]] - 0.1 * member["dropout"]
        truth -= 0.8 * (rng.uniform() < failing)
        scores.append(0.9 + truth + rng.laplace() * (0.01 + 0.01 * abs(away)))
        members.append(member)
    return members, np.array(scores)


def true_level(effect: AxisEffect, at: int, lr_truth: dict[str, float]) -> float:
    """Returns the true mean of a level up to a constant of the axis; of a bin, over its width."""
    level = effect.levels[at]
    if effect.axis == "optimizer":
        return OFFSET[level.label] + lr_truth[level.label]
    if effect.axis == "activation":
        return ACTIVATION[level.label]
    if effect.axis.startswith("null"):
        return 0.0
    assert level.low is not None
    assert level.high is not None
    if effect.axis == "dropout":
        return -0.1 * (level.low + level.high) / 2
    centre = BEST_LR[str(level.given)]
    left, right = np.log10(level.low) - centre, np.log10(level.high) - centre
    return -0.01 * float(right**3 - left**3) / (3 * (right - left))


def all_covered(effect: AxisEffect, lr_truth: dict[str, float]) -> bool:
    """Returns whether the intervals of all levels against the rest hold the truth at once."""
    truth = [true_level(effect, at, lr_truth) for at in range(len(effect.levels))]
    for at, level in enumerate(effect.levels):
        # Levels that are too small to be judged are no part of "the rest".
        others = [
            truth[other]
            for other, found in enumerate(effect.levels)
            if other != at and found.given == level.given and found.mean is not None
        ]
        if level.versus_rest is not None and not covers(level.versus_rest, truth[at] - float(np.mean(others))):
            return False
    return True


SCREENS = ((40, 0.0), (200, 0.0), (100, 0.15))  # members, share of them that does not learn


def check_effects(reps: int, seed: int, screens: tuple[tuple[int, float], ...] = SCREENS) -> list[Check]:
    checks = []
    for num, failing in screens:
        rng = np.random.default_rng([seed, num])
        covered = {axis.name: 0 for axis in AXES}
        alarms = {axis.name: 0 for axis in AXES if axis.name.startswith("null")}
        for _ in range(reps):
            members, scores = draw_members(rng, num, failing)
            effects = axis_effects(AXES, members, scores.tolist(), [None] * num, higher_is_better=True)
            lr = next(effect for effect in effects if effect.axis == "lr")
            lr_truth = {}
            for given in OFFSET:
                judged = [at for at, level in enumerate(lr.levels) if level.given == given and level.mean]
                lr_truth[given] = float(np.mean([true_level(lr, at, {}) for at in judged])) if judged else np.nan
            for effect in effects:
                covered[effect.axis] += all_covered(effect, lr_truth)
                if effect.axis in alarms and effect.effect is not None:
                    alarms[effect.axis] += effect.effect.excludes(0)
        for kind, found, wanted in (("covered", covered, AT_LEAST), ("false alarms", alarms, FALSE_ALARMS)):
            checks += [
                Check(
                    part="axis_effects",
                    setting=f"{name}, {num} members" + f", {failing:.0%} fail" * (failing > 0),
                    counts=kind,
                    hits=hits,
                    reps=reps,
                    low=wanted[0],
                    high=wanted[1],
                )
                for name, hits in found.items()
            ]
    return checks


PARTS = (check_means, check_rows, check_predictions, check_pairs, check_effects)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the coverage of the intervals.")
    parser.add_argument("--reps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "intervals.json"))
    given = parser.parse_args()
    rows, seconds = [], {}
    for part in PARTS:
        started = time.perf_counter()
        checks = part(given.reps, given.seed)
        seconds[checks[0].part] = round(time.perf_counter() - started, 1)
        for check in checks:
            verdict = "limit" if (check.low, check.high) == LIMIT else "ok" if check.passed else "FAILED"
            rows.append(asdict(check) | {"share": check.share, "verdict": verdict})
            wanted = f"{check.low:.3f}-{check.high:.3f}"
            measured = f"{check.counts:13}{check.share:6.3f}  {wanted:12} {verdict}"
            print(f"{check.part:20} {check.setting:72} {measured}")
        print(f"{checks[0].part:20} took {seconds[checks[0].part]} s")
    failed = [row for row in rows if row["verdict"] == "FAILED"]
    wanted = [row for row in rows if row["verdict"] != "limit"]
    print(f"{len(wanted) - len(failed)} of {len(wanted)} rows with a wanted range hold")
    if given.out:
        record = {
            "date": today(),
            "versions": versions("numpy", "scipy"),
            "hardware": hardware(),
            "config": {"reps": given.reps, "seed": given.seed, "level": 0.95},
            "seconds": seconds,
            "checks": rows,
        }
        write_result(Path(given.out), record)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
