"""`train`: one recipe on several seeds, with the intervals of its scores."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from thalweg.core import check_number
from thalweg.population import (
    Company,
    Control,
    Pace,
    Plan,
    Session,
    check_memory,
    check_recipes,
    default_plan,
    make_plan,
    score_members,
)
from thalweg.probes import Stretch, watch_members
from thalweg.recipes import Member, Recipe, recipe_to_text
from thalweg.search import find_fates
from thalweg.store import RunFolder, check_new
from thalweg.tasks import Task, load_task
from thalweg.workflows._files import base_recipe, seconds_spent, task_fingerprint, train_saved_model, write_files
from thalweg.workflows._results import TrainResult

#: how many seeds a training has
DEFAULT_SEEDS = 5


def train(
    task: Any,
    recipe: Recipe | str | None = None,
    *,
    seeds: int = DEFAULT_SEEDS,
    seed: int = 0,
    out: str | Path | None = None,
    plan: Plan | None = None,
    control: Control | None = None,
    source: dict[str, Any] | None = None,
) -> TrainResult:
    """Returns the scores of one recipe over several seeds, trained together, with their intervals.

    Args:
        task: A `Task`, or anything that `load_task` takes.
        recipe: As a `Recipe` or a `--model` text; default is an MLP with 128 units.
        seeds: How many.
        seed: The first of them; the others follow.
        out: Run folder to write, new or empty; None writes nothing.
        plan: How members run; default uses all cores.
        control: Pause, cancel, progress.
        source: What `load_task` was called with, stored with the run.

    Raises:
        InputError: where an argument does not fit; nothing is written then.

    Example:
        >>> result = train("iris", Recipe(widths=(8,), epochs=5, batch_size=16), seeds=2)
        >>> len(result.test.values)
        2
    """
    check_number("seeds", seeds, least=1, integer=True)
    check_number("seed", seed, least=0, integer=True)
    if out is not None:
        check_new(out)
    loaded = load_task(task)
    chosen = base_recipe(loaded, recipe)
    plan = plan_training(loaded, chosen, seeds, plan or default_plan())
    folder = None
    if out is not None:
        request = {
            "source": source or ({"source": task} if isinstance(task, str) else None),
            "recipe": recipe_to_text(chosen),
            "seeds": seeds,
            "seed": seed,
            "plan": plan.to_json(),
            "fingerprint": task_fingerprint(loaded),
        }
        folder = RunFolder.create(out, "train", request)
    return run_training(loaded, chosen, seeds, seed, plan, control, folder)


def plan_training(task: Task, recipe: Recipe, seeds: int, plan: Plan) -> Plan:
    """Returns how a training will run, once its recipe is known to fit the task and the memory.

    Raises:
        InputError: where it does not.
    """
    check_recipes(task, [recipe], plan)
    members = [recipe] * seeds
    steps = seeds * Pace.of(recipe, len(task.train.rows)).total_steps
    plan = make_plan(task, [Company(recipes=members, steps=steps)], plan)
    check_memory(task, members, plan, remedy="Train fewer seeds, or take smaller widths.")
    return plan


def run_training(
    task: Task, recipe: Recipe, seeds: int, seed: int, plan: Plan, control: Control | None, folder: RunFolder | None
) -> TrainResult:
    """Returns the result of a training that was begun or is gone on with, and writes its files."""
    started, spent = time.monotonic(), seconds_spent(folder)
    members = [Member(recipe=recipe, seed=seed + k) for k in range(seeds)]
    with contextlib.nullcontext() if folder is None else folder.locked():
        session = Session(task, plan, control, folder)
        steps = Pace.of(recipe, len(task.train.rows)).total_steps
        watching = watch_members(task, [Stretch(recipe, seeds, 0, steps)])
        population = session.open("training", members, watching=watching)
        session.announce(sum(population.pace(n).total_steps for n in range(seeds)))
        complete = session.run("training")
        if complete:
            session.close("training", keep=range(seeds))
        finite = [
            n for n in range(seeds) if population.diverged_at(n) is None and population.last_record(n) is not None
        ]
        scored = complete and bool(finite)
        saved = train_saved_model(session, recipe, members[finite[0]].seed) if scored and folder is not None else None
        complete = not session.control.cancelled
        result = TrainResult(
            task=task,
            recipe=recipe,
            plan=plan,
            seeds=tuple(member.seed for member in members),
            diverged={members[n].seed: step for n in range(seeds) if (step := population.diverged_at(n)) is not None},
            validation=score_members(population, finite, "validation") if scored else None,
            test=score_members(population, finite, "test") if scored else None,
            fates=find_fates(population),
            history={"training": session.history("training")},
            seconds=spent + time.monotonic() - started,
            complete=complete,
            model_seed=None if saved is None else saved.members[0].seed,
            run=None if folder is None else folder.path,
        )
        if folder is not None:
            result = write_files(folder, session, result, saved)
    return result
