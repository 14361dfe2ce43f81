from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from thalweg.core import InputError, Purpose, RunError, derive_key, draw_uniform
from thalweg.models import (
    ACTIVATIONS,
    NORMS,
    Activation,
    Dropout,
    Maxout,
    activation_module,
    build_network,
    cnn_architecture,
    draws,
    load_module,
    mlp_architecture,
)

CASES = list(itertools.product(sorted(ACTIVATIONS), NORMS, [False, True], [(), (6,), (6, 4)]))


@pytest.mark.parametrize(("activation", "norm", "dropout", "widths"), CASES)
def test_the_module_has_the_parameters_of_the_architecture(activation, norm, dropout, widths):
    architecture = mlp_architecture(10, 3, widths, activation=activation, norm=norm, dropout=dropout)
    module = build_network(architecture, dropout=0.3)
    mine = [(spec.name, spec.shape) for spec in architecture.parameters]
    assert mine == [(name, tuple(w.shape)) for name, w in module.named_parameters()]
    assert architecture.num_params == sum(w.numel() for w in module.parameters())
    buffers = {n: b for n, b in module.named_buffers() if not n.endswith("num_batches_tracked")}
    assert [(b.name, b.shape) for b in architecture.buffers] == [(n, tuple(b.shape)) for n, b in buffers.items()]
    for spec in architecture.buffers:
        assert bool((buffers[spec.name] == spec.start).all())
    with draws(0, 1):
        assert module(torch.randn(5, 2, 5)).shape == (5, 3)


def test_order_within_a_layer():
    architecture = mlp_architecture(4, 2, [3], activation="relu", norm="batch", dropout=True)
    kinds = [type(m).__name__ for m in build_network(architecture, dropout=0.1)]
    assert kinds == ["Flatten", "Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear"]


def test_roles():
    architecture = mlp_architecture(4, 2, [3], activation="prelu", norm="layer")
    roles = ["weight", "bias", "norm_scale", "norm_shift", "activation", "weight", "bias"]
    assert [s.role for s in architecture.parameters] == roles
    assert [s.layer for s in architecture.parameters] == [0, 0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"in_dim": 0}, "in_dim must be"),
        ({"widths": [8, 0]}, "widths must be"),
        ({"activation": "rleu"}, "Did you mean 'relu'"),
        ({"norm": "bacth"}, "Did you mean 'batch'"),
    ],
)
def test_bad_architectures_are_named(changes, message):
    given = {"in_dim": 4, "output_size": 2, "widths": [8], "activation": "relu", "norm": "none", **changes}
    with pytest.raises(InputError, match=message):
        mlp_architecture(**given)


def test_dropout_repeats_and_is_nested_in_the_rate():
    x = torch.ones(40, 30, dtype=torch.float64)
    low, high = Dropout(0.2, layer=1), Dropout(0.6, layer=1)
    with draws(7, 3):
        a, b, again = low(x), high(x), low(x)
    torch.testing.assert_close(a, again, rtol=0, atol=0)
    assert bool(((b != 0) <= (a != 0)).all())
    assert set(a.unique().tolist()) == {0.0, 1 / (1 - 0.2)}
    assert abs(float((a == 0).double().mean()) - 0.2) < 0.05
    uniform = draw_uniform(derive_key(7, Purpose.DROPOUT, 3, 1), 1200).reshape(40, 30)
    np.testing.assert_array_equal((a != 0).numpy(), uniform >= 0.2)
    for seed, step, layer in ((8, 3, 1), (7, 4, 1), (7, 3, 0)):
        with draws(seed, step):
            assert not torch.equal(Dropout(0.2, layer=layer)(x), a)


