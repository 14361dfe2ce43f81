"""Signals of activations against what is known of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from thalweg.core import InputError
from thalweg.models import ACTIVATIONS, build_network, cnn_architecture, init_parameters, mlp_architecture
from thalweg.probes import layer_signals, path_ratio

RNG = np.random.default_rng(11)
X, Y = RNG.standard_normal((400, 32)), RNG.integers(0, 3, 400)


def signals(activation: str, *, widths=(256, 256, 256), init: str = "he"):
    architecture = mlp_architecture(32, 3, widths, activation=activation)
    params = {name: value.double().numpy() for name, value in init_parameters(architecture, init, 0).items()}
    return layer_signals(build_network(architecture), params, X, Y, "cross_entropy")


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_activation_has_signals(activation):
    found = signals(activation, widths=(8, 8))
    assert [layer.name for layer in found] == ["activation1", "activation2"]
    for layer in found:
        assert layer.units == 8
        assert layer.gradient > 0
        assert 0 <= layer.off_centre <= 1
        assert 0 <= layer.saturated <= 1


def test_he_keeps_the_second_moment_of_relu():
    for layer in signals("relu"):
        assert layer.var_out + layer.mean_out**2 == pytest.approx(1, rel=0.25)


def test_dead_units_are_counted_exactly():
    architecture = mlp_architecture(32, 3, [20], activation="relu")
    params = {name: value.double().numpy() for name, value in init_parameters(architecture, "he", 0).items()}
    params["linear1.bias"] = np.where(np.arange(20) < 7, -1e3, 0.0)
    (layer,) = layer_signals(build_network(architecture), params, X, Y, "cross_entropy")
    assert layer.dead_units == tuple(range(7))
    params["linear1.bias"] = np.full(20, 1e3)
    (layer,) = layer_signals(build_network(architecture), params, X, Y, "cross_entropy")
    assert layer.dead_units == ()
    assert layer.off_centre == pytest.approx(1, abs=1e-3)


def test_sigmoid_attenuates_with_depth():
    found = signals("sigmoid", widths=(64,) * 6, init="xavier")
    gradients = [layer.gradient for layer in found]
    assert all(below < above for below, above in itertools.pairwise(gradients))
    assert gradients[0] < 0.02 * gradients[-1]  # each layer's slope is at most 1/4
    assert all(layer.slope <= 0.25 for layer in found)
    assert all(layer.off_centre > 0.9 for layer in found)
    assert signals("tanh")[0].off_centre < 0.3


def test_saturation_is_measured():
    architecture = mlp_architecture(32, 3, [50], activation="tanh")
    params = {name: value.double().numpy() for name, value in init_parameters(architecture, "he", 0).items()}
    (calm,) = layer_signals(build_network(architecture), params, X, Y, "cross_entropy")
    params["linear1.weight"] = 100 * params["linear1.weight"]
    (wild,) = layer_signals(build_network(architecture), params, X, Y, "cross_entropy")
    assert calm.saturated < 0.2
    assert wild.saturated > 0.9


def test_gradients_are_those_of_autograd():
    module = nn.Sequential(nn.Linear(32, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    params = {name: p.detach().numpy().copy() for name, p in module.named_parameters()}
    (layer,) = layer_signals(module, params, X, Y, "cross_entropy")
    hidden = torch.tanh(module[0](torch.from_numpy(X))).detach().requires_grad_(True)
    loss = nn.functional.cross_entropy(module[2](hidden), torch.from_numpy(Y), reduction="sum")
    (gradient,) = torch.autograd.grad(loss, hidden)
    assert layer.gradient == pytest.approx(gradient.square().mean().sqrt().item(), rel=1e-9)


def test_images_and_maxout():
    architecture = cnn_architecture((1, 8, 8), 3, [6], activation="maxout")
    params = {name: value.double().numpy() for name, value in init_parameters(architecture, "he", 0).items()}
    x = RNG.standard_normal((50, 1, 8, 8))
    (layer,) = layer_signals(build_network(architecture), params, x, Y[:50], "cross_entropy")
    assert layer.units == 6
    assert layer.dead_units == ()
    assert layer.slope == pytest.approx(1)


def test_a_straight_descent_has_ratio_one_and_a_narrow_valley_more():
    class Valley(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(2))

        def forward(self, x):
            return (x * self.w).sum(1, keepdim=True)

    def ratio(start, scales, steps=40):
        # one row an axis: the mean squared error is an ellipse with those curvatures
        x, y = np.diag(np.asarray(scales, float)), np.zeros((2, 1))
        return path_ratio(Valley(), {"w": np.asarray(start, float)}, x, y, "mse", length=0.05, steps=steps)

    assert ratio([3.0, 4.0], [1, 1], steps=15) == pytest.approx(1, abs=1e-9)
    assert ratio([1.0, 0.3], [1, 10]) > 1.3
    with pytest.raises(InputError, match="steps"):
        path_ratio(Valley(), {"w": np.ones(2)}, np.eye(2), np.zeros((2, 1)), "mse", steps=1)
