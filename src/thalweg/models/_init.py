"""Initialisations: what a seed and a name start the parameters at.

Parameter number i of a model (in the order of `named_parameters()`) is drawn in float32 by `torch.nn.init`
from a generator of its own, `torch.Generator().manual_seed(derive_key(seed, Purpose.INIT, i) >> 1)`, so that
a plain script can repeat it and a change in one layer leaves the others as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from thalweg.core import InputError, Purpose, check_choice, check_number, derive_key
from thalweg.models._activations import ACTIVATIONS
from thalweg.models._architecture import Architecture
from thalweg.models._build import build_network

_WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)


@dataclass(frozen=True, kw_only=True)
class Init:
    """A way to draw the weights.

    Args:
        name: The recipe's `init`.
        doc: One line for the help, with the source.
        draw: (weight, gain, scale, generator) -> None; fills the weight in place. `gain` is that of the
            activation after it, 1 for the output layer.
        scale: Default of the recipe's `init_scale`.
    """

    name: str
    doc: str
    draw: Callable[[torch.Tensor, float, float, torch.Generator], object]
    scale: float = 1.0


def _fan_in(weight: torch.Tensor) -> int:
    return weight[0].numel()


def _he(weight: torch.Tensor, gain: float, scale: float, generator: torch.Generator) -> None:
    # kaiming_normal_ knows four activations by name; this is its formula for any gain
    nn.init.normal_(weight, 0.0, scale * gain / math.sqrt(_fan_in(weight)), generator=generator)


def _torch_default(weight: torch.Tensor, gain: float, scale: float, generator: torch.Generator) -> None:
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
    weight.mul_(scale)


INITS: dict[str, Init] = {
    init.name: init
    for init in (
        Init(
            name="zeros",
            doc="all weights 0: every unit of a layer then stays the same (torch.nn.init.zeros_)",
            draw=lambda w, gain, scale, generator: nn.init.zeros_(w),
        ),
        Init(
            name="constant",
            doc="all weights `init_scale`, 0.1 unless given (torch.nn.init.constant_)",
            draw=lambda w, gain, scale, generator: nn.init.constant_(w, scale),
            scale=0.1,
        ),
        Init(
            name="normal",
            doc="normal with standard deviation `init_scale`, 0.01 unless given (Krizhevsky et al., 2012)",
            draw=lambda w, gain, scale, generator: nn.init.normal_(w, 0.0, scale, generator=generator),
            scale=0.01,
        ),
        Init(
            name="xavier",
            doc="uniform with variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010, equation 16)",
            draw=lambda w, gain, scale, generator: nn.init.xavier_uniform_(w, scale, generator=generator),
        ),
        Init(
            name="xavier_normal",
            doc="normal with variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010, equation 12)",
            draw=lambda w, gain, scale, generator: nn.init.xavier_normal_(w, scale, generator=generator),
        ),
        Init(
            name="he",
            doc="normal with variance gain^2 / fan_in, gain of the layer's own activation (He et al., 2015, "
            "equations 10 and 15)",
            draw=_he,
        ),
        Init(
            name="orthogonal",
            doc="orthonormal rows or columns times the activation's gain (Saxe et al., 2014)",
            draw=lambda w, gain, scale, generator: nn.init.orthogonal_(w, scale * gain, generator=generator),
        ),
        Init(
            name="lsuv",
            doc="orthogonal, then each layer scaled to output variance 1 on a batch (Mishkin and Matas, "
            "2016, algorithm 1)",
            draw=lambda w, gain, scale, generator: nn.init.orthogonal_(w, generator=generator),
        ),
        Init(
            name="torch",
            doc="what torch.nn.Linear does: weights and biases uniform within 1 / sqrt(fan_in)",
            draw=_torch_default,
        ),
    )
}


def init_generator(seed: int, index: int) -> torch.Generator:
    """Returns the generator of parameter number `index`.

    Args:
        seed: Of the member.
        index: Place of the parameter in `named_parameters()`.
    """
    return torch.Generator().manual_seed(derive_key(seed, Purpose.INIT, index) >> 1)


def init_parameters(
    architecture: Architecture,
    name: str,
    seed: int,
    *,
    scale: float | None = None,
    activation_parameter: float | None = None,
    batch: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """Returns the parameters before the first step.

    Weights by the initialisation; biases 0, but for `torch`; norm scales 1 and shifts 0; the parameter of a
    learned activation at `activation_parameter` or its default.

    With `he` and `orthogonal` every hidden layer has the gain of its own activation and the output layer gain
    1. On standardised inputs `he` then gives the outputs of each activation second moment 1 and those of the
    model variance 1; torch's gains of sigmoid and tanh are rules of thumb, and for these it does not hold.

    Args:
        architecture: What to fill.
        name: A name of `INITS`.
        seed: Of the member.
        scale: The value for `constant`, the standard deviation for `normal`, a factor on the weights for the
            others (`zeros` has no use for it); None for the default.
        activation_parameter: As in `build_network`.
        batch: Inputs (B, ...), read by `lsuv` alone.
    Returns:
        Parameter name -> float32 tensor, in the order of `architecture.parameters`.
    Raises:
        InputError: for an unknown name, `lsuv` without a batch, or a batch on which a layer is constant.
    Example:
        >>> from thalweg.models import mlp_architecture
        >>> params = init_parameters(mlp_architecture(4, 3, [8]), "he", seed=0)
        >>> {name: tuple(w.shape) for name, w in params.items()}
        {'linear1.weight': (8, 4), 'linear1.bias': (8,), 'output.weight': (3, 8), 'output.bias': (3,)}

    References:
        He et al., Delving deep into rectifiers, 2015. Mishkin and Matas, All you need is a good init, 2016;
        we take one pass, which is exact as the biases are 0 and the layers are linear.
    """
    chosen = _check(name, scale, batch)
    scale = chosen.scale if scale is None else scale
    params: dict[str, torch.Tensor] = {}
    fan_in = 1
    for index, spec in enumerate(architecture.parameters):
        w = torch.zeros(spec.shape, dtype=torch.float32)
        generator = init_generator(seed, index)
        if spec.role == "weight":
            fan_in = _fan_in(w)
            gain = 1.0
            if spec.layer < len(architecture.hidden):
                gain = _gain(architecture.hidden[spec.layer].activation, activation_parameter)
            chosen.draw(w, gain, scale, generator)
        elif spec.role == "bias" and name == "torch":
            nn.init.uniform_(w, -(fan_in**-0.5), fan_in**-0.5, generator=generator)
        elif spec.role == "norm_scale":
            nn.init.ones_(w)
        elif spec.role == "activation":
            default = ACTIVATIONS[architecture.hidden[spec.layer].activation].parameter
            start = default if activation_parameter is None else activation_parameter
            nn.init.constant_(w, 0.0 if start is None else start)
        params[spec.name] = w
    if name == "lsuv":
        # built with dropout 0, so that no layer needs a stream
        module = build_network(architecture, activation_parameter=activation_parameter)
        module.load_state_dict(params, strict=False)
        _unit_variance(module, batch, scale)
        params = {k: w.detach() for k, w in module.named_parameters()}
    return params


def init_module(
    module: nn.Module,
    name: str,
    seed: int,
    scale: float | None = None,
    *,
    activation: str = "identity",
    activation_parameter: float | None = None,
    batch: torch.Tensor | None = None,
) -> None:
    """Fills the weights of every Linear and convolution of a module in place, as `init_parameters` does.

    Their biases become 0, but for `torch`; other parameters stay as they are. The last of those layers counts
    as the output. A convolution's weight is (out, in * height * width). `keep` leaves everything as it is.

    Args:
        module: What to fill.
        name: A name of `INITS`, or `keep`.
        seed: Of the member.
        scale: As in `init_parameters`.
        activation: Whose gain the hidden layers take.
        activation_parameter: Parameter of that activation.
        batch: Inputs (B, ...), read by `lsuv` alone.
    Raises:
        InputError: as `init_parameters`.
    """
    if name == "keep":
        return
    chosen = _check(name, scale, batch, also=("keep",))
    scale = chosen.scale if scale is None else scale
    index = {id(w): i for i, w in enumerate(module.parameters())}
    layers = [layer for layer in module.modules() if isinstance(layer, _WEIGHTED)]
    for layer in layers:
        weight, bias = layer.weight, layer.bias
        gain = 1.0 if layer is layers[-1] else _gain(activation, activation_parameter)
        # drawn in float32 whatever the module's precision is, so that all precisions start alike
        drawn = torch.zeros(weight.shape, dtype=torch.float32)
        chosen.draw(drawn, gain, scale, init_generator(seed, index[id(weight)]))
        with torch.no_grad():
            weight.copy_(drawn)
            if bias is not None:
                drawn = torch.zeros(bias.shape, dtype=torch.float32)
                if name == "torch":
                    bound = _fan_in(weight) ** -0.5
                    nn.init.uniform_(drawn, -bound, bound, generator=init_generator(seed, index[id(bias)]))
                bias.copy_(drawn)
    if name == "lsuv":
        _unit_variance(module, batch, scale)


def _gain(activation: str, parameter: float | None) -> float:
    found = ACTIVATIONS[activation]
    p = found.parameter if parameter is None else parameter
    return found.gain(0.0 if p is None else p)


def _check(name: str, scale: float | None, batch: object, also: Iterable[str] = ()) -> Init:
    check_choice("init", name, [*INITS, *also])
    if scale is not None:
        check_number("init_scale", scale, least=0)
    if name == "lsuv" and batch is None:
        raise InputError("batch", "given for init='lsuv'", None, "Pass some rows of inputs, or use init='he'.")
    return INITS[name]


def _unit_variance(module: nn.Module, batch: torch.Tensor | None, scale: float) -> None:
    """Scales each Linear and convolution, in the order in which they run, to outputs of variance scale^2."""
    assert batch is not None

    def rescale(layer: nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
        spread = float(output.double().std(correction=0))
        if not (spread > 0 and math.isfinite(spread)):
            remedy = "Give more and different rows, or use init='he'."
            raise InputError("batch", "rows on which every layer varies, for init='lsuv'", spread, remedy)
        layer.weight.mul_(scale / spread)  # type: ignore[union-attr, operator]
        return output * (scale / spread)  # the bias is 0, so this is what the new weight gives

    hooks = [m.register_forward_hook(rescale) for m in module.modules() if isinstance(m, _WEIGHTED)]
    training, statistics = module.training, {k: b.clone() for k, b in module.named_buffers()}
    module.train()  # batch normalisation by this batch's own statistics
    rates = [(m, m.p) for m in module.modules() if hasattr(m, "p") and "Dropout" in type(m).__name__]
    try:
        for m, _ in rates:
            m.p = 0.0  # type: ignore[assignment]
        with torch.no_grad():
            module(batch.to(next(module.parameters()).dtype))
    finally:
        for hook in hooks:
            hook.remove()
        for m, rate in rates:
            m.p = rate
        for k, b in module.named_buffers():
            b.copy_(statistics[k])
        module.train(training)
