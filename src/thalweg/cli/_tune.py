"""`thalweg tune`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from thalweg.cli._options import (
    data_options,
    fixed_fields,
    machine_options,
    recipe_options,
    run_options,
    search_options,
)
from thalweg.cli._running import start_or_resume


@click.command("tune")
@data_options
@recipe_options
@search_options
@click.option("--seeds", default=10, show_default=True, help="Fresh seeds that confirm the winner.")
@machine_options
@run_options
@click.pass_context
def command(
    ctx: click.Context,
    vary: tuple[str, ...],
    budget: str | None,
    seeds: int,
    seed: int,
    changes: tuple[str, ...],
    **options: Any,
) -> int:
    """Find the recipe to use on DATA: the name of a task or a file.

    Hundreds of recipes are screened, the better ones train for longer, the finalists are compared on fresh
    seeds, and the test rows are opened once.
    """
    from thalweg.workflows import tune

    fixed = fixed_fields(changes)
    start = partial(tune, vary=vary, fixed=fixed, seeds=seeds, budget=budget, seed=seed)
    return start_or_resume(ctx, "tuning", start, changes=changes, **options)
