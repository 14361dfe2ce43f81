"""Does `tune` find recipes as good as Optuna's in the same time, and sooner? Side by side on the same splits.

    python benchmarks/tune_vs_optuna.py                                      # 10 repeats, goes on where it stopped
    python benchmarks/tune_vs_optuna.py --repeats 1 --budget 160000steps --out scratch.json

benchmarks/README.md says what is compared, and how each side was set up.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contenders.in_optuna import TorchSetting, describe_optuna, probe_torch, run_optuna
from contenders.our_search import CONFIRMATION_SEEDS, recipe_text, run_ours
from machine import earlier_result, hardware, today, versions, write_result

import thalweg as tw
from thalweg.core import paired_difference
from thalweg.population import Budget, Plan, default_plan, parse_budget
from thalweg.recipes import Recipe, default_axes, default_recipe

DATA = "fashion-mnist"
#: the worst difference in test accuracy that still counts as "as good"
MARGIN = -0.005
#: repeats that the claim speaks of
WANTED_REPEATS = 10
#: seeds of two repeats are this far apart, so that no stage of one shares a seed with a stage of another
SEED_STRIDE = 1000

# ---- one repeat ------------------------------------------------------------------------------------------------------


def run_repeat(repeat: int, *, budget: Budget, plan: Plan, setting: TorchSetting) -> dict[str, Any]:
    """Returns one row: both sides on one split, and both recipes scored by the same code on the same fresh seeds."""
    task = tw.load_task(DATA, seed=repeat)
    base = default_recipe(len(task.train))
    axes = default_axes(base, len(task.train))
    seed = repeat * SEED_STRIDE
    torch.set_num_threads(plan.threads)
    ours = run_ours(task, base, axes, budget=budget, plan=plan, seed=seed)
    theirs = run_optuna(task, base, axes, seconds=ours.seconds, setting=setting, seed=seed)
    torch.set_num_threads(plan.threads)
    confirmed = tw.train(task, theirs.recipe, seeds=CONFIRMATION_SEEDS, seed=ours.first_confirmation_seed, plan=plan)
    if confirmed.test is None or confirmed.validation is None:
        raise RuntimeError(f"Optuna's recipe of repeat {repeat} diverged on all confirmation seeds: {theirs.recipe}")
    ours_test, theirs_test = float(np.mean(ours.test)), confirmed.test.over_seeds.mean
    reached, aim = ours.timeline.reached(theirs.score), theirs.timeline.reached(theirs.score)
    assert aim is not None  # its own end score is in its own timeline
    as_good = ours_test >= theirs_test
    return {
        "repeat": repeat,
        "seconds": ours.seconds,
        "test_difference": ours_test - theirs_test,
        "ours": {
            "test": ours_test,
            "test_values": list(ours.test),
            "validation": ours.validation,
            "recipe": recipe_text(ours.recipe, axes),
            "screened": ours.screened,
            "steps": ours.steps,
            "stage_ends": ours.stages,
            "decided_at": round(ours.decided, 3),
            "best_validation_so_far": ours.timeline.steps,
        },
        "optuna": {
            "test": theirs_test,
            "test_values": list(confirmed.test.values),
            "validation": confirmed.validation.over_seeds.mean,
            "diverged_seeds": len(confirmed.diverged),
            "recipe": recipe_text(theirs.recipe, axes),
            "end_score": theirs.score,
            "trials": theirs.counts,
            "steps": theirs.steps,
            "seconds": theirs.seconds,
            "training_seconds": theirs.training_seconds,
            "decided_at": round(theirs.decided, 3),
            "best_validation_so_far": theirs.timeline.steps,
        },
        "to_end_score": {"ours": reached, "optuna": aim, "ratio": None if reached is None else reached / aim},
        "to_recipe": {
            "ours": ours.decided if as_good else None,
            "optuna": theirs.decided,
            "ratio": ours.decided / theirs.decided if as_good else None,
        },
    }


# ---- the summary -----------------------------------------------------------------------------------------------------


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the paired difference in test accuracy, the time ratios, and whether each claim holds."""
    difference = paired_difference([row["ours"]["test"] for row in rows], [row["optuna"]["test"] for row in rows])
    enough = len(rows) >= WANTED_REPEATS
    sooner = summarise_ratios([row["to_end_score"]["ratio"] for row in rows])
    recipe_sooner = summarise_ratios([row["to_recipe"]["ratio"] for row in rows])
    median = sooner["median"]
    return {
        "repeats": len(rows),
        "seconds_a_side": statistics.median(row["seconds"] for row in rows),
        "test_difference": bounded(difference.to_json()),
        "time_to_optunas_end_score": sooner,
        "time_to_a_recipe_as_good": recipe_sooner,
        "claims": {
            "as_good": {
                "text": "the lower end of the 95% interval of the paired difference is above -0.5 points",
                "holds": difference.low > MARGIN if enough else None,
            },
            "sooner": {
                "text": "the median ratio of the times to the score at which Optuna ends is below 1",
                "holds": (median is not None and median < 1) if enough else None,
            },
        },
    }


def summarise_ratios(ratios: Sequence[float | None]) -> dict[str, Any]:
    """Returns the median of ours / Optuna's; a repeat in which ours never got there counts as above every ratio."""
    values = [float("inf") if ratio is None else ratio for ratio in ratios]
    median = statistics.median(values)
    return {
        "median": median if np.isfinite(median) else None,
        "below_1": sum(value < 1 for value in values),
        "never_reached": sum(ratio is None for ratio in ratios),
        "ratios": list(ratios),
    }


