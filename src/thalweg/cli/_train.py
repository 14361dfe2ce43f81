"""`thalweg train`."""

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


@click.command("train")
@data_options
@recipe_options
@click.option("--seeds", default=5, show_default=True, help="How many seeds.")
@run_options
@click.pass_context
def command(
    ctx: click.Context,
    data: str | None,
    model: str | None,
    recipe_file: str | None,
    changes: tuple[str, ...],
    seeds: int,
    seed: int,
    out: str | None,
    threads: int | None,
    cluster: str | None,
    as_json: bool,
    resumed: str | None,
    **options: Any,
) -> int:
    """Train one recipe on DATA with several seeds, and say how sure its scores are."""
    from thalweg.workflows import train

    if resumed is not None:
        result = resume_run(ctx, resumed, "training")
    else:
        task, source = load(data, **options)
        recipe = base_recipe(task, model, recipe_file, changes)
        with controlled("training") as control:
            say_at_start(control, task.notes)
            result = train(
                task,
                recipe,
                seeds=seeds,
                seed=seed,
                out=run_path(out, f"train-{task.name}"),
                plan=plan_of(threads, cluster),
                control=control,
                source=source,
            )
    click.echo(json.dumps(result.to_json()) if as_json else str(result))
    return 0 if result.complete else 130