def test_dropout_without_a_stream():
    layer = Dropout(0.5)
    with pytest.raises(RunError, match="with draws"):
        layer(torch.ones(2, 2))
    with draws(0, 0):
        pass
    with pytest.raises(RunError):  # the stream ends with its block
        layer(torch.ones(2, 2))
    x = torch.ones(2, 2)
    assert layer.eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_maxout_takes_the_largest_of_neighbouring_units():
    z = torch.randn(5, 6)
    torch.testing.assert_close(Maxout(2)(z), torch.maximum(z[:, 0::2], z[:, 1::2]), rtol=0, atol=0)
    images = torch.randn(2, 6, 3, 3)
    expected = images.reshape(2, 3, 2, 3, 3).amax(2)
    torch.testing.assert_close(Maxout(2)(images), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activation_modules_have_the_value(name):
    activation = ACTIVATIONS[name]
    z = torch.randn(4, 6)
    a = activation_module(name, None if activation.parameter is None else 0.3)(z)
    if activation.pieces == 1:
        torch.testing.assert_close(a.detach(), activation.value(z, 0.3))
    else:
        assert a.shape == (4, 6 // activation.pieces)


@pytest.mark.parametrize("learned", [False, True])
def test_a_registered_activation_can_be_built(monkeypatch, learned):
    square = Activation(
        name="square",
        doc="p z^2",
        value=lambda z, p: p * z * z,
        slope=lambda z, a, p: 2 * p * z,
        gain=lambda p: 1.0,
        parameter=2.0,
        learned=learned,
        parameter_slope=(lambda z, p: z * z) if learned else None,
    )
    monkeypatch.setitem(ACTIVATIONS, "square", square)
    architecture = mlp_architecture(3, 2, [4], activation="square")
    module = build_network(architecture)
    assert [s.name for s in architecture.parameters] == [n for n, _ in module.named_parameters()]
    z = torch.randn(2, 4)
    torch.testing.assert_close(module.get_submodule("activation1")(z).detach(), 2 * z * z)


@pytest.mark.parametrize(("activation", "norm"), [*itertools.product(["relu", "maxout", "prelu"], NORMS)])
def test_cnn(activation, norm):
    module = build_network(
        cnn_architecture((3, 9, 8), 5, [4, 6], activation=activation, norm=norm, dropout=True), dropout=0.2
    )
    with draws(0, 1):
        output = module(torch.randn(2, 3, 9, 8))
    assert output.shape == (2, 5)
    output.sum().backward()
    assert all(w.grad is not None for w in module.parameters())


def test_cnn_names_what_does_not_fit():
    with pytest.raises(InputError, match="use an MLP"):
        cnn_architecture((10,), 2, [4])
    with pytest.raises(InputError, match="at most 3 long for images of 8 x 9"):
        cnn_architecture((1, 8, 9), 2, [4, 4, 4, 4])
    assert build_network(cnn_architecture((1, 8, 9), 2, [4, 4, 4]))(torch.zeros(1, 1, 8, 9)).shape == (1, 2)


MODEL_FILE = """
import torch
from torch import nn

def make_model(input_shape, output_size):
    return nn.Sequential(nn.Linear(input_shape[0], 7), nn.BatchNorm1d(7), nn.Linear(7, output_size))

def fixed():
    return nn.Linear(4, 3)

def greedy(depth, output_size):
    return nn.Linear(4, output_size)

def broken(output_size):
    raise RuntimeError("no weights here\\nand more")

def number():
    return 3

class Net(nn.Module):
    def __init__(self, *, output_size):
        super().__init__()
        self.layer = nn.Linear(4, output_size)
    def forward(self, x):
        return self.layer(x)

net = fixed()
width = 3
"""


@pytest.fixture
def user_model(tmp_path, monkeypatch):
    (tmp_path / "my_own_model.py").write_text(MODEL_FILE)
    (tmp_path / "my_broken_model.py").write_text("import no_such_library\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "my_own_model", raising=False)


@pytest.mark.parametrize("name", ["make_model", "fixed", "Net", "net"])
def test_a_user_model_is_loaded_from_the_working_directory(user_model, name):
    module = load_module(f"my_own_model:{name}", (4,), 3)
    assert module.training
    assert module.eval()(torch.zeros(2, 4)).shape == (2, 3)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("my_own_model", "package.module:name"),
        ("my_own_model:make_modle", "Did you mean 'make_model'"),
        ("no_such_module:make", "ModuleNotFoundError"),
        ("my_broken_model:make", "No module named 'no_such_library'"),
        ("my_own_model:greedy", "Give depth a default"),
        ("my_own_model:broken", "RuntimeError: no weights here"),
        ("my_own_model:number", "It made a int"),
        ("my_own_model:width", "a function that makes one"),
    ],
)
def test_what_is_wrong_with_a_user_model_is_one_line(user_model, path, message):
    with pytest.raises(InputError, match=message) as caught:
        load_module(path, (4,), 3)
    assert "\n" not in str(caught.value)


def test_sizes_are_checked_and_both_named():
    with pytest.raises(InputError, match=r"\(1, 3\); the task needs \(1, 5\)"):
        load_module(nn.Linear(4, 3), (4,), 5)
    with pytest.raises(InputError, match=r"rows of shape \(6,\)"):
        load_module(nn.Linear(4, 3), (6,), 3)


def test_an_object_keeps_its_mode_parameters_and_the_generator():
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).eval()
    before, state = {k: v.clone() for k, v in module.state_dict().items()}, torch.get_rng_state()
    assert load_module(module, (4,), 3) is module
    assert not module.training
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_a_seed_repeats_the_factory():
    def make():
        return nn.Linear(4, 3)

    state = torch.get_rng_state()
    a, b, c = (load_module(make, (4,), 3, seed=s).state_dict()["weight"] for s in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(state, torch.get_rng_state())