def bounded(data: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in data.items()}


def print_row(row: dict[str, Any]) -> None:
    ours, theirs = row["ours"], row["optuna"]
    ratios = [
        "never" if row[key]["ratio"] is None else f"{row[key]['ratio']:.2f}" for key in ("to_end_score", "to_recipe")
    ]
    print(
        f"{row['repeat']:6}  {row['seconds']:7.1f}  {ours['test']:.4f}  {theirs['test']:.4f}  "
        f"{100 * row['test_difference']:+6.2f}  {theirs['end_score']:9.3f}  {ratios[0]:>8}  {ratios[1]:>9}  "
        f"{ours['screened']:5}  {theirs['trials']['complete']:4} + {theirs['trials']['pruned']}",
        flush=True,
    )


HEADER = "repeat  seconds    ours  Optuna   points  end score  to score  to recipe  screened; trials + pruned"


def print_summary(summary: dict[str, Any]) -> None:
    found = summary["test_difference"]
    ends = ["unbounded" if found[end] is None else f"{100 * found[end]:+.2f}" for end in ("low", "high")]
    print(f"test accuracy, ours - Optuna: {100 * found['mean']:+.2f} points, 95% interval {ends[0]} to {ends[1]}")
    for key in ("time_to_optunas_end_score", "time_to_a_recipe_as_good"):
        part = summary[key]
        median = "not reached" if part["median"] is None else f"{part['median']:.2f}"
        print(
            f"{key.replace('_', ' ')}: median ratio {median}, below 1 in {part['below_1']} of {summary['repeats']}, "
            f"never reached in {part['never_reached']}"
        )
    for claim in summary["claims"].values():
        verdict = {True: "holds", False: "DOES NOT HOLD", None: f"needs {WANTED_REPEATS} repeats"}[claim["holds"]]
        print(f"claim: {claim['text']}: {verdict}")


# ---- the machine -----------------------------------------------------------------------------------------------------

_START = """
import time, thalweg as tw
task = tw.load_task("fashion-mnist")
times = [time.perf_counter()]
for _ in range(2):
    tw.train(task, tw.Recipe(epochs=1), seeds=1)
    times.append(time.perf_counter())
print(times[1] - times[0] - (times[2] - times[1]))
"""


def measure_start() -> dict[str, float]:
    """Returns what the first training of a process costs extra: with an empty kernel cache, then with a filled one."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        found = {}
        for name in ("compiled", "cached"):
            done = subprocess.run(
                [sys.executable, "-c", _START], env=environment, capture_output=True, text=True, check=True
            )
            found[name] = round(float(done.stdout), 2)
    return found


def describe(budget: str | None, plan: Plan) -> dict[str, Any]:
    """Returns what must not change between the repeats of one file."""
    task = tw.load_task(DATA, seed=0)
    base = default_recipe(len(task.train))
    return {
        "hardware": hardware(),
        "versions": versions("optuna", "torch", "numba", "numpy"),
        "task": {"name": DATA, "train": len(task.train), "validation": len(task.validation), "test": len(task.test)},
        "ours": {"budget": budget or "default", "plan": asdict(plan), "confirmation_seeds": CONFIRMATION_SEEDS},
        "base_recipe": asdict(base),
        "axes": [str(axis) for axis in default_axes(base, len(task.train))],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare tune with Optuna at the same wall clock.")
    parser.add_argument("--repeats", type=int, default=WANTED_REPEATS)
    parser.add_argument("--budget", help="of our side, as in `thalweg tune --budget`; default is its default")
    parser.add_argument("--threads", type=int, default=default_plan().threads, help="cores of our side, most of theirs")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "tune_vs_optuna.json")
    given = parser.parse_args()
    plan = Plan(threads=given.threads)
    budget = parse_budget(given.budget) if given.budget else Budget()
    about = describe(given.budget, plan)
    report = earlier_result(given.out, about)
    if report is None:
        task = tw.load_task(DATA, seed=0)
        base = default_recipe(len(task.train))
        setting, probe = probe_torch(task, base, max_threads=given.threads)
        report = {
            "date": today(),
            "config": {**about, "optuna": describe_optuna(setting, probe, base.epochs)},
            "first_training_extra_seconds": measure_start(),
            "rows": [],
        }
        write_result(given.out, report)
    chosen = report["config"]["optuna"]
    setting = TorchSetting(threads=chosen["threads"], kinds=chosen["optimizer_kinds"])
    print(f"PyTorch: {setting.threads} threads, {setting.kinds}")
    print(f"first training of a process, extra seconds: {report['first_training_extra_seconds']}")
    tw.train(tw.load_task(DATA, seed=0), Recipe(epochs=1), seeds=2, plan=plan)  # loads the kernel, outside the clocks
    print(HEADER)
    done = {row["repeat"]: row for row in report["rows"]}
    for repeat in range(given.repeats):
        if repeat not in done:
            row = run_repeat(repeat, budget=budget, plan=plan, setting=setting)
            report["rows"].append(row)
            report["summary"] = summarise(report["rows"])
            write_result(given.out, report)
        else:
            row = done[repeat]
        print_row(row)
    print_summary(report["summary"])
    return 1 if False in [claim["holds"] for claim in report["summary"]["claims"].values()] else 0


if __name__ == "__main__":
    sys.exit(main())
