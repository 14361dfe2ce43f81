"""The curvature of a landscape: at the end of a member, and along its run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from thalweg.core import Chart, Interval, Series, Table
from thalweg.curvature import (
    Density,
    Eigenpairs,
    Hessian,
    Surface,
    extreme_eigenvalues,
    hutchinson_trace,
    largest_stable,
    preconditioned,
    preconditioner,
    spectral_density,
)
from thalweg.landscape import CriticalPoint, classify_point
from thalweg.population import has_batch_norm
from thalweg.studies._around import surface_around
from thalweg.studies._landscape_paths import Paths

#: of the density: products a probe, probes, and numbers of all vectors that are kept
_DENSITY_STEPS, _DENSITY_PROBES, _MOST_BASIS = 40, 2, 2**27
_TRACE_PROBES = 16
_ENDS = {
    "minimum": "near a minimum",
    "saddle": "near a saddle",
    "maximum": "near a maximum",
    "flat": "on flat ground",
    "none": "where the gradient is not near zero",
}


@dataclass(frozen=True, kw_only=True)
class Curvature:
    """What the Hessian says of the first member.

    Args:
        largest: The largest eigenvalues at its end, with their vectors.
        trace: At its end. density: of all eigenvalues there. point: what kind of point it is.
        epochs: Looks along the run. sharpness: the largest curvature at each, as the rule sees it.
        kind: "curvature", or "preconditioned curvature" of rules that divide by a scale.
        edge: The curvature above which steps are unstable on a quadratic; None where none is known.
    """

    largest: Eigenpairs
    trace: Interval
    density: Density
    point: CriticalPoint
    epochs: list[int]
    sharpness: list[float]
    kind: str
    edge: float | None

    @property
    def headline(self) -> str:
        """Where the member ended."""
        point = self.point
        return (
            f"The first member ended {_ENDS[point.kind]}: curvatures from {point.smallest:.3g} to {point.largest:.3g}, "
            f"gradient norm {point.gradient_norm:.2g}."
        )

    def findings(self, lr: float, optimizer: str) -> list[str]:
        """Returns the curvatures at the end, and how the largest one moved."""
        found = [
            f"The largest curvatures are {', '.join(f'{v:.3g}' for v in self.largest.values)}; the trace is "
            f"{self.trace.mean:.4g} (95% interval {self.trace.low:.4g} to {self.trace.high:.4g} over {_TRACE_PROBES} "
            "probes)."
        ]
        if self.sharpness:
            first, last = self.sharpness[0], self.sharpness[-1]
            bound = (
                "" if self.edge is None else f"; steps of {optimizer} at lr {lr:g} are unstable above {self.edge:.3g}"
            )
            found.append(
                f"The largest {self.kind} goes from {first:.3g} to {last:.3g} along the run of the first member{bound}."
            )
        return found

    def table(self) -> Table:
        """Returns the critical point."""
        point = self.point
        shown = [point.gradient_norm, point.smallest, point.largest, point.step]
        return Table(
            title="The end of the first member",
            head=["is", "gradient norm", "smallest curvature", "largest", "Newton step along them"],
            rows=[["no critical point" if point.kind == "none" else point.kind, *(f"{v:.3g}" for v in shown)]],
        )

    def charts(self) -> list[Chart]:
        """Returns the density at the end and, where it is known, the largest curvature along the run."""
        return [self._density_chart(), *([self._sharpness_chart()] if self.sharpness else [])]

    def to_json(self) -> dict[str, Any]:
        """Returns the curvatures as plain data."""
        return {
            "largest": self.largest.values.tolist(),
            "residuals": self.largest.residuals.tolist(),
            "trace": self.trace.to_json(),
            "density": {"values": self.density.values.tolist(), "weights": self.density.weights.tolist()},
            "along_the_run": self.sharpness,
            "critical_point": asdict(self.point),
        }

    def _density_chart(self) -> Chart:
        low, high = self.density.values[0], self.density.values[-1]
        width = max(high - low, 1e-12)
        places = np.linspace(low - 0.05 * width, high + 0.05 * width, 241)
        heights = np.maximum(self.density.smoothed(places, width / 100), 1e-9)
        return Chart(
            name="density",
            title="How the curvatures are spread",
            caption="Density of the eigenvalues at the end of the first member, each spread over a hundredth of the "
            "range.",
            x="eigenvalue",
            y="density",
            series=[Series(name="density", x=places.tolist(), y=heights.tolist(), style="line")],
            log_y=True,
        )

    def _sharpness_chart(self) -> Chart:
        series = [Series(name=f"largest {self.kind}", x=list(self.epochs), y=list(self.sharpness))]
        if self.edge is not None:
            ends = [self.epochs[0], self.epochs[-1]]
            edge = Series(name="edge of stability", x=ends, y=[self.edge, self.edge], style="line", role="bad")
            series.append(edge)
        return Chart(
            name="sharpness",
            title="The largest curvature along the run",
            caption="Of the first member; for rules that divide by a scale, of the Hessian as their step sizes see it.",
            x="epoch",
            y="curvature",
            series=series,
            log_y=min(self.sharpness) > 0,
        )


def measure_curvature(paths: Paths, end: Surface, *, modes: int, rows: int) -> Curvature:
    """Returns the curvature of the first member.

    Args:
        paths: The members.
        end: The loss around the end of the first one.
        modes: Eigenvalues that are measured at its end.
        rows: Training rows of the losses along the run, at most.
    """
    operator, seed, recipe = Hessian(end), paths.seeds[0], paths.recipe
    steps = max(2, min(_DENSITY_STEPS, end.size, _MOST_BASIS // (_DENSITY_PROBES * end.size)))
    along = _sharpness(paths, rows)
    # with batch norm the loss of a step depends on the batch: the network as it predicts is another function
    limit = None if has_batch_norm(paths.task, recipe) else largest_stable(recipe)
    return Curvature(
        largest=extreme_eigenvalues(operator, min(modes, end.size), tol=1e-4),
        trace=hutchinson_trace(operator, _TRACE_PROBES, seed=seed),
        density=spectral_density(operator, steps=steps, probes=_DENSITY_PROBES, seed=seed),
        point=classify_point(end),
        epochs=list(along),
        sharpness=list(along.values()),
        kind="preconditioned curvature" if preconditioned(recipe) else "curvature",
        edge=None if limit is None else limit / recipe.lr,
    )


def _sharpness(paths: Paths, rows: int) -> dict[int, float]:
    """Returns epoch -> the largest curvature as the rule sees it; rules that measure a scale have none at the start."""
    found = {}
    for epoch, look in zip(paths.marks, paths.looks, strict=True):
        if preconditioned(paths.recipe) and not epoch:
            continue
        snapshot = look.snapshot(0)
        scale = preconditioner(paths.recipe, snapshot.params, snapshot.slots, snapshot.step) if epoch else None
        operator = Hessian(surface_around(look, 0, rows=rows), scale=scale)
        found[epoch] = float(extreme_eigenvalues(operator, 1, tol=1e-2).values[0])
    return found
