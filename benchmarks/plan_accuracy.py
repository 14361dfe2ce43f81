"""How long does `thalweg plan` say a run will take, and how long does it then take?

    python benchmarks/plan_accuracy.py               # all cases three times, writes results/plan_accuracy.json
    python benchmarks/plan_accuracy.py --only iris --repeats 1 --out ""

A case is planned and run in turn, each time in this process. The time of a run is that of all its stages, as
`result.json` says it. A case passes if its median ratio of predicted to measured time is between 0.7 and 1.3; one
that may stop early passes if the prediction is not below 0.7 of what was measured. The time of a search depends on
which recipes win, and the plan says by how much: a search passes if the median of its times lies in that range, each
end of it 30% wider; its plain ratio is printed, too.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from machine import hardware, today, versions, write_result

import thalweg as tw
from thalweg.population import default_plan

WITHIN = 0.3


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run that is planned and then done: `vary` makes it a search."""

    name: str
    task: str
    recipe: dict[str, Any] = field(default_factory=dict)
    vary: tuple[str, ...] | None = None
    seeds: int = 5
    budget: str | None = None
    search: bool = False


CASES = (
    Case(name="train iris, MLP", task="iris", recipe={"widths": (16,), "epochs": 200, "batch_size": 16}, seeds=20),
    Case(name="train digits, MLP", task="digits", recipe={"widths": (128,), "epochs": 40}),
    Case(name="train digits, linear", task="digits", recipe={"model": "linear", "widths": (), "epochs": 40}),
    Case(
        name="train digits, batch norm and dropout",
        task="digits",
        recipe={"widths": (64, 64), "norm": "batch", "dropout": 0.3, "epochs": 30},
    ),
    Case(
        name="train digits, muon", task="digits", recipe={"widths": (64,), "optimizer": "muon", "epochs": 10}, seeds=3
    ),
    Case(name="train digits, CNN", task="digits", recipe={"model": "cnn", "widths": (8, 16), "epochs": 8}, seeds=3),
    Case(name="train fashion-mnist, MLP", task="fashion-mnist", recipe={"widths": (128,), "epochs": 12}),
    Case(
        name="train fashion-mnist, full batch",
        task="fashion-mnist",
        recipe={"widths": (64,), "optimizer": "sgd", "lr": 0.1, "batch_size": None, "epochs": 60},
    ),
    Case(
        name="train fashion-mnist, CNN",
        task="fashion-mnist",
        recipe={"model": "cnn", "widths": (8, 16), "epochs": 2},
        seeds=2,
    ),
    Case(
        name="train fashion-mnist, early stopping",
        task="fashion-mnist",
        recipe={"widths": (128,), "epochs": 20, "patience": 2, "lr": 0.003},
    ),
    Case(name="tune iris, default axes", task="iris", recipe={"widths": (16,), "epochs": 60}, search=True),
    Case(
        name="tune digits, mixed optimizers",
        task="digits",
        recipe={"widths": (64,), "epochs": 27},
        vary=("optimizer=sgd,momentum,adamw,lion", "lr=1e-4..1e-1"),
        budget="60000steps",
        search=True,
    ),
    Case(
        name="tune digits, width and batch",
        task="digits",
        recipe={"epochs": 18},
        vary=("widths=32,128,256", "batch_size=16,64,256", "lr=1e-4..1e-2"),
        budget="60000steps",
        search=True,
    ),
    Case(
        name="tune fashion-mnist, default axes, 60 s",
        task="fashion-mnist",
        recipe={"epochs": 9},
        budget="60s",
        search=True,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One repeat of a case, in seconds; the range is that of the plan, both ends equal where it has none."""

    predicted: float
    low: float
    high: float
    took: float


def measure(case: Case, threads: int) -> Timing:
    """Returns the seconds that were predicted for a case, and that it took."""
    task = tw.load_task(case.task)
    recipe = tw.Recipe(**{"batch_size": 32, **case.recipe})
    options: dict[str, Any] = {"seeds": case.seeds, "plan": tw.Plan(threads=threads)}
    if case.search:
        options |= {"vary": case.vary, "budget": case.budget}
    plan = tw.plan(task, recipe, train=not case.search, **options)
    with tempfile.TemporaryDirectory() as folder:
        run = tw.tune if case.search else tw.train
        took = run(task, recipe, out=Path(folder) / "run", **options).seconds
    low, high = (plan.seconds if end is None else end for end in (plan.low, plan.high))
    return Timing(predicted=plan.seconds, low=low, high=high, took=took)


def passes(case: Case, times: list[Timing]) -> bool:
    """Returns whether the repeats of a case are as near to the plan as the page says."""
    long = statistics.median(time.took / time.high for time in times) > 1 / (1 - WITHIN)
    short = statistics.median(time.took / time.low for time in times) < 1 / (1 + WITHIN)
    return not long and ("patience" in case.recipe or not short)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--threads", type=int, default=default_plan().threads)
    parser.add_argument("--out", default=str(Path(__file__).parent / "results/plan_accuracy.json"))
    given = parser.parse_args()
    cases = [case for case in CASES if given.only in case.name]
    found: dict[str, list[Timing]] = {case.name: [] for case in cases}
    for _ in range(given.repeats):
        for case in cases:
            time = measure(case, given.threads)
            found[case.name].append(time)
            told = f"{time.predicted:7.2f} s ({time.low:.2f} to {time.high:.2f})"
            print(f"{case.name:45} predicted {told}, took {time.took:7.2f} s", flush=True)
    rows = []
    for case in cases:
        times = found[case.name]
        ratio = statistics.median(time.predicted / time.took for time in times)
        passed = passes(case, times)
        rows.append({**asdict(case), "times": [asdict(time) for time in times], "ratio": ratio, "passed": passed})
        print(f"{case.name:45} predicted / measured {ratio:.2f} {'' if passed else '(fails)'}")
    if given.out:
        about = {
            "date": today(),
            "hardware": hardware(),
            "versions": versions("torch", "numpy", "numba"),
            "config": {"repeats": given.repeats, "threads": given.threads, "within": WITHIN},
        }
        write_result(Path(given.out), {**about, "cases": rows})
    return 0 if all(row["passed"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
