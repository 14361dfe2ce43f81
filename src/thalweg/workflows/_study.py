"""`study`: one question about how we optimise, answered by an experiment, in a run folder that can be resumed."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from thalweg.core import check_number
from thalweg.population import Budget, Control, Plan, Session, default_plan, parse_budget
from thalweg.recipes import Recipe, recipe_to_text
from thalweg.store import RunFolder, check_new
from thalweg.studies import STUDIES, Lab, LandscapeOptions, Study, find_study, plan_study, shortened
from thalweg.tasks import Task, load_task
from thalweg.workflows._files import base_recipe, seconds_spent, task_fingerprint, write_report
from thalweg.workflows._results import StudyResult


def study(
    name: str,
    task: Any,
    recipe: Recipe | str | None = None,
    *,
    seeds: int | None = None,
    budget: Budget | str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    plan: Plan | None = None,
    control: Control | None = None,
    source: dict[str, Any] | None = None,
    options: LandscapeOptions | None = None,
) -> StudyResult:
    """Returns the answer of a study on a task.

    Scores are of the validation rows; the test rows stay closed.

    Args:
        name: A key of `studies.STUDIES`.
        task: A `Task`, or anything that `load_task` takes.
        recipe: What is studied, as a `Recipe` or a `--model` text; default is an MLP with 128 units.
        seeds: On which every level is trained, at least 2; default depends on the study.
        budget: Text (`60s`, `2e6steps`) or `Budget`; default 45 s. Levels train for fewer epochs where they must.
        seed: The first of them.
        out: Run folder to write, new or empty; None writes nothing.
        plan: How members run; default uses all cores.
        control: Pause, cancel, progress.
        source: What `load_task` was called with, stored so that `resume` can load the data again.
        options: Of the study `landscape`.

    Raises:
        InputError: where an argument does not fit; nothing is written then.
        RunError: where it was interrupted.

    Example:
        >>> found = study("schedule", "iris", Recipe(widths=(4,), epochs=2, batch_size=16), seeds=2)
        >>> found.name
        'schedule'
    """
    asked = find_study(name, options)
    num = asked.seeds if seeds is None else seeds
    check_number("seeds", num, least=2, integer=True, remedy="An interval needs 2 seeds; 5 is a good number.")
    check_number("seed", seed, least=0, integer=True)
    if out is not None:
        check_new(out)
    loaded = load_task(task)
    base = base_recipe(loaded, recipe)
    limit = parse_budget(budget) if isinstance(budget, str) else budget or Budget()
    planned = plan_study(loaded, asked, base, seeds=num, budget=limit, plan=plan or default_plan())
    folder = None
    if out is not None:
        request = {
            "study": name,
            "options": None if options is None else options.to_json(),
            "source": source or ({"source": task} if isinstance(task, str) else None),
            "recipe": recipe_to_text(base),
            "share": planned.share,
            "steps": planned.steps,
            "seeds": num,
            "seed": seed,
            "plan": planned.plan.to_json(),
            "fingerprint": task_fingerprint(loaded),
        }
        folder = RunFolder.create(out, "study", request)
    return run_study(asked, loaded, base, planned.share, planned.steps, num, seed, planned.plan, control, folder)


def run_study(
    asked: Study,
    task: Task,
    recipe: Recipe,
    share: float,
    steps: int,
    seeds: int,
    seed: int,
    plan: Plan,
    control: Control | None,
    folder: RunFolder | None,
) -> StudyResult:
    """Returns the result of a study that was begun or is gone on with, and writes its files."""
    started, spent = time.monotonic(), seconds_spent(folder)
    with contextlib.nullcontext() if folder is None else folder.locked():
        session = Session(task, plan, control, folder)
        session.announce(steps)
        lab = Lab(
            session=session,
            task=task,
            recipe=shortened(recipe, share),
            levels={label: shortened(level, share) for label, level in asked.levels(task, recipe).items()},
            seeds=tuple(seed + k for k in range(seeds)),
        )
        if share < 1:
            full = f"{lab.recipe.epochs} of the recipe's {recipe.epochs} epochs"
            lab.notes.append(f"Every level trained for {full}, to stay within the budget; --budget buys more.")
        result = StudyResult(
            name=asked.name,
            question=STUDIES[asked.name],
            task=task,
            recipe=lab.recipe,
            plan=plan,
            seeds=lab.seeds,
            answer=asked.run(lab),
            history={opened: session.history(opened) for opened in session.populations},
            seconds=spent + time.monotonic() - started,
            run=None if folder is None else folder.path,
        )
        if folder is not None:
            write_report(folder, session, result)
    return result
