"""Rows of the evaluation that training saw: of numbers, of ids, of several inputs; and evaluations of training rows."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import thalweg as tw
from thalweg.doctor._diagnosis import Watch
from thalweg.doctor._stretches import untrained


@pytest.fixture(autouse=True)
def _alike():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


class Net(nn.Module):
    """Takes numbers, ids, or both."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.numbers, self.ids, self.out = nn.Linear(width, 16), nn.Embedding(50, 16), nn.Linear(16, 3)

    def forward(self, *inputs):
        parts = [self.numbers(x) if x.is_floating_point() else self.ids(x).mean(1) for x in inputs]
        return self.out(torch.relu(torch.stack(parts).sum(0)))


def train(inputs, y, evaluations, *, batch: int = 50, loss: bool = True) -> Watch:
    """Trains on rows, and evaluates sets of inputs with targets, one after the other, after every epoch."""
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    with tw.watch(model, optimizer) as run:
        for _ in range(3):
            for rows in torch.randperm(len(y)).split(20):
                optimizer.zero_grad()
                F.cross_entropy(model(*[x[rows] for x in inputs]), y[rows]).backward()
                optimizer.step()
            with torch.no_grad():
                for held, targets in evaluations:
                    for rows in torch.arange(len(targets)).split(batch):
                        output = model(*[x[rows] for x in held])
                        if loss:
                            F.cross_entropy(output, targets[rows])
    return run


def leaks(run: Watch) -> bool:
    return "rows_in_both_splits" in [each.cause for each in run.diagnosis().findings]


def numbers(rows: int) -> torch.Tensor:
    return torch.randn(rows, 6)


def ids(rows: int) -> torch.Tensor:
    return torch.randint(50, (rows, 8))


def kinds(x: torch.Tensor) -> torch.Tensor:
    return (x.sum(1) > 0).long() + (x[:, 0] > 0).long() if x.is_floating_point() else x[:, 0] % 3


def half_of(x: torch.Tensor, held: torch.Tensor) -> torch.Tensor:
    """Returns the rows of evaluation, of which every other is one of training."""
    mixed = held.clone()
    mixed[::2] = x[: len(mixed[::2])]
    return mixed


@pytest.mark.parametrize("loss", [True, False])
@pytest.mark.parametrize("draw", [numbers, ids])
def test_rows_of_training_that_are_evaluated_too_are_no_leak(draw, loss):
    x, held = draw(400), draw(100)
    sets = [((x,), kinds(x)), ((held,), kinds(held))]
    for order in (sets, sets[::-1], [*sets, *sets[1:]]):
        assert not leaks(train((x,), kinds(x), order, loss=loss))
    run = train((x,), kinds(x), sets, loss=loss)
    held_rows = run.view().any_held_rows
    assert held_rows is not None
    assert len(held_rows) == 100


@pytest.mark.parametrize("batch", [1, 10, 100])
@pytest.mark.parametrize("draw", [numbers, ids])
def test_rows_that_leak_are_found_beside_an_evaluation_of_training(draw, batch):
    x = draw(400)
    held = half_of(x, draw(100))
    for sets in ([((held,), kinds(held))], [((x,), kinds(x)), ((held,), kinds(held))]):
        run = train((x,), kinds(x), sets, batch=batch)
        assert leaks(run)
        held_rows = run.view().any_held_rows
        assert held_rows is not None
        # of single rows, the first one may be taken for one more of training
        assert len(held_rows) == 100 - (batch == 1 and len(sets) == 2)


def test_a_loop_that_evaluates_its_rows_of_training_alone_says_so():
    x, held = numbers(400), numbers(100)
    assert not leaks(train((x,), kinds(x), [((x,), kinds(x))]))
    every = torch.cat([x, held])  # the rows that are set aside were never taken out
    assert leaks(train((every,), kinds(every), [((held,), kinds(held))]))


@pytest.mark.parametrize("swapped", [False, True])
def test_rows_are_told_apart_by_all_inputs(swapped):
    x, few = numbers(400), ids(400) % 2
    y = kinds(x)
    inputs = (few, x) if swapped else (x, few)
    held = (few[:100], numbers(100)) if swapped else (numbers(100), few[:100])
    assert not leaks(train(inputs, y, [(held, kinds(held[swapped]))]))
    assert leaks(train(inputs, y, [([each[:100] for each in inputs], y[:100])]))


def test_others_that_are_described_alike_are_no_copies():
    few = torch.randint(3, (1_000, 4))
    y = torch.where(torch.rand(1_000) < 0.7, few[:, 0], torch.randint(3, (1_000,)))
    assert not leaks(train((few[:800],), y[:800], [((few[800:],), y[800:])]))


def test_copies_of_a_class_that_was_made_as_large_as_the_others():
    x = numbers(600)
    y = (x[:, 0] > 1.2).long()
    rare = y.nonzero()[:, 0]
    rows = torch.cat([torch.arange(600), rare[torch.randint(len(rare), (600 - 2 * len(rare),))]])
    rows = rows[torch.randperm(len(rows))]
    x, y, cut = x[rows], y[rows], len(rows) * 4 // 5
    assert leaks(train((x[:cut],), y[:cut], [((x[cut:],), y[cut:])]))


def test_a_short_stretch_of_known_rows_may_be_chance():
    assert untrained([(1, 2), (0, 2), (1, 2), (2, 2)]) == [0, 1, 2, 3]
    assert untrained([(10, 20), (0, 500), (10, 20)]) == [0, 2]
    assert untrained([]) == []


def test_a_column_of_the_second_input_tells_the_target():
    x, y = numbers(400), torch.randint(3, (400,))
    beside = torch.cat([numbers(400)[:, :3], y[:, None] + 0.1 * torch.rand(400, 1)], 1)

    class Both(Net):
        def forward(self, *inputs):
            return Net.forward(self, torch.cat(inputs, 1))

    model = Both(10)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    with tw.watch(model, optimizer) as run:
        for rows in torch.randperm(400).split(20):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows], beside[rows]), y[rows]).backward()
            optimizer.step()
    first = run.diagnosis().findings[0]
    assert first.cause == "leaking_feature"
    assert first.says.startswith("Column 3 of the inputs beside the first ones")
