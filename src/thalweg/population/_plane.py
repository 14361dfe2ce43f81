"""The losses of networks of our own at many points of a plane in the space of parameters, on a CPU."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from thalweg.core import share_out
from thalweg.models import ACTIVATIONS
from thalweg.population import _kernel_pieces, _kernel_plane
from thalweg.population._kernel_program import activation_parameter, flat_rows, split_targets
from thalweg.population._kernel_table import BIAS, Packing
from thalweg.population._modules import architecture_of
from thalweg.recipes import Recipe
from thalweg.tasks import LOSSES

#: points that a core takes at a time, at most, and rows that stay in its cache
_POINTS, _ROWS = 32, 128


class PlaneNetwork:
    """The network of a recipe at points o + a u + b v, in float32.

    The first layer is affine in (a, b): three products serve all points. What is left is done point by point for a
    block of rows that stays in the cache.

    Args:
        recipe: Of an MLP that `takes_plane` holds for.
        tensors: Parameters of o, u and v, by name.
        x: (n, ...) rows. y: their targets, as a `Split` holds them.
        loss: A key of `LOSSES`.
    """

    def __init__(
        self,
        recipe: Recipe,
        tensors: Sequence[Mapping[str, np.ndarray]],
        x: np.ndarray,
        y: np.ndarray,
        loss: str,
    ) -> None:
        dtype = np.dtype(np.float32)
        rows = flat_rows(x, dtype)
        output_size = len(tensors[0]["output.bias"])
        self._packing = Packing(architecture_of(recipe, x.shape[1:], output_size))
        self._theta = np.zeros((3, self._packing.size), dtype)
        for flat, tree in zip(self._theta, tensors, strict=True):
            for name, view in self._packing.unpack(flat).items():
                view[...] = tree[name]
        products = [rows @ tree["linear1.weight"].T.astype(dtype) + tree["linear1.bias"] for tree in tensors]
        self._z = np.stack(products).astype(dtype).reshape(len(tensors), -1)
        self._y = split_targets(y, dtype)
        self._loss = _kernel_pieces.KERNEL_LOSSES.index(loss)
        self._parameter = dtype.type(LOSSES[loss].parameter or 0)
        self._slope = dtype.type(activation_parameter(recipe))

    def measure(self, places: np.ndarray, threads: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the mean loss and the share of right classes at points.

        Args:
            places: (M, 2) of a and b.
            threads: Cores.
        """
        points = np.ascontiguousarray(places, np.float32)
        losses, right = np.empty(len(points)), np.empty(len(points))
        size = max(1, min(_POINTS, math.ceil(len(points) / threads)))

        def work(start: int) -> None:
            part = slice(start, start + size)
            _kernel_plane.measure_plane(
                self._packing.layers,
                self._theta,
                self._packing.layers[0, BIAS],
                self._z,
                points[part],
                self._slope,
                self._loss,
                *self._y,
                self._parameter,
                _ROWS,
                losses[part],
                right[part],
            )

        share_out(work, range(0, len(points), size), threads)
        return losses, right


def takes_plane(recipe: Recipe) -> bool:
    """Returns whether `PlaneNetwork` takes the network of a recipe: an MLP without norm and maxout."""
    return (
        recipe.model == "mlp"
        and recipe.norm == "none"
        and recipe.activation in _kernel_pieces.KERNEL_ACTIVATIONS
        and ACTIVATIONS[recipe.activation].pieces == 1
    )
