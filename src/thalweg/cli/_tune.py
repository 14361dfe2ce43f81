"""`thalweg tune`."""

from __future__ import annotations

import json
from typing import Any

import click

from thalweg.cli._options import (
    base_recipe,
    data_options,
    load,
    plan_of,
    recipe_options,
    resume_run,
    run_options,
    run_path,
)
from thalweg.cli._progress import controlled, say_at_start


@click.command("tune")
@data_options
@recipe_options
@click.option(
    "--vary",
    multiple=True,
    metavar="AXIS",
    help="What varies: optimizer=sgd,adamw, lr=1e-4..1 or lr=1e-4..1:12; repeatable. Default: by the model.",
)
@click.option("--budget", metavar="AMOUNT", help="60s, 10m or 2e6steps (steps summed over all members).")
@click.option("--seeds", default=10, show_default=True, help="Fresh seeds that confirm the winner.")
@run_options
@click.pass_context
def command(
    ctx: click.Context,
    data: str | None,
    model: str | None,
    recipe_file: str | None,
    changes: tuple[str, ...],
    vary: tuple[str, ...],
    budget: str | None,
    seeds: int,
    seed: int,
    out: str | None,
    threads: int | None,
    cluster: str | None,
    as_json: bool,
    resumed: str | None,
    **options: Any,
) -> int:
    """Find the recipe to use on DATA: the name of a task or a file.

    Hundreds of recipes are screened, the better ones train for longer, the finalists are compared on fresh
    seeds, and the test rows are opened once.
    """
    from thalweg.workflows import tune

    if resumed is not None:
        result = resume_run(ctx, resumed, "tuning")
    else:
        task, source = load(data, **options)
        recipe = base_recipe(task, model, recipe_file, changes)
        with controlled("tuning") as control:
            say_at_start(control, task.notes)
            result = tune(
                task,
                recipe,
                vary=vary,
                fixed=[change.partition("=")[0].strip() for change in changes],
                seeds=seeds,
                budget=budget,
                seed=seed,
                out=run_path(out, f"tune-{task.name}"),
                plan=plan_of(threads, cluster),
                control=control,
                source=source,
            )
    click.echo(json.dumps(result.to_json()) if as_json else str(result))
    return 0 if result.complete else 130
