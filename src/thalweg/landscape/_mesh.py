"""A surface over a plane as triangles, for programs that draw and print solids."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from thalweg.core import InputError

ENDINGS = (".obj", ".glb")
#: from low to high, red, green and blue
_COLOURS = np.array([[28, 44, 92], [39, 112, 142], [53, 168, 130], [246, 213, 92], [214, 84, 60]])


def check_mesh(path: str | Path) -> None:
    """Checks that a surface can be written to a path.

    Raises:
        InputError: for an ending that is not known, a folder that does not exist, or where trimesh is not installed.
    """
    where = Path(path)
    if where.suffix.lower() not in ENDINGS:
        raise InputError("--mesh", "a file that ends in .obj or .glb", str(path))
    if not where.absolute().parent.is_dir():
        raise InputError("--mesh", "in a folder that exists", str(path))
    if importlib.util.find_spec("trimesh") is None:
        raise InputError("--mesh", "left out without trimesh", str(path), "Install it: pip install 'thalweg[mesh]'.")


def write_mesh(path: str | Path, xs: np.ndarray, ys: np.ndarray, values: np.ndarray) -> None:
    """Writes a surface as OBJ or GLB, by the ending of the path; two triangles between four neighbours.

    Places are scaled to a square of side 1 and values to a height of 1/2, so that any surface can be seen and printed;
    GLB has colours by height.

    Args:
        path: Ends in .obj or .glb.
        xs: (X,) places. ys: (Y,) places.
        values: (Y, X), finite.

    Raises:
        InputError: for what `check_mesh` refuses, and for values that are not finite.
    """
    check_mesh(path)
    import trimesh

    if not np.isfinite(values).all():
        raise InputError("values", "finite at every point", "some are not", "Take a smaller --span.")
    spread = float(values.max() - values.min()) or 1.0
    height = (values - values.min()) / spread
    x, y = np.meshgrid((xs - xs[0]) / (xs[-1] - xs[0]), (ys - ys[0]) / (ys[-1] - ys[0]))
    num = len(xs)
    corner = (np.arange(len(ys) - 1)[:, None] * num + np.arange(num - 1)).ravel()
    faces = np.concatenate(
        [
            np.stack([corner, corner + 1, corner + num + 1], 1),
            np.stack([corner, corner + num + 1, corner + num], 1),
        ]
    )
    mesh = trimesh.Trimesh(
        vertices=np.stack([x.ravel(), y.ravel(), 0.5 * height.ravel()], 1),
        faces=faces,
        vertex_colors=_colours(height.ravel()),
        process=False,
    )
    mesh.export(Path(path))


def _colours(height: np.ndarray) -> np.ndarray:
    """Returns (n, 4) red, green, blue and opacity for heights from 0 to 1."""
    places = np.linspace(0, 1, len(_COLOURS))
    channels = [np.interp(height, places, channel) for channel in _COLOURS.T]
    return np.stack([*channels, np.full(len(height), 255)], 1).astype(np.uint8)
