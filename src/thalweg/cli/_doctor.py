"""`thalweg doctor`."""

from __future__ import annotations

import contextlib
import sys
from functools import partial
from pathlib import Path

import click

from thalweg.cli._running import run_path, show_result


@click.command("doctor", context_settings={"allow_interspersed_args": False})
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--seeds", default=8, show_default=True, help="Pairs of forks for each remedy; 0 tries none.")
@click.option("--seconds", default=5.0, show_default=True, help="For all forks together, about.")
@click.option("--rerun", is_flag=True, help="Try remedies in whole runs of the script, whatever time they take.")
@click.option("--out", metavar="FOLDER", help="Run folder to write. Default: a new one under runs/.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    script: str,
    arguments: tuple[str, ...],
    seeds: int,
    seconds: float,
    rerun: bool,
    out: str | None,
    as_json: bool,
) -> int:
    """Run SCRIPT with its ARGUMENTS, say what is wrong with its training loop, and prove what mends it.

    The script is not changed. Options of the doctor stand before it. What the script prints goes to stderr with --json.
    A loop that cannot be replayed is told; --rerun then runs the script again, with all that it does, twice for each of
    the --seeds and remedy after remedy until one is proven.
    SCRIPT may be the folder of a run of `thalweg train` or `tune`: the saved model is trained again, and looked at.
    """
    from thalweg.workflows import doctor

    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        run = run_path(out, f"doctor-{Path(script).stem}")
        told = partial(click.echo, err=True)
        result = doctor(script, arguments, seeds=seeds, seconds=seconds, rerun=rerun, told=told, out=run)
    return show_result(result, as_json=as_json)
