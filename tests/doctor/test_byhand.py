"""Losses that a loop computes by hand: named where torch has them, replayed as they are where it has not."""

from __future__ import annotations

import contextlib

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

from thalweg.doctor import watch
from thalweg.doctor._record._byhand import Tape

ROWS, STEPS = 16, 40
WEIGHTS = torch.linspace(0.5, 1.5, ROWS)[:, None]
QUANTILES = torch.tensor([0.1, 0.5, 0.9])


def classes(x):
    return torch.bucketize(2 * x[:, 0] + x[:, 1], torch.tensor([-0.5, 0.5]))


def sums(x):
    return x[:, 0] + x[:, 1]


def halves(x):
    return (x[:, 0] > 0).float()


def columns(x):
    return x[:, :3].clone()


def network(outputs: int = 3) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, outputs))


def batches(targets, steps=STEPS):
    torch.manual_seed(0)
    for step in range(steps):
        x = torch.randn(ROWS - step % 3, 5)  # the last batches of epochs are smaller
        yield x, targets(x)


def train(loss_of, targets, model=None, *, evaluate=None, steps=STEPS):
    model = network() if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, optimizer) as run:
        for step, (x, y) in enumerate(batches(targets, steps)):
            loss = loss_of(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if evaluate is not None and step % 10 == 9:
                with torch.no_grad():
                    evaluate(model(x), y)
    assert not _get_current_function_mode_stack()
    return run


def replayed(run) -> float:
    """Returns the share of passes whose loss is replayed to the bit; all must be nearly so."""
    assert run.diagnosis().refused is None
    pairs = run.view().replay.recorded()
    assert len(pairs) == STEPS
    assert all(a == pytest.approx(b, rel=1e-5) for a, b in pairs)
    return sum(a == b for a, b in pairs) / len(pairs)


def named(run) -> str | None:
    call = run.view().call
    return None if call is None else call.name


def binary(output, y):
    p = torch.sigmoid(output)[:, 0]
    return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()


def pinball(output, y):
    e = y[:, None] - output
    return torch.maximum(QUANTILES * e, (QUANTILES - 1) * e).mean()


def huber(output, y):
    e = (output - y).abs()
    return torch.where(e < 1, 0.5 * e**2, e - 0.5).mean()


@pytest.mark.parametrize(
    ("loss_of", "targets", "outputs", "name", "torchs"),
    [
        (lambda o, y: ((o - y) ** 2).mean(), columns, 3, "mse_loss", F.mse_loss),
        (lambda o, y: torch.mean((y - o.squeeze()) ** 2), sums, 1, "mse_loss", lambda o, y: F.mse_loss(o[:, 0], y)),
        (lambda o, y: 0.5 * ((o - y) ** 2).mean(), columns, 3, "mse_loss", lambda o, y: 0.5 * F.mse_loss(o, y)),
        (
            lambda o, y: ((o - y) ** 2).sum(1).mean(),
            columns,
            3,
            "mse_loss",
            lambda o, y: F.mse_loss(o, y, reduction="sum") / len(y),
        ),
        (lambda o, y: (o.squeeze() - y).abs().mean(), sums, 1, "l1_loss", lambda o, y: F.l1_loss(o[:, 0], y)),
        (huber, columns, 3, "smooth_l1_loss", F.smooth_l1_loss),
        (lambda o, y: -torch.log_softmax(o, 1)[range(len(y)), y].mean(), classes, 3, "cross_entropy", F.cross_entropy),
        (
            lambda o, y: -torch.log_softmax(o, 1)[torch.arange(len(y)), y].mean(),
            classes,
            3,
            "cross_entropy",
            F.cross_entropy,
        ),
        (
            lambda o, y: -o.log_softmax(1).gather(1, y[:, None]).mean(),
            classes,
            3,
            "cross_entropy",
            F.cross_entropy,
        ),
        (
            lambda o, y: -(F.one_hot(y, 3) * o.softmax(1).log()).sum(1).mean(),
            classes,
            3,
            "cross_entropy",
            F.cross_entropy,
        ),
        (
            binary,
            halves,
            1,
            "binary_cross_entropy_with_logits",
            lambda o, y: F.binary_cross_entropy_with_logits(o[:, 0], y),
        ),
    ],
)
def test_a_loss_that_torch_has_is_that_of_torch(loss_of, targets, outputs, name, torchs):
    run, other = train(loss_of, targets, network(outputs)), train(torchs, targets, network(outputs))
    call, same = run.view().call, other.view().call
    assert call is not None
    assert same is not None
    assert (call.name, dict(call.options), call.by_hand) == (name, dict(same.options), True)
    assert run.recording.criterion is None
    replayed(run)
    ours, theirs = run.view(), other.view()
    assert ours.null_loss() == theirs.null_loss()
    assert ours.losses == pytest.approx(theirs.losses, rel=1e-4)
    assert ours.targets is not None
    assert theirs.targets is not None
    assert len(ours.targets) == len(theirs.targets)
    assert [each.cause for each in run.diagnosis().findings] == [each.cause for each in other.diagnosis().findings]


def test_a_loss_that_torch_has_not_is_replayed_as_it_is():
    run = train(pinball, sums, evaluate=pinball)
    assert run.view().call is None
    assert isinstance(run.recording.criterion, Tape)
    assert replayed(run) == 1
    assert all(torch.equal(each.target, sums(each.args[0])[:, None]) for each in run.view().passes)
    assert len(run.view().curve) == STEPS // 10
    root = train(lambda o, y: ((o - y) ** 2).mean().sqrt(), columns)
    assert replayed(root) == 1


def test_a_head_of_the_loop_is_seen():
    run = train(lambda o, y: ((torch.sigmoid(o)[:, 0] - y) ** 2).mean(), halves, network(1))
    assert run.view().operations == ("sigmoid",)
    assert "sigmoid_with_squared_error" in [each.cause for each in run.diagnosis().findings]


def test_a_remedy_is_proven():
    model = nn.Sequential(network(), nn.Softmax(dim=1))
    run = train(lambda o, y: -torch.log_softmax(o, 1)[range(len(y)), y].mean(), classes, model)
    finding = run.prove(seconds=3).findings[0]
    assert finding.cause == "softmax_before_cross_entropy"
    assert finding.verdicts[0].proven


def test_a_target_that_is_broadcast():
    run = train(lambda o, y: ((o - y) ** 2).mean(), sums, network(1))
    finding = run.prove(seconds=3).findings[0]
    assert finding.cause == "target_broadcast"
    assert finding.verdicts[0].proven
    assert finding.remedies[0].before == "output - y"


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_penalty_beside_it(by_hand):
    model = network()

    def loss_of(output, y):
        loss = ((output - y) ** 2).mean() if by_hand else F.mse_loss(output, y)
        return loss + 0.01 * sum(p.abs().sum() for p in model.parameters())

    run = train(loss_of, columns, model)
    assert named(run) == "mse_loss"
    assert run.diagnosis().refused is None
    with torch.no_grad():
        start = run.view().replay.copies(run.recording.states[0])[0]
        penalty = 0.01 * sum(float(p.abs().sum()) for p in start.parameters())
    assert run.view().other_terms[0] == pytest.approx(penalty, rel=1e-4)


def test_an_evaluation_by_hand():
    def loss_of(output, y):
        return ((output - y) ** 2).sum(1).mean()

    def evaluate(output, y):
        seen.append((float(loss_of(output, y)), y))

    seen = []
    run = train(loss_of, columns, evaluate=evaluate)
    assert [loss for _, loss in run.view().curve] == pytest.approx([loss for loss, _ in seen])
    assert [each.target for each in run.recording.evaluations] == [seen[-1][1]]


@pytest.mark.parametrize(
    ("evaluate", "known"),
    [
        (lambda o, y: (o.argmax(1) == y).float().mean(), True),
        (lambda o, y: (o.softmax(1).max(1).values > y).float().mean(), True),
        (lambda o, y: (3 * o + 1)[:, 0] - y, False),  # in other units
        (lambda o, y: o.argmax(1).tolist() == y.tolist(), False),
    ],
)
def test_an_evaluation_without_the_loss(evaluate, known):
    run = train(lambda o, y: -o.log_softmax(1)[range(len(y)), y].mean(), classes, evaluate=evaluate)
    assert [each.target is not None for each in run.recording.evaluations] == [known]
    assert run.view().curve == []


def test_a_loss_that_changes_is_left_alone():
    passes = []

    def loss_of(output, y):
        passes.append(0)
        e = output - y
        return (e**2).mean() if len(passes) < 20 else (e.abs() ** 3).mean()

    run = train(loss_of, columns)
    assert run.diagnosis().refused == "the loss that it computes by hand is not the same function in every pass"
    assert run.view().call is None
    assert not run.view().replay.knows_loss


@pytest.mark.parametrize(
    ("loss_of", "reason"),
    [
        (lambda o, y: (WEIGHTS[: len(y)] * (o - y) ** 2).mean(), "several tensors of rows"),
        (lambda o, y: (F.dropout(o, 0.5) - y).square().mean(), "another value when it is done again"),
        (lambda o, y: (o**2).mean(), "no target is seen"),
        (lambda o, y: (o - y).square_().mean(), "written over"),
    ],
)
def test_a_loss_that_is_not_known_is_told(loss_of, reason):
    run = train(loss_of, columns)
    assert reason in run.diagnosis().refused
    assert run.view().call is None
    assert run.recording.criterion is None


class Counting(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.num = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.num += 1
        return func(*args, **(kwargs or {}))


def test_nothing_is_left_where_a_loop_ends_before_backward():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def loop():
        with watch(model, optimizer):
            for x, y in batches(columns, steps=3):
                ((model(x) - y) ** 2).mean().backward()
                optimizer.step()
            return model(x) - torch.randn(2, 2)

    with pytest.raises(RuntimeError, match="must match"):
        loop()
    assert not _get_current_function_mode_stack()
    with watch(model, optimizer):
        model(torch.randn(ROWS, 5))
    assert not _get_current_function_mode_stack()


@pytest.mark.parametrize("default", [False, True])
def test_modes_of_the_loop_are_its_own(default):
    def loop(watched: bool):
        model, counting = network(), Counting()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        losses, seen = [], []
        with watch(model, optimizer) if watched else contextlib.nullcontext() as run:
            for x, y in batches(columns):
                with torch.device("cpu"), counting:
                    output = model(x)
                seen.append(counting.num)
                with counting, torch.device("cpu"):
                    difference = output - y
                if default:
                    torch.set_default_device(None)
                    torch.set_default_device("cpu")
                seen.append(counting.num)
                loss = difference.square().mean()
                assert counting.num == seen[-1]
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(float(loss.detach()))
        between = [after - before for before, after in zip(seen[::2], seen[1::2], strict=True)]
        return losses, between, run

    if default:
        torch.set_default_device("cpu")
    try:
        *watched, run = loop(watched=True)
        assert watched == list(loop(watched=False)[:2])
        assert len(_get_current_function_mode_stack()) == default
    finally:
        torch.set_default_device(None)
    assert not _get_current_function_mode_stack()
    assert named(run) == "mse_loss"
    assert replayed(run) == 1


def test_a_loop_with_a_loss_of_torch_is_looked_at_once():
    there = []

    def loss_of(output, y):
        there.append(bool(_get_current_function_mode_stack()))
        return F.mse_loss(output, y)

    train(loss_of, columns, evaluate=lambda o, y: there.append(bool(_get_current_function_mode_stack())))
    assert there[0]
    assert not any(there[1:])


def test_what_is_done_after_the_loss_is_not_looked_at():
    model = network()
    there = []

    def loss_of(output, y):
        loss = ((output - y) ** 2).mean()
        there.append(_get_current_function_mode_stack()[0].at_work)
        return loss

    train(loss_of, columns, model)
    assert there[0]
    assert not any(there[1:])


def test_a_metric_of_torch_beside_it_changes_nothing():
    def loss_of(output, y):
        loss = ((output - y) ** 2).mean()
        if len(losses) % 10 == 9:
            F.l1_loss(output, y)
        losses.append(loss)
        return loss

    losses = []
    run = train(loss_of, columns)
    assert named(run) == "mse_loss"
    assert replayed(run) == 1
