"""How fast is the engine? Side by side in one process with the ways in which others train many small networks.

    python benchmarks/engine.py                        # all works, writes results/engine.json
    python benchmarks/engine.py --only 0 3 --rounds 3 --out ""

Every round runs every contender once, in an order that moves on by one; figures are medians over the rounds, and
ratios are medians of the ratios within a round. Ends with 1 where a claim does not hold.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from contenders.in_jax import Jax
from contenders.in_sklearn import Sklearn
from contenders.modules import (
    Block,
    ChannelsLast,
    ChannelsLastTwoProcesses,
    ChannelsLastTwoThreads,
    ModuleEager,
    ModuleEagerTwoProcesses,
    ModuleEagerTwoThreads,
)
from contenders.ours import Kernel, Loop, Planned
from contenders.sequential import Compiled, CompiledTwoThreads, Eager, EagerTwoProcesses, EagerTwoThreads
from contenders.stacked import CompiledEnsemble, Ensemble, Flat
from contenders.work import Contender, MlpWork, ModuleWork, Work
from machine import hardware, matrix_rate, today, versions, write_result

BLOCK = f"{Block.__module__}:{Block.__name__}"
WORKS: list[Work] = [
    MlpWork(d=16, h=16, c=2, B=32, P=1024, steps=120, sample=8),
    MlpWork(d=64, h=64, c=10, B=64, P=64, steps=120, sample=8),
    MlpWork(d=784, h=64, c=10, B=64, P=128, steps=30, sample=8),
    MlpWork(d=784, h=128, c=10, B=128, P=64, steps=20, sample=8),
    MlpWork(d=784, h=64, c=10, B=64, P=64, steps=30, sample=8, norm_and_dropout=True, comparable=False),
    MlpWork(d=64, h=64, c=10, B=64, P=64, steps=120, sample=8, norm_and_dropout=True, comparable=False),
    ModuleWork(title="CNN 8-16 on 28 x 28", model="cnn", widths=(8, 16), B=64, P=16, steps=20, sample=4),
    ModuleWork(title="transformer block", model=BLOCK, B=16, P=16, steps=20, sample=4, comparable=False),
    ModuleWork(title="transformer block", model=BLOCK, B=64, P=16, steps=10, sample=4, comparable=False),
]
EAGER = (Eager, EagerTwoThreads)
STACKED = (Ensemble, CompiledEnsemble, Flat)
COMPILED = (Compiled, CompiledTwoThreads)
MODULES = (Planned, Loop, ModuleEager, ModuleEagerTwoThreads, ModuleEagerTwoProcesses)
IMAGES = (ChannelsLast, ChannelsLastTwoThreads, ChannelsLastTwoProcesses)

#: name of the work -> (what we are compared to, how many times as fast we must be)
CLAIMS: dict[str, list[tuple[str, float]]] = {
    WORKS[0].name: [("eager", 200.0), ("JAX", 2.0)],
    WORKS[1].name: [("eager", 20.0), ("JAX", 1.3)],
    WORKS[2].name: [("eager", 4.0), ("JAX", 1.3), ("stacked", 1.3)],
    WORKS[3].name: [("eager", 2.0), ("JAX", 1.3), ("stacked", 1.3)],
    WORKS[4].name: [("eager", 4.0)],
    WORKS[5].name: [("eager", 4.0)],
    WORKS[6].name: [("eager", 1.5)],
    WORKS[7].name: [("loop", 1.0)],
    WORKS[8].name: [("loop", 1.0)],
}
GROUPS = {
    "eager": [c.name for c in (*EAGER, ChannelsLast, ChannelsLastTwoThreads)],
    "JAX": [Jax.name],
    "stacked": [c.name for c in STACKED],
    "loop": [Loop.name],
}


def contenders_of(work: Work) -> tuple[type[Contender], ...]:
    """Returns who trains a work; ours comes first."""
    if isinstance(work, ModuleWork):
        return (*MODULES, *IMAGES) if work.model == "cnn" else MODULES
    if not work.comparable:
        return (Kernel, *EAGER, EagerTwoProcesses)
    return (Kernel, *EAGER, EagerTwoProcesses, *COMPILED, *STACKED, Jax, Sklearn)


def check_same_work(contenders: list[Contender]) -> dict[str, float]:
    """Returns contender -> norm of the difference of its first layer from ours, as a share of the norm of the change.

    All begin at the same weights and see the same batches, so a stretch must end at the same weights up to rounding.
    A norm, not the largest difference: Adam takes a full step where a gradient is nearly zero, and there its sign is
    rounding.
    """
    ours = contenders[0].first_layer()
    data = contenders[0].data
    start = data.first_layer_of(data.params)
    found = {}
    for contender in contenders[1:]:
        try:
            theirs = contender.first_layer()
        except NotImplementedError:
            continue
        mine = ours if len(theirs) == len(ours) else ours[np.linspace(0, len(ours) - 1, len(theirs)).astype(int)]
        found[contender.name] = float(np.linalg.norm(theirs - mine) / np.linalg.norm(mine - start))
        if found[contender.name] > 0.01:
            raise RuntimeError(f"{contender.name} does other work: its weights differ by {found[contender.name]:.1%}")
    return found


def measure(work: Work, rounds: int) -> dict[str, Any]:
    """Returns the times of every contender, ms a step of the population."""
    data = work.data()
    contenders = [kind(work, data) for kind in contenders_of(work)]
    first: dict[str, float] = {}
    for contender in contenders:
        contender.reset()
        started = time.perf_counter()
        contender.run()
        first[contender.name] = time.perf_counter() - started
        print(f"  {contender.name}: first stretch {first[contender.name]:.2f} s", file=sys.stderr)
    same = check_same_work(contenders) if work.comparable else {}
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        shift = number % len(contenders)
        for contender in contenders[shift:] + contenders[:shift]:
            gc.collect()
            time.sleep(0.05)  # threads of the one before stop spinning
            started = time.perf_counter()
            contender.run()
            seconds[contender.name].append(time.perf_counter() - started)
    rows = {}
    for contender in contenders:
        per_step = [t / contender.share / work.steps * 1e3 for t in seconds[contender.name]]
        rows[contender.name] = {
            "ms": statistics.median(per_step),
            "ms_of_rounds": [round(ms, 4) for ms in per_step],
            "cold_start_s": max(0.0, first[contender.name] - statistics.median(seconds[contender.name])),
            "members_run": round(contender.share * work.P, 2),
            "about": contender.about,
        }
        contender.close()
    return {
        "work": work.name,
        "flops": work.flops,
        "steps": work.steps,
        "contenders": rows,
        "difference": same,
        "ours": contenders[0].name,
    }


def measure_alone(number: int, rounds: int) -> dict[str, Any]:
    """Returns what `measure` returns for a work, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "engine.json"
        command = [sys.executable, __file__, "--only", str(number), "--rounds", str(rounds), "--out", str(out)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL)
        if not out.exists():
            sys.exit(f"{WORKS[number].name} was not measured: exit status {done.returncode}")
        return json.loads(out.read_text())["results"][0]


