"""Penalties that a loop adds to its loss by hand: they are replayed, and a fork may weigh them otherwise."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from thalweg.doctor import watch


def train(loss_of, steps=60, rate=0.01):
    torch.manual_seed(0)
    x = torch.randn(400, 10)
    y = (x[:, 0] + x[:, 1] > 0).long()
    model = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 2))
    optimizer = torch.optim.Adam(model.parameters(), rate)
    with watch(model, optimizer) as run:
        for _ in range(steps):
            rows = torch.randperm(300)[:32]
            loss = loss_of(model, x[rows], y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            F.cross_entropy(model(x[300:]), y[300:])
    return run


def in_one_line(model, x, y):
    return F.cross_entropy(model(x), y) + sum(p.abs().sum() for p in model.parameters())


def written_over(model, x, y):
    loss = F.cross_entropy(model(x), y)
    penalty = torch.tensor(0.0, requires_grad=True)
    for name, p in model.named_parameters():
        if "weight" in name:
            penalty = penalty + p.norm(2)
    loss += 2 * penalty
    return loss


def before_the_model(model, x, y):
    penalty = 0
    for p in model.parameters():
        penalty += torch.sum(p**2)
    return (F.cross_entropy(model(x), y) + 3 * penalty) / 2


def added_up(model, x, y):
    penalty = torch.zeros(1)
    for p in model.parameters():
        penalty += p.abs().sum()
    return F.nll_loss(F.log_softmax(model(x), 1), y) + penalty


def by_hand(model, x, y):
    shares = F.log_softmax(model(x), 1)
    return -shares[range(len(y)), y].mean() + torch.cat([p.flatten() for p in model.parameters()]).abs().sum()


@pytest.mark.parametrize("loss_of", [in_one_line, written_over, before_the_model, added_up, by_hand])
def test_a_penalty_is_replayed(loss_of):
    run = train(loss_of)
    replay = run.view().replay
    assert replay.refused() is None
    pairs = replay.recorded()
    # a loss by hand is known as the function of torch that it is, which rounds otherwise
    same = [one == other if loss_of is not by_hand else other == pytest.approx(one, rel=1e-5) for one, other in pairs]
    assert len(same) == 60
    assert all(same)


@pytest.mark.parametrize("loss_of", [in_one_line, before_the_model])
def test_a_penalty_of_less_weight_is_proven_to_be_better(loss_of):
    found = train(loss_of, steps=300).prove(seconds=2).findings
    assert found[0].cause == "other_terms_too_strong"
    assert found[0].verdicts[0].proven


def test_terms_of_the_model_s_answers_are_not_those_of_weights():
    def loss_of(model, x, y):
        output = model(x)
        return F.cross_entropy(output, y) + output.square().mean()

    replay = train(loss_of).view().replay
    assert replay.whole is None
    assert "terms beside" in str(replay.refused())


def test_a_penalty_that_grows_is_not_replayed():
    weight = [0.0]

    def loss_of(model, x, y):
        weight[0] += 0.01
        return F.cross_entropy(model(x), y) + weight[0] * sum(p.square().sum() for p in model.parameters())

    assert "terms beside" in str(train(loss_of).view().replay.refused())


def test_a_loss_that_is_divided_in_place_is_replayed():
    def loss_of(model, x, y):
        loss = F.cross_entropy(model(x), y)
        loss /= 4
        return loss

    replay = train(loss_of).view().replay
    assert replay.factor == pytest.approx(0.25)
    assert all(one == other for one, other in replay.recorded())


def test_weights_of_another_model_are_not_those_that_are_known():
    other = nn.Linear(10, 2)

    def loss_of(model, x, y):
        return F.cross_entropy(model(x), y) + sum(p.square().sum() for p in other.parameters())

    assert train(loss_of).view().replay.whole is None


def test_the_loop_is_not_disturbed_by_looking():
    kept = torch.zeros(1)

    def loss_of(model, x, y):
        noisy = sum((p * torch.rand(())).square().sum() for p in model.parameters())
        kept.add_(1)
        return F.cross_entropy(model(x), y) + 1e-3 * noisy + 1e-3 * kept.clone()

    train(loss_of)
    drawn, added = torch.rand(()), float(kept)
    kept.zero_()
    torch.manual_seed(0)
    x = torch.randn(400, 10)
    y = (x[:, 0] + x[:, 1] > 0).long()
    model = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 2))
    for _ in range(60):
        rows = torch.randperm(300)[:32]
        loss_of(model, x[rows], y[rows])
    assert added == 60
    assert drawn == torch.rand(())
