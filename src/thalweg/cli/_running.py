"""What the commands that run something share: a run is started or gone on with, and its result is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from thalweg.cli._options import load, plan_of, start_recipe
from thalweg.cli._progress import controlled, say_at_start


def start_or_resume(
    ctx: click.Context,
    what: str,
    start: Callable[..., Any],
    *,
    named: str | None = None,
    data: str | None,
    model: str | None,
    recipe_file: str | None,
    changes: tuple[str, ...],
    threads: int | None,
    device: str,
    precision: str,
    cluster: str | None,
    out: str | None,
    as_json: bool,
    resumed: str | None,
    **options: Any,
) -> int:
    """Runs a command of the shared options, or goes on with its run; shows the result and returns the exit code.

    Args:
        ctx: Of the command.
        what: Stands beside the bar.
        start: Called with the task and the recipe; `tune` or `train` with the options of that command alone.
        named: What the folder of a new run is called, before the task; default is the command.
        options: Those of the data.
    """
    if resumed is not None:
        result = _resume(ctx, resumed, what)
    else:
        task, source = load(data, **options)
        recipe = start_recipe(task, model, recipe_file, changes)
        plan = plan_of(threads, device, precision, cluster)
        with controlled(what) as control:
            say_at_start(control, task.notes)
            path = run_path(out, f"{named or ctx.command.name}-{task.name}")
            result = start(task, recipe, out=path, plan=plan, control=control, source=source)
    return show_result(result, as_json=as_json)


def show_result(result: Any, *, as_json: bool) -> int:
    """Prints a result and returns the exit code."""
    click.echo(json.dumps(result.to_json()) if as_json else str(result))
    return 0 if result.complete else 130


def run_path(out: str | None, name: str) -> Path:
    """Returns the folder of a new run: the one that was asked for, or one under runs/."""
    if out is not None:
        return Path(out)
    from thalweg.store import new_run_path

    return new_run_path("runs", name)


def _resume(ctx: click.Context, run: str, what: str) -> Any:
    """Returns the result of a run that goes on.

    Raises:
        InputError: where any other option is given, or the run is of another command.
    """
    from click.core import ParameterSource

    from thalweg.core import InputError
    from thalweg.store import RunFolder
    from thalweg.workflows import resume

    for parameter in ctx.command.params:
        given = ctx.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name not in ("resumed", "cluster", "as_json"):
            name = parameter.opts[0]
            name = name if name.startswith("-") else name.upper()
            raise InputError(name, "left out with --resume: the run goes on as it was started")
    kind = RunFolder(run).kind
    if kind != {"landscape": "study"}.get(ctx.command.name or "", ctx.command.name):
        raise InputError(
            "--resume", f"a {ctx.command.name} run", f"{run}, a {kind} run", f"Use thalweg {kind} --resume."
        )
    with controlled(what) as control:
        return resume(run, cluster=ctx.params["cluster"], control=control)
