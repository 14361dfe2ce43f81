"""Loops as people write them: several losses, models and optimizers, losses by hand, models that were compiled."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from thalweg.doctor import watch
from thalweg.doctor._proof._replay import Change
from thalweg.doctor._trials import _best_factor

ROWS, STEPS = 16, 60


@pytest.fixture(autouse=True)
def _alike():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def classes(step: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(ROWS - step % 3, 5)  # the last batches of epochs are smaller
    return x, torch.bucketize(2 * x[:, 0] + x[:, 1], torch.tensor([-0.5, 0.5]))


def network(outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, outputs))


def train(loss_of, model=None, optimizer=None, *, batch=classes, steps=STEPS):
    model = network() if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1) if optimizer is None else optimizer
    with watch(model, optimizer) as run:
        for step in range(steps):
            x, y = batch(step)
            optimizer.zero_grad()
            loss_of(model, x, y).backward()
            optimizer.step()
    return run


def causes(run) -> list[str]:
    return [each.cause for each in run.diagnosis().findings]


def test_a_sum_that_is_divided_by_the_rows_is_a_mean():
    run = train(lambda model, x, y: F.cross_entropy(model(x), y, reduction="sum") / len(x))
    proof = run.prove(seconds=2)
    assert "summed_loss" not in causes(run)
    assert proof.refused is None
    assert all(a == b for a, b in run.view().replay.recorded())
    view = run.view()
    x, y = zip(*[(each.args[0], each.target) for each in view.passes], strict=True)
    shares = torch.cat(y).bincount().double() / len(torch.cat(y))
    assert view.null_loss() == pytest.approx(float(-(shares * shares.log()).sum()))
    with torch.no_grad():
        assert view.training_loss == pytest.approx(
            float(F.cross_entropy(run.recording.model(torch.cat(x[-16:])), torch.cat(y[-16:]))), rel=0.2
        )


def test_a_sum_that_is_left_so_is_found():
    run = train(lambda model, x, y: F.cross_entropy(model(x), y, reduction="sum"))
    assert "summed_loss" in causes(run)


def test_of_several_losses_that_of_backward_counts():
    def loss_of(model, x, y):
        output = model(x)
        loss = F.cross_entropy(output, y)
        F.l1_loss(output, F.one_hot(y, 3).float())  # to be looked at
        return loss

    run = train(loss_of)
    call = run.view().call
    assert call is not None
    assert call.name == "cross_entropy"
    assert run.diagnosis().refused is None


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.kind, self.size = nn.Linear(5, 16), nn.Linear(16, 3), nn.Linear(16, 1)

    def forward(self, x):
        hidden = torch.relu(self.body(x))
        return {"kind": self.kind(hidden), "size": self.size(hidden)}


def test_two_heads_in_a_dictionary():
    def loss_of(model, x, y):
        output = model(x)
        return F.cross_entropy(output["kind"].softmax(1), y) + 0.5 * F.mse_loss(output["size"][:, 0], x[:, 0])

    run = train(loss_of, Heads())
    assert causes(run)[0] == "softmax_before_cross_entropy"
    refused = run.diagnosis().refused
    assert refused is not None
    assert "terms beside" in refused


def test_a_loss_that_another_model_learns_from_is_not_the_loop_of_this_one():
    maker, judge = nn.Linear(4, 2), nn.Linear(2, 1)
    mine, others = (torch.optim.SGD(each.parameters(), lr=0.01) for each in (maker, judge))
    own = []
    with watch(maker, mine) as run:
        for _ in range(12):
            made = maker(torch.randn(ROWS, 4))
            worth = F.binary_cross_entropy_with_logits(judge(made.detach()), torch.zeros(ROWS, 1))
            others.zero_grad()
            worth.backward()
            others.step()
            loss = F.binary_cross_entropy_with_logits(judge(made), torch.ones(ROWS, 1))
            mine.zero_grad()
            loss.backward()
            mine.step()
            own.append(float(loss.detach()))
    assert run.view().losses == pytest.approx(own)
    diagnosis = run.diagnosis()
    assert diagnosis.notes == ("Only Linear was watched: another optimizer of the loop trains something else",)
    assert diagnosis.refused is None or "is not known" in diagnosis.refused


def test_two_optimizers_of_one_model():
    model = network()
    first, second = torch.optim.SGD(model[0].parameters(), lr=0.1), torch.optim.SGD(model[2].parameters(), lr=0.1)
    with watch(model, first) as run:
        for _ in range(STEPS):
            x, y = classes()
            model.zero_grad()
            F.cross_entropy(model(x), y).backward()
            first.step()
            second.step()
    assert "parameters_not_in_optimizer" not in causes(run)
    assert run.diagnosis().refused == "several optimizers train its parameters in turn"


def test_an_optimizer_that_follows_another():
    model = network()
    head, every = torch.optim.SGD(model[2].parameters(), lr=0.1), torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, head) as run:
        for step in range(STEPS):
            x, y = classes()
            model.zero_grad()
            F.cross_entropy(model(x), y).backward()
            (head if step < 20 else every).step()
    diagnosis = run.diagnosis()
    assert "parameters_not_in_optimizer" not in causes(run)
    assert diagnosis.num_steps == 20
    assert diagnosis.refused is None
    assert diagnosis.notes == ("Only the first optimizer was watched: another one trains the same model",)
    assert all(a == b for a, b in run.view().replay.recorded())


def test_two_backward_calls_on_one_output():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer) as run:
        for _ in range(5):
            x, y = classes()
            output = model(x)
            optimizer.zero_grad()
            F.cross_entropy(output, y).backward(retain_graph=True)
            (0.1 * output.square().mean()).backward()
            optimizer.step()
    assert run.diagnosis().refused == "backward is called several times on what the model answered"


def test_what_lies_between_model_and_loss_may_be_unknown():
    model = nn.Sequential(network(), nn.Softmax(dim=1))
    run = train(lambda model, x, y: F.nll_loss((model(x) + 1e-9).log(), y), model)
    assert "likelihood_of_logits" not in causes(run)
    assert run.diagnosis().refused == (
        "what the loop does between its model and nll_loss is not known, and tw.watch was given no criterion"
    )


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize("column", [False, True])
def test_a_target_that_is_broadcast(by_hand, column):
    def loss_of(model, x, y):
        return (model(x) - y).square().mean() if by_hand else F.mse_loss(model(x), y)

    def batch(step):
        x = torch.randn(ROWS, 5)
        return x, x[:, 0] if column else x[:, :1]

    run = train(loss_of, network(1) if column else nn.Sequential(network(1), nn.Flatten(0)), batch=batch)
    assert causes(run)[0] == "target_broadcast"
    if not by_hand:
        assert run.prove(seconds=3).findings[0].verdicts[0].proven


def test_a_target_of_the_right_shape_is_not_blamed():
    run = train(lambda m, x, y: F.mse_loss(m(x)[:, 0], x[:, 0]), network(1))
    assert "target_broadcast" not in causes(run)
    run = train(lambda m, x, y: (m(x)[:, 0] - x[:, 0]).square().mean(), network(1))
    assert "target_broadcast" not in causes(run)


@pytest.mark.parametrize("strength", [0.001, 1.0])
def test_a_penalty_by_hand(strength):
    def loss_of(model, x, y):
        return F.cross_entropy(model(x), y) + strength * sum(p.abs().sum() for p in model.parameters())

    found = causes(train(loss_of, steps=300))
    assert ("other_terms_too_strong" in found) == (strength == 1.0)


def test_terms_beside_a_loss_that_was_scaled():
    def loss_of(model, x, y):
        output = model(x)
        return F.cross_entropy(output, y, reduction="sum") / len(x) + 50 * output.square().mean()

    run = train(loss_of)
    terms = run.view().other_terms
    with torch.no_grad():
        start = run.view().replay.copies(run.recording.states[0])[0]
        assert terms[0] == pytest.approx(50 * float(start(run.view().passes[0].args[0]).square().mean()), rel=1e-4)
    assert "summed_loss" not in causes(run)


def test_a_closure_needs_no_copy_that_steps():
    model = network()
    optimizer = torch.optim.LBFGS(model.parameters())
    x, y = classes()
    with watch(model, optimizer) as run:
        for _ in range(4):

            def closure():
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                return loss

            optimizer.step(closure)  # pyright: ignore[reportArgumentType]
    diagnosis = run.diagnosis()
    assert diagnosis.refused == "the optimizer calls a closure several times a step"
    assert not diagnosis.notes


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_compiled_model_is_watched_as_it_is_written():
    model = torch.compile(network())
    run = train(lambda m, x, y: F.cross_entropy(m(x), y), model, torch.optim.SGD(model.parameters(), lr=50.0))
    proof = run.prove(seconds=3)
    assert proof.findings[0].cause == "lr_too_high"
    assert proof.findings[0].verdicts
    assert len(run.recording.probes[0].layers) == 3


def test_what_torch_warned_of_in_the_loop_is_not_said_again():
    class Warns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 3)

        def forward(self, x):
            warnings.warn("so it is", stacklevel=1)
            return self.layer(x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = train(lambda m, x, y: F.cross_entropy(m(x), y), Warns(), steps=12)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        run.prove(seconds=1)
    assert not seen


def test_a_rate_far_too_low_is_not_called_too_high():
    model = network()
    run = train(lambda m, x, y: F.cross_entropy(m(x), y), model, torch.optim.SGD(model.parameters(), lr=1e-9))
    proof = run.prove(seconds=3)
    assert [each.cause for each in proof.findings][:1] == ["lr_too_low"]
    assert proof.findings[0].verdicts[0].proven


def test_a_rate_that_is_low_and_has_come_far_is_left_in_peace():
    # ten times the rate would come further in these steps, and the answers are right all the same
    torch.manual_seed(0)
    x = torch.randn(300, 8)
    y = (x[:, 0] + x[:, 1] > 0).long()
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    parts = [rows for _ in range(12) for rows in torch.randperm(300).split(32)]
    run = train(
        lambda m, x, y: F.cross_entropy(m(x), y),
        model,
        optimizer,
        batch=lambda step: (x[parts[step]], y[parts[step]]),
        steps=len(parts),
    )
    view = run.view()
    faster = view.early(Change(rate=10.0))
    assert faster is not None
    assert faster.is_better(0.7)
    assert min(np.median(view.step_factors), np.median(view.far_factors)) >= 64
    assert not run.diagnosis().findings


def test_a_low_rate_is_none_where_what_is_left_of_the_loss_is_noise():
    torch.manual_seed(0)
    x = torch.randn(2000, 3)
    y = 0.6 * x[:, :1] + torch.randn(2000, 1)
    model = nn.Linear(3, 1)
    nn.init.zeros_(model.weight)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    parts = [rows for _ in range(6) for rows in torch.randperm(2000).split(50)]
    run = train(
        lambda m, x, y: F.mse_loss(m(x), y),
        model,
        optimizer,
        batch=lambda step: (x[parts[step]], y[parts[step]]),
        steps=len(parts),
    )
    assert run.view().unlearnt() > 1 / 3
    assert not run.diagnosis().findings


def test_the_best_factor_of_a_step():
    eps = 1e-7
    assert _best_factor(lambda f: (f - 8) ** 2, eps) == 8
    assert _best_factor(lambda f: 1.0 + f, eps) <= 2**-10  # each step harms
    assert _best_factor(lambda f: 1.0, eps) == 1  # nothing is known
    assert _best_factor(lambda f: 1 - min(f, 2**20) * 2**-30, eps) == pytest.approx(2**20, rel=0.1)
    assert _best_factor(lambda f: max(0.0, 4 - f), eps) == 4  # no further than is of use
    assert _best_factor(lambda f: 1.0 if f < 0.5 else 1 + f, eps) == 0.25  # as far as nothing is seen
    assert _best_factor(lambda f: float("inf") if f > 2 else 3 - f, eps) == 2


def test_an_evaluation_after_which_training_goes_on_in_its_mode():
    def run_with(back: bool):
        model = nn.Sequential(nn.Linear(5, 16), nn.Dropout(0.2), nn.Linear(16, 3))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with watch(model, optimizer) as run:
            for _ in range(4):
                if back:
                    model.train()
                for _ in range(10):
                    x, y = classes()
                    optimizer.zero_grad()
                    F.cross_entropy(model(x), y).backward()
                    optimizer.step()
                model.eval()
                with torch.no_grad():
                    x, y = classes()
                    F.cross_entropy(model(x), y)
        return run

    found = {each.cause: each for each in run_with(back=False).diagnosis().findings}
    assert found["missing_train"].evidence == ["Since step 10 and its evaluation no pass was made after model.train()."]
    assert "missing_train" not in causes(run_with(back=True))


def test_rows_that_cannot_be_told_apart():
    class Bags(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.out = nn.EmbeddingBag(20, 8), nn.Linear(8, 3)

        def forward(self, words, begins):
            return self.out(self.words(words, begins))

    class Sequences(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.steps, self.out = nn.GRU(2, 8), nn.Linear(8, 3)

        def forward(self, packed):
            return self.out(self.steps(packed)[1][0])

    def bags(step):
        words = torch.randint(20, (4 * ROWS,))
        return words, words[::4] % 3

    def sequences(step):
        parts = [torch.randn(int(n), 2) for n in torch.randint(1, 6, (ROWS,))]
        return nn.utils.rnn.pack_sequence(parts, enforce_sorted=False), torch.tensor([len(each) % 3 for each in parts])

    for run in (
        train(lambda m, x, y: F.cross_entropy(m(x, torch.arange(0, len(x), 4)), y), Bags(), batch=bags),
        train(lambda m, x, y: F.cross_entropy(m(x), y), Sequences(), batch=sequences),
    ):
        proof = run.prove(seconds=1)
        assert proof.refused is None
        assert not [each for each in proof.notes if "fails" in each]
        assert all(a == b for a, b in run.view().replay.recorded())


@pytest.mark.parametrize(("rate", "blamed"), [(0.002, False), (0.3, True)])
def test_much_momentum_is_right_at_a_low_rate(rate, blamed):
    model = network()
    run = train(
        lambda m, x, y: F.cross_entropy(m(x), y), model, torch.optim.SGD(model.parameters(), rate, 0.99), steps=200
    )
    assert ("momentum_too_high" in causes(run)) == blamed


@pytest.mark.parametrize(("kind", "rate", "blamed"), [(torch.optim.Adam, 0.01, False), (torch.optim.SGD, 0.1, True)])
def test_tight_clipping_is_none_to_adam(kind, rate, blamed):
    model = network()
    optimizer = kind(model.parameters(), rate)
    with watch(model, optimizer) as run:
        for step in range(200):
            x, y = classes(step)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
            optimizer.step()
    assert ("clipping_too_tight" in causes(run)) == blamed


@pytest.mark.parametrize(("decay", "blamed"), [(1e-4, False), (0.05, True)])
def test_decay_is_judged_at_the_peak_rate_of_a_schedule_that_ended(decay, blamed):
    model, rows = network(), [classes(step) for step in range(24)]
    optimizer = torch.optim.SGD(model.parameters(), 0.05, 0.9, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 240)
    with watch(model, optimizer) as run:
        for step in range(240):
            x, y = rows[step % 24]
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            schedule.step()
    found = [each for each in run.diagnosis().findings if each.cause == "decay_too_strong"]
    assert [each.evidence[-1].startswith("Where copies go on") for each in found] == [True] * blamed


@pytest.mark.parametrize(("rate", "blamed"), [(0.05, False), (1e-4, True)])
def test_a_target_far_from_0_is_no_fault_where_it_was_learnt(rate, blamed):
    model = nn.Linear(5, 1)

    def quantities(step):
        x = torch.randn(ROWS, 5)
        return x, 20 + x[:, :1] - 3 * x[:, 1:2]

    optimizer = torch.optim.SGD(model.parameters(), rate)
    run = train(lambda m, x, y: F.mse_loss(m(x), y), model, optimizer, batch=quantities, steps=200)
    assert ("unscaled_target" in causes(run)) == blamed


def test_one_other_answer_among_many_is_a_collapse_too():
    def rare(step):
        x, odd = torch.randn(128, 5), torch.rand(128) < 0.25
        x[0], odd[0] = torch.tensor([9.0, 0.0, 0.0, 0.0, 0.0]), True
        return x, odd.long()

    found = train(lambda m, x, y: F.cross_entropy(m(x), y), nn.Linear(5, 2), batch=rare, steps=200).diagnosis().findings
    says = next(each.says for each in found if each.cause == "class_collapse")
    assert says.startswith("2,032 of 2,048 rows are answered by class 0")
