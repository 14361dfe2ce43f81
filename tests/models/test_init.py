from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from thalweg.core import InputError, Purpose, derive_key
from thalweg.models import (
    INITS,
    build_network,
    cnn_architecture,
    draws,
    init_module,
    init_parameters,
    mlp_architecture,
)

WIDE = mlp_architecture(64, 10, [300, 200], activation="relu", norm="batch", dropout=True)
BATCH = torch.randn(512, 64, generator=torch.Generator().manual_seed(0))


def generator_of(seed, index):
    return torch.Generator().manual_seed(derive_key(seed, Purpose.INIT, index) >> 1)


@pytest.mark.parametrize("name", sorted(INITS))
def test_conformance(name):
    assert INITS[name].name == name
    assert INITS[name].doc
    params, again, other = (init_parameters(WIDE, name, seed, batch=BATCH) for seed in (0, 0, 1))
    assert [(s.name, s.shape) for s in WIDE.parameters] == [(k, tuple(w.shape)) for k, w in params.items()]
    for spec in WIDE.parameters:
        w = params[spec.name]
        assert w.dtype == torch.float32
        assert not w.requires_grad
        assert torch.equal(w, again[spec.name])
        if spec.role == "weight" and name not in ("zeros", "constant"):
            assert not torch.equal(w, other[spec.name])
        if spec.role == "bias":
            assert bool((w == 0).all()) == (name != "torch")
        if spec.role in ("norm_scale", "norm_shift"):
            assert bool((w == (spec.role == "norm_scale")).all())


@pytest.mark.parametrize("scale", [None, 0.5])
@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("normal", lambda fan_in, fan_out, gain: 0.01**2),
        ("xavier", lambda fan_in, fan_out, gain: 2 / (fan_in + fan_out)),
        ("xavier_normal", lambda fan_in, fan_out, gain: 2 / (fan_in + fan_out)),
        ("he", lambda fan_in, fan_out, gain: gain**2 / fan_in),
        ("torch", lambda fan_in, fan_out, gain: 1 / (3 * fan_in)),
    ],
)
def test_variances(name, variance, scale):
    params = init_parameters(WIDE, name, 0, scale=scale)
    for spec in WIDE.parameters:
        if spec.role != "weight":
            continue
        w = params[spec.name].double()
        fan_out, fan_in = spec.shape
        expected = variance(fan_in, fan_out, 1.0 if spec.name.startswith("output") else math.sqrt(2))
        if scale is not None:
            expected = scale**2 if name == "normal" else expected * scale**2
        error = math.sqrt(2 / w.numel())  # of a normal sample's variance, relative; a uniform one's is smaller
        assert float(w.var()) == pytest.approx(expected, rel=5 * error)
        assert abs(float(w.mean())) < 5 * math.sqrt(expected / w.numel())


def test_constant_and_zeros():
    params = init_parameters(WIDE, "constant", 0, scale=0.25)
    assert bool((params["linear1.weight"] == 0.25).all())
    assert bool((init_parameters(WIDE, "constant", 0)["linear1.weight"] == 0.1).all())
    assert bool((init_parameters(WIDE, "zeros", 0)["linear1.weight"] == 0).all())


