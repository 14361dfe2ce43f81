"""Forks: as one program they are what they are alone, and they begin where a change can still be seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import thalweg as tw
from thalweg.doctor._finding import Finding, Remedy, Verdict
from thalweg.doctor._proof._forks import Fork, Way, _comes_to_the_same, run_forks
from thalweg.doctor._proof._prove import _orders, verdict_of
from thalweg.doctor._proof._replay import UNCHANGED, Change
from thalweg.doctor._record._batch import Batch
from thalweg.doctor._telling import verdict_lines
from thalweg.doctor._view import View

Rule = Callable[[nn.Module], torch.optim.Optimizer]


class Attention(nn.Module):
    """Reads six numbers as three places of two."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(2, 8), nn.Linear(8, 2)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=dropout, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.block(self.into(x.reshape(-1, 3, 2))).mean(1))


class Pictures(nn.Module):
    """Reads six numbers as a small picture."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 2, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x.reshape(-1, 1, 2, 3))


class Choosy(nn.Module):
    """Does what vmap cannot: it looks at a number."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x if float(x.mean()) > 0 else -x)


class OneNorm(torch.optim.Optimizer):
    """Divides the gradient of every parameter by its norm."""

    def __init__(self, params: object, lr: float) -> None:
        super().__init__(params, {"lr": lr})  # pyright: ignore[reportArgumentType]

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * p.grad / p.grad.norm()


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2))


def watched(
    make: Callable[[], nn.Module], rule: Rule, *, passes: int = 1, zero: bool = True, clip: bool = False
) -> View:
    """Watches 24 steps on batches of 16 rows and, in the end of an epoch, of 4."""
    torch.manual_seed(0)
    x = torch.randn(100, 6)
    y, network = (x[:, 0] + x[:, 1] > 0).long(), make()
    optimizer, places = rule(network), [torch.arange(k, min(k + 16, 100)) for k in range(0, 100, 16)]
    with tw.watch(network, optimizer) as run:
        for k in range(24):
            if zero:
                optimizer.zero_grad()
            for part in range(passes):
                rows = places[(k * passes + part) % len(places)]
                (F.cross_entropy(network(x[rows]), y[rows]) / passes).backward()
            if clip:
                nn.utils.clip_grad_norm_(network.parameters(), 0.2)
            optimizer.step()
    return run.view()


def forks(
    view: View, change: Change = UNCHANGED, *, stacked: bool, orders: Sequence[Sequence[Batch]] = ()
) -> list[Fork]:
    first, given = view.recording.states[0], orders or _orders(view.training, 5)
    score = view.held_out

    def loss(model: nn.Module) -> float:
        return view.loss_of(model, score)

    return run_forks(view.replay, first, given, change, steps=20, score=loss, way=Way(stacked=stacked))


def as_one(view: View, change: Change = UNCHANGED) -> bool:
    orders = _orders(view.training, 5)
    loops = [view.replay.begin(view.recording.states[0], order, change)[:2] for order in orders]
    return _comes_to_the_same(view.replay, view.recording.states[0], loops, orders, change)


@pytest.mark.parametrize(
    ("make", "rule", "options"),
    [
        (plain, lambda m: torch.optim.Adam(m.parameters(), lr=0.01), {}),
        (plain, lambda m: torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9), {"clip": True, "passes": 3}),
        (plain, lambda m: torch.optim.SGD(m.parameters(), lr=0.01), {"zero": False}),
        (Pictures, lambda m: torch.optim.RMSprop(m.parameters(), lr=0.003), {}),
        (Attention, lambda m: torch.optim.AdamW(m.parameters(), lr=0.003), {"clip": True}),
    ],
    ids=["dropout, Adam", "momentum, clipping, three passes", "gradients kept", "batch norm", "attention"],
)
def test_forks_as_one_program_are_those_alone(make, rule, options):
    view = watched(make, rule, **options)
    slower = Change(rate=0.1)
    assert as_one(view)
    for change in (UNCHANGED, slower):
        alone, together = forks(view, change, stacked=False), forks(view, change, stacked=True)
        assert [len(each.losses) for each in together] == [20] * 5
        for a, b in zip(alone, together, strict=True):
            assert b.losses == pytest.approx(a.losses, rel=1e-4)
            assert len(b.scores) == 5
            assert b.scores == pytest.approx(a.scores, rel=1e-4)
    assert alone[0].losses != pytest.approx(alone[1].losses, rel=1e-2)  # they do not see the same batches


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (plain, lambda m: OneNorm(m.parameters(), lr=0.1)),
        (Choosy, lambda m: torch.optim.SGD(m.parameters(), lr=0.1)),
        (lambda: Attention(0.5), lambda m: torch.optim.Adam(m.parameters(), lr=0.003)),
    ],
    ids=["one norm for all numbers", "looks at a number", "dropout inside attention"],
)
def test_what_is_another_thing_as_one_program_runs_alone(make, rule):
    view = watched(make, rule)
    assert not as_one(view)
    assert forks(view, stacked=True) == forks(view, stacked=False)


