"""Plain torch modules from a description: what the loop program runs and what a user takes away."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from thalweg.core import check_number
from thalweg.models._architecture import BATCH_NORM_MOMENTUM, NORM_EPS, Architecture, ConvLayer
from thalweg.models._layers import Dropout, activation_module


def build_network(
    architecture: Architecture, *, activation_parameter: float | None = None, dropout: float = 0.0
) -> nn.Sequential:
    """Returns the module of an architecture, in training mode, with torch's own initialisation.

    Each hidden layer of an MLP is Linear -> norm -> activation -> dropout. Each block of a CNN is a 3 x 3 convolution
    (padding 1) -> norm -> activation -> 2 x 2 max pooling, with layer normalisation over channels and places (GroupNorm
    with one group); one dropout layer stands before the output. The output is Linear.

    Args:
        architecture: What to build.
        activation_parameter: For leaky_relu, elu and (its start) prelu; None for the default.
        dropout: Rate of every dropout layer; only read where the architecture has them.
    Returns:
        A module (B, ...) -> (B, output_size), for a CNN from (B, channels, height, width); its `named_parameters()`
        are `architecture.parameters`, in order.
    Raises:
        InputError: for a rate outside [0, 1).
    Example:
        >>> from thalweg.models import cnn_architecture, mlp_architecture
        >>> list(build_network(mlp_architecture(4, 3, [8]))._modules)
        ['flatten', 'linear1', 'activation1', 'output']
        >>> list(build_network(cnn_architecture((1, 8, 8), 10, [4], norm="batch"))._modules)
        ['conv1', 'norm1', 'activation1', 'pool1', 'flatten', 'output']
    """
    check_number("dropout", dropout, least=0, below=1)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if not architecture.is_cnn:
        layers["flatten"] = nn.Flatten()
    for number, layer in enumerate(architecture.hidden, start=1):
        activation = activation_module(layer.activation, activation_parameter)
        if isinstance(layer, ConvLayer):
            layers[f"conv{number}"] = nn.Conv2d(layer.in_channels, layer.num_units, 3, padding=1)
            if layer.norm == "batch":
                layers[f"norm{number}"] = nn.BatchNorm2d(layer.num_units, eps=NORM_EPS, momentum=BATCH_NORM_MOMENTUM)
            elif layer.norm == "layer":
                layers[f"norm{number}"] = nn.GroupNorm(1, layer.num_units, eps=NORM_EPS)
            layers[f"activation{number}"] = activation
            layers[f"pool{number}"] = nn.MaxPool2d(2)
            continue
        layers[f"linear{number}"] = nn.Linear(layer.in_dim, layer.num_units)
        if layer.norm == "batch":
            layers[f"norm{number}"] = nn.BatchNorm1d(layer.num_units, eps=NORM_EPS, momentum=BATCH_NORM_MOMENTUM)
        elif layer.norm == "layer":
            layers[f"norm{number}"] = nn.LayerNorm(layer.num_units, eps=NORM_EPS)
        layers[f"activation{number}"] = activation
        if layer.dropout:
            layers[f"dropout{number}"] = Dropout(dropout, layer=number - 1)
    if architecture.is_cnn:
        layers["flatten"] = nn.Flatten()
        if architecture.hidden[-1].dropout:
            layers["dropout"] = Dropout(dropout)
    last = architecture.hidden[-1].out_dim if architecture.hidden else architecture.in_dim
    layers["output"] = nn.Linear(last, architecture.output_size)
    return nn.Sequential(layers)
