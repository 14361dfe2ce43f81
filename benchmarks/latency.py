"""How long until something happens? First steps, the start of a command, and ten thousand recipes.

    python benchmarks/latency.py                # writes results/latency.json
    python benchmarks/latency.py --repeats 3 --out ""

Ends with 1 where a claim does not hold.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import hardware, today, versions, write_result

from thalweg.population import PROGRAMS, Plan, Population, Settings
from thalweg.recipes import Axis, Member, Recipe, sample_recipes
from thalweg.tasks import Task, load_task

#: what must hold, seconds
MOST = {"first step of a new shape": 0.2, "command to first step": 3.0, "10,000 recipes x 1,000 steps": 20.0}

#: runs the command in a fresh process, and ends it after the first step of the run itself; planning makes some before
COMMAND = """
import os, sys
import numpy as np
from thalweg.cli import main
from thalweg.population import PROGRAMS, Session
advance, init = PROGRAMS["kernel"].advance, Session.__init__
def first(self, counts, *others):
    advance(self, np.minimum(counts, 1), *others)
    os._exit(0)
def begin(self, *given, **named):
    PROGRAMS["kernel"].advance = first
    init(self, *given, **named)
Session.__init__ = begin
sys.argv = ["thalweg", "tune", "fashion-mnist", "--out", sys.argv[1]]
main()
sys.exit("no step was made by the kernel")
"""


def small_task(num_rows: int) -> Task:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((num_rows, 16)).astype(np.float32)
    y = (x @ rng.standard_normal(16) > 0).astype(np.int64)
    return load_task((x, y), kind="multiclass", validation=0.05, test=0.05)


def first_steps(repeats: int) -> list[float]:
    """Returns the seconds to build a member of a shape never seen in this process and make its first step."""
    task = load_task("fashion-mnist")
    seconds = []
    for number in range(repeats + 1):
        started = time.perf_counter()
        recipe = Recipe(widths=(100 + number, 50 + number), batch_size=32 + number, activation="tanh", epochs=2)
        program = PROGRAMS["kernel"](task, [Member(recipe=recipe, seed=0)], Settings())
        program.advance(np.array([1]), np.ones(1))
        seconds.append(time.perf_counter() - started)
    return seconds[1:]  # the first one in a process also loads the compiled kernel


def command_starts(repeats: int) -> list[float]:
    """Returns the seconds from the command to the end of the first step of training."""
    seconds = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", COMMAND, str(Path(folder) / "run")], check=True, stdout=subprocess.DEVNULL
            )
            seconds.append(time.perf_counter() - started)
    return seconds


def many_recipes(repeats: int, num_recipes: int = 10_000) -> list[float]:
    """Returns the seconds for recipes of 1,000 steps each, from building the population to the last evaluation."""
    task = small_task(35_556)  # 32,000 rows train: an epoch is 1,000 steps
    base = Recipe(widths=(16,), batch_size=32, epochs=1, optimizer="adamw")
    axes = [
        Axis(field="lr", low=1e-4, high=1e-1, scale="log"),
        Axis(field="weight_decay", low=1e-4, high=1e-1, scale="log"),
        Axis(field="beta1", low=0.5, high=0.99),
    ]
    members = [Member(recipe=recipe, seed=0) for recipe in sample_recipes(base, axes, num_recipes, 0)]
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        population = Population(task, members, Plan(threads=len(os.sched_getaffinity(0))))
        assert population.pace(0).total_steps == 1_000
        population.run()
        assert len(population.history) == num_recipes
        seconds.append(time.perf_counter() - started)
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how long it takes until something happens.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "latency.json"))
    given = parser.parse_args()
    measured = {
        "first step of a new shape": first_steps(given.repeats),
        "command to first step": command_starts(given.repeats),
        "10,000 recipes x 1,000 steps": many_recipes(max(1, given.repeats // 2)),
    }
    rows: list[dict[str, Any]] = []
    for name, seconds in measured.items():
        median = statistics.median(seconds)
        rows.append(
            {"what": name, "seconds": round(median, 4), "all": [round(s, 4) for s in seconds], "most": MOST[name]}
        )
        print(f"{'holds' if median <= MOST[name] else 'FAILS'}: {name}: {median:.3f} s, wanted at most {MOST[name]} s")
    if given.out:
        report = {
            "date": today(),
            "hardware": hardware(),
            "versions": versions("torch", "numba", "numpy", "scipy"),
            "config": {"repeats": given.repeats, "command": "thalweg tune fashion-mnist"},
            "results": rows,
        }
        write_result(Path(given.out), report)
    return 0 if all(row["seconds"] <= row["most"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
