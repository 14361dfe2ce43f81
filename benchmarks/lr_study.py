"""Is the step size that `study lr` suggests as good as the best there is, and does it stay there from seed to seed?

    python benchmarks/lr_study.py                     # 12 cases x 10 seeds; writes results/lr_study.json
    python benchmarks/lr_study.py --seeds 2 --out ""  # does it run?

benchmarks/README.md says what is measured. Ends with 1 where a claim does not hold.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from contenders.rate_finders import fastai_rates, lightning_rates, torch_lr_finder_rates
from machine import hardware, print_claims, today, versions, write_result

import thalweg as tw
from thalweg.optim import RULES
from thalweg.population import Budget, Plan, Population, default_plan
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task

#: (data, recipe): tasks, models and update rules
CASES: list[tuple[str, Recipe]] = [
    *(
        ("digits", Recipe(model=model, widths=widths, optimizer=rule, batch_size=32, epochs=10))
        for model, widths in (("linear", ()), ("mlp", (64, 64)))
        for rule in ("sgd", "momentum", "adamw")
    ),
    ("fashion-mnist", Recipe(widths=(64,), optimizer="sgd", batch_size=64, epochs=6)),
    ("fashion-mnist", Recipe(widths=(64,), optimizer="adam", batch_size=64, epochs=6)),
    ("breast-cancer", Recipe(widths=(32,), optimizer="momentum", batch_size=16, epochs=10)),
    ("breast-cancer", Recipe(widths=(32,), optimizer="adamw", activation="tanh", batch_size=16, epochs=10)),
    ("digits", Recipe(model="cnn", widths=(8,), optimizer="momentum", batch_size=32, epochs=4)),
    ("digits", Recipe(model="cnn", widths=(8,), optimizer="adam", batch_size=32, epochs=4)),
]
#: the grid that the best rate is picked from: rates to the decade
DENSITY = 12
#: seeds on which the best rate is picked, and others on which it and every suggestion are scored
PICK_FROM, PICK = 50_000, 5
SCORE_FROM, SCORE = 60_000, 10
#: a suggestion is as good as the best within so many points of accuracy; the share that must be; the median spread
WITHIN, SHARE, SPREAD = 0.01, 0.95, 1.5
#: seeds of two studies are so far apart
STRIDE = 1000


def scores(task: Task, recipe: Recipe, rates: list[float], seeds: range, plan: Plan) -> np.ndarray:
    """Returns (R, S) validation scores, 0 where a member diverged."""
    members = [Member(recipe=recipe.changed(lr=lr), seed=seed) for lr in rates for seed in seeds]
    population = Population(task, members, plan)
    population.run()
    found = [
        0.0
        if population.diverged_at(n) is not None
        else population.score(population.outputs([n], task.validation.x)[0], task.validation.y)
        for n in range(len(members))
    ]
    return np.array(found).reshape(len(rates), -1)


def best_rate(task: Task, recipe: Recipe, plan: Plan) -> tuple[float, float]:
    """Returns the best rate of a fine grid and its mean score on other seeds."""
    low, high = RULES[recipe.optimizer].lr_range
    num = round(math.log10(100 * high / low) * DENSITY) + 1
    grid = [float(lr) for lr in np.geomspace(low / 10, high * 10, num)]
    picked = scores(task, recipe, grid, range(PICK_FROM, PICK_FROM + PICK), plan).mean(1)
    lr = grid[int(picked.argmax())]
    return lr, float(scores(task, recipe, [lr], range(SCORE_FROM, SCORE_FROM + SCORE), plan).mean())


def suggestions(task: Task, recipe: Recipe, seed: int, plan: Plan) -> dict[str, float]:
    """Returns finder -> suggested rate on one seed; NaN where there is none."""
    found = tw.study.lr(task, recipe, seed=seed * STRIDE, budget=Budget(steps=math.inf), plan=plan)
    rates = {"thalweg": found.answer.data["suggested"] or math.nan}
    for finder in (fastai_rates, lightning_rates, torch_lr_finder_rates):
        try:
            rates |= finder(task, recipe, seed * STRIDE)
        except (ValueError, IndexError):  # a curve that stops before the points that its rule leaves out
            rates[finder.__name__] = math.nan
    return rates


def measure(data: str, recipe: Recipe, num_seeds: int, plan: Plan) -> dict[str, Any]:
    """Returns one case: the best rate, and of every finder the suggestions with their scores."""
    task = tw.load_task(data)
    lr, best = best_rate(task, recipe, plan)
    found: dict[str, list[float]] = {}
    started = time.perf_counter()
    for seed in range(num_seeds):
        for finder, rate in suggestions(task, recipe, seed, plan).items():
            found.setdefault(finder, []).append(rate)
    finders = {}
    for finder, rates in found.items():
        known = [rate for rate in rates if math.isfinite(rate)]
        at = dict(
            zip(known, scores(task, recipe, known, range(SCORE_FROM, SCORE_FROM + SCORE), plan).mean(1), strict=True)
        )
        reached = [float(at.get(rate, 0.0)) for rate in rates]
        finders[finder] = {
            "rates": [rate if math.isfinite(rate) else None for rate in rates],
            "scores": reached,
            "within": sum(score >= best - WITHIN for score in reached),
            "spread": max(known) / min(known) if len(known) == num_seeds else None,
        }
    return {
        "data": data,
        "model": recipe.model,
        "widths": list(recipe.widths),
        "optimizer": recipe.optimizer,
        "best_lr": lr,
        "best_score": best,
        "finders": finders,
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Score suggested step sizes against the best of a fine grid.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "lr_study.json"))
    given = parser.parse_args()
    plan = Plan(threads=default_plan().threads)
    rows = []
    for data, recipe in CASES:
        row = measure(data, recipe, given.seeds, plan)
        rows.append(row)
        ours = row["finders"]["thalweg"]
        print(
            f"{data}, {recipe.model} {recipe.widths}, {recipe.optimizer}: {ours['within']} of {given.seeds} within "
            f"a point of {row['best_score']:.4f}, spread {ours['spread'] or math.nan:.2f}",
            flush=True,
        )
    summary = {}
    for finder in rows[0]["finders"]:
        within = sum(row["finders"].get(finder, {"within": 0})["within"] for row in rows)
        spreads = [row["finders"].get(finder, {}).get("spread") or math.inf for row in rows]
        median = statistics.median(spreads)
        summary[finder] = {
            "within": within,
            "of": given.seeds * len(rows),
            "median_spread": median if math.isfinite(median) else None,
        }
        print(f"{finder}: {within} of {given.seeds * len(rows)} within a point of the best, median spread {median:.2f}")
    ours = summary["thalweg"]
    claims = {
        f"at least {SHARE:.0%} within {WITHIN:g} of the best": ours["within"] >= SHARE * ours["of"],
        f"median spread at most {SPREAD}": (ours["median_spread"] or math.inf) <= SPREAD,
    }
    holds = print_claims(claims)
    if given.out:
        report = {
            "date": today(),
            "hardware": hardware(),
            "versions": versions("torch", "numba", "numpy", "torch-lr-finder"),
            "config": {"seeds": given.seeds, "pick_seeds": PICK, "score_seeds": SCORE, "grid_per_decade": DENSITY},
            "claims": claims,
            "summary": summary,
            "results": rows,
        }
        write_result(Path(given.out), report)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
