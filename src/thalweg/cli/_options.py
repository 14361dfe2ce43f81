"""Options that several commands share, and what they become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from thalweg.recipes import Recipe
    from thalweg.tasks import Task

_DATA = [
    click.argument("data", required=False),
    click.option(
        "--target", metavar="COLUMN", help="Column to predict; several, joined by commas, for several targets."
    ),
    click.option("--kind", help="Kind of target: regression, binary, multiclass or multilabel. Inferred by default."),
    click.option(
        "--loss", help="Loss: mse, mae, huber, bce or cross_entropy. Chosen by the kind of target by default."
    ),
    click.option("--metric", help="Score by which recipes are compared: accuracy, log_loss, rmse, r2, ..."),
    click.option("--exclude", metavar="COLUMN", help="Column that is left out; several, joined by commas."),
    click.option("--missing", help="What to do with missing values: drop or mean. Refused by default."),
]
_RECIPE = [
    click.option("--model", metavar="MODEL", help="linear, mlp:128,64, cnn:16,32 or package.module:factory."),
    click.option("--recipe", "recipe_file", metavar="FILE", help="Recipe to start from, a TOML file."),
    click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="FIELD=VALUE",
        help="Set a recipe field, which then does not vary; repeatable.",
    ),
]
_RUN = [
    click.option("--seed", default=0, show_default=True, help="Seed of the run; the same seed gives the same run."),
    click.option("--out", metavar="FOLDER", help="Run folder to write. Default: a new one under runs/."),
    click.option("--threads", type=int, help="Cores to use. Default: all."),
    click.option(
        "--cluster",
        metavar="CLUSTER",
        help="Ray cluster to run on: local for this machine's cores, or HOST:PORT. With --resume, off for none.",
    ),
    click.option("--resume", "resumed", metavar="RUN", help="Go on with an interrupted run, as it was started."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object."),
]


def _add(options: list[Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


data_options = _add(_DATA)
recipe_options = _add(_RECIPE)
run_options = _add(_RUN)


def load(data: str | None, **options: Any) -> tuple[Task, dict[str, Any]]:
    """Returns the task and what loads it again; paths are made absolute.

    Raises:
        InputError: where the data cannot be used.
    """
    from thalweg.core import InputError
    from thalweg.tasks import load_task, named_tasks

    if data is None:
        raise InputError("DATA", "the name of a task or a file", remedy=f"Known names: {', '.join(named_tasks())}.")
    if options.get("exclude") is not None:
        options["exclude"] = [name.strip() for name in options["exclude"].split(",")]
    source = data if data in named_tasks() else str(Path(data).absolute())
    about = {"source": source, **{name: value for name, value in options.items() if value is not None}}
    return load_task(data, **{k: v for k, v in about.items() if k != "source"}), about


def base_recipe(task: Task, model: str | None, recipe_file: str | None, changes: tuple[str, ...]) -> Recipe:
    """Returns the recipe that the options describe.

    Raises:
        InputError: where they contradict each other or name no field.
    """
    from thalweg.core import InputError
    from thalweg.recipes import default_recipe, parse_value, read_recipe

    if recipe_file is not None and model is not None:
        raise InputError(
            "--model", "left out with --recipe, which names a model", model, "Use --set model=... instead."
        )
    hint = {} if task.batch_size_hint is None else {"batch_size": task.batch_size_hint}
    base = (
        read_recipe(recipe_file)
        if recipe_file is not None
        else default_recipe(len(task.train), model=model or "mlp", **hint)
    )
    values = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise InputError("--set", "written as field=value", change, "For example --set epochs=50.")
        if name.strip() in values:
            raise InputError("--set", "given once for each field", change, f"{name.strip()} is set twice.")
        name = name.strip()
        values[name] = parse_value(name, text, what="--set field")
    if ":" in values.get("model", "") and "init" not in values:
        values["init"] = "keep"  # as --model does: your own module draws its own weights
    return base.changed(**values)


def plan_of(threads: int | None, cluster: str | None) -> Any:
    """Returns the plan for a number of threads and a cluster, or None for the default."""
    from thalweg.core import InputError, check_number
    from thalweg.population import Plan

    if cluster is not None and threads is not None:
        raise InputError("--threads", "left out with --cluster, whose workers have one core each", threads)
    if cluster not in (None, "off"):
        return Plan(cluster=cluster)
    if threads is None:
        return None
    check_number("--threads", threads, least=1, integer=True)
    return Plan(threads=threads)


def run_path(out: str | None, name: str) -> Path:
    """Returns the folder that a run goes to."""
    if out is not None:
        return Path(out)
    from thalweg.store import new_run_path

    return new_run_path("runs", name)


def resume_run(ctx: click.Context, run: str, what: str) -> Any:
    """Returns the result of a run that goes on.

    Raises:
        InputError: where any other option is given, or the run is of another command.
    """
    from click.core import ParameterSource

    from thalweg.cli._progress import controlled
    from thalweg.core import InputError
    from thalweg.store import RunFolder
    from thalweg.workflows import resume

    for parameter in ctx.command.params:
        given = ctx.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name not in ("resumed", "cluster", "as_json"):
            name = "DATA" if parameter.name == "data" else parameter.opts[0]
            raise InputError(name, "left out with --resume: the run goes on as it was started")
    kind = RunFolder(run).kind
    if kind != ctx.command.name:
        raise InputError(
            "--resume", f"a {ctx.command.name} run", f"{run}, a {kind} run", f"Use thalweg {kind} --resume."
        )
    with controlled(what) as control:
        return resume(run, cluster=ctx.params["cluster"], control=control)
