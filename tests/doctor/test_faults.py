"""Each planted fault is named, its remedy is proven, and healthy loops are left in peace."""

from __future__ import annotations

import pytest
import torch

from thalweg.doctor import CAUSES
from thalweg.doctor._gallery import DATA, FAULTS, MODELS, Loop, healthy


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def planted(fault: str, data: str, model: str, seed: int = 0) -> Loop | None:
    loop = healthy(data, model, seed)
    return None if loop is None else FAULTS[fault](loop)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_among_the_first_three_findings(fault):
    tried = 0
    for data, model in (("wine", "mlp"), ("wine", "deep"), ("diabetes", "mlp"), ("digits", "cnn")):
        loop = planted(fault, data, model)
        if loop is not None:
            found = [each.cause for each in loop.run().diagnosis().findings]
            assert fault in found[:3], (data, model, found)
            tried += 1
    assert tried > 0


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("data", DATA)
def test_nothing_is_found_in_a_healthy_loop(data, model, optimizer):
    loop = healthy(data, model, 1, optimizer=optimizer)
    if loop is None:
        pytest.skip(f"{model} does not take {data}")
    run = loop.run()
    diagnosis = run.diagnosis()
    assert not diagnosis.findings
    assert str(diagnosis) == f"Nothing wrong was found in {run.recording.num_steps:,} steps."


@pytest.mark.parametrize(
    "fault",
    ["softmax_before_cross_entropy", "missing_zero_grad", "zero_initialisation", "lr_too_low", "unscaled_target"],
)
def test_a_remedy_is_proven(fault):
    loop = planted(fault, "diabetes" if fault == "unscaled_target" else "digits", "mlp")
    assert loop is not None
    diagnosis = loop.run().prove(seconds=60)  # enough for all steps on any machine
    first = diagnosis.findings[0]
    assert first.cause == fault
    assert any(verdict.proven for verdict in first.verdicts)
    assert diagnosis.replayed is not None
    assert diagnosis.replayed[0] == diagnosis.replayed[1] > 0
    assert "Proof: " in str(diagnosis)


def test_every_cause_has_words():
    for name, cause in CAUSES.items():
        assert name == cause.name
        assert cause.title
