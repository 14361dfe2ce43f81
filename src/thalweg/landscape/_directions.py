"""Planes in the space of parameters, theta(a, b) = origin + a u + b v."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.core import InputError, Purpose, derive_key

Params = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Plane:
    """An origin and two directions, as parameters by name.

    Args:
        origin: The point at (0, 0).
        u: The first direction. v: the second.
        u_name: What a step along u is, for the axis of a chart. v_name: likewise.
        places: Points of interest in the plane's coordinates, by name.
        explained: Share of the trajectory's variance that lies in the plane, where it was made from one.
    """

    origin: Params
    u: Params
    v: Params
    u_name: str
    v_name: str
    places: Mapping[str, tuple[float, float]]
    explained: float | None = None

    def coordinates(self, params: Params) -> tuple[float, float, float]:
        """Returns (a, b) of the nearest point of the plane, and the distance from it.

        Least squares, so the directions need not be orthogonal.
        """
        u, v = flatten(self.u), flatten(self.v)
        offset = flatten(params) - flatten(self.origin)
        gram = np.array([[u @ u, u @ v], [u @ v, v @ v]])
        a, b = np.linalg.solve(gram, [u @ offset, v @ offset])
        return float(a), float(b), float(np.linalg.norm(offset - a * u - b * v))


def flatten(params: Params) -> np.ndarray:
    """Returns parameters as one float64 vector, in their order."""
    return np.concatenate([np.asarray(value, np.float64).ravel() for value in params.values()])


def unflatten(vector: np.ndarray, like: Params) -> dict[str, np.ndarray]:
    """Returns a vector as parameters with the names and shapes of others."""
    found, at = {}, 0
    for name, value in like.items():
        found[name] = vector[at : at + value.size].reshape(value.shape)
        at += value.size
    return found


def filter_normalized_plane(origin: Params, *, seed: int = 0) -> Plane:
    """Returns a plane of two random directions in which every unit moves in proportion to its own size.

    A direction is Gaussian; the part of every filter (a row of a matrix, the kernel of a channel) is scaled to the norm
    of that filter, and biases and norm parameters do not move. So surfaces of networks whose weights have
    other scales can be compared (Li, Xu, Taylor, Studer and Goldstein, Visualizing the loss landscape of neural
    nets, 2018, section 4).

    Args:
        origin: The network.
        seed: Of the directions.
    """

    def direction(number: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(derive_key(seed, Purpose.SPACE, number))
        found = {}
        for name, value in origin.items():
            drawn = rng.standard_normal(value.shape)
            if value.ndim < 2:
                found[name] = np.zeros(value.shape)
                continue
            axes = tuple(range(1, value.ndim))
            size = np.sqrt((np.asarray(value, np.float64) ** 2).sum(axes, keepdims=True))
            found[name] = drawn * size / np.sqrt((drawn**2).sum(axes, keepdims=True))
        return found

    return Plane(
        origin=origin,
        u=direction(0),
        v=direction(1),
        u_name="filter-normalised direction 1",
        v_name="filter-normalised direction 2",
        places={"the network": (0.0, 0.0)},
    )


def trajectory_plane(snapshots: Sequence[Params]) -> Plane:
    """Returns the plane of the two principal components of a run's path, seen from where it ended.

    Each path of random steps looks like a curve in such a plane (Antognini and Sohl-Dickstein, PCA of high dimensional
    random walks with comparison to neural network training, 2018); so the share of the variance that it holds is
    part of the result.

    Args:
        snapshots: Parameters along the run, the last one at its end; at least three.

    Raises:
        InputError: for fewer than three snapshots, or a path that lies on a line.
    """
    if len(snapshots) < 3:
        raise InputError("snapshots", "at least 3, to span a plane", len(snapshots))
    origin = snapshots[-1]
    moved = np.stack([flatten(each) - flatten(origin) for each in snapshots[:-1]])
    _, singular, rows = np.linalg.svd(moved, full_matrices=False)
    if singular[1] <= 1e-9 * singular[0]:
        raise InputError("snapshots", "of a path that spans a plane", "one that lies on a line")
    explained = float((singular[:2] ** 2).sum() / (singular**2).sum())
    plane = Plane(
        origin=origin,
        u=unflatten(rows[0], origin),
        v=unflatten(rows[1], origin),
        u_name="first principal component of the path",
        v_name="second principal component",
        places={},
        explained=explained,
    )
    start = plane.coordinates(snapshots[0])
    places = {"start": start[:2], "end": (0.0, 0.0)}
    return Plane(**{**plane.__dict__, "places": places})


def plane_through(first: Params, second: Params, third: Params) -> Plane:
    """Returns the plane through three networks; their coordinates are (0, 0), (1, 0) and a point at height 1.

    u is second - first; v is the part of third - first that is orthogonal to u, scaled to reach the third at b = 1
    (Garipov et al., Loss surfaces, mode connectivity, and fast ensembling of DNNs, 2018, figure 2).

    Args:
        first: A network. second: another. third: another, not on their line.

    Raises:
        InputError: where the three lie on a line.
    """
    origin, u = flatten(first), flatten(second) - flatten(first)
    offset = flatten(third) - origin
    if not u @ u > 0:
        raise InputError("second", "another network than the first")
    along = float(offset @ u / (u @ u))
    v = offset - along * u
    if np.linalg.norm(v) <= 1e-9 * np.linalg.norm(offset):
        raise InputError("third", "a network off the line through the others")
    return Plane(
        origin=first,
        u=unflatten(u, first),
        v=unflatten(v, first),
        u_name="from the first to the second",
        v_name="towards the third",
        places={"first": (0.0, 0.0), "second": (1.0, 0.0), "third": (along, 1.0)},
    )


def vector_plane(origin: Params, first: np.ndarray, second: np.ndarray, names: tuple[str, str]) -> Plane:
    """Returns the plane of two vectors, as of two eigenvectors of the Hessian.

    Args:
        origin: The network.
        first: (N,) in the order of the parameters. second: likewise.
        names: What they are.
    """
    return Plane(
        origin=origin,
        u=unflatten(first, origin),
        v=unflatten(second, origin),
        u_name=names[0],
        v_name=names[1],
        places={"the network": (0.0, 0.0)},
    )
