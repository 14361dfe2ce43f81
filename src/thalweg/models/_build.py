"""Plain torch modules from a description: what the loop program runs and what a user takes away."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from thalweg.core import InputError, check_choice, check_number
from thalweg.models._activations import ACTIVATIONS
from thalweg.models._architecture import BATCH_NORM_MOMENTUM, NORM_EPS, NORMS, Architecture
from thalweg.models._layers import Dropout, activation_module


def build_mlp(
    architecture: Architecture,
    *,
    activation_parameter: float | None = None,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Returns the module of an architecture, in training mode, with torch's own initialisation.

    Each hidden layer is Linear -> norm -> activation -> dropout; the output is Linear.

    Args:
        architecture: What to build.
        activation_parameter: For leaky_relu, elu and (its start) prelu; None for the default.
        dropout: Rate of every dropout layer; only read where the architecture has them.
    Returns:
        A module (B, ...) -> (B, output_size), whose `named_parameters()` are `architecture.parameters`, in
        order.
    Raises:
        InputError: for a rate outside [0, 1).
    Example:
        >>> from thalweg.models import mlp_architecture
        >>> list(build_mlp(mlp_architecture(4, 3, [8]))._modules)
        ['flatten', 'linear1', 'activation1', 'output']
    """
    check_number("dropout", dropout, least=0, below=1)
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for i, layer in enumerate(architecture.hidden):
        number = i + 1
        layers[f"linear{number}"] = nn.Linear(layer.in_dim, layer.num_units)
        if layer.norm == "batch":
            layers[f"norm{number}"] = nn.BatchNorm1d(layer.num_units, eps=NORM_EPS, momentum=BATCH_NORM_MOMENTUM)
        elif layer.norm == "layer":
            layers[f"norm{number}"] = nn.LayerNorm(layer.num_units, eps=NORM_EPS)
        layers[f"activation{number}"] = activation_module(layer.activation, activation_parameter)
        if layer.dropout:
            layers[f"dropout{number}"] = Dropout(dropout, layer=i)
    last = architecture.hidden[-1].out_dim if architecture.hidden else architecture.in_dim
    layers["output"] = nn.Linear(last, architecture.output_size)
    return nn.Sequential(layers)


def build_cnn(
    input_shape: Sequence[int],
    output_size: int,
    channels: Sequence[int],
    *,
    activation: str = "relu",
    activation_parameter: float | None = None,
    norm: str = "none",
    dropout: float = 0.0,
) -> nn.Sequential:
    """Returns a small convolutional network, in training mode, with torch's own initialisation.

    For each entry of `channels`: 3 x 3 convolution (padding 1) -> norm -> activation -> 2 x 2 max pooling;
    then dropout and a linear output. Layer normalisation is over channels and places (GroupNorm with one
    group).

    Args:
        input_shape: (channels, height, width) of a row.
        output_size: Outputs.
        channels: Channels of each convolution's output, first to last.
        activation: A name of `ACTIVATIONS`.
        activation_parameter: For leaky_relu, elu and (its start) prelu; None for the default.
        norm: none, batch or layer.
        dropout: Rate before the output layer; 0 leaves the layer out.
    Returns:
        A module (B, channels, height, width) -> (B, output_size).
    Raises:
        InputError: for an input that is no image, or one too small for that many poolings.
    Example:
        >>> list(build_cnn((1, 8, 8), 10, [4], norm="batch")._modules)
        ['conv1', 'norm1', 'activation1', 'pool1', 'flatten', 'output']
    """
    if len(input_shape) != 3:
        raise InputError(
            "input_shape", "(channels, height, width)", tuple(input_shape), "A CNN takes images; use an MLP."
        )
    check_number("output_size", output_size, least=1, integer=True)
    check_number("dropout", dropout, least=0, below=1)
    check_choice("activation", activation, ACTIVATIONS)
    check_choice("norm", norm, NORMS)
    pieces = ACTIVATIONS[activation].pieces
    if pieces > 1 and activation_parameter is not None:
        pieces = int(activation_parameter)
    last, height, width = (int(n) for n in input_shape)
    most = min(height, width).bit_length() - 1  # halvings until a side is gone
    if len(channels) > most:
        raise InputError(
            "channels",
            f"at most {most} long for images of {height} x {width}",
            list(channels),
            "Each halves them.",
        )
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, out in enumerate(channels, start=1):
        check_number("channels", out, least=1, integer=True)
        units = int(out) * pieces
        layers[f"conv{number}"] = nn.Conv2d(last, units, 3, padding=1)
        if norm == "batch":
            layers[f"norm{number}"] = nn.BatchNorm2d(units, eps=NORM_EPS, momentum=BATCH_NORM_MOMENTUM)
        elif norm == "layer":
            layers[f"norm{number}"] = nn.GroupNorm(1, units, eps=NORM_EPS)
        layers[f"activation{number}"] = activation_module(activation, activation_parameter)
        layers[f"pool{number}"] = nn.MaxPool2d(2)
        last, height, width = int(out), height // 2, width // 2
    layers["flatten"] = nn.Flatten()
    if dropout > 0:
        layers["dropout"] = Dropout(dropout)
    layers["output"] = nn.Linear(last * height * width, int(output_size))
    return nn.Sequential(layers)
