"""Planes, lines, alignment, critical points and convexity against what is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from thalweg.core import InputError
from thalweg.curvature import Surface
from thalweg.landscape import (
    Scorer,
    align_units,
    chord_gaps,
    classify_point,
    filter_normalized_plane,
    is_convex_task,
    line_between,
    penalty_at,
    plane_through,
    trajectory_plane,
)
from thalweg.models import build_network, cnn_architecture, mlp_architecture
from thalweg.population import empty_module
from thalweg.recipes import Recipe
from thalweg.tasks import load_task, per_example

RNG = np.random.default_rng(7)


def params_of(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: p.detach().double().numpy().copy() for name, p in module.named_parameters()}


def mlp(seed: int = 0, *, widths=(8, 6), norm: str = "none") -> nn.Module:
    torch.manual_seed(seed)
    return build_network(mlp_architecture(5, 3, widths, activation="tanh", norm=norm)).double()


def rows(shape=(5,), num: int = 60):
    return RNG.standard_normal((num, *shape)), RNG.integers(0, 3, num)


def buffers_of(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: b.numpy().copy() for name, b in module.named_buffers() if b.is_floating_point()}


def direct(module, buffers, plane, a, b, x, y):
    """The loss and score at one point, by the plain module."""
    tensors = {
        name: torch.from_numpy(plane.origin[name] + a * plane.u[name] + b * plane.v[name]) for name in plane.origin
    }
    held = {name: torch.from_numpy(value) for name, value in buffers.items()}
    out = functional_call(module.eval(), {**tensors, **held}, (torch.from_numpy(x),))
    target = torch.from_numpy(y)
    loss = per_example("cross_entropy", out, target).mean()
    return loss.item(), (out.argmax(1) == target).double().mean().item()


class Odd(nn.Module):
    """Not a sequence, so nothing is factored."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 4), nn.Linear(9, 3)

    def forward(self, x):
        return self.b(torch.cat([x, torch.sin(self.a(x))], 1))


@pytest.mark.parametrize("case", ["mlp", "batch-norm", "cnn", "linear", "odd"])
def test_a_grid_is_the_loss_of_the_module_at_every_point(case):
    torch.manual_seed(3)
    shape = (2, 8, 8) if case == "cnn" else (5,)
    module = {
        "mlp": mlp,
        "batch-norm": lambda: mlp(norm="batch"),
        "cnn": lambda: build_network(cnn_architecture((2, 8, 8), 3, [4, 5], norm="batch")).double(),
        "linear": lambda: mlp(widths=()),
        "odd": lambda: Odd().double(),
    }[case]()
    for buffer in module.buffers():
        if buffer.is_floating_point():
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    x, y = rows(shape)
    plane = filter_normalized_plane(params_of(module), seed=5)
    a, b = np.array(list(itertools.product([-1.0, 0.0, 0.7], [-0.4, 0.0, 1.0]))).T
    found = Scorer(module, buffers_of(module), x, y, "cross_entropy", dtype=torch.float64).at(plane, a, b)
    for k in range(len(a)):
        loss, right = direct(module, buffers_of(module), plane, a[k], b[k], x, y)
        assert found.loss[k] == pytest.approx(loss, rel=1e-10)
        assert found.right is not None
        assert found.right[k] == pytest.approx(right)
    weights = [name for name, value in plane.origin.items() if value.ndim >= 2]
    penalties = penalty_at(plane, a, b, l1=0.3, l2=0.2)
    for k in range(len(a)):
        at = [plane.origin[n] + a[k] * plane.u[n] + b[k] * plane.v[n] for n in weights]
        total = sum(0.3 * np.abs(w).sum() + 0.1 * (w**2).sum() for w in at)
        assert penalties[k] == pytest.approx(total, rel=1e-10)


def test_filter_normalised_directions_have_the_norms_of_the_filters():
    origin = params_of(mlp())
    plane = filter_normalized_plane(origin, seed=1)
    for name, value in origin.items():
        for direction in (plane.u, plane.v):
            if value.ndim < 2:
                assert not direction[name].any()
            else:
                np.testing.assert_allclose(np.linalg.norm(direction[name], axis=1), np.linalg.norm(value, axis=1))
    again = filter_normalized_plane(origin, seed=1)
    other = filter_normalized_plane(origin, seed=2)
    assert all(np.array_equal(plane.u[name], again.u[name]) for name in origin)
    assert any(not np.array_equal(plane.u[name], other.u[name]) for name in origin)


def test_three_networks_lie_in_their_plane():
    three = [params_of(mlp(seed)) for seed in range(3)]
    plane = plane_through(*three)
    for network, name in zip(three, ("first", "second", "third"), strict=True):
        a, b, distance = plane.coordinates(network)
        assert (a, b) == pytest.approx(plane.places[name], abs=1e-9)
        assert distance == pytest.approx(0, abs=1e-9)
    middle = {name: (three[0][name] + three[1][name]) / 2 for name in three[0]}
    with pytest.raises(InputError, match="off the line"):
        plane_through(three[0], three[1], middle)


def test_a_path_in_a_plane_is_explained_by_it():
    origin, u, v = (params_of(mlp(seed)) for seed in range(3))

    def at(a: float, b: float) -> dict[str, np.ndarray]:
        return {name: origin[name] + a * u[name] + b * v[name] for name in origin}

    plane = trajectory_plane([at(2, 1), at(1, -1), at(0.5, 0.2), at(0, 0)])
    assert plane.explained == pytest.approx(1)
    assert plane.coordinates(at(1, -1))[2] == pytest.approx(0, abs=1e-8)
    with pytest.raises(InputError, match="spans a plane"):
        trajectory_plane([at(2, 0), at(1, 0), at(0, 0)])
    with pytest.raises(InputError, match="at least 3"):
        trajectory_plane([at(2, 0), at(0, 0)])


