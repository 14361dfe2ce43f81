"""What the workflows share: the recipe that a call named, and the files of a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from thalweg.core import InputError, RunError, render, write_atomically, write_text
from thalweg.population import Population, Session
from thalweg.recipes import Member, Recipe, default_recipe, recipe_to_text
from thalweg.store import RunFolder, save_arrays
from thalweg.tasks import Task, load_task
from thalweg.workflows._results import TrainResult, TuneResult
from thalweg.workflows._watched import diagnose_saved_model

Result = TypeVar("Result", TrainResult, TuneResult)
#: files that are read again when a run is shown or predicts, beside the result; the model has a sum of its own
_SEALED = ("task.json", "recipe.toml", "summary.txt")


def task_fingerprint(task: Task) -> str:
    """Returns a digest of the prepared data: equal for the same rows, splits and preparation."""
    digest = hashlib.sha256()
    for split in (task.train, task.validation, task.test):
        for array in (split.x, split.y, split.rows):
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(f"{task.kind} {task.loss} {task.metric}".encode())
    return digest.hexdigest()[:32]


def load_same_task(source: dict[str, Any] | None, task: Any, fingerprint: str) -> Task:
    """Returns the data that a run was started with, loaded again.

    Args:
        source: What `load_task` was called with, or None where the data was in memory.
        task: The data, in place of the source.
        fingerprint: Of the data of the run.

    Raises:
        InputError: where the data is needed, or is not that of the run.
    """
    if task is None and source is None:
        raise InputError("task", "given: the run was started from data in memory", remedy="Pass task=...")
    loaded = load_task(task) if task is not None else load_task(**(source or {}))
    if task_fingerprint(loaded) != fingerprint:
        raise InputError(
            "task", "the data that the run was started with; it has changed", loaded.name, "Start a new run."
        )
    return loaded


def save_task(folder: RunFolder, task: Task) -> None:
    """Writes `task.json`, which `predict` prepares new rows with."""
    folder.write_json(
        "task.json",
        {
            "name": task.name,
            "kind": task.kind,
            "loss": task.loss,
            "metric": task.metric,
            "input_shape": list(task.input_shape),
            "output_size": task.output_size,
            "classes": list(task.classes),
            "notes": list(task.notes),
            "preparation": task.preparation.to_json(),
        },
    )


def _save_rows(folder: RunFolder, task: Task) -> None:
    """Writes `data.npz`, which `train.py` trains on."""
    arrays = {
        f"{kind}_{name}": getattr(getattr(task, name), kind)
        for name in ("train", "validation", "test")
        for kind in ("x", "y")
    }
    _write_arrays(folder.path / "data.npz", arrays)


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    def write(temporary: Any) -> None:
        with open(temporary, "wb") as handle:
            np.savez_compressed(handle, allow_pickle=False, **arrays)

    write_atomically(path, write)


def train_saved_model(session: Session, recipe: Recipe, seed: int) -> Population | None:
    """Returns a population of one: the seed that is saved, trained so that `train.py` repeats it (`of_saved_model`).

    None where the run was cancelled.
    """
    plan = session.plan.of_saved_model(recipe)
    population = session.open("saved model", [Member(recipe=recipe, seed=seed)], plan)
    if not session.run("saved model"):
        return None
    session.close("saved model", keep=[0])
    return population


def save_model(folder: RunFolder, population: Population) -> None:
    """Writes `model.safetensors`: the state_dict of the torch module of a population of one."""
    arrays = {**population.eval_params(0), **population.snapshot(0).buffers}
    save_arrays(folder.path / "model.safetensors", arrays, {"seed": population.members[0].seed})


def seconds_spent(folder: RunFolder | None) -> float:
    """Returns the wall-clock time of the sittings before."""
    return 0.0 if folder is None else float(_timing(folder).get("seconds", 0.0))


def _timing(folder: RunFolder) -> dict[str, float]:
    if not folder.has("timing.json"):
        return {}
    path = folder.path / "timing.json"
    try:
        found = {name: float(value) for name, value in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RunError(f"{path} is damaged ({error}). Delete it: only the seconds spent so far are lost.") from None
    return found


def base_recipe(task: Task, recipe: Recipe | str | None) -> Recipe:
    """Returns the recipe that a call named: itself, that of a `--model` text, or the default."""
    if isinstance(recipe, Recipe):
        return recipe
    changes = {} if task.batch_size_hint is None else {"batch_size": task.batch_size_hint}
    return default_recipe(len(task.train), model=recipe or "mlp", **changes)


def write_files(folder: RunFolder, session: Session, result: Result, saved: Population | None) -> Result:
    """Writes the files of a run, result.json last: where that exists, all others do.

    `train.py` is written for models of built-in pieces; the log says why where it is not. The doctor looks on while it
    trains the saved model once more, or a seed that diverged. Returns the result with what it found.
    """
    folder.remove("SHA256SUMS")  # of the sitting before
    search = getattr(result, "tuning", None)
    if search is not None and search.runner_up is not None:
        write_text(folder.path / "runner_up.toml", recipe_to_text(search.runner_up))
    save_task(folder, result.task)
    _save_rows(folder, result.task)
    if saved is not None:
        save_model(folder, saved)
    if result.script_seed is not None:
        try:
            write_text(folder.path / "train.py", render(result, "script"))
        except InputError as error:
            folder.log("no script", {"reason": str(error)})
        else:
            searched = 0 if search is None else search.size.steps
            found = diagnose_saved_model(folder, result.task, result.recipe, searched=searched)
            result = replace(result, diagnosis=found)
    write_report(folder, session, result)
    return result


def write_report(folder: RunFolder, session: Session, result: Any) -> None:
    """Writes the files that every run of populations has: history, and what `write_result` writes."""
    saving = _timing(folder).get("checkpoint_seconds", 0.0) + session.checkpoint_seconds
    session.merge_history()
    write_result(folder, result, {"checkpoint_seconds": saving})


def write_result(folder: RunFolder, result: Any, timing: Mapping[str, float]) -> None:
    """Writes the files that every run has: the recipe, where there is one, the report and, last, the result."""
    folder.remove("SHA256SUMS")  # of the sitting before
    folder.write_json("timing.json", {"seconds": result.seconds, **timing})
    if hasattr(result, "recipe"):
        write_text(folder.path / "recipe.toml", recipe_to_text(result.recipe))
    write_text(folder.path / "summary.txt", render(result, "text") + "\n")
    write_text(folder.path / "report.html", render(result, "html"))
    arrays = getattr(getattr(result, "answer", None), "arrays", {})
    if arrays:
        _write_arrays(folder.path / "arrays.npz", arrays)
    name = "result.json" if result.complete else "result.partial.json"
    folder.write_json(name, result.to_json())
    folder.seal([file for file in (*_SEALED, name) if folder.has(file)])
    folder.log("finished" if result.complete else "interrupted")
