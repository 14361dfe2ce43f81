"""What does the loss look like around what was trained, and between several of it?"""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from functools import partial, update_wrapper
from typing import Any

import numpy as np

from thalweg.core import InputError, check_choice, check_number
from thalweg.curvature import (
    Density,
    Hessian,
    Surface,
    extreme_eigenvalues,
    hutchinson_trace,
    largest_stable,
    preconditioned,
    preconditioner,
    spectral_density,
)
from thalweg.landscape import (
    CriticalPoint,
    Line,
    Plane,
    Scorer,
    align_units,
    chord_gaps,
    classify_point,
    filter_normalized_plane,
    flatten,
    is_convex_task,
    line_between,
    penalty_at,
    plane_through,
    trajectory_plane,
    vector_plane,
)
from thalweg.models import ACTIVATIONS
from thalweg.population import Pace, Population, empty_module, penalty_strengths
from thalweg.recipes import Member, Recipe
from thalweg.studies._answer import Answer, Chart, Field, Series, Table
from thalweg.studies._stretches import even_marks, in_stretches
from thalweg.studies._study import Lab, Study
from thalweg.tasks import Task

PLANES = {
    "random": "two random directions, normalised by filter",
    "path": "the two principal components of the first member's path",
    "minima": "through the ends of three members",
    "hessian": "the two eigenvectors of the largest curvatures",
}
#: stretches of training between two looks
_STRETCHES = 10
#: beyond what is shown of the trajectories and minima, as a share of their extent
_MARGIN = 0.25
#: of the density: products a probe, probes, and numbers of all vectors that are kept
_DENSITY_STEPS, _PROBES, _MOST_BASIS = 40, 2, 2**27


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


