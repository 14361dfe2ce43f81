"""Where everything of a member lies: its parameters in one vector, what a layer is, and a layer's working arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numba.extending import register_jitable

from thalweg.models import Architecture, ConvLayer
from thalweg.population._kernel_conv import conv_space
from thalweg.population._kernel_pieces import KERNEL_ACTIVATIONS

#: columns of a layer's row; -1 marks what the layer does not have. IN and OUT count units, or channels where HEIGHT and
#: WIDTH, of the block's input, are not 0; DROPOUT is the number of the dropout layer that follows.
(IN, OUT, PIECES, NORM, ACTIVATION, WEIGHT, BIAS, SCALE, SHIFT, SLOPE, MEAN, VAR, HEIGHT, WIDTH, DROPOUT) = range(15)
NUM_COLUMNS = 15
NORM_NONE, NORM_BATCH, NORM_LAYER = 0, 1, 2

#: columns of a layer's scratch row
(LINEAR, NORMED, ACTIVE, POOLED, PLACE, MASK, HIDDEN, GRAD_OUT, GRAD_ACTIVE, GRAD_LINEAR, XHAT, STATS, SPACE) = range(
    13
)
NUM_PARTS = 13

_NORMS = {"none": NORM_NONE, "batch": NORM_BATCH, "layer": NORM_LAYER}
#: rows that are predicted at a time, so that what layers keep of them fits into the cache
_CHUNK, _CONV_CHUNK = 256, 16
#: segments start on a boundary of 16 numbers, so that the same shapes have the same alignment
_ALIGN = 16


class Packing:
    """Where each parameter of an architecture lies in a member's flat vector."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.places, self.size = _lay_out(architecture.parameters)
        self.buffer_places, self.buffer_size = _lay_out(architecture.buffers)
        self.layers = _layer_table(architecture, self.places, self.buffer_places)
        self.num_parameters = architecture.num_params
        self.chunk = _CONV_CHUNK if architecture.is_cnn else _CHUNK

    def unpack(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Returns views of a flat vector by parameter name, in torch's layout; matrices lie there as (in, out)."""
        views = {name: flat[at : at + math.prod(shape)] for name, (at, shape) in self.places.items()}
        return {
            name: views[name].reshape(shape[::-1]).T if len(shape) == 2 else views[name].reshape(shape)
            for name, (_, shape) in self.places.items()
        }

    def unpack_buffers(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Returns views of a flat vector by buffer name."""
        return {
            name: flat[at : at + math.prod(shape)].reshape(shape) for name, (at, shape) in self.buffer_places.items()
        }


def _lay_out(specs: Sequence[Any]) -> tuple[dict[str, tuple[int, tuple[int, ...]]], int]:
    places: dict[str, tuple[int, tuple[int, ...]]] = {}
    top = 0
    for spec in specs:
        places[spec.name] = (top, spec.shape)
        top += -(-math.prod(spec.shape) // _ALIGN) * _ALIGN
    return places, top


def _layer_table(architecture: Architecture, places: dict[str, Any], buffer_places: dict[str, Any]) -> np.ndarray:
    """Returns the (L, 15) rows that the kernel reads, in the order of the layers."""
    by_role: dict[tuple[int, str], int] = {}
    for spec in architecture.parameters:
        by_role[spec.layer, spec.role] = places[spec.name][0]
    for spec in architecture.buffers:
        by_role[spec.layer, "running_var" if spec.start else "running_mean"] = buffer_places[spec.name][0]
    num_layers = len(architecture.hidden) + 1
    table = np.full((num_layers, NUM_COLUMNS), -1, np.int64)
    table[:, HEIGHT] = table[:, WIDTH] = 0
    for index in range(num_layers):
        row = table[index]
        row[WEIGHT], row[BIAS] = by_role[index, "weight"], by_role[index, "bias"]
        if index == len(architecture.hidden):
            row[IN] = architecture.hidden[-1].out_dim if architecture.hidden else architecture.in_dim
            row[OUT], row[PIECES], row[NORM] = architecture.output_size, 1, NORM_NONE
            continue
        layer = architecture.hidden[index]
        if isinstance(layer, ConvLayer):
            row[IN], row[OUT], row[HEIGHT], row[WIDTH] = (
                layer.in_channels,
                layer.channels,
                layer.height,
                layer.width,
            )
            dropout = 0  # the only one of a CNN
        else:
            row[IN], row[OUT] = layer.in_dim, layer.out_dim
            dropout = index
        row[PIECES], row[NORM] = layer.pieces, _NORMS[layer.norm]
        row[DROPOUT] = dropout if layer.dropout else -1
        row[ACTIVATION] = KERNEL_ACTIVATIONS.index(layer.activation)
        for column, role in (
            (SCALE, "norm_scale"),
            (SHIFT, "norm_shift"),
            (SLOPE, "activation"),
            (MEAN, "running_mean"),
            (VAR, "running_var"),
        ):
            row[column] = by_role.get((index, role), -1)
    return table


@register_jitable
def num_weights(row):
    """Returns the size of a layer's weight."""
    return row[IN] * row[OUT] * row[PIECES] * (9 if row[HEIGHT] > 0 else 1)


@register_jitable
def num_given(row):
    """Returns how many numbers a layer gives to the next one for each row of the batch."""
    if row[HEIGHT] > 0:
        return row[OUT] * (row[HEIGHT] // 2) * (row[WIDTH] // 2)
    return row[OUT]


@njit(nogil=True)
def lay_out_scratch(layers, B):
    """Returns offsets of every layer's working arrays in one scratch buffer, and its size."""
    L = layers.shape[0]
    offsets = np.zeros((L, NUM_PARTS), np.int64)
    top = 0
    for k in range(L):
        row = layers[k]
        is_conv = row[HEIGHT] > 0
        pixels = row[HEIGHT] * row[WIDTH] if is_conv else 1
        wide = row[OUT] * row[PIECES]
        for column in range(NUM_PARTS):
            offsets[k, column] = top
            if column == STATS:
                size = 2 * max(B, wide)
            elif column in (LINEAR, NORMED, GRAD_LINEAR, XHAT):
                size = B * wide * pixels
            elif column in (ACTIVE, GRAD_ACTIVE):
                size = B * row[OUT] * pixels
            elif column == SPACE:
                size = conv_space(row[IN], wide, row[HEIGHT], row[WIDTH]) if is_conv else 0
            elif column in (POOLED, PLACE) and not is_conv:
                size = 0
            else:
                size = B * num_given(row)
            top += (size + 15) // 16 * 16
        # of one shape, and one is made from the other in place
        if not is_conv:
            offsets[k, GRAD_ACTIVE] = offsets[k, GRAD_OUT]
        if row[PIECES] == 1:
            offsets[k, GRAD_LINEAR] = offsets[k, GRAD_ACTIVE]
    return offsets, top
