"""`thalweg train`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from thalweg.cli._options import data_options, machine_options, recipe_options, run_options
from thalweg.cli._running import start_or_resume


@click.command("train")
@data_options
@recipe_options
@click.option("--seeds", default=5, show_default=True, help="How many seeds.")
@machine_options
@run_options
@click.pass_context
def command(ctx: click.Context, seeds: int, seed: int, **options: Any) -> int:
    """Train one recipe on DATA with several seeds, and say how sure its scores are."""
    from thalweg.workflows import train

    return start_or_resume(ctx, "training", partial(train, seeds=seeds, seed=seed), **options)
