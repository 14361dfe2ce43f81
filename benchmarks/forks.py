"""How long do the forks of a proof take, in each way that they can run, and which way does the doctor take?

    python benchmarks/forks.py                  # writes results/forks.json

Every way runs in turn, with the threads that suit it; what counts is the median.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from machine import hardware, today, versions, write_result

from thalweg.doctor._gallery import healthy
from thalweg.doctor._proof import _prove
from thalweg.doctor._proof._forks import ALONE, Way, run_forks
from thalweg.doctor._proof._replay import UNCHANGED
from thalweg.doctor._record._batch import Batch
from thalweg.doctor._view import View

SEEDS, STEPS = 8, 60
LOOPS = {
    "MLP 64-64 on digits": ("digits", "mlp"),
    "five layers of 48 on digits": ("digits", "deep"),
    "batch norm and dropout on digits": ("digits", "norm"),
    "attention over 8 rows of pixels": ("digits", "attention"),
    "CNN 16-32 on 8 x 8": ("digits", "cnn"),
    "CNN 16-32 on 28 x 28": ("fashion", "cnn"),
}


def measured(data: str, model: str, repeats: int, threads: int) -> dict[str, Any]:
    """Returns the seconds of each way, and that which is taken."""
    loop = healthy(data, model, 0)
    assert loop is not None
    view = View(loop.run().recording)
    orders = _prove._orders(view.training, SEEDS)
    ways = {
        "one after another, one thread": (ALONE, 1),
        "one after another": (ALONE, threads),
        "one program, one thread": (Way(stacked=True), 1),
        "one program": (Way(stacked=True), threads),
        "side by side": (Way(workers=threads), 1),
    }
    for way in ways.values():
        seconds(view, orders, *way, steps=3)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            found[name].append(seconds(view, orders, *way, steps=STEPS))
    torch.set_num_threads(threads)
    begun = time.perf_counter()
    with _prove._fastest(view, SEEDS) as taken:
        told = "one program" if taken.stacked else "side by side" if taken.workers > 1 else "one after another"
        told += ", one thread" if not taken.workers > 1 and torch.get_num_threads() == 1 < threads else ""
    return {
        "seconds": {name: statistics.median(each) for name, each in found.items()},
        "taken": told,
        "seconds to choose": time.perf_counter() - begun,
    }


def seconds(view: View, orders: Sequence[Sequence[Batch]], way: Way, threads: int, *, steps: int) -> float:
    torch.set_num_threads(threads)
    begun = time.perf_counter()
    run_forks(view.replay, view.recording.states[0], orders, UNCHANGED, steps=steps, way=way)
    return time.perf_counter() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "forks.json"))
    given = parser.parse_args()
    threads = torch.get_num_threads()
    found: dict[str, Any] = {}
    for name, loop in LOOPS.items():
        found[name] = measured(*loop, given.repeats, threads)
        print(name, found[name], flush=True)
    if given.out:
        about = {"date": today(), "hardware": hardware(), "versions": versions("torch"), "threads": threads}
        write_result(Path(given.out), {**about, "forks": SEEDS, "steps": STEPS, "repeats": given.repeats, **found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