def ratio(result: dict[str, Any], names: list[str]) -> float:
    """Returns how many times as long the best of the named contenders takes as we do: the median over rounds."""
    rows = result["contenders"]
    best = min((name for name in names if name in rows), key=lambda name: rows[name]["ms"])
    pairs = zip(rows[best]["ms_of_rounds"], rows[result["ours"]]["ms_of_rounds"], strict=True)
    return statistics.median(theirs / mine for theirs, mine in pairs)


def claims_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for group, least in CLAIMS[result["work"]]:
        times = ratio(result, GROUPS[group])
        found.append({"against": group, "least": least, "found": round(times, 2), "holds": times >= least})
    return found


def show(result: dict[str, Any], rate: float) -> None:
    floor = result["flops"] / rate * 1e3
    print(f"\n{result['work']}   (products at the full matrix rate: {floor:.2f} ms)")
    mine = result["contenders"][result["ours"]]["ms"]
    for name, row in sorted(result["contenders"].items(), key=lambda item: item[1]["ms"]):
        share = floor / row["ms"]
        text = f"  {name:32} {row['ms']:9.3f} ms a step  {row['ms'] / mine:7.2f}x"
        print(f"{text}  {share:6.1%} of the matrix rate  cold {row['cold_start_s']:6.2f} s")
    for claim in result["claims"]:
        word = "holds" if claim["holds"] else "FAILS"
        print(f"  {word}: {claim['found']}x {claim['against']}, wanted at least {claim['least']}x")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the engine against its peers.")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of the works")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "engine.json"))
    given = parser.parse_args()
    numbers = range(len(WORKS)) if given.only is None else given.only
    rate = matrix_rate()
    results = []
    for number in numbers:
        print(WORKS[number].name, file=sys.stderr)
        # alone: threads and workers of one work would still be about in the next
        result = measure(WORKS[number], given.rounds) if len(numbers) == 1 else measure_alone(number, given.rounds)
        result["claims"] = claims_of(result)
        show(result, rate)
        results.append(result)
    if given.out:
        report = {
            "date": today(),
            "hardware": hardware(),
            "versions": versions("torch", "jax", "jaxlib", "numba", "numpy", "scipy", "scikit-learn"),
            "config": {
                "rounds": given.rounds,
                "batch": "one order of rows, shared by all members",
                "optimizer": "AdamW",
            },
            "matrix_rate_gflops": round(rate / 1e9, 1),
            "results": results,
        }
        write_result(Path(given.out), report)
    return 0 if all(claim["holds"] for result in results for claim in result["claims"]) else 1


if __name__ == "__main__":
    sys.exit(main())
