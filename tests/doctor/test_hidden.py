"""Inputs of hidden layers that are not centred: told where units are always on, whatever the activation is called."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import thalweg as tw
from thalweg.doctor._causes._hidden import _hidden
from thalweg.doctor._diagnosis import Watch


class Own(nn.Module):
    """Two hidden layers whose activations are calls of functions."""

    def __init__(self, bias: float, *, normed: bool = False, biased: bool = True) -> None:
        super().__init__()
        self.lower, self.upper = nn.Linear(20, 40), nn.Linear(40, 40, bias=biased)
        self.head, self.norm = nn.Linear(40, 3), nn.LayerNorm(40) if normed else nn.Identity()
        for layer in (self.lower, self.upper):
            if layer.bias is not None:
                nn.init.constant_(layer.bias, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.norm(F.relu(self.lower(x)))
        return self.head(F.gelu(self.upper(h)))


def watched(model: nn.Module) -> Watch:
    torch.manual_seed(1)
    x = torch.randn(320, 20)
    y = x[:, :3].argmax(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with tw.watch(model, optimizer) as run:
        for k in range(40):
            rows = torch.arange(32 * (k % 10), 32 * (k % 10) + 32)
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return run


def causes(run: Watch) -> list[str]:
    return [each.cause for each in run.diagnosis().findings]


def test_the_cost_is_that_of_the_eigenvalues_and_the_remedy_is_proven():
    torch.manual_seed(0)
    run = watched(Own(8.0))
    first = _hidden(run.view())[0]
    assert (first.below, first.above) == ("lower", "upper")
    model, _ = run.view().replay.copies(run.recording.states[0])
    with torch.no_grad():
        x = torch.cat([batch.inputs for batch in run.view().training[:2]])
        given = F.relu(model.lower(x)).double().numpy()  # pyright: ignore[reportCallIssue]
    of_centred = np.linalg.eigvalsh(np.cov(given.T, bias=True))[-1]
    assert first.steeper == pytest.approx(np.linalg.eigvalsh(given.T @ given / len(given))[-1] / of_centred, rel=0.05)
    assert first.on.all()
    diagnosis = run.prove(seconds=10)
    finding = diagnosis.findings[0]
    assert finding.cause == "off_centre_activations"
    assert finding.verdicts[0].proven
    assert "of the 40 units of upper lie 3 or more standard deviations above 0" in finding.evidence[0]


@pytest.mark.parametrize("bias", [0.0, 0.5, -0.5])
def test_usual_biases_are_left_in_peace(bias):
    torch.manual_seed(0)
    assert "off_centre_activations" not in causes(watched(Own(bias)))


def test_a_norm_between_the_layers_centres_them():
    torch.manual_seed(0)
    model = Own(8.0, normed=True)
    nn.init.zeros_(model.upper.bias)
    assert "off_centre_activations" not in causes(watched(model))


def test_a_layer_that_is_called_by_keyword_is_no_error():
    class Named(Own):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(F.gelu(self.upper(input=F.relu(self.lower(x)))))

    torch.manual_seed(0)
    assert not watched(Named(8.0)).diagnosis().notes


def test_a_layer_without_bias_is_no_error():
    torch.manual_seed(0)
    model = Own(8.0, biased=False)
    nn.init.constant_(model.upper.weight, 0.1)
    found = watched(model).diagnosis()
    assert not [note for note in found.notes if "off_centre" in note]
