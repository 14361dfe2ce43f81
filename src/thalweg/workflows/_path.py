"""`path`: which penalty does a linear model need, and which inputs does it keep?"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.core import InputError, Interval, RunError, check_number, interval_with_rows
from thalweg.linear import Columns, Found, PathOptions, ask_path
from thalweg.population import Control, Plan, default_plan
from thalweg.recipes import Recipe, recipe_to_text
from thalweg.store import RunFolder, check_new, save_arrays
from thalweg.tasks import METRICS, Split, Task, load_task
from thalweg.workflows._files import save_task, task_fingerprint, write_result
from thalweg.workflows._results import PathResult

_FAMILIES = {"regression": "gaussian", "binary": "binomial", "multiclass": "multinomial"}


def path(
    task: Any,
    options: PathOptions | None = None,
    *,
    group: str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    plan: Plan | None = None,
    control: Control | None = None,
    source: dict[str, Any] | None = None,
) -> PathResult:
    """Returns the lasso, ridge or elastic net that cross-validation chooses, and what its inputs rest on.

    The rows of training and validation are cross-validated together; the test rows are opened once, for the chosen
    solution. Its model is saved, so that `predict` works on the run.

    Args:
        task: A `Task`, or anything that `load_task` takes.
        options: What is asked; default is a lasso of least error.
        group: A column that `load_task` was told to keep as groups: rows of one group are held out together.
        seed: Of folds and halves.
        out: Run folder to write, new or empty; None writes nothing.
        plan: How many threads; default uses all cores.
        control: Cancel, progress.
        source: What `load_task` was called with, stored with the run.

    Raises:
        InputError: where an argument does not fit; nothing is written then.
        RunError: where it was interrupted; nothing is written then either.

    Example:
        >>> result = path("diabetes", PathOptions(halves=0))
        >>> result.answer.data["family"]
        'gaussian'
    """
    started, options = time.monotonic(), options or PathOptions()
    check_number("seed", seed, least=0, integer=True)
    if out is not None:
        check_new(out)
    loaded, control = load_task(task), control or Control()
    if loaded.kind not in _FAMILIES or (loaded.kind == "regression" and loaded.output_size != 1):
        remedy = "Give one target column; several can be asked for one after another."
        raise InputError("target", "one column of numbers or classes", f"{loaded.kind}, {loaded.output_size}", remedy)
    rows = np.concatenate([loaded.train.rows, loaded.validation.rows])
    if group is not None and group not in loaded.groups:
        raise InputError("group", "a column that was kept as groups", group, "Pass groups=[...] to load_task.")
    columns, used = _columns(loaded)
    found = ask_path(
        np.concatenate([_inputs(loaded.train), _inputs(loaded.validation)])[:, used],
        np.concatenate([_target(loaded, loaded.train), _target(loaded, loaded.validation)]),
        columns,
        options,
        family=_FAMILIES["binary" if len(loaded.classes) == 2 else loaded.kind],
        classes=loaded.classes,
        groups=None if group is None else loaded.groups[group][rows],
        seed=seed,
        threads=(plan or default_plan()).threads,
        on_progress=_progress(control, options.num_fits),
    )
    params = _params(loaded, found, used)
    recipe = Recipe(model="linear", widths=())
    folder = None
    if out is not None:
        request = {
            "source": source or ({"source": task} if isinstance(task, str) else None),
            "recipe": recipe_to_text(recipe),
            "options": options.to_json(),
            "seed": seed,
            "fingerprint": task_fingerprint(loaded),
        }
        folder = RunFolder.create(out, "path", request)
    result = PathResult(
        task=loaded,
        options=options,
        answer=found.answer,
        recipe=recipe,
        params=params,
        test=_test_score(loaded, params),
        num_rows=len(rows),
        model_seed=seed,
        seconds=time.monotonic() - started,
        run=None if folder is None else folder.path,
    )
    if folder is not None:
        save_task(folder, loaded)
        save_arrays(folder.path / "model.safetensors", params, {"seed": seed})
        write_result(folder, result, {})
    return result


def _progress(control: Control, size: int) -> Callable[[int], None]:
    """Returns what tells the control of fits; the size is told with the first, when all input has been checked."""
    told = False

    def on_progress(num: int) -> None:
        nonlocal told
        if not told and control.on_size is not None:
            control.on_size(size)
        told = True
        if control.cancelled:
            raise RunError("The path was interrupted; nothing was written.")
        if control.on_progress is not None:
            control.on_progress(num)

    return on_progress


def _inputs(split: Split) -> np.ndarray:
    return split.x.reshape(len(split), -1).astype(np.float64)


def _target(task: Task, split: Split) -> np.ndarray:
    """Returns (n,) targets in their own units, classes by number."""
    if task.kind == "regression":
        preparation = task.preparation
        return split.y[:, 0].astype(np.float64) * preparation.target_std[0] + preparation.target_mean[0]
    return split.y.reshape(-1).astype(np.float64)


def _columns(task: Task) -> tuple[Columns, np.ndarray]:
    """Returns the inputs that are used, and their places: of a column of two categories the second alone."""
    named = task.preparation.named_inputs()
    pairs = {column.name for column in task.preparation.columns if len(column.categories) == 2}
    sources = [source for _, source, _ in named]
    used = [k for k, source in enumerate(sources) if source not in pairs or sources.index(source) < k]
    columns = Columns(
        names=[named[k][0] for k in used],
        sources=[sources[k] for k in used],
        deviations=np.array([named[k][2] for k in used]),
    )
    return columns, np.array(used)


def _params(task: Task, found: Found, used: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the state of the linear module that gives the task's outputs."""
    bias = np.atleast_1d(found.intercept)
    weight = np.zeros((len(bias), int(np.prod(task.input_shape))))
    weight[:, used] = found.coef
    if task.kind == "regression":
        deviation, mean = task.preparation.target_std[0], task.preparation.target_mean[0]
        weight, bias = weight / deviation, (bias - mean) / deviation
    elif len(bias) < task.output_size:  # two classes with an output each: the first one's is 0
        weight, bias = np.vstack([np.zeros_like(weight), weight]), np.append(0.0, bias)
    return {"output.weight": weight.astype(np.float32), "output.bias": bias.astype(np.float32)}


def _test_score(task: Task, params: dict[str, np.ndarray]) -> Interval:
    """Returns the score on the test rows, with an interval over them."""
    metric, split = METRICS[task.metric], task.test
    output = _inputs(split) @ params["output.weight"].T.astype(np.float64) + params["output.bias"]
    scores = metric.row_scores(output, split.y, task)
    interval = interval_with_rows(scores[None], display=lambda mean: float(metric.display(mean, split.y)))
    return interval.within(*metric.bounds)
