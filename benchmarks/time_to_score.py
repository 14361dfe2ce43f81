"""How long until a recipe is in hand that is as good as what Optuna has after ten minutes?

    python benchmarks/time_to_score.py                     # 10 repeats of about 14 minutes, goes on where it stopped
    python benchmarks/time_to_score.py --side ours --again # measures our side anew, with Optuna's runs as they are
    python benchmarks/time_to_score.py --repeats 2 --seconds 20 --screened 96 --out /tmp/try.json    # does it run?

benchmarks/README.md says what is compared, and how each side was set up. Ends with 1 where the claim does not hold.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from contenders.in_optuna import TorchSetting, describe_optuna, probe_torch, run_optuna_in_processes
from contenders.our_search import CONFIRMATION_SEEDS, recipe_text, run_ours
from machine import earlier_result, hardware, today, versions, write_result

import thalweg as tw
from thalweg.population import Budget, Plan, default_plan
from thalweg.recipes import Axis, Recipe, default_axes, default_recipe
from thalweg.tasks import Task

DATA = "fashion-mnist"
WANTED_REPEATS = 10
SIDES = ("optuna", "ours")
#: how many times as long Optuna must take
LEAST = 2.5
#: seeds of two repeats are this far apart, so that no stage of one shares a seed with a stage of another
SEED_STRIDE = 1000


#: seeds of a repeat's scores, from its own seed: no stage of either side uses them
CONFIRMATION_FROM = 500


def run_theirs(task: Task, repeat: int, *, seconds: float, plan: Plan, setting: TorchSetting) -> dict[str, Any]:
    """Returns Optuna's best recipes by its clock, with their scores."""
    base, axes = space(task)
    found = run_optuna_in_processes(
        task, base, axes, seconds=seconds, setting=setting, seed=repeat * SEED_STRIDE, processes=plan.threads
    )
    torch.set_num_threads(plan.threads)
    return {
        **confirmed([(at, recipe) for at, _, recipe in found.best], task, axes, repeat, plan),
        "trials": found.counts,
        "steps": found.steps,
        "training_seconds": round(found.training_seconds, 1),
    }


def run_our_side(task: Task, repeat: int, *, screened: int, plan: Plan) -> dict[str, Any]:
    """Returns our best recipes by the clock, with their scores."""
    base, axes = space(task)
    found = run_ours(task, base, axes, budget=Budget(), plan=plan, seed=repeat * SEED_STRIDE, screened=screened)
    return {
        **confirmed(found.best, task, axes, repeat, plan),
        "stage_ends": found.stages,
        "steps": found.steps,
    }


def confirmed(
    best: Sequence[tuple[float, Recipe]], task: Task, axes: Sequence[Axis], repeat: int, plan: Plan
) -> dict[str, Any]:
    """Returns a row of the results: what was best so far, by the clock, each with its test score."""
    scores = {recipe: confirm(task, recipe, repeat, plan) for recipe in {recipe for _, recipe in best}}
    (decided, last) = best[-1]
    return {
        "repeat": repeat,
        "date": today(),
        "decided_at": round(decided, 2),
        "test": scores[last],
        "best": [
            {"at": round(at, 2), "test": scores[recipe], "recipe": recipe_text(recipe, axes)} for at, recipe in best
        ],
    }


def space(task: Task) -> tuple[Recipe, list[Axis]]:
    """Returns the recipe that both sides start from, and what varies."""
    base = default_recipe(len(task.train))
    return base, default_axes(base, len(task.train))


def confirm(task: Task, recipe: Recipe, repeat: int, plan: Plan) -> float:
    """Returns the mean test score of a recipe over fresh seeds, the same for both sides; 0 where too few finish."""
    seed = repeat * SEED_STRIDE + CONFIRMATION_FROM
    found = tw.train(task, recipe, seeds=CONFIRMATION_SEEDS, seed=seed, plan=plan)
    return 0.0 if found.test is None else found.test.over_seeds.mean


