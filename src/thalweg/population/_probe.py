"""Whether members fit into an amount of memory, tried in a child process whose address space is limited.

Linux gives memory that it does not have and kills a process for using it, so a limit on the address space is the way to
be refused instead. The child limits itself once its libraries are loaded, then builds the population, makes one
step, evaluates, and writes a checkpoint.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.core import InputError, RunError
from thalweg.population._checkpoint import state_of
from thalweg.population._contract import Pace
from thalweg.population._machine import has_batch_norm
from thalweg.population._memory import SHARE_OF_FREE, available_memory, member_memory
from thalweg.population._planner import PROGRAMS, Plan
from thalweg.population._population import Population
from thalweg.recipes import Member, Recipe, recipe_from_text, recipe_to_text
from thalweg.store import save_arrays
from thalweg.tasks import Preparation, Split, Task

#: how near the probed number is to the truth, as a factor
_CLOSE = 1.1
#: threads reserve address space for stacks that they do not use
_RESERVE = 32 << 20
#: what the child says once it is limited
_LIMITED = "limited"


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The largest number that fits into the memory.

    Args:
        limit: Bytes that were allowed.
        predicted: By arithmetic.
        probed: The largest number that a child process could do, within a tenth; None where it was not tried.
    """

    limit: int
    predicted: int
    probed: int | None


