"""`thalweg plan`."""

from __future__ import annotations

import json
from typing import Any

import click

from thalweg.cli._options import (
    data_options,
    fixed_fields,
    load,
    machine_options,
    plan_of,
    recipe_options,
    search_options,
    start_recipe,
)


@click.command("plan")
@data_options
@recipe_options
@search_options
@click.option("--seeds", type=int, help="As in tune or train. Default: 10 or 5.")
@machine_options
@click.option("--train", "training", is_flag=True, help="Plan a training of one recipe instead of a search.")
@click.option("--probe", is_flag=True, help="Try in a child process how many members, and rows of a batch, fit.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as one JSON object.")
def command(
    data: str | None,
    model: str | None,
    recipe_file: str | None,
    changes: tuple[str, ...],
    vary: tuple[str, ...],
    budget: str | None,
    seeds: int | None,
    seed: int,
    threads: int | None,
    device: str,
    precision: str,
    training: bool,
    probe: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Say what `tune` would do with DATA before it does it.

    Shows which program trains which members and why, what they need of the memory, and how long it will take. A few
    steps are trained to find out; nothing is written.
    """
    from thalweg.workflows import plan

    task, _ = load(data, **options)
    found = plan(
        task,
        start_recipe(task, model, recipe_file, changes),
        vary=vary,
        fixed=fixed_fields(changes),
        seeds=seeds,
        budget=budget,
        seed=seed,
        train=training,
        probe=probe,
        plan=plan_of(threads, device, precision),
    )
    click.echo(json.dumps(found.to_json()) if as_json else str(found))
    return 0