def test_the_barrier_between_two_copies_is_zero_and_vanishes_by_alignment():
    module = mlp(widths=(16, 12))
    first = params_of(module)
    one, two = RNG.permutation(16), RNG.permutation(12)
    shuffled = {name: value.copy() for name, value in first.items()}
    shuffled["linear1.weight"], shuffled["linear1.bias"] = first["linear1.weight"][one], first["linear1.bias"][one]
    shuffled["linear2.weight"] = first["linear2.weight"][two][:, one]
    shuffled["linear2.bias"] = first["linear2.bias"][two]
    shuffled["output.weight"] = first["output.weight"][:, two]
    x, y = rows()
    scorer = Scorer(module, {}, x, y, "cross_entropy", dtype=torch.float64)
    assert line_between(scorer, first, first).barrier == pytest.approx(0, abs=1e-12)
    apart = line_between(scorer, first, shuffled)
    assert apart.loss[0] == pytest.approx(apart.loss[-1], rel=1e-12)  # the same function
    aligned = align_units(first, shuffled, 2)
    for name, value in first.items():
        np.testing.assert_array_equal(aligned[name], value)
    assert line_between(scorer, first, aligned).barrier == pytest.approx(0, abs=1e-12)


def test_alignment_keeps_the_function():
    module = mlp(widths=(16, 12), norm="batch")
    first, second = params_of(module), params_of(mlp(9, widths=(16, 12), norm="batch"))
    x, y = rows()
    scorer = Scorer(module, buffers_of(module), x, y, "cross_entropy", dtype=torch.float64)
    before = line_between(scorer, second, second).loss[0]
    after = line_between(scorer, align_units(first, second, 2), second).loss[0]
    assert after == pytest.approx(before, rel=1e-10)
    with pytest.raises(InputError, match="hidden layers"):
        align_units(first, second, 3)


def quadratic(values) -> tuple[Surface, torch.Tensor]:
    """A surface that is a quadratic with given curvatures near its critical point 0: by mse of a linear model."""
    values = np.asarray(values, float)
    size = len(values)

    class Product(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(size, dtype=torch.float64))

        def forward(self, x):
            return (0.5 * (x * self.w**2).sum(1, keepdim=True)) + 1.0

    x = values[None]
    # loss (out - 0)^2 has slope 2 at out = 1, so the Hessian at 0 is 2 diag(values)
    return Surface(Product(), {"w": np.zeros(size)}, {}, x, np.zeros((1, 1)), "mse"), torch.zeros(size).double()


@pytest.mark.parametrize(
    ("loss", "activation", "widths"),
    [
        ("cross_entropy", "relu", (8, 6)),
        ("cross_entropy", "prelu", (40,)),
        ("bce", "gelu", (8, 6, 4)),
        ("mse", "tanh", (16, 16)),
        ("huber", "leaky_relu", (3,)),
    ],
)
def test_the_compiled_plane_is_that_of_the_module(loss, activation, widths):
    recipe = Recipe(widths=widths, activation=activation)
    module = empty_module(recipe, (1, 5), 3)
    origin = {name: RNG.standard_normal(p.shape) for name, p in module.named_parameters()}
    plane = filter_normalized_plane(origin, seed=1)
    x = RNG.standard_normal((300, 1, 5)).astype(np.float32)
    targets = {"cross_entropy": RNG.integers(0, 3, 300), "bce": RNG.integers(0, 2, (300, 3)).astype(np.float32)}
    y = targets.get(loss, RNG.standard_normal((300, 3)).astype(np.float32))
    a, b = RNG.uniform(-1, 1, (2, 70))
    compiled = Scorer(module, {}, x, y, loss, recipe=recipe).at(plane, a, b)
    plain = Scorer(empty_module(recipe, (1, 5), 3), {}, x, y, loss, dtype=torch.float64).at(plane, a, b)
    np.testing.assert_allclose(compiled.loss, plain.loss, rtol=2e-5)
    if plain.right is None:
        assert compiled.right is None
    else:
        assert compiled.right is not None
        assert np.abs(compiled.right - plain.right).max() <= 2 / 300  # a tie may fall either way in float32


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1, 2, 3], "minimum"), ([-1, -2, -3], "maximum"), ([1, -2, 3], "saddle"), ([0, 0, 0], "flat")],
)
def test_critical_points_are_told_by_their_curvature(values, kind):
    surface, point = quadratic(values)
    found = classify_point(surface, point)
    assert found.kind == kind
    assert found.gradient_norm == 0
    assert (found.smallest, found.largest) == pytest.approx((2 * min(values), 2 * max(values)), abs=1e-12)


def test_a_point_with_a_gradient_is_not_critical():
    surface, point = quadratic([1, -2, 3])
    assert classify_point(surface, point + 0.5).kind == "none"


def test_convexity():
    task = load_task("iris")
    certain, why = is_convex_task(task, Recipe(model="linear", widths=()))
    assert certain
    assert "log-sum-exp" in why
    assert not is_convex_task(task, Recipe(widths=(4,)))[0]
    x, y = rows()
    linear = mlp(widths=())
    convex = Surface(linear, params_of(linear), {}, x, y, "cross_entropy")
    ends = [convex.centre + torch.randn(convex.size).double() for _ in range(6)]
    found = chord_gaps(convex, ends, chords=20)
    assert not found.gaps.any()
    deep = mlp()
    bent = Surface(deep, params_of(deep), {}, x, y, "cross_entropy")
    ends = [bent.centre + 3 * torch.randn(bent.size).double() for _ in range(6)]
    assert chord_gaps(bent, ends, chords=20).gaps.max() > 0.01
