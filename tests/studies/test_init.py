"""Predicted and measured signals, and the symmetry of equal starts."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.models import build_network, init_parameters, mlp_architecture
from thalweg.population import Plan
from thalweg.probes import layer_signals
from thalweg.recipes import Recipe
from thalweg.studies._init import predict_signals
from thalweg.workflows import study

RNG = np.random.default_rng(2)


@pytest.mark.parametrize("activation", ["identity", "relu", "tanh", "gelu"])
@pytest.mark.parametrize("init", ["he", "xavier_normal", "torch"])
def test_wide_networks_do_what_is_predicted(activation, init):
    architecture = mlp_architecture(64, 10, [400] * 4, activation=activation)
    params = {n: v.double().numpy() for n, v in init_parameters(architecture, init, 0).items()}
    x, y = RNG.standard_normal((500, 64)), RNG.integers(0, 10, 500)
    predicted = predict_signals(params, activation, float((x**2).mean()))
    measured = layer_signals(build_network(architecture), params, x, y, "cross_entropy")
    for told, seen in zip(predicted, measured, strict=True):
        assert seen.var_in + seen.mean_in**2 == pytest.approx(told.second_moment, rel=0.2)
    ratio = np.sqrt(np.prod([p.gain for p in predicted[1:]]))
    assert measured[0].gradient / measured[-1].gradient == pytest.approx(ratio, rel=0.2)


def test_zeros_stay_symmetric_and_random_starts_do_not():
    found = study("init", "iris", Recipe(widths=(6,), epochs=4, batch_size=16), seeds=2, plan=Plan(threads=1))
    signals = found.answer.data["signals"]
    assert signals["zeros"]["distinct_units"] == 1
    assert signals["constant"]["distinct_units"] == 1
    assert signals["he"]["distinct_units"] == 6
    assert any("equal gradients" in sentence for sentence in found.answer.findings)