class LateChoosy(Choosy):
    """Looks at a number where an epoch ends."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) if len(x) == 4 else self.layer(x)


def test_what_vmap_cannot_do_at_a_later_step_runs_alone():
    view = watched(LateChoosy, lambda m: torch.optim.SGD(m.parameters(), lr=0.1))
    assert as_one(view)
    assert forks(view, stacked=True) == forks(view, stacked=False)


class Scaled(nn.Module):
    """Is told a number beside the rows."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor, by: float = 1.0) -> torch.Tensor:
        return self.layer(x) * by


def test_what_is_no_tensor_stays_with_its_batch():
    view = watched(Scaled, lambda m: torch.optim.SGD(m.parameters(), lr=0.1))
    orders = [
        [replace(batch, kwargs={"by": 1.0 + 0.5 * k}) for k, batch in enumerate(order)]
        for order in _orders(view.training, 5)
    ]
    orders[3] = [replace(batch, kwargs={"by": 3.0}) for batch in orders[3]]
    alone, together = (forks(view, stacked=stacked, orders=orders) for stacked in (False, True))
    for a, b in zip(alone, together, strict=True):
        assert b.losses == pytest.approx(a.losses, rel=1e-4)


@pytest.mark.parametrize("stacked", [False, True])
def test_forks_that_draw_weights_end_the_same_and_leave_the_random_numbers(stacked):
    view = watched(plain, lambda m: torch.optim.SGD(m.parameters(), lr=0.1))

    def drawn(model: nn.Module, given: object) -> None:
        nn.init.normal_(model.get_parameter("0.weight"))

    before = torch.get_rng_state()
    first = forks(view, Change(model=drawn), stacked=stacked)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert forks(view, Change(model=drawn), stacked=stacked) == first
    assert first[0].losses[0] != first[1].losses[0]


def test_a_fork_that_diverges_leaves_the_others():
    view = watched(plain, lambda m: torch.optim.SGD(m.parameters(), lr=0.1))
    orders = _orders(view.training, 5)
    broken = [batch.with_inputs(batch.inputs * math.inf) for batch in orders[2]]
    orders[2] = [*orders[2][:4], *broken]
    alone, together = (forks(view, stacked=stacked, orders=orders) for stacked in (False, True))
    assert [len(each.losses) for each in together] == [20, 20, 5, 20, 20]
    assert not together[2].scores
    for k in (0, 1, 3, 4):
        assert together[k].losses == pytest.approx(alone[k].losses, rel=1e-4)


def ramped(at: int, steps: int) -> tw.doctor.Watch:  # pyright: ignore[reportAttributeAccessIssue]
    """Watches a loop whose learning rate is a hundred times as high from some step on."""
    torch.manual_seed(0)
    x = torch.randn(160, 6)
    y, network = x[:, :1] - x[:, 1:2], nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02)
    with tw.watch(network, optimizer, share=None) as run:
        for k in range(steps):
            optimizer.param_groups[0]["lr"] = 2.0 if k >= at else 0.02
            rows = torch.arange(16 * (k % 10), 16 * (k % 10) + 16)
            optimizer.zero_grad()
            F.mse_loss(network(x[rows]), y[rows]).backward()
            optimizer.step()
    return run


def test_a_loop_that_breaks_late_is_mended_from_the_last_state_before_the_break():
    run = ramped(at=150, steps=170)
    assert run.view().healthy.step == 128
    found = run.prove(seeds=6, seconds=20)
    finding = next(each for each in found.findings if each.cause == "lr_too_high")
    assert finding.verdicts[-1].proven
    assert finding.verdicts[-1].begins == 128
    assert "steps from step 128 on" in str(found)
    verdicts = found.to_json()["findings"][0]["verdicts"]
    assert [each["begins"] for each in verdicts] == [128] * len(verdicts)


def test_a_loop_that_does_not_break_is_forked_from_its_start():
    run = ramped(at=1000, steps=60)
    assert run.view().healthy.step == 0


def verdict(remedy: Remedy, changed: float) -> Verdict:
    scores = [0.5 + 0.01 * k for k in range(8)]
    after = [score + changed + 0.001 * (k % 3) for k, score in enumerate(scores)]
    return verdict_of(remedy, scores, after, measure="loss", worst=9.0, begins=0, steps=20, batches=2)


def test_what_does_worse_is_not_told_as_a_proof():
    one, two = (Remedy(says=f"Do {name}.", change=Change()) for name in ("one", "two"))
    finding = Finding(cause="lr_too_high", says="", weight=1.0, evidence=(), remedies=(one, two))
    worse, none, better = verdict(one, 0.2), verdict(two, -0.001), verdict(two, -0.2)
    assert finding.advice is one
    assert not verdict_lines(finding)
    told = verdict_lines(replace(finding, verdicts=(worse, none)))
    assert told[0].startswith("Not proven, it does worse: loss 0.201 higher [")
    assert told[1].startswith("Tried too: Do two. Not proven: no difference of the loss that 20 steps can show")
    proven = replace(finding, verdicts=(worse, better))
    assert proven.advice is two
    (line,) = verdict_lines(proven)
    assert line.startswith("Proof: loss 0.199 lower [")
