"""`resume`: an interrupted run goes on, under its stored plan, to the result that it would have had."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from thalweg.core import RunError
from thalweg.population import Budget, Control, Plan, check_machine
from thalweg.recipes import recipe_from_text
from thalweg.search import Size, plan_search
from thalweg.store import RunFolder
from thalweg.studies import LandscapeOptions, find_study
from thalweg.workflows._files import load_same_task
from thalweg.workflows._results import StudyResult, TrainResult, TuneResult
from thalweg.workflows._study import run_study
from thalweg.workflows._train import run_training
from thalweg.workflows._tune import axis_from_json, run_search


def resume(
    run: str | Path, *, task: Any = None, cluster: str | None = None, control: Control | None = None
) -> TuneResult | TrainResult | StudyResult:
    """Returns the result of an interrupted run, of the kind that it is.

    Args:
        run: The run folder.
        task: The data, where the run was started from Python objects; a run from a name or file loads it itself.
        cluster: Where it goes on: `local`, HOST:PORT, or `off` for this machine alone; default is where it was started.
            The result is the same.
        control: Pause, cancel, progress.

    Raises:
        InputError: where the data is needed, or is not the data of the run.
        RunError: where the folder is no run, is damaged, or another process writes it.
    """
    folder = RunFolder(run)
    about = folder.about
    try:
        recipe = recipe_from_text(about["recipe"], source=str(folder.path / "run.json"))
        plan = Plan.from_json(about["plan"])
        source, seeds, seed, fingerprint = (about[name] for name in ("source", "seeds", "seed", "fingerprint"))
        if folder.kind == "tune":
            axes = [axis_from_json(axis) for axis in about["axes"]]
            budget = Budget(**about["budget"])
        if folder.kind == "study":
            name, share, steps = (about[field] for field in ("study", "share", "steps"))
            asked = find_study(name, LandscapeOptions(**about["options"]) if about.get("options") else None)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise folder.damaged("run.json", f"{type(error).__name__}: {error}") from None
    if cluster is not None:
        plan = replace(plan, cluster=None if cluster == "off" else cluster)
    if folder.kind not in ("tune", "train", "study"):
        raise RunError(f"{run} holds a {folder.kind} run; only tune, train and study runs can be resumed.")
    check_machine(plan)
    loaded = load_same_task(source, task, fingerprint)
    if folder.kind == "study":
        return run_study(asked, loaded, recipe, share, steps, seeds, seed, plan, control, folder)
    if folder.kind == "train":
        return run_training(loaded, recipe, seeds, seed, plan, control, folder)
    if folder.has("size.json"):
        try:
            size = Size(**folder.read_json("size.json"))
        except TypeError as error:
            raise folder.damaged("size.json", error) from None
    else:  # killed before it was written
        size = plan_search(loaded, recipe, axes, budget=budget, seeds=seeds, seed=seed, plan=plan).size
        folder.write_json("size.json", asdict(size))
    return run_search(loaded, recipe, axes, size, seeds, seed, plan, control, folder)
