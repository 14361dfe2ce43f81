"""What does the loss look like around what was trained, and between several of it?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial, update_wrapper
from typing import Any

from thalweg.core import Answer, check_choice, check_number
from thalweg.curvature import Surface
from thalweg.landscape import Convexity, chord_gaps, is_convex_task
from thalweg.recipes import Recipe
from thalweg.studies._around import surface_around
from thalweg.studies._landscape_curvature import measure_curvature
from thalweg.studies._landscape_lines import measure_lines
from thalweg.studies._landscape_paths import Paths, train_paths
from thalweg.studies._landscape_plane import PLANES, measure_grid
from thalweg.studies._study import Lab, Study
from thalweg.tasks import Task

#: chords on which convexity is tried, at most, and for every end of one
_CHORDS, _CHORDS_AN_END = 24, 4


@dataclass(frozen=True, kw_only=True)
class LandscapeOptions:
    """What of a landscape is looked at.

    Args:
        plane: A key of `PLANES`.
        points: Along each side of the plane, at least 5.
        span: Half the side, in the plane's own unit, of the planes random and hessian; the others fit what they show.
        rows: Rows of the training and of the validation data that losses are taken of, at most.
        modes: Largest eigenvalues that are measured.

    Raises:
        InputError: where one is out of its bounds.
    """

    plane: str = "random"
    points: int = 31
    span: float = 1.0
    rows: int = 1024
    modes: int = 5

    def __post_init__(self) -> None:
        check_choice("--plane", self.plane, PLANES)
        check_number("--points", self.points, least=5, most=501, integer=True)
        check_number("--span", self.span, above=0)
        check_number("--rows", self.rows, least=8, integer=True)
        check_number("--modes", self.modes, least=2, integer=True)

    def to_json(self) -> dict[str, Any]:
        """Returns the options as plain data."""
        return asdict(self)


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe alone."""
    return {"recipe": recipe}


def run(lab: Lab, *, options: LandscapeOptions) -> Answer:
    """Draws the loss over a plane, and measures curvature, critical points, barriers and convexity.

    A network's loss lives in as many dimensions as it has parameters; a plane shows a slice, and which slice decides
    what is seen. Random directions, scaled filter by filter to the weights, make sharpness comparable between networks
    (Li et al., Visualizing the loss landscape of neural nets, 2018); the principal components of a path show where
    training went. The eigenvalues of the Hessian measure what the picture suggests: a few are large, most are near
    zero, some are negative (Sagun et al., Empirical analysis of the Hessian of over-parametrized neural networks,
    2018). Under gradient descent the largest rises towards 2 / lr and hovers there, the edge of stability (Cohen et
    al., 2021). A zero gradient does not tell a minimum from a saddle; the signs of the eigenvalues do. Between two
    minima the loss on the straight line rises to a barrier, much of which is only that their hidden units are in
    another order (Entezari et al., 2022; Ainsworth, Hayase and Srinivasa, 2023). Convexity is certain for linear
    models; elsewhere chords disprove it.
    """
    paths, rows = train_paths(lab), min(options.rows, len(lab.task.train))
    end = surface_around(paths.looks[-1], 0, rows=rows)
    curvature = measure_curvature(paths, end, modes=options.modes, rows=rows)
    grid = measure_grid(
        paths, curvature.largest, kind=options.plane, points=options.points, span=options.span, rows=options.rows
    )
    lines = measure_lines(paths, rows)
    certain, why = is_convex_task(lab.task, paths.recipe)
    chords = None if certain else _chords(paths, end)
    recipe = paths.recipe
    lab.notes.append(
        f"Losses are of the network as it predicts (no dropout, running statistics), over {rows:,} training rows."
    )
    return Answer(
        headline=f"{curvature.headline} {lines.headline}",
        findings=[
            *curvature.findings(recipe.lr, recipe.optimizer),
            _convexity_in_words(why, chords),
            *grid.findings(),
        ],
        tables=[curvature.table(), lines.table()],
        charts=[*grid.charts(), lines.chart(), *curvature.charts()],
        data={
            "options": options.to_json(),
            "plane": {"u": grid.plane.u_name, "v": grid.plane.v_name, "explained": grid.plane.explained},
            "trajectories": grid.paths,
            "epochs": paths.marks,
            "curvature": curvature.to_json(),
            **lines.to_json(),
            "convex": {"certain": certain, "why": why, "gaps": None if chords is None else chords.gaps.tolist()},
        },
        notes=lab.notes,
        arrays={"x": grid.xs, "y": grid.ys, **grid.layers},
    )


def _chords(paths: Paths, end: Surface) -> Convexity:
    """Returns the gaps on chords between the members' ends and the start of the first one."""
    ends = [end.flatten(params) for params in [*paths.ends, paths.params[0][0]]]
    return chord_gaps(end, ends, chords=min(_CHORDS, _CHORDS_AN_END * len(ends)), seed=paths.seeds[0])


def _convexity_in_words(why: str, chords: Convexity | None) -> str:
    if chords is None:
        return f"The training loss is convex in the parameters: {why}."
    num = len(chords.gaps)
    if not chords.gaps.any():
        return f"No chord of {num} between starts and ends disproves convexity; {why}."
    return (
        f"It is not convex: {chords.share.mean:.0%} of {num} chords between starts and ends lie below the loss "
        f"somewhere, by up to {chords.gaps.max():.3g}."
    )


def landscape_study(options: LandscapeOptions) -> Study:
    """Returns the question about a landscape under some options."""
    asked = partial(run, options=options)
    update_wrapper(asked, run)
    return Study(name="landscape", levels=levels, run=asked, seeds=3, part=0.3)


STUDY = landscape_study(LandscapeOptions())
