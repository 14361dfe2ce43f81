"""Options that several commands share, and what they become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from thalweg.population import Plan
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
_SEARCH = [
    click.option(
        "--vary",
        multiple=True,
        metavar="AXIS",
        help="What varies: optimizer=sgd,adamw, lr=1e-4..1 or lr=1e-4..1:12; repeatable. Default: by the model.",
    ),
    click.option("--budget", metavar="AMOUNT", help="60s, 10m or 2e6steps (steps summed over all members)."),
]
_MACHINE = [
    click.option("--seed", default=0, show_default=True, help="Seed of the run; the same seed gives the same run."),
    click.option("--threads", type=int, help="Cores to use. Default: all."),
    click.option("--device", default="cpu", show_default=True, help="Where members train: cpu or cuda."),
    click.option(
        "--precision",
        default="float32",
        show_default=True,
        help="Of the products: float32, float64, bfloat16 or tf32. tune confirms in float32 at least.",
    ),
]
_RUN = [
    click.option("--out", metavar="FOLDER", help="Run folder to write. Default: a new one under runs/."),
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
search_options = _add(_SEARCH)
machine_options = _add(_MACHINE)
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


def start_recipe(task: Task, model: str | None, recipe_file: str | None, changes: tuple[str, ...]) -> Recipe:
    """Returns the recipe that the options describe.

    Raises:
        InputError: where they contradict each other or name no field.
    """
    from thalweg.core import InputError
    from thalweg.recipes import parse_value, read_recipe
    from thalweg.workflows import base_recipe

    if recipe_file is not None and model is not None:
        raise InputError(
            "--model", "left out with --recipe, which names a model", model, "Use --set model=... instead."
        )
    base = base_recipe(task, model if recipe_file is None else read_recipe(recipe_file))
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


def fixed_fields(changes: tuple[str, ...]) -> list[str]:
    """Returns the fields that `--set` sets, which do not vary by default."""
    return [change.partition("=")[0].strip() for change in changes]


def plan_of(threads: int | None, device: str, precision: str, cluster: str | None = None) -> Plan:
    """Returns the settings of a run.

    Raises:
        InputError: where they cannot be.
    """
    from thalweg.core import InputError, check_number
    from thalweg.population import Plan, default_plan

    if cluster is not None and threads is not None:
        raise InputError("--threads", "left out with --cluster, whose workers have one core each", threads)
    if threads is not None:
        check_number("--threads", threads, least=1, integer=True)
    on_cluster = cluster not in (None, "off")
    cores = 1 if on_cluster else threads or default_plan().threads
    return Plan(threads=cores, device=device, precision=precision, cluster=cluster if on_cluster else None)
