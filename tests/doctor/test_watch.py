"""The recorder: what it sees of loops of several kinds, and that it leaves nothing behind."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import thalweg as tw
from thalweg.core import InputError, RunError
from thalweg.doctor._record._recording import Pass, Passes


def data(rows: int = 96, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 6, generator=generator)
    return x, (x[:, 0] + x[:, 1] > 0).long()


def model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2))


def train(network: nn.Module, optimizer: torch.optim.Optimizer, criterion, steps: int = 12) -> list[float]:
    x, y = data()
    losses = []
    for k in range(steps):
        rows = torch.arange(16 * (k % 6), 16 * (k % 6) + 16)
        optimizer.zero_grad()
        loss = criterion(network(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def fail_while_watched(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    with tw.watch(network, optimizer):
        train(network, optimizer, F.cross_entropy, steps=2)
        raise ZeroDivisionError


BY_NAME = F.cross_entropy  # as `from torch.nn.functional import cross_entropy` binds it


@pytest.mark.parametrize(
    "criterion",
    [nn.CrossEntropyLoss(), BY_NAME, lambda output, y: F.nll_loss(output.log_softmax(1), y)],
    ids=["module", "bound function", "lambda"],
)
def test_a_watched_loop_is_the_loop_and_its_replay_gives_the_same_bits(criterion):
    plain, watched = model(), model()
    plain_optimizer, optimizer = (torch.optim.Adam(m.parameters(), lr=0.01) for m in (plain, watched))
    torch.manual_seed(3)
    expected = train(plain, plain_optimizer, criterion)
    torch.manual_seed(3)
    with tw.watch(watched, optimizer) as run:
        found = train(watched, optimizer, criterion)
    assert found == expected
    for a, b in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(a, b)
    assert [float(loss) for loss in run.recording.losses] == expected
    diagnosis = run.prove(seeds=2, seconds=0.2)
    assert diagnosis.refused is None
    if diagnosis.replayed is not None:
        assert diagnosis.replayed == (12, 12)


def test_a_replay_repeats_clipping_schedules_accumulation_and_momentum():
    network = model()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)
    x, y = data()
    with tw.watch(network, optimizer) as run:
        for k in range(10):
            optimizer.zero_grad()
            for part in (0, 1):
                rows = torch.arange(8 * part, 8 * part + 8) + 16 * (k % 6)
                F.cross_entropy(network(x[rows]), y[rows]).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 0.5)
            optimizer.step()
            scheduler.step()
    from thalweg.doctor._proof._replay import Replay

    pairs = Replay(run.recording).recorded()
    assert len(pairs) == 20
    assert all(a == b for a, b in pairs)
    assert run.recording.rates[-1][0] == pytest.approx(0.1 * 0.5**3)


def test_nothing_is_left_behind():
    network = model()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    before = {name: getattr(F, name) for name in dir(F)}, torch.Tensor.backward, nn.utils.clip_grad_norm_
    with pytest.raises(ZeroDivisionError):
        fail_while_watched(network, optimizer)
    assert before == ({name: getattr(F, name) for name in dir(F)}, torch.Tensor.backward, nn.utils.clip_grad_norm_)
    assert "zero_grad" not in vars(optimizer)
    assert "zero_grad" not in vars(network)
    for part in network.modules():
        assert not part._forward_hooks
        assert not part._forward_pre_hooks
    copy.deepcopy((network, optimizer))
    with tw.watch(network, optimizer):  # and another may begin
        pass


def test_one_loop_at_a_time():
    network = model()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    with tw.watch(network, optimizer), pytest.raises(RunError, match="Another loop"):
        tw.watch(network, optimizer).__enter__()


def test_a_diagnosis_needs_steps():
    network = model()
    run = tw.watch(network, torch.optim.SGD(network.parameters(), lr=0.1))
    with pytest.raises(RunError, match="No step was watched"):
        run.diagnosis()
    with run, pytest.raises(RunError, match="No step was watched"):
        run.diagnosis()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": 3}, "model must be a torch.nn.Module, got 'int'"),
        ({"optimizer": None}, "optimizer must be a torch.optim.Optimizer, got 'NoneType'"),
        ({"criterion": "mse"}, "criterion must be a function of output and target, got 'str'"),
        ({"memory": 0}, "memory must be a whole number at least 1, got 0"),
    ],
)
def test_bad_input_is_one_line(given, message):
    network = model()
    good = {"model": network, "optimizer": torch.optim.SGD(network.parameters(), lr=0.1)}
    with pytest.raises(InputError) as caught:
        tw.watch(**{**good, **given})
    assert message in str(caught.value)


@pytest.mark.parametrize("memory", [1, 16_000, 40_000])
def test_what_is_kept_is_bounded(memory):
    passes, rows = Passes(memory), torch.zeros(25, 10)  # of 1,000 bytes
    for step in range(400):
        passes.add(
            Pass(
                step=step,
                args=(rows,),
                kwargs={},
                target=None,
                loss=None,
                seen=None,
                call=None,
                zeroed=True,
                random=None,
                versions=(0,),
                training=True,
                num_bytes=rows.nbytes,
            )
        )
    steps = [each.step for each in passes]
    between = {1: [], 16_000: [*range(32, 384, 32)], 40_000: [*range(16, 368, 16)]}[memory]
    first, last = memory // 4_000, max(1, memory // 16_000)
    assert steps == [*range(first), *between, *range(400 - 16 * last, 400, 16)]
    assert len(steps) <= max(1, memory // 1_000)


def test_batches_that_were_written_over_are_not_replayed():
    network = model()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    x, y = data(16)
    with tw.watch(network, optimizer) as run:
        for _ in range(4):
            optimizer.zero_grad()
            F.cross_entropy(network(x), y).backward()
            optimizer.step()
            x += 1
    assert run.diagnosis().refused == "batches were written over after they were used"
    assert "No remedy was tried" in str(run.prove()) or not run.diagnosis().findings


def test_gradients_of_a_probe_are_those_of_autograd():
    network = model()
    network.eval()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    x, y = data(16)
    expected = copy.deepcopy(network)
    F.cross_entropy(expected(x), y).backward()
    with tw.watch(network, optimizer) as run:
        F.cross_entropy(network(x), y).backward()
        optimizer.step()
    (probe,) = run.recording.probes
    for found, p in zip(probe.params, expected.parameters(), strict=True):
        assert p.grad is not None
        assert found.gradient == pytest.approx(float(p.grad.norm()))
        assert found.update == pytest.approx(0.1 * float(p.grad.norm()), rel=1e-4)
    linear, relu = probe.layers[0], probe.layers[1]
    with torch.no_grad():
        above = expected[0](x)  # pyright: ignore[reportIndexIssue]
    assert linear.rms_in == pytest.approx(float(x.square().mean().sqrt()))
    assert linear.rms_out == pytest.approx(float(above.square().mean().sqrt()))
    assert relu.follows == linear.name
    assert relu.still == tuple(np.flatnonzero((above <= 0).all(0)).tolist())


def test_an_old_gradient_of_a_parameter_that_is_frozen_is_none_of_a_step():
    first, last = nn.Linear(6, 8), nn.Linear(8, 2)
    network = nn.Sequential(first, nn.ReLU(), last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    x, y = data()
    F.cross_entropy(network(x), y).backward()  # as of training before, which nothing has cleared
    first.requires_grad_(False)
    with tw.watch(network, optimizer) as run:
        for _ in range(4):
            last.zero_grad()
            F.cross_entropy(network(x), y).backward()
            optimizer.step()
    gradients = {each.name: each.gradient for each in run.recording.probes[0].params}
    assert gradients["0.weight"] is None
    assert gradients["0.bias"] is None
    assert gradients["2.weight"]


def test_an_evaluation_in_parts_keeps_the_targets_of_each():
    network = model()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    x, y = torch.randn(50, 6), torch.randint(2, (50,))
    with tw.watch(network, optimizer) as run:
        F.cross_entropy(network(x[:8]), y[:8]).backward()
        optimizer.step()
        with torch.no_grad():
            F.cross_entropy(torch.cat([network(part) for part in x.split(20)]), y)
    seen = run.recording.evaluations
    assert [len(each.target) for each in seen] == [20, 20, 10]
    assert torch.equal(torch.cat([each.target for each in seen]), y)
    assert all(each.intact for each in seen)
    assert run.recording.curve[-1].rows == [50]


def test_without_a_share_statistics_are_taken_at_the_same_steps():
    def steps() -> list[int]:
        network = model()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        with tw.watch(network, optimizer, share=None) as run:
            for _ in range(200):
                optimizer.zero_grad()
                F.cross_entropy(network(torch.randn(8, 6)), torch.randint(2, (8,))).backward()
                optimizer.step()
        return [probe.step for probe in run.recording.probes]

    first = steps()
    assert first == steps()
    assert first[:8] == [0, 1, 2, 4, 8, 16, 32, 64]
    assert len(first) == 17


def test_a_loop_that_is_entered_again_is_watched_on():
    network = model()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    run = tw.watch(network, optimizer)
    for _ in range(2):
        with run:
            train(network, optimizer, F.cross_entropy)
    assert run.recording.num_steps == 24
    pairs = run.view().replay.recorded()
    assert len(pairs) == 24
    assert all(recorded == replayed for recorded, replayed in pairs)


@pytest.mark.parametrize("whole", [True, False], ids=["model and loss", "model alone"])
def test_a_loop_under_autocast_is_replayed_under_it(whole):
    network = model()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    x, y = data()
    with tw.watch(network, optimizer) as run:
        for k in range(12):
            rows = torch.arange(16 * (k % 6), 16 * (k % 6) + 16)
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                output = network(x[rows])
                loss = F.cross_entropy(output, y[rows])
            if not whole:
                loss = F.cross_entropy(output.float(), y[rows])
            loss.backward()
            optimizer.step()
    assert run.recording.autocast == torch.bfloat16
    assert run.recording.loss_autocast == whole
    assert run.diagnosis().refused is None
    pairs = run.view().replay.recorded()
    assert len(pairs) == 12
    assert all(a == b for a, b in pairs)
    run.recording.autocast = None
    assert any(a != b for a, b in run.view().replay.recorded())


def test_the_noise_of_a_loop_in_bfloat16_is_that_in_float32():
    noise = []
    for dtype in (torch.float32, torch.bfloat16):
        network, (x, y) = model().to(dtype), data()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        with tw.watch(network, optimizer) as run:
            for rows in torch.arange(96).split(16):
                optimizer.zero_grad()
                F.cross_entropy(network(x[rows].to(dtype)), y[rows]).backward()
                optimizer.step()
        assert all(a == b for a, b in run.view().replay.recorded())
        noise.append(run.view().noise_scale)
    assert noise[1] == pytest.approx(noise[0], rel=0.02)


@pytest.mark.filterwarnings("ignore:.*GradScaler.*")
def test_scaled_gradients_are_not_replayed():
    network = model()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    x, y = data(16)
    with tw.watch(network, optimizer) as run:
        for _ in range(4):
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(network(x), y)).backward()
            scaler.step(optimizer)
            scaler.update()
    assert run.diagnosis().refused == "a GradScaler changes the gradients between backward and the step"


def test_a_loop_that_diverges_is_replayed_through_infinity_to_no_number():
    network = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e6)
    x, _ = data()
    with tw.watch(network, optimizer) as run:
        for _ in range(12):
            optimizer.zero_grad()
            F.mse_loss(network(x)[:, 0], x[:, 0]).backward()
            optimizer.step()
    pairs = run.view().replay.recorded()
    assert any(a == np.inf for a, _ in pairs)
    assert all(a == b or (a != a and b != b) for a, b in pairs)


def test_a_watch_that_is_entered_again_looks_at_no_other_module():
    network = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    x, _ = data()
    run, own = tw.watch(network, optimizer), nn.Module._call_impl
    for again in (False, True):
        with run:
            assert (nn.Module._call_impl is own) == again
            for _ in range(3):
                optimizer.zero_grad()
                F.mse_loss(network(x)[:, 0], x[:, 0]).backward()
                optimizer.step()
    assert nn.Module._call_impl is own


def test_a_loop_may_call_its_model_under_vmap():
    network = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    x, _ = data()
    with tw.watch(network, optimizer) as run:
        for _ in range(4):
            each = torch.func.vmap(lambda row, y: F.mse_loss(network(row), y))(x, x[:, :1])
            assert each.shape == (len(x),)
            optimizer.zero_grad()
            F.mse_loss(network(x), x[:, :1]).backward()
            optimizer.step()
    assert run.recording.num_steps == 4


@pytest.mark.parametrize("forgotten", [21, 32], ids=["in a light pass", "in one that is kept"])
def test_steps_whose_batches_are_not_kept_are_seen_all_the_same(forgotten):
    network = model()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.5)
    x, y = data()
    run, losses, events, evaluated = tw.watch(network, optimizer, memory=1), [], "", 0.0
    with run:
        for k in range(40):
            if k == 13:
                with torch.no_grad():
                    evaluated = F.cross_entropy(network(x), y).item()
                events += "e"
            if k != forgotten:
                optimizer.zero_grad()
                events += "z"
            loss = F.cross_entropy(network(x[k : k + 16]), y[k : k + 16])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            events += "fbs"
    recording = run.recording
    assert recording.events.decode() == events
    assert [float(loss) for loss in recording.losses] == losses
    assert [k for k, kept in enumerate(recording.kept) if kept] == [forgotten]
    assert [(each.step, float(each.losses[0])) for each in recording.curve] == [(13, evaluated)]
    assert [each.step for each in recording.passes] == [32]
    assert len(recording.rates) == 40


def test_a_second_optimizer_that_comes_late_is_seen():
    network, other = model(), nn.Linear(6, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    late = torch.optim.SGD(other.parameters(), lr=0.1)
    x, _ = data()
    with tw.watch(network, optimizer, memory=1) as run:
        train(network, optimizer, F.cross_entropy, steps=19)
        for _ in range(3):
            other(x).square().mean().backward()
            late.step()
            train(network, optimizer, F.cross_entropy, steps=1)
    assert len(run.recording.losses) == 22
    assert any("another optimizer of the loop trains something else" in note for note in run.recording.notes)


def test_a_watch_that_is_entered_often_keeps_few_states():
    network = model()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    run = tw.watch(network, optimizer)
    for _ in range(20):
        with run:
            train(network, optimizer, F.cross_entropy, steps=3)
    assert len(run.recording.states) <= 6
    assert run.recording.states[0].step == 0
    assert run.recording.states[-1].step == 60


def test_a_copy_of_a_watched_model_is_a_model_of_its_own():
    network = model()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    with tw.watch(network, optimizer) as run:
        train(network, optimizer, F.cross_entropy, steps=3)
        best, file = copy.deepcopy(network), io.BytesIO()
        torch.save(network, file)
        file.seek(0)
        saved = torch.load(file, weights_only=False)
        train(network, optimizer, F.cross_entropy, steps=3)
        for other in (best, saved):
            F.cross_entropy(other(data()[0]), data()[1]).backward()
            other.zero_grad()
            assert all(p.grad is None for p in other.parameters())
            assert all(p.grad is not None for p in network.parameters())
    assert len(run.recording.losses) == 6
    assert run.recording.events == b"zfbs" * 6