@dataclass(kw_only=True)
class _Members:
    """The members along their way.

    Args:
        task: What is optimised. recipe: how. module: its network.
        marks: Epochs of the looks.
        paths: Per member and mark the parameters. buffers: likewise.
        slots: Of the first member per mark, the state of its update rule.
        steps_per_epoch: Of all members.
    """

    task: Task
    recipe: Recipe
    module: Any
    marks: list[int]
    paths: list[list[dict[str, np.ndarray]]]
    buffers: list[list[dict[str, np.ndarray]]]
    slots: list[dict[str, dict[str, np.ndarray]]]
    steps_per_epoch: int

    def surface(self, mark: int, rows: int) -> Surface:
        """Returns the loss around the first member at a mark, in float64, over some training rows."""
        split, (_, l2) = self.task.train, penalty_strengths(self.recipe)
        return Surface(
            self.module,
            self.paths[0][mark],
            self.buffers[0][mark],
            split.x[:rows],
            split.y[:rows],
            self.task.loss,
            label_smoothing=self.recipe.label_smoothing,
            l2=l2,
        )

    def scorer(self, member: int, split_name: str, rows: int) -> Scorer:
        split = getattr(self.task, split_name)
        module = empty_module(self.recipe, self.task.input_shape, self.task.output_size)
        return Scorer(module, self.buffers[member][-1], split.x[:rows], split.y[:rows], self.task.loss)


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
    members = _train(lab)
    rows = min(options.rows, len(lab.task.train))
    end = members.surface(-1, rows)
    operator = Hessian(end)
    pairs = extreme_eigenvalues(operator, min(options.modes, end.size), tol=1e-4)
    trace = hutchinson_trace(operator, 16, seed=lab.seeds[0])
    steps = max(2, min(_DENSITY_STEPS, end.size, _MOST_BASIS // (_PROBES * end.size)))
    density = spectral_density(operator, steps=steps, probes=_PROBES, seed=lab.seeds[0])
    point = classify_point(end)
    sharpness = _sharpness(members, rows)
    plane = _plane(members, options, pairs.vectors, lab)
    field = _grid(members, plane, options)
    lines, aligned = _lines(members, rows)
    certain, why = is_convex_task(lab.task, members.recipe)
    ends = [end.flatten(path[-1]) for path in members.paths] + [end.flatten(members.paths[0][0])]
    chords = None if certain else chord_gaps(end, ends, chords=min(24, 4 * len(ends)), seed=lab.seeds[0])
    convexity = (
        f"The training loss is convex in the parameters: {why}."
        if chords is None
        else f"It is not convex: {chords.share.mean:.0%} of {len(chords.gaps)} chords between starts and ends "
        f"lie below the loss somewhere, by up to {chords.gaps.max():.3g}."
        if chords.gaps.any()
        else f"No chord of {len(chords.gaps)} between starts and ends disproves convexity; {why}."
    )
    findings = [
        f"The largest curvatures are {', '.join(f'{v:.3g}' for v in pairs.values)}; the trace is {trace.mean:.4g} "
        f"(95% interval {trace.low:.4g} to {trace.high:.4g} over 16 probes).",
        _sharpness_sentence(members, sharpness),
        convexity,
    ]
    if plane.explained is not None:
        findings.append(f"The plane holds {plane.explained:.0%} of the variance of the path.")
    lab.notes.append(
        f"Losses are of the network as it predicts (no dropout, running statistics), over {rows:,} training rows."
    )
    return Answer(
        headline=f"{_point_sentence(point)} {_barrier_sentence(lines, aligned)}",
        findings=[finding for finding in findings if finding],
        tables=[_critical_table(point)] + ([_line_table(lab, lines, aligned)] if lines else []),
        charts=[*field.charts(plane, members, options), *_line_charts(lines, aligned), _density_chart(density)]
        + ([_sharpness_chart(members, sharpness)] if sharpness else []),
        data={
            "options": options.to_json(),
            "plane": {"u": plane.u_name, "v": plane.v_name, "explained": plane.explained},
            "trajectories": [[plane.coordinates(params)[:2] for params in path] for path in members.paths],
            "epochs": members.marks,
            "curvature": {
                "largest": pairs.values.tolist(),
                "residuals": pairs.residuals.tolist(),
                "trace": trace.to_json(),
                "density": {"values": density.values.tolist(), "weights": density.weights.tolist()},
                "along_the_run": sharpness,
            },
            "critical_point": asdict(point),
            "lines": [
                {"between": [lab.seeds[i], lab.seeds[j]], "barrier": line.barrier, "loss": line.loss.tolist()}
                for (i, j), line in lines.items()
            ],
            "aligned": [
                {"between": [lab.seeds[i], lab.seeds[j]], "barrier": line.barrier, "loss": line.loss.tolist()}
                for (i, j), line in aligned.items()
            ],
            "convex": {"certain": certain, "why": why, "gaps": None if chords is None else chords.gaps.tolist()},
        },
        notes=lab.notes,
        arrays={"x": field.xs, "y": field.ys, **field.layers},
    )


# ---- training --------------------------------------------------------------------------------------------------------


def _train(lab: Lab) -> _Members:
    """Returns the members along their way."""
    recipe, task = next(iter(lab.levels.values())), lab.task
    marks = even_marks(recipe.epochs, _STRETCHES)
    members = [Member(recipe=recipe, seed=seed) for seed in lab.seeds]
    found = _Members(
        task=task,
        recipe=recipe,
        module=empty_module(recipe, task.input_shape, task.output_size),
        marks=marks,
        paths=[[] for _ in members],
        buffers=[[] for _ in members],
        slots=[],
        steps_per_epoch=Pace.of(recipe, len(task.train)).steps_per_epoch,
    )
    for _, population in in_stretches(lab, "until", members, marks):
        lost = [lab.seeds[n] for n in range(len(members)) if population.diverged_at(n) is not None]
        if lost:
            raise InputError("lr", f"one that trains: seed {lost[0]} diverged", recipe.lr, "Take a smaller one.")
        _look(found, population)
    return found


def _look(found: _Members, population: Population) -> None:
    for number in range(len(population)):
        snapshot = population.snapshot(number)
        found.paths[number].append({n: np.asarray(v, np.float64) for n, v in population.eval_params(number).items()})
        found.buffers[number].append(snapshot.buffers)
        if number == 0:
            found.slots.append(snapshot.slots)


# ---- curvature -------------------------------------------------------------------------------------------------------


def _sharpness(members: _Members, rows: int) -> list[float]:
    """Returns the largest curvature at every mark, as the rule sees it; rules that measure a scale have none at 0."""
    recipe, found = members.recipe, []
    for mark, slots in enumerate(members.slots):
        step = members.marks[mark] * members.steps_per_epoch
        if preconditioned(recipe) and not step:
            continue
        scale = preconditioner(recipe, members.paths[0][mark], slots, step) if step else None
        operator = Hessian(members.surface(mark, rows), scale=scale)
        found.append(float(extreme_eigenvalues(operator, 1, tol=1e-2).values[0]))
    return found


def _bound(recipe: Recipe) -> float | None:
    """Returns the curvature above which steps are unstable on a quadratic; None where none is known.

    With batch norm the loss of a step depends on the batch: the network as it predicts is another function.
    """
    limit = None if recipe.norm == "batch" else largest_stable(recipe)
    return None if limit is None else limit / recipe.lr


def _sharpness_sentence(members: _Members, sharpness: list[float]) -> str:
    if not sharpness:
        return ""
    bound = _bound(members.recipe)
    kind = "preconditioned curvature" if preconditioned(members.recipe) else "curvature"
    text = f"The largest {kind} goes from {sharpness[0]:.3g} to {sharpness[-1]:.3g} along the run of the first member"
    if bound is None:
        return f"{text}."
    return f"{text}; steps of {members.recipe.optimizer} at lr {members.recipe.lr:g} are unstable above {bound:.3g}."


def _sharpness_chart(members: _Members, sharpness: list[float]) -> Chart:
    epochs = members.marks[len(members.marks) - len(sharpness) :]
    series = [Series(name="largest curvature", x=list(epochs), y=list(sharpness))]
    bound = _bound(members.recipe)
    if bound is not None:
        ends = [epochs[0], epochs[-1]]
        series.append(Series(name="edge of stability", x=ends, y=[bound, bound], style="line", role="bad"))
    return Chart(
        name="sharpness",
        title="The largest curvature along the run",
        caption="Of the first member; for Adam, of the Hessian as its step sizes see it.",
        x="epoch",
        y="curvature",
        series=series,
        log_y=min(sharpness) > 0,
    )


def _density_chart(density: Density) -> Chart:
    low, high = density.values[0], density.values[-1]
    width = max(high - low, 1e-12)
    places = np.linspace(low - 0.05 * width, high + 0.05 * width, 241)
    return Chart(
        name="density",
        title="How the curvatures are spread",
        caption="Density of the eigenvalues at the end of the first member, each spread over a hundredth of the range.",
        x="eigenvalue",
        y="density",
        series=[
            Series(
                name="density",
                x=places.tolist(),
                y=np.maximum(density.smoothed(places, width / 100), 1e-9).tolist(),
                style="line",
            )
        ],
        log_y=True,
    )


def _point_sentence(point: CriticalPoint) -> str:
    end = {
        "minimum": "The first member ended near a minimum",
        "saddle": "The first member ended near a saddle",
        "maximum": "The first member ended near a maximum",
        "flat": "The first member ended on flat ground",
        "none": "The first member ended where the gradient is not near zero",
    }[point.kind]
    return (
        f"{end}: curvatures from {point.smallest:.3g} to {point.largest:.3g}, gradient norm {point.gradient_norm:.2g}."
    )


def _critical_table(point: CriticalPoint) -> Table:
    return Table(
        title="The end of the first member",
        head=["is", "gradient norm", "smallest curvature", "largest", "Newton step along them"],
        rows=[
            [
                "no critical point" if point.kind == "none" else point.kind,
                f"{point.gradient_norm:.3g}",
                f"{point.smallest:.3g}",
                f"{point.largest:.3g}",
                f"{point.step:.3g}",
            ]
        ],
    )


# ---- lines -----------------------------------------------------------------------------------------------------------

Lines = dict[tuple[int, int], Line]


def _lines(members: _Members, rows: int) -> tuple[Lines, Lines]:
    """Returns the lines between every two members, and those after alignment where it keeps the function."""
    recipe = members.recipe
    can_align = recipe.model == "mlp" and recipe.norm != "batch" and ACTIVATIONS[recipe.activation].pieces == 1
    plain: Lines = {}
    aligned: Lines = {}
    for i, j in itertools.combinations(range(len(members.paths)), 2):
        scorer = members.scorer(i, "train", rows)
        first, second = members.paths[i][-1], members.paths[j][-1]
        plain[i, j] = line_between(scorer, first, second)
        if can_align:
            aligned[i, j] = line_between(scorer, first, align_units(first, second, len(recipe.widths)))
    return plain, aligned


def _barrier_sentence(lines: Lines, aligned: Lines) -> str:
    if not lines:
        return "There is one member, so there are no lines between two."
    shown = _range([line.barrier for line in lines.values()])
    after = f"; with hidden units aligned, {_range([line.barrier for line in aligned.values()])}" if aligned else ""
    return f"On the straight line between two members the loss rises above the chord by {shown}{after}."


def _range(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.3g}" if math.isclose(low, high, rel_tol=1e-3, abs_tol=1e-12) else f"{low:.3g} to {high:.3g}"


def _line_table(lab: Lab, lines: Lines, aligned: Lines) -> Table:
    rows = []
    for (i, j), line in lines.items():
        row = [
            f"{lab.seeds[i]} and {lab.seeds[j]}",
            f"{line.loss[0]:.4g}",
            f"{line.loss[-1]:.4g}",
            f"{line.barrier:.3g}",
        ]
        rows.append([*row, f"{aligned[i, j].barrier:.3g}"] if aligned else row)
    head = ["seeds", "training loss of the first", "of the second", "barrier", "barrier, units aligned"]
    return Table(title="Between two members", head=head[: len(rows[0])], rows=rows)


def _line_charts(lines: Lines, aligned: Lines) -> list[Chart]:
    if not lines:
        return []
    series = [
        Series(name=name, x=line.t.tolist(), y=line.loss.tolist(), style="line", role=role)
        for name, role, found in (("as they are", "main", lines), ("units aligned", "second", aligned))
        for line in found.values()
    ]
    return [
        Chart(
            name="lines",
            title="The loss on the straight line between two members",
            caption="Blue: as they are. Orange: hidden units of the second in the order that fits the first best.",
            x="from one (0) to the other (1)",
            y="training loss",
            series=series,
        )
    ]


# ---- the plane -------------------------------------------------------------------------------------------------------


def _plane(members: _Members, options: LandscapeOptions, vectors: np.ndarray, lab: Lab) -> Plane:
    end = members.paths[0][-1]
    if options.plane == "path":
        return trajectory_plane(members.paths[0])
    if options.plane == "minima":
        return plane_through(*(path[-1] for path in members.paths[:3]))
    if options.plane == "hessian":
        scale = 0.1 * float(np.linalg.norm(flatten(end)))  # a tenth of the weights' size is one unit
        names = ("along the largest curvature", "along the second largest")
        return vector_plane(end, scale * vectors[:, 0], scale * vectors[:, 1], names)
    return filter_normalized_plane(end, seed=lab.seeds[0])


@dataclass(frozen=True, kw_only=True)
class _Grid:
    """Losses over a plane.

    Args:
        xs: (X,) places. ys: (Y,) places.
        layers: Name -> (Y, X).
    """

    xs: np.ndarray
    ys: np.ndarray
    layers: dict[str, np.ndarray]

    def charts(self, plane: Plane, members: _Members, options: LandscapeOptions) -> list[Field]:
        """Returns the surface of the training loss, and its map with what lies on it."""
        paths = [
            Series(
                name=f"path of member {number}",
                x=[c[0] for c in coordinates],
                y=[c[1] for c in coordinates],
                style="both",
                role="second" if number == 0 else "quiet",
            )
            for number, coordinates in enumerate([plane.coordinates(p)[:2] for p in path] for path in members.paths)
        ]
        where = f"The plane: {PLANES[options.plane]}."
        # what lies far outside of the plane's own stretch would only squeeze it
        inside = [s for s in paths if any(self._holds(x, y) for x, y in zip(s.x, s.y, strict=True))]
        logs = np.log10(np.maximum(self.layers["training loss"], 1e-12))
        shared = {"x": plane.u_name, "y": plane.v_name, "xs": self.xs.tolist(), "ys": self.ys.tolist()}
        found = [
            Field(
                name="surface",
                title="The training loss over the plane",
                caption=f"{where} Heights are log10 of the loss. Drag to turn it.",
                z="log10 loss",
                values=_listed(logs),
                solid=True,
                **shared,
            ),
            Field(
                name="map",
                title="The same from above, with the members' paths",
                caption=f"{where} Lines: the paths, projected onto the plane; the first member's is coloured.",
                z="log10 loss",
                values=_listed(logs),
                series=[self._cut(s) for s in inside],
                **shared,
            ),
        ]
        for name, title in (("validation loss", "The validation loss"), ("training accuracy", "The training accuracy")):
            if name in self.layers:
                values = self.layers[name]
                shown = np.log10(np.maximum(values, 1e-12)) if "loss" in name else values
                found.append(
                    Field(
                        name=name.replace(" ", "-"),
                        title=f"{title} over the plane",
                        caption=where,
                        z="log10 loss" if "loss" in name else "accuracy",
                        values=_listed(shown),
                        **shared,
                    )
                )
        return found

    def _holds(self, x: Any, y: Any) -> bool:
        return bool(self.xs[0] <= x <= self.xs[-1] and self.ys[0] <= y <= self.ys[-1])

    def _cut(self, series: Series) -> Series:
        """Returns a path without the places outside of the map."""
        kept = [(x, y) for x, y in zip(series.x, series.y, strict=True) if self._holds(x, y)]
        return Series(
            name=series.name, x=[x for x, _ in kept], y=[y for _, y in kept], style=series.style, role=series.role
        )


def _listed(values: np.ndarray) -> list[list[float | None]]:
    return [[float(f"{v:.6g}") if math.isfinite(v) else None for v in row] for row in values]


def _grid(members: _Members, plane: Plane, options: LandscapeOptions) -> _Grid:
    xs, ys = _extent(members, plane, options)
    a, b = (axis.ravel() for axis in np.meshgrid(xs, ys))
    l1, l2 = penalty_strengths(members.recipe)
    layers = {}
    for split, name in (("train", "training"), ("validation", "validation")):
        found = members.scorer(0, split, options.rows).at(plane, a, b)
        layers[f"{name} loss"] = found.loss
        if found.right is not None:
            layers[f"{name} accuracy"] = found.right
    if l1 > 0 or l2 > 0:
        layers["training loss with penalty"] = layers["training loss"] + penalty_at(plane, a, b, l1=l1, l2=l2)
    shape = (len(ys), len(xs))
    return _Grid(xs=xs, ys=ys, layers={name: values.reshape(shape) for name, values in layers.items()})


def _extent(members: _Members, plane: Plane, options: LandscapeOptions) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places along both sides: a fixed span around the network, or what the plane was made from."""
    if options.plane in ("random", "hessian"):
        side = np.linspace(-options.span, options.span, options.points)
        return side, side
    shown = members.paths[0] if options.plane == "path" else [path[-1] for path in members.paths[:3]]
    places = np.array([plane.coordinates(params)[:2] for params in shown])
    low, high = places.min(0), places.max(0)
    extra = _MARGIN * np.maximum(high - low, 1e-9)
    sides = [np.linspace(low[k] - extra[k], high[k] + extra[k], options.points) for k in range(2)]
    return sides[0], sides[1]


def landscape_study(options: LandscapeOptions) -> Study:
    """Returns the question about a landscape under some options."""
    asked = partial(run, options=options)
    update_wrapper(asked, run)
    return Study(name="landscape", levels=levels, run=asked, seeds=3)


STUDY = landscape_study(LandscapeOptions())
