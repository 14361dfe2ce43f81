"""Every activation keeps its contract; registering one enrols it here."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
import torch
from torch import nn

from thalweg.models import ACTIVATIONS

# away from 0, where some have a kink; far enough out that exp would overflow if it were not guarded
POINTS = torch.cat(
    [
        torch.linspace(-8, -0.05, 57, dtype=torch.float64),
        torch.linspace(0.05, 8, 57, dtype=torch.float64),
        torch.tensor([-800.0, -40.0, 40.0, 800.0], dtype=torch.float64),
    ]
)


def parameters_of(activation):
    if activation.parameter is None:
        return [0.0]
    return [activation.parameter, 0.3, 1.7]


CASES = [(name, p) for name in sorted(ACTIVATIONS) for p in parameters_of(ACTIVATIONS[name])]


@pytest.mark.parametrize(("name", "p"), CASES)
def test_slope_is_the_derivative(name, p):
    activation = ACTIVATIONS[name]
    z = POINTS.clone()[: -4 if name == "elu" else None].requires_grad_()  # torch.where gives inf * 0 out there
    a = activation.value(z, p)
    (expected,) = torch.autograd.grad(a.sum(), z)
    slope = torch.as_tensor(activation.slope(z.detach(), a.detach(), p), dtype=torch.float64)
    torch.testing.assert_close(slope.expand_as(expected), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("name", "p"), CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_compiled_scalars_equal_tensors(name, p, dtype):
    activation = ACTIVATIONS[name]
    value, slope = numba.njit(activation.value), numba.njit(activation.slope)
    z = POINTS.to(torch.float64 if dtype is np.float64 else torch.float32)
    a = activation.value(z, p)
    assert a.dtype == z.dtype
    s = torch.as_tensor(activation.slope(z, a, p)).expand_as(z)
    rtol, atol = (1e-13, 1e-15) if dtype is np.float64 else (2e-6, 3e-7)
    for i in range(len(z)):
        x = dtype(z[i])
        y = value(x, dtype(p))
        np.testing.assert_allclose(y, a[i], rtol=rtol, atol=atol)
        np.testing.assert_allclose(slope(x, dtype(y), dtype(p)), s[i], rtol=rtol, atol=atol)
    kind = numba.from_dtype(np.dtype(dtype))
    for compiled in (value, slope):
        assert [o.signature.return_type for o in compiled.overloads.values()] == [kind]
    if activation.parameter_slope is not None:
        parameter_slope = numba.njit(activation.parameter_slope)
        expected = activation.parameter_slope(z, p)
        for i in range(len(z)):
            assert parameter_slope(dtype(z[i]), dtype(p)) == expected[i]


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_a_nan_is_not_hidden(name):
    activation = ACTIVATIONS[name]
    p = activation.parameter or 0.0
    assert torch.isnan(activation.value(torch.tensor([math.nan]), p)).all()
    assert math.isnan(numba.njit(activation.value)(math.nan, p))


TORCH = {
    "identity": lambda p: nn.Identity(),
    "sigmoid": lambda p: nn.Sigmoid(),
    "tanh": lambda p: nn.Tanh(),
    "relu": lambda p: nn.ReLU(),
    "leaky_relu": lambda p: nn.LeakyReLU(p),
    "prelu": lambda p: nn.PReLU(init=p).double(),
    "elu": lambda p: nn.ELU(p),
    "gelu": lambda p: nn.GELU(),
    "silu": lambda p: nn.SiLU(),
}


@pytest.mark.parametrize(("name", "p"), [(n, p) for n, p in CASES if n in TORCH])
def test_matches_torch_at_the_kink_too(name, p):
    z = torch.cat([POINTS, torch.zeros(1, dtype=torch.float64)]).requires_grad_()
    module = TORCH[name](p)
    expected = module(z)
    (expected_slope,) = torch.autograd.grad(expected.sum(), z)
    activation = ACTIVATIONS[name]
    if name == "prelu":
        p = module.weight.item()  # rounded to float32 when the module was made
    a = activation.value(z.detach(), p)
    slope = torch.as_tensor(activation.slope(z.detach(), a, p), dtype=torch.float64).expand_as(z)
    torch.testing.assert_close(a, expected.detach(), rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(slope, expected_slope, rtol=1e-12, atol=1e-14)


def test_only_maxout_has_no_module_of_torch():
    assert set(ACTIVATIONS) - set(TORCH) == {"maxout"}


def test_the_slope_of_prelu_in_its_parameter():
    activation = ACTIVATIONS["prelu"]
    assert activation.learned
    assert activation.parameter_slope is not None
    p = torch.tensor(0.25, dtype=torch.float64, requires_grad=True)
    for z in POINTS:
        (expected,) = torch.autograd.grad(activation.value(z, p), p, allow_unused=True)
        slope = activation.parameter_slope(z, 0.25)
        assert float(slope) == (0.0 if expected is None else float(expected))


def test_elu_is_smooth_at_zero_only_for_one():
    activation = ACTIVATIONS["elu"]
    jumps = {}
    for p in (0.5, 1.0, 1.5):
        left, right = (torch.tensor([x], dtype=torch.float64) for x in (-1e-12, 1e-12))
        slopes = [activation.slope(z, activation.value(z, p), p) for z in (left, right)]
        jumps[p] = abs(float(slopes[1] - slopes[0]))
    assert jumps[1.0] < 1e-11
    assert jumps[0.5] == pytest.approx(0.5)
    assert jumps[1.5] == pytest.approx(0.5)


@pytest.mark.parametrize(("name", "p"), CASES)
def test_gain(name, p):
    gain = ACTIVATIONS[name].gain(p)
    torch_name = {"identity": "linear", "prelu": "leaky_relu"}.get(name, name)
    if torch_name == "leaky_relu":
        assert gain == pytest.approx(nn.init.calculate_gain("leaky_relu", p), rel=1e-12)
    elif torch_name in ("linear", "sigmoid", "tanh", "relu"):
        assert gain == pytest.approx(nn.init.calculate_gain(torch_name), rel=1e-12)
    else:  # 1 / sqrt(E[value^2]) by a fine sum
        z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
        density = torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
        if name == "maxout":  # density of the larger of two
            density = 2 * density * torch.special.ndtr(z)
        second = torch.trapezoid(ACTIVATIONS[name].value(z, p) ** 2 * density, z)
        assert gain == pytest.approx(float(second) ** -0.5, rel=1e-8)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_says_what_it_is(name):
    activation = ACTIVATIONS[name]
    assert activation.name == name
    assert activation.doc
    assert activation.learned == (activation.parameter_slope is not None)
    assert activation.pieces == (2 if name == "maxout" else 1)
