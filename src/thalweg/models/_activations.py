"""Activations: value and slope, written once for every program."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from thalweg.core import constant, erf, exp, expm1, sigmoid, tanh, where


@dataclass(frozen=True, kw_only=True)
class Activation:
    """An elementwise activation with its derivative.

    The gain is torch's (`torch.nn.init.calculate_gain`) where torch has one; elsewhere it is
    1 / sqrt(E[value(z)^2]) for a standard normal z, which is the rule that gives torch's sqrt(2) for relu.

    Args:
        name: The recipe's `activation`.
        doc: One line for the help: the formula and its source.
        value: (z, p) -> a; `p` is the parameter (`activation_parameter` of the recipe).
        slope: (z, a, p) -> da/dz, from the input and the output.
        parameter: Default of `p`; None where the activation has none.
        learned: Whether `p` is trained, one for each layer (PReLU).
        parameter_slope: (z, p) -> da/dp, where `p` is trained.
        gain: p -> the factor by which initialisation scales weights so that variance is kept.
        pieces: How many linear units make one output. Where it is above 1 the layer before has
            out * pieces units, laid out (out, pieces), the largest of each row is taken, and `value` and
            `slope` hold for that winner; the others get no gradient.
    """

    name: str
    doc: str
    value: Callable[[Any, Any], Any]
    slope: Callable[[Any, Any, Any], Any]
    gain: Callable[[float], float]
    parameter: float | None = None
    learned: bool = False
    parameter_slope: Callable[[Any, Any], Any] | None = None
    pieces: int = 1


ACTIVATIONS: dict[str, Activation] = {}


def register_activation(activation: Activation) -> Activation:
    """Adds an activation under its name; the conformance suite then runs on it."""
    ACTIVATIONS[activation.name] = activation
    return activation


def _identity(z, p):
    return z


def _identity_slope(z, a, p):
    return constant(z, 1.0)


register_activation(
    Activation(
        name="identity",
        doc="z: no activation, so that the layers make one linear map (torch.nn.Identity)",
        value=_identity,
        slope=_identity_slope,
        gain=lambda p: 1.0,
    )
)


def _sigmoid(z, p):
    return sigmoid(z)


def _sigmoid_slope(z, a, p):
    return a * (constant(z, 1.0) - a)


register_activation(
    Activation(
        name="sigmoid",
        doc="1 / (1 + exp(-z)); its slope is at most 1/4 (torch.nn.Sigmoid)",
        value=_sigmoid,
        slope=_sigmoid_slope,
        gain=lambda p: 1.0,
    )
)


def _tanh(z, p):
    return tanh(z)


def _tanh_slope(z, a, p):
    return constant(z, 1.0) - a * a


register_activation(
    Activation(
        name="tanh",
        doc="tanh(z) = 2 sigmoid(2z) - 1 (LeCun et al., 1998; torch.nn.Tanh)",
        value=_tanh,
        slope=_tanh_slope,
        gain=lambda p: 5.0 / 3.0,
    )
)


def _relu(z, p):
    # written so that a NaN passes through: a layer must not hide that a member has diverged
    return where(z <= 0, constant(z, 0.0), z)


def _relu_slope(z, a, p):
    return where(z > 0, constant(z, 1.0), constant(z, 0.0))


register_activation(
    Activation(
        name="relu",
        doc="max(z, 0); slope 0 at z = 0, as torch has it (Nair and Hinton, 2010; torch.nn.ReLU)",
        value=_relu,
        slope=_relu_slope,
        gain=lambda p: 2.0**0.5,
    )
)


def _leaky_relu(z, p):
    return where(z > 0, z, p * z)


def _leaky_relu_slope(z, a, p):
    # z * 0 gives p the precision of z: torch.where of two plain numbers would round it to float32
    return where(z > 0, constant(z, 1.0), p + z * constant(z, 0.0))


def _leaky_gain(p):
    return math.sqrt(2.0 / (1.0 + p * p))


register_activation(
    Activation(
        name="leaky_relu",
        doc="z where z > 0, else p z; p = 0.01 unless given (Maas et al., 2013; torch.nn.LeakyReLU)",
        value=_leaky_relu,
        slope=_leaky_relu_slope,
        gain=_leaky_gain,
        parameter=0.01,
    )
)


def _prelu_parameter_slope(z, p):
    return where(z > 0, constant(z, 0.0), z)


register_activation(
    Activation(
        name="prelu",
        doc="z where z > 0, else p z; p is trained, one for each layer, from 0.25 (He et al., 2015; torch.nn.PReLU)",
        value=_leaky_relu,
        slope=_leaky_relu_slope,
        gain=_leaky_gain,
        parameter=0.25,
        learned=True,
        parameter_slope=_prelu_parameter_slope,
    )
)


def _elu(z, p):
    return where(z > 0, z, p * expm1(z))


def _elu_slope(z, a, p):
    return where(z > 0, constant(z, 1.0), a + p)  # p exp(z) = p expm1(z) + p, without another exponential


def _normal_below(x):
    """Returns the probability that a standard normal number is below x."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def _elu_gain(p):
    # E[elu^2] = 1/2 + p^2 E[(e^z - 1)^2; z < 0], by completing the square
    below = math.e**2 * _normal_below(-2.0) - 2.0 * math.exp(0.5) * _normal_below(-1.0) + 0.5
    return (0.5 + p * p * below) ** -0.5


register_activation(
    Activation(
        name="elu",
        doc="z where z > 0, else p (exp(z) - 1); p = 1 unless given, and only then smooth at 0 (Clevert et "
        "al., 2016; torch.nn.ELU)",
        value=_elu,
        slope=_elu_slope,
        gain=_elu_gain,
        parameter=1.0,
    )
)


def _gelu(z, p):
    half, root = constant(z, 0.5), constant(z, 0.7071067811865476)
    return half * z * (constant(z, 1.0) + erf(z * root))


def _gelu_slope(z, a, p):
    half, root = constant(z, 0.5), constant(z, 0.7071067811865476)
    density = constant(z, 0.3989422804014327) * exp(-half * z * z)
    return half * (constant(z, 1.0) + erf(z * root)) + z * density


register_activation(
    Activation(
        name="gelu",
        doc="z Phi(z), Phi the normal distribution function, by the exact erf (Hendrycks and Gimpel, 2016; "
        "torch.nn.GELU)",
        value=_gelu,
        slope=_gelu_slope,
        gain=lambda p: 1.5335304411955353,
    )
)


def _silu(z, p):
    return z * sigmoid(z)


def _silu_slope(z, a, p):
    s = sigmoid(z)
    return s + a * (constant(z, 1.0) - s)


register_activation(
    Activation(
        name="silu",
        doc="z sigmoid(z), also called swish (Elfwing et al., 2018; torch.nn.SiLU)",
        value=_silu,
        slope=_silu_slope,
        gain=lambda p: 1.676532470331091,
    )
)


register_activation(
    Activation(
        name="maxout",
        doc="the largest of 2 linear units, so the layer before has twice the weights (Goodfellow et al., 2013)",
        value=_identity,
        slope=_identity_slope,
        # the larger of two standard normal numbers has second moment 1: with the smaller's it makes 2
        gain=lambda p: 1.0,
        pieces=2,
    )
)