def probe_fits(task: Task, recipe: Recipe, plan: Plan, num_members: int, *, limit: int) -> bool:
    """Returns whether so many members of a recipe can be made, trained and saved in so much memory, by doing it.

    Args:
        task: What is optimised.
        recipe: Of all members; they differ in the seed.
        plan: How they run, on a CPU.
        num_members: How many.
        limit: Bytes beside what Python and its libraries take.

    Raises:
        RunError: where the child process fails for another reason than memory.
    """
    with tempfile.TemporaryDirectory(prefix="thalweg-probe-") as folder:
        _write_request(Path(folder), task, recipe, plan, num_members, limit)
        # one arena: each further one reserves address space that nothing uses
        environment = {**os.environ, "MALLOC_ARENA_MAX": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-c", f"from {__name__} import run_child; run_child()", folder]
        child = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if child.returncode == 0:
        return True
    # a small population went well before: what fails under the limit fails for it, in whatever words
    if _LIMITED in child.stdout:
        return False
    lines = child.stderr.strip().splitlines() or [f"exit code {child.returncode}"]
    raise RunError(f"the probe of memory failed: {lines[-1].rstrip('.')}. Plan without --probe.")


def largest_population(
    task: Task, recipe: Recipe, plan: Plan, *, limit: int | None = None, most: int = 1 << 20, probe: bool = True
) -> Fit:
    """Returns how many members of a recipe fit into the memory.

    Args:
        task: What is optimised.
        recipe: Of all members.
        plan: How they run.
        limit: Bytes; default is what is free.
        most: Members that are enough.
        probe: Whether to try it in a child process; only on a CPU.
    """
    memory, allowed = member_memory(task, recipe, plan), _allowed(plan, limit)
    lanes = PROGRAMS[plan.program_for(task, recipe)[0]].side_by_side(recipe, plan)
    on_host = plan.device == "cpu"

    def predicted_fits(num: int) -> bool:
        return memory.total(num, lanes, on_host=on_host) <= allowed

    def fits(num: int) -> bool:
        return probe_fits(task, recipe, plan, num, limit=allowed)

    return _search(predicted_fits, fits, most=most, limit=allowed, probe=probe and on_host)


def largest_micro_batch(
    task: Task, recipe: Recipe, plan: Plan, *, num_members: int = 1, limit: int | None = None, probe: bool = True
) -> Fit:
    """Returns how many rows of a batch fit into the memory at once; the whole batch where that is possible.

    Args:
        task: What is optimised.
        recipe: Of all members.
        plan: How they run.
        num_members: How many members there are.
        limit: Bytes; default is what is free.
        probe: Whether to try it in a child process; only on a CPU.

    Raises:
        InputError: for a recipe with batch norm.
    """
    if has_batch_norm(task, recipe):
        raise InputError("micro_batch", "off with batch norm", remedy="Statistics of a part of a batch are others.")
    allowed = _allowed(plan, limit)
    batch = Pace.of(recipe, len(task.train.rows)).batch_size

    def predicted_fits(num: int) -> bool:
        parts = replace(plan, micro_batch=num)
        memory = member_memory(task, recipe, parts)
        lanes = PROGRAMS[parts.program_for(task, recipe)[0]].side_by_side(recipe, parts)
        return memory.total(num_members, lanes, on_host=plan.device == "cpu") <= allowed

    def fits(num: int) -> bool:
        return probe_fits(task, recipe, replace(plan, micro_batch=num), num_members, limit=allowed)

    return _search(predicted_fits, fits, most=batch, limit=allowed, probe=probe and plan.device == "cpu")


def _allowed(plan: Plan, limit: int | None) -> int:
    return int(SHARE_OF_FREE * available_memory(plan.device)) if limit is None else limit


def _search(
    predicted_fits: Callable[[int], bool], fits: Callable[[int], bool], *, most: int, limit: int, probe: bool
) -> Fit:
    """Returns the largest number from 1 to `most` of which each function says that it fits; 0 where 1 does not."""
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if predicted_fits(middle) else (low, middle)
    predicted = low
    if not probe:
        return Fit(limit=limit, predicted=predicted, probed=None)
    low, high, num = 0, most + 1, max(1, predicted)
    while True:  # from the prediction outwards, then between what fitted and what did not
        low, high = (num, high) if fits(num) else (low, num)
        if high - low <= 1 or (low and high <= low * _CLOSE):
            return Fit(limit=limit, predicted=predicted, probed=low)
        if high == most + 1:
            num = min(most, max(low + 1, round(low * _CLOSE)))
        elif low == 0:
            num = max(1, int(high / _CLOSE**2))
        else:
            num = (low + high) // 2


# ---- the child --------------------------------------------------------------------------------------------------


def _write_request(folder: Path, task: Task, recipe: Recipe, plan: Plan, num_members: int, limit: int) -> None:
    names = ("name", "kind", "loss", "metric", "input_shape", "output_size", "classes")
    about = {
        "task": {name: getattr(task, name) for name in names},
        "preparation": task.preparation.to_json(),
        "recipe": recipe_to_text(recipe),
        "plan": replace(plan, cluster=None).to_json(),
        "num_members": num_members,
        "limit": limit,
    }
    (folder / "request.json").write_text(json.dumps(about))
    for name in ("train", "validation"):
        split = getattr(task, name)
        np.savez(folder / f"{name}.npz", x=split.x, y=split.y, rows=split.rows)


def run_child() -> None:
    """Runs the request of the folder that the command line names; fails where memory does not suffice."""
    folder = Path(sys.argv[1])
    about: dict[str, Any] = json.loads((folder / "request.json").read_text())
    recipe = recipe_from_text(about["recipe"], source="the request")
    plan = Plan.from_json(about["plan"])
    task = _read_task(folder, about)
    # what is loaded and made once, threads among it, is no member's
    small = min(16, Pace.of(recipe, len(task.train.rows)).batch_size)
    _train(task, recipe.changed(batch_size=small), plan, plan.threads, folder)
    print(_LIMITED, flush=True)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = used + about["limit"] + _RESERVE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    _train(task, recipe, plan, about["num_members"], folder)


def _read_task(folder: Path, about: dict[str, Any]) -> Task:
    splits = {}
    for name in ("train", "validation"):
        with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
            splits[name] = Split(x=arrays["x"], y=arrays["y"], rows=arrays["rows"])
    fields = {name: tuple(v) if isinstance(v, list) else v for name, v in about["task"].items()}
    preparation = Preparation.from_json(about["preparation"])
    return Task(**fields, **splits, test=splits["validation"], preparation=preparation)


def _train(task: Task, recipe: Recipe, plan: Plan, num_members: int, folder: Path) -> None:
    population = Population(task, [Member(recipe=recipe, seed=seed) for seed in range(num_members)], plan)
    for program in population.programs:
        program.advance(np.ones(num_members, np.int64), np.ones(num_members))
    population.evaluate(range(num_members))
    save_arrays(folder / "checkpoint.safetensors", *state_of(population))
