"""Forks side by side are what they are one after another, and a copy of the process that fails costs no answer."""

from __future__ import annotations

import os
import sys
import time

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import thalweg as tw
from thalweg.core import one_torch_thread
from thalweg.doctor._proof import _beside
from thalweg.doctor._proof._beside import most_beside, run_beside
from thalweg.doctor._proof._forks import ALONE, Fork, Way, run_forks
from thalweg.doctor._proof._prove import _orders
from thalweg.doctor._proof._replay import UNCHANGED, Change
from thalweg.doctor._view import View

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")


class Choosy(nn.Module):
    """Does what vmap cannot: it looks at a number."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.drop = nn.Linear(6, 2), nn.Dropout(0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.layer(x if float(x.mean()) > 0 else -x))


def watched(bias: float = 0.0) -> tw.doctor.Watch:
    torch.manual_seed(3)
    model = Choosy()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    x = torch.randn(160, 6) + bias
    y = (x.sum(1) > 6 * bias).long()
    with tw.watch(model, optimizer) as run:
        for _ in range(4):
            for rows in torch.arange(160).split(16):
                optimizer.zero_grad()
                F.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
    return run


def forks(view: View, way: Way, change: Change = UNCHANGED) -> list[Fork]:
    def loss(model: nn.Module) -> float:
        return view.loss_of(model, view.held_out)

    with one_torch_thread():
        orders = _orders(view.training, 5)
        return run_forks(view.replay, view.recording.states[0], orders, change, steps=20, score=loss, way=way)


@pytest.mark.parametrize("workers", [2, 3, 9])
def test_forks_side_by_side_are_what_they_are_one_after_another(workers):
    view = watched().view()
    before = torch.get_rng_state()
    assert forks(view, Way(workers=workers)) == forks(view, ALONE)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_error_of_a_change_is_told_as_it_is_alone():
    def fails(model: nn.Module, given: object) -> None:
        raise ValueError("no such layer")

    with pytest.raises(ValueError, match="no such layer"):
        forks(watched().view(), Way(workers=2), Change(model=fails))


def test_a_copy_of_the_process_that_ends_is_no_answer():
    assert run_beside(lambda k: os._exit(1) if k == 1 else k, 4, workers=2, seconds=60.0) is None


def test_a_copy_of_the_process_that_raises_is_no_answer_and_tells_nothing(capfd):
    assert run_beside(lambda k: 1 // k, 2, workers=2, seconds=60.0) is None
    assert capfd.readouterr() == ("", "")


def test_a_copy_of_the_process_that_hangs_is_waited_for_no_longer_than_was_said():
    parent, begun = os.getpid(), time.monotonic()
    assert run_beside(lambda k: time.sleep(600) if os.getpid() != parent else k, 2, workers=2, seconds=0.5) is None
    assert time.monotonic() - begun < 30


def test_what_copies_do_stays_with_them():
    here: list[int] = []
    assert run_beside(lambda k: here.append(k) or len(here), 3, workers=3, seconds=60.0) == [1, 1, 1]
    assert not here


def test_there_are_as_many_as_threads_and_memory_allow(monkeypatch):
    model = nn.Linear(1_000, 1_000)
    assert most_beside(model, 3) == 3
    monkeypatch.setattr(_beside, "available_memory", lambda: 4 * 2 * 4 * 4_004_000)
    assert most_beside(model, 3) == 2
    monkeypatch.setattr(_beside, "available_memory", lambda: 0)
    assert most_beside(model, 3) == 1
    monkeypatch.setattr(sys, "platform", "darwin")
    assert most_beside(model, 3) == 1


def test_a_proof_takes_the_copies_where_they_are_faster(monkeypatch):
    called: list[int] = []

    def counted(work, num, *, workers, seconds):
        called.append(workers)
        return run_beside(work, num, workers=workers, seconds=seconds)

    monkeypatch.setattr("thalweg.doctor._proof._forks.run_beside", counted)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        diagnosis = watched(bias=20.0).prove(seeds=6, seconds=10)
    finally:
        torch.set_num_threads(before)
    assert set(called) == {2}
    assert diagnosis.findings[0].verdicts
