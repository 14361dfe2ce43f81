"""`thalweg doctor`."""

from __future__ import annotations

import contextlib
import json
import sys

import click


@click.command("doctor", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--seeds", default=8, show_default=True, help="Pairs of forks for each remedy; 0 tries none.")
@click.option("--seconds", default=5.0, show_default=True, help="For all forks together, about.")
@click.option("--json", "as_json", is_flag=True, help="Print the diagnosis as one JSON object.")
def command(script: str, arguments: tuple[str, ...], seeds: int, seconds: float, as_json: bool) -> int:
    """Run SCRIPT with its ARGUMENTS, say what is wrong with its training loop, and prove what mends it.

    The script is not changed. Options of the doctor stand before it. What the script prints goes to stderr with --json.
    """
    from thalweg.core import check_number
    from thalweg.doctor import watch_script

    if seeds != 0:
        check_number("seeds", seeds, least=2, integer=True)
        check_number("seconds", seconds, above=0)
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        run = watch_script(script, arguments)
    found = run.diagnosis() if seeds == 0 else run.prove(seeds=seeds, seconds=seconds)
    click.echo(json.dumps(found.to_json()) if as_json else str(found))
    return 0
