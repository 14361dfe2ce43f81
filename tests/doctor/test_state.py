"""Copies of a loop: optimizers and models of the user's own, and loops that cannot be copied."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import thalweg as tw
from thalweg.doctor import Watch
from thalweg.doctor._finding import CAUSES
from thalweg.doctor._record._device import RandomState
from thalweg.doctor._record._state import copy_loop, restore, state_of


class Heavy(torch.optim.Optimizer):
    """Momentum that is corrected for its start by a counter which no state of torch's knows; it knows its model."""

    def __init__(self, network: nn.Sequential, lr: float) -> None:
        super().__init__(network.parameters(), {"lr": lr})
        self.network, self.t, self.mean = network, 0, torch.zeros(2)

    @torch.no_grad()
    def step(self) -> None:
        self.t += 1
        self.mean += self.network[-1].bias  # type: ignore[operator]
        for p in self.param_groups[0]["params"]:
            m = self.state[p].setdefault("m", torch.zeros_like(p))
            m.mul_(0.9).add_(0.1 * p.grad)
            p.sub_(self.param_groups[0]["lr"] * m / (1 - 0.9**self.t))


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))


def watched(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 40) -> Watch:
    x = torch.randn(96, 6, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] + x[:, 1] > 0).long()
    with tw.watch(model, optimizer) as run:
        for k in range(steps):
            rows = torch.arange(16 * (k % 6), 16 * (k % 6) + 16)
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return run


def test_what_an_optimizer_keeps_beside_its_state_is_copied_and_restored():
    model = network()
    optimizer = Heavy(model, 0.1)
    start = state_of(model, optimizer, 0)
    watched(model, optimizer, steps=3)
    assert optimizer.t == 3
    twin, copied = copy_loop(model, optimizer)
    assert isinstance(copied, Heavy)
    assert copied.network is twin
    assert copied.t == 3
    restore(twin, copied, start)
    assert copied.t == 0
    assert torch.equal(copied.mean, torch.zeros(2))
    watched(twin, copied, steps=3)
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a, b)
    assert optimizer.mean.equal(copied.mean)


def test_a_loop_with_an_optimizer_of_ones_own_is_replayed_to_the_bit():
    model = network()
    pairs = watched(model, Heavy(model, 0.1)).view().replay.recorded()
    assert len(pairs) == 40
    assert all(a == b for a, b in pairs)


def test_a_schedule_on_the_optimizer_is_not_copied_with_it():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.optim.lr_scheduler.StepLR(optimizer, 3)
    _, copied = copy_loop(model, optimizer)
    assert "step" in vars(optimizer)
    assert "step" not in vars(copied)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*")
def test_a_loop_that_cannot_be_copied_is_diagnosed_as_far_as_it_goes():
    model = nn.Sequential(nn.utils.weight_norm(nn.Linear(6, 16)), nn.ReLU(), nn.Linear(16, 2), nn.Softmax(dim=1))
    diagnosis = watched(model, torch.optim.SGD(model.parameters(), lr=0.1)).prove()
    assert diagnosis.refused is not None
    assert diagnosis.refused.startswith("it cannot be copied (RuntimeError: ")
    assert diagnosis.findings[0].cause == "softmax_before_cross_entropy"
    assert "Traceback" not in str(diagnosis)


def test_a_rule_that_fails_on_a_loop_leaves_the_others(monkeypatch):
    def fail(view: object) -> None:
        raise ValueError("no such thing")

    title = CAUSES["lr_too_low"].title
    model = network()
    run = watched(model, torch.optim.SGD(model.parameters(), lr=0.1))
    monkeypatch.setitem(CAUSES, "lr_too_low", type(CAUSES["lr_too_low"])(name="lr_too_low", title=title, look=fail))
    assert run.diagnosis().notes == (
        f"Not looked for, as a copy of the loop fails (ValueError: no such thing): {title}",
    )


def test_random_numbers_of_a_device_are_kept_beside_those_of_the_cpu(monkeypatch):
    device = torch.device("cuda", 1)
    held = {device: torch.tensor([1, 2], dtype=torch.uint8)}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda of: held[of].clone())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, of: held.update({of: state}))
    with torch.random.fork_rng(devices=[]):
        state = RandomState.now(device)
        expected = torch.rand(3)
        assert state.moved
        state.restore()
        assert not state.moved
        held[device] = torch.tensor([1, 3], dtype=torch.uint8)
        assert state.moved
        state.restore()
        assert held[device].tolist() == [1, 2]
        assert torch.equal(torch.rand(3), expected)
