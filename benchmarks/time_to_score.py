"""How long until a recipe is in hand that is as good as what Optuna has after ten minutes?

    python benchmarks/time_to_score.py                     # 10 repeats of about 12 minutes, goes on where it stopped
    python benchmarks/time_to_score.py --repeats 2 --seconds 20 --screened 96 --out /tmp/try.json    # does it run?

benchmarks/README.md says what is compared, and how each side was set up. Ends with 1 where the claim does not hold.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from contenders.in_optuna import TorchSetting, describe_optuna, probe_torch, run_optuna_in_processes
from contenders.our_search import CONFIRMATION_SEEDS, recipe_text, run_ours
from machine import earlier_result, hardware, today, versions, write_result

import thalweg as tw
from thalweg.core import paired_difference
from thalweg.population import Plan, default_plan
from thalweg.recipes import Recipe, default_axes, default_recipe
from thalweg.studies import Budget
from thalweg.tasks import Task

DATA = "fashion-mnist"
WANTED_REPEATS = 10
#: how many times as long Optuna must take
LEAST = 2.5
#: seeds of two repeats are this far apart, so that no stage of one shares a seed with a stage of another
SEED_STRIDE = 1000


def run_repeat(
    task: Task, repeat: int, *, seconds: float, screened: int, plan: Plan, setting: TorchSetting
) -> dict[str, Any]:
    """Returns one row: each side's recipes by its clock, all scored by the same code on the same fresh seeds."""
    base = default_recipe(len(task.train))
    axes = default_axes(base, len(task.train))
    seed = repeat * SEED_STRIDE
    theirs = run_optuna_in_processes(
        task, base, axes, seconds=seconds, setting=setting, seed=seed, processes=plan.threads
    )
    torch.set_num_threads(plan.threads)
    ours = run_ours(task, base, axes, budget=Budget(), plan=plan, seed=seed, screened=screened)

    def confirm(recipe: Recipe) -> float | None:
        found = tw.train(task, recipe, seeds=CONFIRMATION_SEEDS, seed=ours.first_confirmation_seed, plan=plan)
        return None if found.test is None else found.test.over_seeds.mean

    return {
        "repeat": repeat,
        "ours": {
            "decided_at": round(ours.decided, 2),
            "ended_at": round(ours.seconds, 2),
            "test": statistics.mean(ours.test),
            "recipe": recipe_text(ours.recipe, axes),
            "stage_ends": ours.stages,
            "steps": ours.steps,
        },
        "optuna": {
            "trials": theirs.counts,
            "steps": theirs.steps,
            "training_seconds": round(theirs.training_seconds, 1),
            "best": [
                {
                    "at": round(at, 2),
                    "validation": value,
                    "test": confirm(recipe),
                    "recipe": recipe_text(recipe, axes),
                }
                for at, value, recipe in theirs.best
            ],
        },
    }


def final_score(row: dict[str, Any]) -> float:
    """Returns the confirmed score of what Optuna ended with; 0 where it diverged on all seeds."""
    return row["optuna"]["best"][-1]["test"] or 0.0


def summarise(rows: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Returns the times to the median of Optuna's final scores.

    A side that never gets there is censored: Optuna at the end of its time, which shortens its time; ours counts as
    infinitely slow.
    """
    target = statistics.median(final_score(row) for row in rows)
    ours = [row["ours"]["decided_at"] if row["ours"]["test"] >= target else None for row in rows]
    theirs = [
        next((best["at"] for best in row["optuna"]["best"] if (best["test"] or 0.0) >= target), None) for row in rows
    ]
    ratios = [
        0.0 if mine is None else (seconds if other is None else other) / mine
        for mine, other in zip(ours, theirs, strict=True)
    ]
    difference = paired_difference([row["ours"]["test"] for row in rows], [final_score(row) for row in rows])
    ratio = statistics.median(ratios)
    return {
        "repeats": len(rows),
        "target": target,
        "ours": ours,
        "optuna": theirs,
        "ours_never": ours.count(None),
        "optuna_never": theirs.count(None),
        "ratios": [round(value, 2) for value in ratios],
        "ratio": ratio,
        "final_difference": difference.to_json() if len(rows) > 1 else None,
        "holds": ratio >= LEAST if len(rows) >= WANTED_REPEATS else None,
    }


def print_row(row: dict[str, Any]) -> None:
    ours, theirs = row["ours"], row["optuna"]
    print(
        f"{row['repeat']:6}  {ours['decided_at']:7.1f} s  {ours['test']:.4f}  {theirs['best'][-1]['at']:7.1f} s  "
        f"{final_score(row):.4f}  {theirs['trials']['complete']} + {theirs['trials']['pruned']}",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the time to what Optuna has after ten minutes.")
    parser.add_argument("--repeats", type=int, default=WANTED_REPEATS)
    parser.add_argument("--seconds", type=float, default=600.0, help="that Optuna has")
    parser.add_argument("--screened", type=int, default=1024, help="recipes that our side screens")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "time_to_score.json")
    given = parser.parse_args()
    plan = Plan(threads=default_plan().threads)
    task = tw.load_task(DATA)
    base = default_recipe(len(task.train))
    config = {
        "hardware": hardware(),
        "versions": versions("optuna", "torch", "numba", "numpy"),
        "task": {"name": DATA, "train": len(task.train), "validation": len(task.validation), "test": len(task.test)},
        "seconds": given.seconds,
        "screened": given.screened,
        "threads": plan.threads,
        "confirmation_seeds": CONFIRMATION_SEEDS,
        "base_recipe": asdict(base),
        "axes": [str(axis) for axis in default_axes(base, len(task.train))],
    }
    report = earlier_result(given.out, config)
    if report is None:
        setting, probe = probe_torch(task, base, max_threads=1)
        report = {
            "date": today(),
            "config": {**config, "optuna": describe_optuna(setting, probe, base.epochs, processes=plan.threads)},
            "rows": [],
        }
        write_result(given.out, report)
    chosen = report["config"]["optuna"]
    setting = TorchSetting(threads=chosen["threads"], kinds=chosen["optimizer_kinds"])
    tw.train(task, Recipe(epochs=1), seeds=2, plan=plan)  # loads the kernel, outside the clocks
    print("repeat   decided    ours    Optuna's best at   its trials, completed + pruned")
    done = {row["repeat"]: row for row in report["rows"]}
    for repeat in range(given.repeats):
        if repeat not in done:
            done[repeat] = run_repeat(
                task, repeat, seconds=given.seconds, screened=given.screened, plan=plan, setting=setting
            )
            report["rows"].append(done[repeat])
            report["summary"] = summarise(report["rows"], given.seconds)
            write_result(given.out, report)
        print_row(done[repeat])
    found = report["summary"]
    print(f"target: {found['target']:.4f}, the median of Optuna's confirmed scores after {given.seconds:.0f} s")
    print(f"ours got there in {found['repeats'] - found['ours_never']} of {found['repeats']} repeats: {found['ours']}")
    print(f"Optuna in {found['repeats'] - found['optuna_never']}: {found['optuna']}")
    word = {True: "holds", False: "FAILS", None: f"needs {WANTED_REPEATS} repeats"}[found["holds"]]
    print(f"{word}: Optuna takes {found['ratio']:.2f}x as long (median), wanted at least {LEAST}x")
    return 1 if found["holds"] is False else 0


if __name__ == "__main__":
    sys.exit(main())