def test_orthogonal():
    params = init_parameters(WIDE, "orthogonal", 0)
    tall, wide, last = (params[f"{k}.weight"].double() for k in ("linear1", "linear2", "output"))
    torch.testing.assert_close(tall.T @ tall, 2 * torch.eye(64).double(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(wide @ wide.T, 2 * torch.eye(200).double(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(last @ last.T, torch.eye(10).double(), rtol=1e-4, atol=1e-5)


def test_a_plain_script_can_repeat_them():
    architecture = mlp_architecture(20, 3, [30], activation="relu")
    cases = {
        "he": lambda w, g: nn.init.kaiming_normal_(w, nonlinearity="relu", generator=g),
        "xavier": lambda w, g: nn.init.xavier_uniform_(w, generator=g),
        "orthogonal": lambda w, g: nn.init.orthogonal_(w, nn.init.calculate_gain("relu"), generator=g),
        "torch": lambda w, g: nn.init.kaiming_uniform_(w, a=math.sqrt(5), generator=g),
    }
    for name, draw in cases.items():
        params = init_parameters(architecture, name, 5)
        torch.testing.assert_close(
            params["linear1.weight"], draw(torch.empty(30, 20), generator_of(5, 0)), rtol=1e-7, atol=0
        )
    bias = torch.empty(3).uniform_(-(30**-0.5), 30**-0.5, generator=generator_of(5, 3))
    assert torch.equal(init_parameters(architecture, "torch", 5)["output.bias"], bias)


@pytest.mark.parametrize("scale", [None, 2.0])
@pytest.mark.parametrize(("activation", "norm"), [("tanh", "none"), ("relu", "batch"), ("maxout", "layer")])
def test_lsuv_gives_every_layer_unit_variance(activation, norm, scale):
    architecture = mlp_architecture(64, 10, [50, 40, 30], activation=activation, norm=norm, dropout=True)
    params = init_parameters(architecture, "lsuv", 0, batch=BATCH, scale=scale)
    module = build_network(architecture)
    module.load_state_dict(params, strict=False)
    spreads = []
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_hook(lambda m, x, y: spreads.append(float(y.detach().double().std(correction=0))))
    module(BATCH)
    assert spreads == pytest.approx([scale or 1.0] * 4, rel=1e-5)


def test_lsuv_needs_rows_that_differ():
    with pytest.raises(InputError, match="batch must be given"):
        init_parameters(WIDE, "lsuv", 0)
    with pytest.raises(InputError, match="every layer varies"):
        init_parameters(WIDE, "lsuv", 0, batch=torch.zeros(8, 64))


def test_he_keeps_the_second_moment():
    architecture = mlp_architecture(64, 400, [400] * 5, activation="relu")
    module = build_network(architecture)
    module.load_state_dict(init_parameters(architecture, "he", 1))
    with torch.no_grad():
        z = BATCH
        for layer in module:
            z = layer(z)
            if isinstance(layer, nn.ReLU):
                assert float((z * z).mean()) == pytest.approx(1.0, abs=0.4)


def test_prelu_starts_at_its_parameter():
    architecture = mlp_architecture(4, 2, [3], activation="prelu")
    assert init_parameters(architecture, "he", 0)["activation1.weight"].item() == 0.25
    assert init_parameters(architecture, "he", 0, activation_parameter=0.5)["activation1.weight"].item() == 0.5


def test_unknown_names_and_scales():
    with pytest.raises(InputError, match="Did you mean 'orthogonal'"):
        init_parameters(WIDE, "ortogonal", 0)
    with pytest.raises(InputError, match="init_scale must be"):
        init_parameters(WIDE, "he", 0, scale=-1.0)


@pytest.mark.parametrize("name", sorted(INITS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_module_gets_what_its_architecture_gets(name, dtype):
    architecture = mlp_architecture(64, 10, [20, 15], activation="relu", norm="layer", dropout=True)
    module = build_network(architecture, dropout=0.5).to(dtype)
    init_module(module, name, 4, activation="relu", batch=BATCH)
    expected = init_parameters(architecture, name, 4, batch=BATCH)
    for key, w in module.named_parameters():
        torch.testing.assert_close(w.detach(), expected[key].to(dtype), rtol=1e-5, atol=1e-6)
    assert module.training
    assert module.get_submodule("dropout1").p == 0.5


def test_cnn():
    module = build_network(cnn_architecture((2, 8, 8), 3, [16, 16], norm="batch", dropout=True), dropout=0.5)
    init_module(module, "he", 0, activation="relu")
    conv = module.get_submodule("conv2").weight
    assert isinstance(conv, nn.Parameter)
    assert float(conv.detach().var()) == pytest.approx(2 / (16 * 9), rel=0.15)
    init_module(module, "lsuv", 0, activation="relu", batch=torch.randn(32, 2, 8, 8))
    buffers = dict(module.named_buffers())
    assert bool((buffers["norm1.running_var"] == 1).all())  # the pass leaves no trace in the statistics
    with draws(0, 1):
        module(torch.randn(2, 2, 8, 8))


def test_keep_keeps():
    module = nn.Linear(3, 2)
    before = module.weight.detach().clone()
    init_module(module, "keep", 0)
    assert torch.equal(module.weight.detach(), before)
