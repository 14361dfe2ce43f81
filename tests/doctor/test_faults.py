"""Each planted fault is named, its remedy is proven, and healthy loops are left in peace."""

from __future__ import annotations

import pytest
import torch

from thalweg.doctor import CAUSES
from thalweg.doctor._gallery import FAULTS, KINDS, Loop, healthy

PLACES = (
    ("wine", "mlp"),
    ("wine", "deep"),
    ("diabetes", "deep"),
    ("digits", "mlp"),
    ("digits", "norm"),
    ("sums", "attention"),
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def planted(fault: str, data: str, model: str, seed: int = 0) -> Loop | None:
    loop = healthy(data, model, seed)
    return None if loop is None else FAULTS[fault](loop)


def places(fault: str) -> list[tuple[str, str]]:
    return [place for place in PLACES if planted(fault, *place) is not None][:2]


@pytest.mark.filterwarnings("ignore:Using a target size")  # torch names a fault itself
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_the_first_finding(fault):
    for data, model in places(fault):
        loop = planted(fault, data, model)
        assert loop is not None
        found = [each.cause for each in loop.run().diagnosis().findings]
        assert found[:1] == [fault], (data, model, found)


def test_every_fault_can_be_planted():
    assert all(places(fault) for fault in FAULTS)
    assert set(FAULTS) == set(CAUSES)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_found_in_a_healthy_loop(kind):
    run = KINDS[kind](1).run()
    diagnosis = run.diagnosis()
    assert not diagnosis.findings, [(each.cause, each.evidence) for each in diagnosis.findings]
    assert diagnosis.refused is None
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


@pytest.mark.parametrize(
    "kind", ["gradients of four passes", "attention over rows of pixels", "AdamW, cosine schedule"]
)
def test_a_healthy_loop_is_replayed_to_the_bit(kind):
    run = KINDS[kind](0).run()
    pairs = run._view.replay.recorded()
    assert len(pairs) > 100
    assert all(recorded == replayed for recorded, replayed in pairs)


def test_every_cause_has_words():
    for name, cause in CAUSES.items():
        assert name == cause.name
        assert cause.title
