"""`train`: one recipe on several seeds, with the intervals of its scores."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from thalweg.core import check_number, write_text
from thalweg.population import Control, Plan, Session, check_recipes, default_plan
from thalweg.recipes import Member, Recipe, recipe_to_text
from thalweg.store import RunFolder, check_new
from thalweg.studies import score_members
from thalweg.tasks import load_task
from thalweg.workflows._files import save_model, save_report, save_task, task_fingerprint, train_saved_model
from thalweg.workflows._results import TrainResult
from thalweg.workflows._tune import _base_recipe


def train(
    task: Any,
    recipe: Recipe | str | None = None,
    *,
    seeds: int = 5,
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
    started = time.monotonic()
    loaded = load_task(task)
    chosen = _base_recipe(loaded, recipe)
    plan = plan or default_plan()
    members = [Member(recipe=chosen, seed=seed + k) for k in range(seeds)]
    check_recipes(loaded, [chosen], plan)  # a recipe that does not fit is refused before anything is written
    folder = None
    if out is not None:
        request = {"source": source, "recipe": recipe_to_text(chosen), "plan": plan.to_json()}
        folder = RunFolder.create(out, "train", {**request, "fingerprint": task_fingerprint(loaded)})
    session = Session(loaded, plan, control, folder)
    population = session.open("training", members)
    session.announce(sum(population.pace(n).total_steps for n in range(seeds)))
    complete = session.run("training")
    finite = [n for n in range(seeds) if population.diverged_at(n) is None and population.last_record(n) is not None]
    scored = complete and bool(finite)
    saved = train_saved_model(session, chosen, members[finite[0]].seed) if scored and folder is not None else None
    result = TrainResult(
        task=loaded,
        recipe=chosen,
        plan=plan,
        seeds=tuple(member.seed for member in members),
        diverged={members[n].seed: step for n in range(seeds) if (step := population.diverged_at(n)) is not None},
        validation=score_members(population, finite, "validation") if scored else None,
        test=score_members(population, finite, "test") if scored else None,
        history={"training": session.history("training")},
        seconds=time.monotonic() - started,
        complete=complete,
        model_seed=None if saved is None else saved.members[0].seed,
        run=None if folder is None else folder.path,
    )
    if folder is not None:
        write_text(folder.path / "recipe.toml", recipe_to_text(chosen))
        folder.write_json("timing.json", {"seconds": result.seconds})
        session.merge_history()
        save_task(folder, loaded)
        if saved is not None:
            save_model(folder, saved)
        save_report(folder, result)
        folder.write_json("result.json" if complete else "result.partial.json", result.to_json())
        folder.log("finished" if complete else "interrupted")
    return result
