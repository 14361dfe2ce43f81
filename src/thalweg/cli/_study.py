"""`thalweg study`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from thalweg.cli._options import data_options, machine_options, recipe_options, run_options
from thalweg.cli._running import start_or_resume
from thalweg.studies import STUDIES

_LIST = "\n".join(f"  {name:16} {question}" for name, question in STUDIES.items())


@click.command("study", epilog=f"\b\nStudies:\n{_LIST}")
@click.argument("name", required=False)
@data_options
@recipe_options
@click.option("--seeds", type=int, help="On which every level is trained. Default: by the study.")
@click.option("--budget", metavar="AMOUNT", help="60s, 10m or 2e6steps. Default: 45s.")
@machine_options
@run_options
@click.pass_context
def command(
    ctx: click.Context, name: str | None, seeds: int | None, budget: str | None, seed: int, **options: Any
) -> int:
    """Answer one question about how we optimise, by an experiment on DATA.

    NAME is one of the studies below. Levels are trained on the same seeds and compared by their validation scores; the
    test rows stay closed.
    """
    from thalweg.core import check_choice
    from thalweg.workflows import study

    if options["resumed"] is None:
        check_choice("NAME", name or "", STUDIES)
    start = partial(study, name or "", seeds=seeds, budget=budget, seed=seed)
    return start_or_resume(ctx, "studying", start, named=f"study-{name}", **options)
