"""`landscape`: the loss around what a run trained, or around a model that is trained for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.core import InputError, RunError
from thalweg.landscape import check_mesh, write_mesh
from thalweg.population import Budget, Control, Plan
from thalweg.recipes import Recipe, read_recipe
from thalweg.store import RunFolder
from thalweg.studies import LandscapeOptions
from thalweg.tasks import Task
from thalweg.workflows._files import load_same_task
from thalweg.workflows._results import StudyResult
from thalweg.workflows._runs import open_result
from thalweg.workflows._study import study


def landscape(
    what: Any,
    recipe: Recipe | str | None = None,
    *,
    options: LandscapeOptions | None = None,
    task: Any = None,
    seeds: int | None = None,
    mesh: str | Path | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    plan: Plan | None = None,
    control: Control | None = None,
    source: dict[str, Any] | None = None,
) -> StudyResult:
    """Returns what the loss looks like around trained members, and between them.

    Of a run of `train` or `tune`, the recipe is trained again on the seeds on which its scores were measured: under the
    same plan that gives the same weights, and the way there.

    Args:
        what: A run folder; or a `Task`, or anything that `load_task` takes, on which `recipe` is trained.
        recipe: What is trained on a task; default is an MLP with 128 units.
        options: Plane, points, span, rows and modes.
        task: The data of a run that was started from data in memory.
        seeds: Members; default is 3.
        mesh: A file that ends in .obj or .glb, to which the surface of the training loss is written.
        out: Run folder to write, new or empty; None writes nothing.
        seed: The first of the members' on a task.
        plan: How members run; default is that of the run, or all cores.
        control: Pause, cancel, progress.
        source: What `load_task` was called with.

    Raises:
        InputError: where an argument does not fit, or the data of a run is not at hand; nothing is written then.
        RunError: where the run is damaged or has no result, or the work was interrupted.

    Example:
        >>> found = landscape("iris", Recipe(widths=(4,), epochs=3), options=LandscapeOptions(points=5), seeds=2)
        >>> found.answer.arrays["training loss"].shape
        (5, 5)
    """
    if mesh is not None:
        check_mesh(mesh)
    options, budget = options or LandscapeOptions(), None
    if is_run(what):
        if recipe is not None:
            raise InputError("recipe", "left out for a run, which has its own")
        ran = _Ran.of(Path(what), task)
        what, recipe, seed, source, plan = ran.task, ran.recipe, ran.seeds[0], ran.source, plan or ran.plan
        if seeds is not None and seeds > len(ran.seeds):
            raise InputError("seeds", f"at most {len(ran.seeds)}, those that the run has", seeds)
        seeds = seeds or min(3, len(ran.seeds))
        budget = Budget(steps=math.inf)  # another length would be another network
    if options.plane == "minima" and seeds is not None and seeds < 3:
        raise InputError("seeds", "at least 3 for the plane of minima", seeds)
    found = study(
        "landscape",
        what,
        recipe,
        seeds=seeds,
        budget=budget,
        seed=seed,
        out=out,
        plan=plan,
        control=control,
        source=source,
        options=options,
    )
    if mesh is not None:
        arrays = found.answer.arrays
        write_mesh(mesh, arrays["x"], arrays["y"], np.log10(np.maximum(arrays["training loss"], 1e-12)))
    return found


def is_run(what: Any) -> bool:
    """Returns whether something is the path of a run folder."""
    return isinstance(what, str | Path) and (Path(what) / "run.json").is_file()


@dataclass(frozen=True, kw_only=True)
class _Ran:
    """What a run trained.

    Args:
        task: Its data. recipe: the one that it reports.
        seeds: Those on which its scores were measured.
        source: What `load_task` was called with. plan: how its members ran.
    """

    task: Task
    recipe: Recipe
    seeds: list[int]
    source: dict[str, Any] | None
    plan: Plan

    @classmethod
    def of(cls, path: Path, task: Any) -> _Ran:
        """Returns what a run trained.

        Raises:
            InputError: where its data is not at hand.
            RunError: where it is no run of train or tune, is damaged, or has no scores.
        """
        folder = RunFolder(path)
        if folder.kind not in ("train", "tune"):
            raise RunError(f"{path} holds a {folder.kind} run; a landscape is of what train or tune trained.")
        found = open_result(path).result
        scores = (found["recommended"] if folder.kind == "tune" else found).get("validation")
        if scores is None:
            raise RunError(f"{path} has no scores yet. Go on with: thalweg {folder.kind} --resume {path}")
        about = folder.about
        try:
            plan = Plan.from_json(about["plan"])
            source, fingerprint = about["source"], about["fingerprint"]
        except (KeyError, TypeError, ValueError) as error:
            raise folder.damaged("run.json", f"{type(error).__name__}: {error}") from None
        folder.check("recipe.toml")
        return cls(
            task=load_same_task(source, task, fingerprint),
            recipe=read_recipe(path / "recipe.toml"),
            seeds=list(scores["seeds"]),
            source=source,
            plan=plan,
        )
