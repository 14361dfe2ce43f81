"""`thalweg landscape`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from thalweg.cli._options import data_options, machine_options, recipe_options, run_options
from thalweg.cli._running import show_result, start_or_resume


@click.command("landscape")
@data_options
@recipe_options
@click.option("--plane", default="random", show_default=True, help="random, path, minima or hessian.")
@click.option("--points", default=31, show_default=True, help="Along each side of the plane.")
@click.option("--span", default=1.0, show_default=True, help="Half the side of the planes random and hessian.")
@click.option("--rows", default=1024, show_default=True, help="Rows that losses are taken of, at most.")
@click.option("--modes", default=5, show_default=True, help="Largest curvatures to measure.")
@click.option("--seeds", type=int, help="Members to train. Default: 3.")
@click.option("--mesh", metavar="FILE", help="Write the surface to an .obj or .glb file.")
@machine_options
@run_options
@click.pass_context
def command(
    ctx: click.Context,
    plane: str,
    points: int,
    span: float,
    rows: int,
    modes: int,
    seeds: int | None,
    mesh: str | None,
    seed: int,
    **options: Any,
) -> int:
    """Draw the loss over a plane, and measure curvature, critical points, barriers and convexity.

    DATA is a run of train or tune, whose members are trained again to the same weights; or data, on which --model is
    trained.
    """
    from thalweg.studies import LandscapeOptions
    from thalweg.workflows import is_run, landscape

    shown = LandscapeOptions(plane=plane, points=points, span=span, rows=rows, modes=modes)
    start = partial(landscape, options=shown, seeds=seeds, mesh=mesh)
    if options["resumed"] is None and is_run(options["data"]):
        return _of_run(ctx, start, Path(options["data"]), options)
    return start_or_resume(ctx, "training", partial(start, seed=seed), **options)


def _of_run(ctx: click.Context, start: Any, run: Path, options: dict[str, Any]) -> int:
    """Asks about a run: what it was started with is not given again.

    Raises:
        InputError: where an option of the data, the recipe or the machine is given.
    """
    from click.core import ParameterSource

    from thalweg.cli._progress import controlled
    from thalweg.cli._running import run_path
    from thalweg.core import InputError

    taken = ("data", "plane", "points", "span", "rows", "modes", "seeds", "mesh", "out", "as_json")
    for parameter in ctx.command.params:
        given = ctx.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name not in taken:
            raise InputError(parameter.opts[0], "left out for a run, which says how it was started")
    with controlled("training") as control:
        result = start(run, out=run_path(options["out"], f"landscape-{run.name}"), control=control)
    return show_result(result, as_json=options["as_json"])
