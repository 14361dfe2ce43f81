"""Heavy ball on quadratics, against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from thalweg.core import InputError
from thalweg.studies._momentum import best_heavy_ball, region, roots, stationary_variance


def simulate(curvatures, lr, beta, steps, *, noise=0.0, rule="heavy_ball", seed=0):
    rng = np.random.default_rng(seed)
    h = np.asarray(curvatures, float)
    before = now = np.ones(len(h))
    path = []
    for _ in range(steps):
        at = now if rule == "heavy_ball" else now + beta * (now - before)
        g = h * at + (noise**0.5 * rng.standard_normal(len(h)) if noise else 0.0)
        before, now = (
            now,
            (now if rule == "heavy_ball" else at) - lr * g + (beta * (now - before) if rule == "heavy_ball" else 0.0),
        )
        path.append(now)
    return np.array(path)


@pytest.mark.parametrize("rule", ["heavy_ball", "nesterov"])
@pytest.mark.parametrize(("x", "beta"), [(0.01, 0.5), (0.5, 0.9), (1.5, 0.3), (0.05, 0.0)])
def test_a_mode_shrinks_by_its_root(rule, x, beta):
    factor = np.abs(roots(np.array(x), np.array(beta), rule=rule)).max()
    path = np.abs(simulate([1.0], x, beta, 400, rule=rule)[:, 0])
    seen = np.maximum.accumulate(path[::-1])[::-1]  # an oscillation crosses 0
    first, last = 40, 240
    assert (seen[last] / seen[first]) ** (1 / (last - first)) == pytest.approx(factor, rel=0.02)


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.9])
def test_the_regions_are_where_a_run_shows_them(beta):
    for x in np.linspace(0.01, 4.2, 60):
        path = simulate([1.0], x, beta, 600)[:, 0]
        found = region(float(x), beta)
        if abs(x - 2 * (1 + beta)) > 0.05:
            assert (found == "divergent") == (abs(path[-1]) > 1)
        if found == "monotone":
            assert (path[:50] > 0).all()
        elif found == "oscillating" and x > 1.05 * (1 - math.sqrt(beta)) ** 2:
            assert (path < 0).any()


def test_the_best_heavy_ball_matches_theory_to_one_percent():
    smallest, largest = 0.3, 90.0
    lr, beta, factor = best_heavy_ball(smallest, largest)
    curvatures = np.geomspace(smallest, largest, 12)

    def rate(lr, beta):
        return max(np.abs(roots(lr * curvatures, np.full(12, beta))).max(), 0)

    assert rate(lr, beta) == pytest.approx(factor, rel=0.01)
    grid = [(a, b) for a in np.geomspace(lr / 4, lr * 4, 161) for b in np.linspace(0, 0.999, 200)]
    fastest = min(grid, key=lambda pair: rate(*pair))
    assert rate(*fastest) == pytest.approx(factor, rel=0.01)
    assert fastest[0] == pytest.approx(lr, rel=0.05)
    assert fastest[1] == pytest.approx(beta, abs=0.02)


@pytest.mark.parametrize(("lr", "beta"), [(0.1, 0.0), (0.1, 0.9), (1.0, 0.5)])
def test_the_cloud_has_the_variance_of_theory(lr, beta):
    path = simulate(np.full(400, 2.0), lr, beta, 3000, noise=0.3)
    assert path[1000:].var() == pytest.approx(stationary_variance(lr, beta, 2.0, 0.3), rel=0.05)
    assert stationary_variance(2.1, 0.0, 1.0, 1.0) == math.inf


def test_bad_input():
    with pytest.raises(InputError, match="smallest must be"):
        best_heavy_ball(0.0, 1.0)
