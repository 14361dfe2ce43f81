"""Activations: value and slope, written once for every program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from thalweg.core import constant, tanh, where


@dataclass(frozen=True, kw_only=True)
class Activation:
    """An elementwise activation with its derivative.

    Args:
        name: The recipe's `activation`.
        doc: One line for the help: the formula and its source.
        value: (z, p) -> a; `p` is the parameter (`activation_parameter` of the recipe).
        slope: (z, a, p) -> da/dz, from the input and the output.
        parameter: Default of `p`; None where the activation has none.
        learned: Whether `p` is trained, one for each layer (PReLU).
        parameter_slope: (z, p) -> da/dp, where `p` is trained.
        gain: p -> the factor by which initialisation scales weights so that variance is kept.
    """

    name: str
    doc: str
    value: Callable[[Any, Any], Any]
    slope: Callable[[Any, Any, Any], Any]
    gain: Callable[[float], float]
    parameter: float | None = None
    learned: bool = False
    parameter_slope: Callable[[Any, Any], Any] | None = None


ACTIVATIONS: dict[str, Activation] = {}


def register_activation(activation: Activation) -> Activation:
    """Adds an activation under its name; the conformance suite then runs on it."""
    ACTIVATIONS[activation.name] = activation
    return activation


def _relu(z, p):
    return where(z > 0, z, constant(z, 0.0))


def _relu_slope(z, a, p):
    return where(z > 0, constant(z, 1.0), constant(z, 0.0))


register_activation(
    Activation(
        name="relu",
        doc="max(z, 0); slope 0 at z = 0, as torch has it (Nair and Hinton, 2010)",
        value=_relu,
        slope=_relu_slope,
        gain=lambda p: 2.0**0.5,
    )
)


def _tanh(z, p):
    return tanh(z)


def _tanh_slope(z, a, p):
    return constant(z, 1.0) - a * a


register_activation(Activation(name="tanh", doc="tanh(z)", value=_tanh, slope=_tanh_slope, gain=lambda p: 5.0 / 3.0))
