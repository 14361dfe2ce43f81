"""The loss of a landscape over a plane."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from thalweg.core import Field, Series, known
from thalweg.curvature import Eigenpairs
from thalweg.landscape import (
    Plane,
    filter_normalized_plane,
    flatten,
    penalty_at,
    plane_through,
    trajectory_plane,
    vector_plane,
)
from thalweg.population import penalty_strengths
from thalweg.studies._landscape_paths import Paths

PLANES = {
    "random": "two random directions, normalised by filter",
    "path": "the two principal components of the first member's path",
    "minima": "through the ends of three members",
    "hessian": "the two eigenvectors of the largest curvatures",
}
#: planes around the first member; the others fit what they were made from
_AROUND = ("random", "hessian")
#: beyond what is shown of the trajectories and minima, as a share of their extent
_MARGIN = 0.25
#: one unit of the plane of eigenvectors, as a share of the size of the weights
_UNIT = 0.1


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Losses over a plane.

    Args:
        kind: A key of `PLANES`. plane: the plane.
        xs: (X,) places. ys: (Y,) places.
        layers: Name -> (Y, X).
        paths: By member, where it was at every look, in the plane's coordinates.
    """

    kind: str
    plane: Plane
    xs: np.ndarray
    ys: np.ndarray
    layers: dict[str, np.ndarray]
    paths: list[list[tuple[float, float]]]

    def findings(self) -> list[str]:
        """Returns how much of the path the plane holds, where it was made from one."""
        share = self.plane.explained
        return [] if share is None else [f"The plane holds {share:.0%} of the variance of the path."]

    def charts(self) -> list[Field]:
        """Returns the surface of the training loss, its map with what lies on it, and the other layers."""
        where = f"The plane: {PLANES[self.kind]}."
        surface = self._field(
            "training loss",
            name="surface",
            title="The training loss over the plane",
            caption=f"{where} Heights are log10 of the loss. Drag to turn it.",
        )
        beside = "Lines: the paths, projected onto the plane; the first member's is coloured."
        above = replace(
            surface,
            name="map",
            title="The same from above, with the members' paths",
            caption=f"{where} {beside}",
            series=self._paths_inside(),
        )
        others = [
            self._field(layer, name=layer.replace(" ", "-"), title=f"The {layer} over the plane", caption=where)
            for layer in ("validation loss", "training accuracy")
            if layer in self.layers
        ]
        return [replace(surface, solid=True), above, *others]

    def _field(self, layer: str, *, name: str, title: str, caption: str) -> Field:
        """Returns a layer as a chart: losses by their logarithm."""
        is_loss, values = "loss" in layer, self.layers[layer]
        shown = np.log10(np.maximum(values, 1e-12)) if is_loss else values
        return Field(
            name=name,
            title=title,
            caption=caption,
            x=self.plane.u_name,
            y=self.plane.v_name,
            z="log10 loss" if is_loss else "accuracy",
            xs=self.xs.tolist(),
            ys=self.ys.tolist(),
            values=[known(float(f"{value:.6g}") for value in row) for row in shown],
        )

    def _paths_inside(self) -> list[Series]:
        """Returns the paths without the places outside of the grid, which would only squeeze it."""
        found = []
        for number, path in enumerate(self.paths):
            inside = [(x, y) for x, y in path if self.xs[0] <= x <= self.xs[-1] and self.ys[0] <= y <= self.ys[-1]]
            if inside:
                x, y = zip(*inside, strict=True)
                role = "quiet" if number else "second"
                found.append(Series(name=f"path of member {number}", x=x, y=y, role=role))
        return found


def measure_grid(paths: Paths, largest: Eigenpairs, *, kind: str, points: int, span: float, rows: int) -> Grid:
    """Returns losses over a plane, with the buffers of the first member.

    Args:
        paths: The members.
        largest: Curvatures at the end of the first member, at least two.
        kind: A key of `PLANES`.
        points: Along each side.
        span: Half the side of planes around the first member.
        rows: Of the training and of the validation data, at most.
    """
    plane = _plane(paths, kind, largest)
    places = [[plane.coordinates(params)[:2] for params in path] for path in paths.params]
    if kind in _AROUND:
        xs = ys = np.linspace(-span, span, points)
    else:
        xs, ys = _extent(places[0] if kind == "path" else [path[-1] for path in places[:3]], points)
    a, b = (axis.ravel() for axis in np.meshgrid(xs, ys))
    l1, l2 = penalty_strengths(paths.recipe)
    layers = {}
    for split, name in (("train", "training"), ("validation", "validation")):
        found = paths.scorer(0, split, rows).at(plane, a, b)
        layers[f"{name} loss"] = found.loss
        if found.right is not None:
            layers[f"{name} accuracy"] = found.right
    if l1 > 0 or l2 > 0:
        layers["training loss with penalty"] = layers["training loss"] + penalty_at(plane, a, b, l1=l1, l2=l2)
    shape = (len(ys), len(xs))
    shaped = {name: values.reshape(shape) for name, values in layers.items()}
    return Grid(kind=kind, plane=plane, xs=xs, ys=ys, layers=shaped, paths=places)


def _plane(paths: Paths, kind: str, largest: Eigenpairs) -> Plane:
    if kind == "path":
        return trajectory_plane(paths.params[0])
    if kind == "minima":
        return plane_through(*paths.ends[:3])
    end = paths.ends[0]
    if kind == "random":
        return filter_normalized_plane(end, seed=paths.seeds[0])
    scale = _UNIT * float(np.linalg.norm(flatten(end)))
    names = ("along the largest curvature", "along the second largest")
    return vector_plane(end, scale * largest.vectors[:, 0], scale * largest.vectors[:, 1], names)


def _extent(shown: list[tuple[float, float]], points: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places along both sides of what is shown, with a margin."""
    places = np.array(shown)
    low, high = places.min(0), places.max(0)
    extra = _MARGIN * np.maximum(high - low, 1e-9)
    first, second = (np.linspace(low[k] - extra[k], high[k] + extra[k], points) for k in range(2))
    return first, second
