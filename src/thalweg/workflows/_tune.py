"""`tune`: from data to a recommended recipe with its evidence, in a run folder that can be resumed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from thalweg.core import InputError, RunError, check_number
from thalweg.population import Budget, Control, Plan, Session, default_plan, parse_budget
from thalweg.recipes import Axis, Recipe, default_axes, parse_axis, recipe_to_text
from thalweg.search import Size, plan_search, search
from thalweg.store import RunFolder, check_new
from thalweg.tasks import Task, load_task
from thalweg.workflows._files import base_recipe, seconds_spent, task_fingerprint, train_saved_model, write_files
from thalweg.workflows._results import TuneResult

#: fresh seeds of the confirmation
DEFAULT_SEEDS = 10


def tune(
    task: Any,
    recipe: Recipe | str | None = None,
    *,
    vary: Sequence[Axis | str] | None = None,
    fixed: Sequence[str] = (),
    seeds: int = DEFAULT_SEEDS,
    budget: Budget | str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    plan: Plan | None = None,
    control: Control | None = None,
    source: dict[str, Any] | None = None,
) -> TuneResult:
    """Returns the recipe to use on a task, with what it was compared to and how sure that is.

    Args:
        task: A `Task`, or anything that `load_task` takes.
        recipe: Where the search starts, as a `Recipe` or a `--model` text; default is an MLP with 128 units.
        vary: Axes, as `Axis` or text (`lr=1e-4..1`); default depends on the model (docs/how-to-choose.md).
        fixed: Fields that keep the recipe's value where the default axes would vary them.
        seeds: Fresh seeds that confirm winner and runner-up, at least 2.
        budget: Text (`60s`, `2e6steps`) or `Budget`; default screens 324 recipes (36 for models that run in the loop).
        seed: Of the search; the same seed gives the same run.
        out: Run folder to write, new or empty; None writes nothing.
        plan: How members run; default uses all cores.
        control: Pause, cancel, progress.
        source: What `load_task` was called with, stored so that `resume` can load the data again.

    Raises:
        InputError: where an argument does not fit; nothing is written then.
        RunError: where the disk fills or the folder becomes read-only; what was saved stays good.

    Example:
        >>> result = tune("iris", vary=["lr=0.01,0.1"], seeds=2, recipe=Recipe(widths=(4,), epochs=3))
        >>> result.recipe.lr in (0.01, 0.1)
        True
    """
    check_number("seeds", seeds, least=2, integer=True, remedy="An interval needs 2 seeds; 10 is a good number.")
    check_number("seed", seed, least=0, integer=True)
    if out is not None:
        check_new(out)
    loaded = load_task(task)
    base = base_recipe(loaded, recipe)
    axes = find_axes(loaded, base, vary, fixed)
    limit = parse_budget(budget) if isinstance(budget, str) else budget or Budget()
    found = plan_search(loaded, base, axes, budget=limit, seeds=seeds, seed=seed, plan=plan or default_plan())
    size, plan = found.size, found.plan
    folder = None
    if out is not None:
        request = {
            "source": source or ({"source": task} if isinstance(task, str) else None),
            "recipe": recipe_to_text(base),
            "axes": [axis_json(axis) for axis in axes],
            "budget": asdict(limit),
            "seeds": seeds,
            "seed": seed,
            "plan": plan.to_json(),
            "fingerprint": task_fingerprint(loaded),
        }
        folder = RunFolder.create(out, "tune", request)
        folder.write_json("size.json", asdict(size))
    return run_search(loaded, base, axes, size, seeds, seed, plan, control, folder)


def run_search(
    task: Task,
    base: Recipe,
    axes: list[Axis],
    size: Size,
    seeds: int,
    seed: int,
    plan: Plan,
    control: Control | None,
    folder: RunFolder | None,
) -> TuneResult:
    """Returns the result of a search that was begun or is gone on with, and writes its files."""
    started, spent = time.monotonic(), seconds_spent(folder)
    with contextlib.nullcontext() if folder is None else folder.locked():
        session = Session(task, plan, control, folder)
        found = search(session, base, axes, size=size, seeds=seeds, seed=seed)
        if found is None:
            hint = "" if folder is None else f" Go on with: thalweg tune --resume {folder.path}"
            raise RunError(f"interrupted before the first recipe was evaluated.{hint}")
        saved = None
        if found.validation is not None and folder is not None:
            saved = train_saved_model(session, found.recommended, found.validation.seeds[0])
        result = TuneResult(
            task=task,
            base=base,
            plan=plan,
            tuning=found,
            history={name: session.history(name) for name in session.populations},
            seconds=spent + time.monotonic() - started,
            complete=not session.control.cancelled,
            model_seed=None if saved is None else saved.members[0].seed,
            run=None if folder is None else folder.path,
        )
        if folder is not None:
            result = write_files(folder, session, result, saved)
    return result


def find_axes(task: Task, base: Recipe, vary: Sequence[Axis | str] | None, fixed: Sequence[str] = ()) -> list[Axis]:
    """Returns the axes of a search: the given ones, or the default without the fields that are fixed.

    Where the optimizer varies and the step size does not, the step size is added with its range for each optimizer:
    optimizers compared at one step size would be compared by that accident.

    Raises:
        InputError: for an axis that cannot be, or values out of their field's bounds.
    """
    if not vary:
        axes = [axis for axis in default_axes(base, len(task.train)) if axis.field not in fixed]
        if "optimizer" in fixed and "lr" not in fixed:
            axes = [conditional_lr((base.optimizer,)) if axis.field == "lr" else axis for axis in axes]
        return axes
    axes = [parse_axis(axis) if isinstance(axis, str) else axis for axis in vary]
    fields = {axis.field for axis in axes}
    both = sorted(fields & set(fixed))
    if both:
        raise InputError(f"axis {both[0]}", "left out where the field is set", remedy="Set it or vary it.")
    if "optimizer" in fields and not {"lr"} & {*fields, *fixed}:
        optimizers = next(axis.values for axis in axes if axis.field == "optimizer")
        axes.append(conditional_lr(optimizers))
    _check_effective(base, axes)
    return axes


def _check_effective(base: Recipe, axes: Sequence[Axis]) -> None:
    """Checks that every axis can change something: an axis that nothing reads would be found to have no effect.

    Raises:
        InputError: naming what would have to read it.
    """
    from thalweg.optim import RULES, SCHEDULES

    listed = {axis.field: axis.values for axis in axes if axis.values}
    models, optimizers, schedules = (
        listed.get(field, (getattr(base, field),)) for field in ("model", "optimizer", "schedule")
    )
    of_rules = {field for rule in RULES.values() for field in rule.hyper} - {"lr"}
    of_schedules = {field for schedule in SCHEDULES.values() for field in schedule.hyper}
    for axis in axes:
        if axis.field in ("widths", "activation", "activation_parameter", "norm", "dropout"):
            reads, what = any(model in ("mlp", "cnn") for model in models), f"the model {models[0]} has"
        elif axis.field in of_rules:
            reads = any(axis.field in RULES[name].hyper for name in optimizers)
            what = f"the optimizer {', '.join(optimizers)} reads"
        elif axis.field in of_schedules:
            reads = any(axis.field in SCHEDULES[name].hyper for name in schedules)
            what = f"the schedule {', '.join(schedules)} reads"
        elif axis.field == "l1_ratio":
            reads, what = base.alpha > 0 or "alpha" in {a.field for a in axes}, "has a penalty to share: set alpha"
        else:
            continue
        if not reads:
            raise InputError(f"axis {axis.field}", f"one that {what}", remedy="It would change nothing.")


def conditional_lr(optimizers: Sequence[str]) -> Axis:
    """Returns the step-size axis whose range depends on the optimizer."""
    from thalweg.optim import RULES

    return Axis(field="lr", scale="log", given="optimizer", cases={name: RULES[name].lr_range for name in optimizers})


def axis_json(axis: Axis) -> dict[str, Any]:
    """Returns an axis as plain data."""
    return asdict(axis)


def axis_from_json(data: dict[str, Any]) -> Axis:
    """Returns the axis that `axis_json` described."""

    def value(v: Any) -> Any:
        return tuple(v) if isinstance(v, list) else v

    cases = data["cases"]
    return Axis(
        **{
            **data,
            "values": tuple(value(v) for v in data["values"]),
            "cases": None if cases is None else {name: tuple(ends) for name, ends in cases.items()},
        }
    )
