"""Hessian products, eigenvalues, trace and density against the dense Hessian in float64."""

# options as tables, operators of several kinds
# pyright: reportCallIssue=false, reportArgumentType=false
from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import aslinearoperator
from torch import nn

from thalweg.core import InputError
from thalweg.curvature import (
    Hessian,
    Surface,
    extreme_eigenvalues,
    extreme_pair,
    hutchinson_trace,
    spectral_density,
)

RNG = np.random.default_rng(4)


def surface(loss: str = "cross_entropy", l2: float = 0.0, *, width: int = 6) -> Surface:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, width), nn.Tanh(), nn.Linear(width, 3)).double()
    params = {name: p.detach().numpy().copy() for name, p in model.named_parameters()}
    x = RNG.standard_normal((40, 5))
    y = RNG.integers(0, 3, 40) if loss == "cross_entropy" else RNG.standard_normal((40, 3))
    return Surface(model, params, {}, x, y, loss, l2=l2)


def dense_hessian(found: Surface) -> np.ndarray:
    return torch.autograd.functional.hessian(found.value, found.centre).numpy()


@pytest.mark.parametrize(("loss", "l2"), [("cross_entropy", 0.0), ("cross_entropy", 0.3), ("mse", 0.0), ("mse", 0.1)])
def test_products_are_those_of_the_dense_hessian(loss, l2):
    found = surface(loss, l2)
    dense = dense_hessian(found)
    vectors = RNG.standard_normal((found.size, 3))
    np.testing.assert_allclose(Hessian(found) @ vectors, dense @ vectors, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(Hessian(found) @ vectors[:, 0], dense @ vectors[:, 0], rtol=1e-9, atol=1e-12)
    scale = RNG.uniform(0.1, 3, found.size)
    root = np.sqrt(scale)
    seen = Hessian(found, scale=scale) @ vectors
    np.testing.assert_allclose(seen, root[:, None] * (dense @ (root[:, None] * vectors)), rtol=1e-9, atol=1e-12)


def test_value_and_gradient():
    found = surface(l2=0.2)
    point = found.centre.clone().requires_grad_(True)
    (expected,) = torch.autograd.grad(found.value(point), point)
    torch.testing.assert_close(found.gradient(found.centre), expected)


@pytest.mark.parametrize("width", [4, 30])  # made dense, and by ARPACK
def test_eigenvalues_match_the_dense_hessian(width):
    found = surface(width=width)
    values = np.linalg.eigvalsh(dense_hessian(found))[::-1]
    pairs = extreme_eigenvalues(Hessian(found), 4, tol=1e-10)
    np.testing.assert_allclose(pairs.values, values[:4], rtol=1e-6, atol=1e-9)
    assert pairs.residuals.max() < 1e-6
    np.testing.assert_allclose(np.linalg.norm(pairs.vectors, axis=0), 1, rtol=1e-9)


def test_the_trace_interval_covers():
    matrix = RNG.standard_normal((50, 50))
    operator = aslinearoperator(matrix + matrix.T)
    truth = 2 * np.trace(matrix)
    covered = [hutchinson_trace(operator, 16, seed=seed).low <= truth for seed in range(200)]
    above = [truth <= hutchinson_trace(operator, 16, seed=seed).high for seed in range(200)]
    assert 0.90 <= np.mean([a and b for a, b in zip(covered, above, strict=True)]) <= 0.99


def test_the_density_has_the_moments_of_the_spectrum():
    values = np.concatenate([RNG.uniform(-1, 1, 290), [8, 9, 10, 12, 15, -4, -3, 20, 25, 30]])
    basis, _ = np.linalg.qr(RNG.standard_normal((300, 300)))
    operator = aslinearoperator(basis * values @ basis.T)
    density = spectral_density(operator, steps=80, probes=20)
    assert density.weights.sum() == pytest.approx(1)
    # of one probe of random signs the variance is at most 2 ||A||^2 / n^2 (Hutchinson, 1990)
    error = np.sqrt(2 * (values**2).sum() / 20) / 300
    assert (density.weights * density.values).sum() == pytest.approx(values.mean(), abs=4 * error)
    error = np.sqrt(2 * (values**4).sum() / 20) / 300
    assert (density.weights * density.values**2).sum() == pytest.approx((values**2).mean(), abs=4 * error)
    assert density.values.max() == pytest.approx(30, rel=1e-6)
    assert density.values.min() == pytest.approx(-4, rel=1e-6)
    places = np.linspace(-8, 40, 2000)
    assert density.smoothed(places, 0.5).sum() * (places[1] - places[0]) == pytest.approx(1, abs=1e-3)


def test_lanczos_ends_where_the_space_is_whole():
    density = spectral_density(aslinearoperator(np.diag([1.0, 1.0, 2.0, 2.0])), steps=4, probes=3)
    near = np.isclose(density.values, 1) | np.isclose(density.values, 2)
    assert near.all()


def test_bad_input():
    operator = aslinearoperator(np.eye(3))
    with pytest.raises(InputError, match="k must be"):
        extreme_eigenvalues(operator, 0)
    with pytest.raises(InputError, match="probes must be"):
        hutchinson_trace(operator, 1)


def test_both_ends_are_found_where_most_eigenvalues_are_near_zero():
    values = np.concatenate([[5.0, 3.0], 1e-3 * RNG.uniform(0, 1, 200), [-2e-3]])
    turn, _ = np.linalg.qr(RNG.standard_normal((len(values), len(values))))
    pair = extreme_pair(aslinearoperator(turn @ np.diag(values) @ turn.T), tol=1e-5)
    np.testing.assert_allclose(pair.values, [5.0, -2e-3], atol=1e-4)
    assert pair.residuals.max() < 1e-3
    alone = extreme_pair(aslinearoperator(np.array([[-3.0]])))
    np.testing.assert_allclose(alone.values, [-3.0, -3.0])
