"""What our models are made of, as plain data: every program reads the same description."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from thalweg.core import InputError, check_choice, check_number
from thalweg.models._activations import ACTIVATIONS

#: what may stand between a linear layer and its activation
NORMS = {
    "none": "nothing between a linear layer and its activation",
    "batch": "batch normalisation, momentum 0.1 (Ioffe and Szegedy, 2015; torch.nn.BatchNorm1d)",
    "layer": "layer normalisation (Ba, Kiros and Hinton, 2016; torch.nn.LayerNorm)",
}
NORM_EPS = 1e-5
BATCH_NORM_MOMENTUM = 0.1


@dataclass(frozen=True, kw_only=True)
class ParameterSpec:
    """One parameter of a model.

    Args:
        name: Its name in the `state_dict` of the module.
        shape: Its shape for one member.
        role: weight, bias, norm_scale, norm_shift or activation. Penalties and matrix rules look at weights
            alone.
        layer: Index of its layer: 0 for the first hidden one, len(hidden) for the output.
    """

    name: str
    shape: tuple[int, ...]
    role: str
    layer: int


@dataclass(frozen=True, kw_only=True)
class BufferSpec:
    """One running statistic of a model.

    Args:
        name: Its name in the `state_dict` of the module.
        shape: Its shape for one member.
        start: The value that it is filled with at first.
        layer: Index of its hidden layer.
    """

    name: str
    shape: tuple[int, ...]
    start: float
    layer: int


@dataclass(frozen=True, kw_only=True)
class DenseLayer:
    """One hidden layer: Linear -> norm -> activation -> dropout.

    Args:
        in_dim: Inputs.
        out_dim: Outputs, after the activation.
        pieces: Linear units for each output: the weight is (out_dim * pieces, in_dim), with the pieces of one
            output next to each other; above 1 for maxout.
        norm: none, batch or layer; over the out_dim * pieces linear units.
        activation: A name of `ACTIVATIONS`.
        dropout: Whether a dropout layer follows.
    """

    in_dim: int
    out_dim: int
    pieces: int = 1
    norm: str = "none"
    activation: str
    dropout: bool = False

    @property
    def num_units(self) -> int:
        """Linear units of the layer, out_dim * pieces."""
        return self.out_dim * self.pieces


@dataclass(frozen=True, kw_only=True)
class ConvLayer:
    """One block of a CNN: 3 x 3 convolution (padding 1) -> norm -> activation -> 2 x 2 max pooling -> dropout.

    Args:
        in_channels: Channels of its input.
        channels: Channels of its output, after the activation.
        height: Of its input. width: of its input.
        pieces: Convolved planes for each channel, as the units of a `DenseLayer`.
        norm: none, batch or layer; over the channels * pieces planes.
        activation: A name of `ACTIVATIONS`.
        dropout: Whether a dropout layer follows; at most behind the last block.
    """

    in_channels: int
    channels: int
    height: int
    width: int
    pieces: int = 1
    norm: str = "none"
    activation: str
    dropout: bool = False

    @property
    def num_units(self) -> int:
        """Convolved planes, channels * pieces."""
        return self.channels * self.pieces

    @property
    def out_dim(self) -> int:
        """Outputs, flattened."""
        return self.channels * (self.height // 2) * (self.width // 2)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A network: hidden layers, then a linear output. Without hidden layers it is a linear model.

    Args:
        hidden: The hidden layers, first to last: dense ones, or blocks of a CNN.
        in_dim: Features of a row, flattened.
        output_size: Outputs: classes, or targets of a regression.
        parameters: In the order of `module.named_parameters()`.
        buffers: Running mean and variance of batch normalisation. (The module's `num_batches_tracked` counts
            steps only and is left out: with a fixed momentum nothing reads it.)
    """

    hidden: tuple[DenseLayer | ConvLayer, ...]
    in_dim: int
    output_size: int
    parameters: tuple[ParameterSpec, ...]
    buffers: tuple[BufferSpec, ...]

    @property
    def is_cnn(self) -> bool:
        """Whether the hidden layers are blocks of a CNN; they are all of one kind."""
        return any(isinstance(layer, ConvLayer) for layer in self.hidden)

    @property
    def num_params(self) -> int:
        """Parameters of one member."""
        total = 0
        for spec in self.parameters:
            size = 1
            for dim in spec.shape:
                size *= dim
            total += size
        return total