def summarise(theirs: Sequence[dict[str, Any]], ours: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Returns the times to the median of Optuna's final scores: medians over the repeats of each side.

    Of each side counts the first recipe that was its best so far and is good enough. A repeat without one is censored:
    Optuna's at the end of its time, which shortens its time; ours counts as infinitely slow. Nothing pairs a repeat of
    one side with one of the other, so medians are divided, not times.
    """
    target = statistics.median(row["test"] for row in theirs)
    our_times, their_times = (
        [next((best["at"] for best in row["best"] if best["test"] >= target), None) for row in rows]
        for rows in (ours, theirs)
    )
    our_median = statistics.median(math.inf if time is None else time for time in our_times)
    their_median = statistics.median(seconds if time is None else time for time in their_times)
    return {
        "target": target,
        "optuna_scores": [row["test"] for row in theirs],
        "our_scores": [row["test"] for row in ours],
        "optuna_times": their_times,
        "our_times": our_times,
        "optuna_median": their_median,
        "our_median": our_median if math.isfinite(our_median) else None,
        "ratio": their_median / our_median,
        "holds": their_median / our_median >= LEAST if min(len(ours), len(theirs)) >= WANTED_REPEATS else None,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the time to what Optuna has after ten minutes.")
    parser.add_argument("--repeats", type=int, default=WANTED_REPEATS)
    parser.add_argument("--seconds", type=float, default=600.0, help="that Optuna has")
    parser.add_argument("--screened", type=int, default=1024, help="recipes that our side screens")
    parser.add_argument("--side", choices=("both", *SIDES), default="both", help="who runs")
    parser.add_argument("--again", action="store_true", help="forget what was measured of --side")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "time_to_score.json")
    given = parser.parse_args()
    plan = Plan(threads=default_plan().threads)
    task = tw.load_task(DATA)
    base, axes = space(task)
    config = {
        "hardware": hardware(),
        "versions": versions("optuna", "torch", "numba", "numpy"),
        "task": {"name": DATA, "train": len(task.train), "validation": len(task.validation), "test": len(task.test)},
        "seconds": given.seconds,
        "screened": given.screened,
        "threads": plan.threads,
        "confirmation_seeds": CONFIRMATION_SEEDS,
        "base_recipe": asdict(base),
        "axes": [str(axis) for axis in axes],
    }
    report = earlier_result(given.out, config)
    if report is None:
        setting, probe = probe_torch(task, base, max_threads=1)
        described = describe_optuna(setting, probe, base.epochs, processes=plan.threads)
        report = {"config": {**config, "optuna": described}, **{side: [] for side in SIDES}}
        write_result(given.out, report)
    chosen = report["config"]["optuna"]
    setting = TorchSetting(threads=chosen["threads"], kinds=chosen["optimizer_kinds"])
    measure = {
        "optuna": partial(run_theirs, task, seconds=given.seconds, plan=plan, setting=setting),
        "ours": partial(run_our_side, task, screened=given.screened, plan=plan),
    }
    sides = SIDES if given.side == "both" else (given.side,)
    if given.again:
        report |= {side: [] for side in sides}
    tw.train(task, Recipe(epochs=1), seeds=2, plan=plan)  # loads the kernel, outside the clocks
    for repeat in range(given.repeats):
        for side in sides:
            if repeat in {row["repeat"] for row in report[side]}:
                continue
            row = measure[side](repeat)
            report[side].append(row)
            if all(report[side] for side in SIDES):
                report["summary"] = summarise(report["optuna"], report["ours"], given.seconds)
            write_result(given.out, report)
            print(
                f"repeat {repeat}, {side}: test score {row['test']:.4f}, in hand after {row['decided_at']:.0f} s",
                flush=True,
            )
    if not all(report[side] for side in SIDES):
        return 0
    found = report["summary"]
    print(f"target: {found['target']:.4f}, the median of Optuna's confirmed scores after {given.seconds:.0f} s")
    for side, times in (("Optuna", found["optuna_times"]), ("ours", found["our_times"])):
        print(f"{side} got there in {len(times) - times.count(None)} of {len(times)} repeats: {times}")
    word = {True: "holds", False: "FAILS", None: f"needs {WANTED_REPEATS} repeats"}[found["holds"]]
    print(f"{word}: Optuna takes {found['ratio']:.2f}x as long (medians), wanted at least {LEAST}x")
    return 1 if found["holds"] is False else 0


if __name__ == "__main__":
    sys.exit(main())