def mlp_architecture(
    in_dim: int,
    output_size: int,
    widths: Sequence[int],
    *,
    activation: str = "relu",
    norm: str = "none",
    dropout: bool = False,
    pieces: int | None = None,
) -> Architecture:
    """Returns the description of an MLP, or of a linear model where `widths` is empty.

    Args:
        in_dim: Features of a row, flattened.
        output_size: Outputs.
        widths: Outputs of each hidden layer, first to last.
        activation: A name of `ACTIVATIONS`.
        norm: none, batch or layer.
        dropout: Whether every hidden layer ends in dropout.
        pieces: Linear units for each output of maxout; None for the activation's default.
    Returns:
        The architecture; its layers are named linear1, norm1, activation1, dropout1, ..., output.
    Raises:
        InputError: for a size below 1 or an unknown name.
    Example:
        >>> architecture = mlp_architecture(4, 3, [8], activation="prelu", norm="layer")
        >>> [spec.name for spec in architecture.parameters][:5]
        ['linear1.weight', 'linear1.bias', 'norm1.weight', 'norm1.bias', 'activation1.weight']
        >>> [(spec.name, spec.shape) for spec in mlp_architecture(4, 3, []).parameters]
        [('output.weight', (3, 4)), ('output.bias', (3,))]
    """
    check_number("in_dim", in_dim, least=1, integer=True)
    check_number("output_size", output_size, least=1, integer=True)
    for width in widths:
        check_number("widths", width, least=1, integer=True, remedy="Give the width of each hidden layer.")
    check_choice("activation", activation, ACTIVATIONS)
    check_choice("norm", norm, NORMS)
    chosen = ACTIVATIONS[activation]
    hidden: list[DenseLayer] = []
    last = int(in_dim)
    for width in (int(w) for w in widths):
        layer = DenseLayer(
            in_dim=last,
            out_dim=width,
            pieces=chosen.pieces if pieces is None else pieces,
            norm=norm,
            activation=activation,
            dropout=dropout,
        )
        hidden.append(layer)
        last = width
    weights = [(layer.num_units, layer.in_dim) for layer in hidden]
    return _described(hidden, "linear", weights, int(in_dim), int(output_size))


def cnn_architecture(
    input_shape: Sequence[int],
    output_size: int,
    channels: Sequence[int],
    *,
    activation: str = "relu",
    norm: str = "none",
    dropout: bool = False,
    pieces: int | None = None,
) -> Architecture:
    """Returns the description of a small convolutional network.

    Args:
        input_shape: (channels, height, width) of a row.
        output_size: Outputs.
        channels: Channels of each block's output, first to last.
        activation: A name of `ACTIVATIONS`.
        norm: none, batch or layer; layer normalisation is over channels and pixels.
        dropout: Whether dropout stands before the output layer.
        pieces: Planes for each channel of maxout; None for the activation's default.
    Returns:
        The architecture; its layers are named conv1, norm1, activation1, pool1, ..., output.
    Raises:
        InputError: for an input that is no image, or one too small for that many poolings; for a size below 1 or an
            unknown name.
    Example:
        >>> architecture = cnn_architecture((1, 8, 8), 10, [4])
        >>> [(spec.name, spec.shape) for spec in architecture.parameters][::2]
        [('conv1.weight', (4, 1, 3, 3)), ('output.weight', (10, 64))]
    """
    if len(input_shape) != 3:
        raise InputError(
            "input_shape", "(channels, height, width)", tuple(input_shape), "A CNN takes images; use an MLP."
        )
    check_number("output_size", output_size, least=1, integer=True)
    check_choice("activation", activation, ACTIVATIONS)
    check_choice("norm", norm, NORMS)
    last, height, width = (int(size) for size in input_shape)
    most = min(height, width).bit_length() - 1  # halvings until a side is gone
    if len(channels) > most:
        raise InputError(
            "channels",
            f"at most {most} long for images of {height} x {width}",
            list(channels),
            "Each halves them.",
        )
    hidden: list[ConvLayer] = []
    for number, out in enumerate(channels, start=1):
        check_number("channels", out, least=1, integer=True)
        layer = ConvLayer(
            in_channels=last,
            channels=int(out),
            height=height,
            width=width,
            pieces=ACTIVATIONS[activation].pieces if pieces is None else pieces,
            norm=norm,
            activation=activation,
            dropout=dropout and number == len(channels),
        )
        hidden.append(layer)
        last, height, width = layer.channels, height // 2, width // 2
    weights = [(layer.num_units, layer.in_channels, 3, 3) for layer in hidden]
    return _described(hidden, "conv", weights, math.prod(int(size) for size in input_shape), int(output_size))


def _described(
    hidden: Sequence[DenseLayer | ConvLayer],
    kind: str,
    weights: Sequence[tuple[int, ...]],
    in_dim: int,
    output_size: int,
) -> Architecture:
    """Returns the architecture of hidden layers whose weights have these shapes."""
    parameters: list[ParameterSpec] = []
    buffers: list[BufferSpec] = []

    def add(name: str, shape: tuple[int, ...], role: str, layer: int) -> None:
        parameters.append(ParameterSpec(name=name, shape=shape, role=role, layer=layer))

    for i, (layer, shape) in enumerate(zip(hidden, weights, strict=True)):
        number, units = i + 1, layer.num_units
        add(f"{kind}{number}.weight", shape, "weight", i)
        add(f"{kind}{number}.bias", (units,), "bias", i)
        if layer.norm != "none":
            add(f"norm{number}.weight", (units,), "norm_scale", i)
            add(f"norm{number}.bias", (units,), "norm_shift", i)
        if layer.norm == "batch":
            for statistic, start in (("running_mean", 0.0), ("running_var", 1.0)):
                name = f"norm{number}.{statistic}"
                buffers.append(BufferSpec(name=name, shape=(units,), start=start, layer=i))
        if ACTIVATIONS[layer.activation].learned:
            add(f"activation{number}.weight", (1,), "activation", i)
    last = hidden[-1].out_dim if hidden else in_dim
    add("output.weight", (output_size, last), "weight", len(hidden))
    add("output.bias", (output_size,), "bias", len(hidden))
    return Architecture(
        hidden=tuple(hidden),
        in_dim=in_dim,
        output_size=output_size,
        parameters=tuple(parameters),
        buffers=tuple(buffers),
    )
