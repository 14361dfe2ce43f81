"""Language models: targets that are not the next token, models that see it, and ids that are numbered anew."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import thalweg as tw
from thalweg.doctor._causes._inputs import _apart
from thalweg.doctor._diagnosis import Watch
from thalweg.doctor._gallery._healthy import Attention, Places, Residual

IDS, WIDTH, ROWS, STEPS = 12, 16, 16, 40


@pytest.fixture(autouse=True)
def _alike():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def text(rows: int, width: int = WIDTH + 1) -> torch.Tensor:
    """Returns rows of a chain in which each id makes three others likelier."""
    found = torch.randint(IDS, (rows, width))
    for k in range(1, width):
        found[:, k] = (3 * found[:, k - 1] + torch.randint(3, (rows,))) % IDS
    return found


class Model(nn.Module):
    def __init__(self, *, causal: bool = True, time_first: bool = False) -> None:
        super().__init__()
        self.time_first = time_first
        self.layers = nn.Sequential(
            nn.Embedding(IDS, 16), Places(WIDTH, 16), Residual(Attention(16, 2, causal=causal)), nn.Linear(16, IDS)
        )

    def forward(self, ids):
        return self.layers(ids.T).transpose(0, 1) if self.time_first else self.layers(ids)


class Decoder(nn.Module):
    """Reads a source and the answer so far."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.ids = nn.Embedding(IDS, 16), nn.Embedding(IDS + 1, 16)
        self.rnn, self.out = nn.GRU(16, 16, batch_first=True), nn.Linear(16, IDS)

    def forward(self, source, answer):
        return self.out(self.rnn(self.ids(answer), self.source(source).mean(1)[None])[0])


def train(model: nn.Module, batch, loss_of=None) -> Watch:
    """Trains on what `batch` gives: arguments of the model, and targets."""
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    with tw.watch(model, optimizer) as run:
        for _ in range(STEPS):
            *given, y = batch()
            output = model(*given)
            optimizer.zero_grad()
            loss = F.cross_entropy(output.reshape(-1, IDS), y.reshape(-1)) if loss_of is None else loss_of(output, y)
            loss.backward()
            optimizer.step()
    return run


def causes(run: Watch) -> list[str]:
    return [each.cause for each in run.diagnosis().findings]


def next_ids():
    rows = text(ROWS)
    return rows[:, :-1], rows[:, 1:]


def shifted_again(output, y):
    return F.cross_entropy(output[:, :-1].reshape(-1, IDS), y[:, 1:].reshape(-1))


@pytest.mark.parametrize("time_first", [False, True])
def test_a_causal_model_of_the_next_token_is_left_in_peace(time_first):
    def batch():
        x, y = next_ids()
        return (x.T, y.T) if time_first else (x, y)

    assert not {"labels_off_by_one", "leaking_feature"} & set(causes(train(Model(time_first=time_first), batch)))


def test_targets_that_are_shifted_twice_are_shifted_back():
    run = train(Model(), next_ids, shifted_again)
    assert causes(run)[0] == "labels_off_by_one"
    change = run.diagnosis().findings[0].remedies[0].change
    assert change.batches is not None
    before = run.view().batches[0]
    after = change.batches([before])[0]
    assert after.target.tolist() == before.args[0][:, 1:].flatten().tolist()
    assert run.prove(seconds=3).findings[0].proof is not None


def test_an_evaluation_with_the_right_targets_is_left_as_it_is():
    run = train(Model(), next_ids, shifted_again)
    change = run.diagnosis().findings[0].remedies[0].change
    assert change.held_out is not None
    x, y = next_ids()
    batch = run.view().batches[0]
    right = type(batch)(args=(x,), kwargs={}, target=y.flatten())
    assert change.held_out(right).target.tolist() == y.flatten().tolist()


def test_a_slice_of_the_answers_tells_where_targets_stand():
    rows = text(ROWS, WIDTH)
    run = train(Model(), lambda: (rows, rows), shifted_again)  # the usual way: the output is cut, the target is moved
    assert "labels_off_by_one" not in causes(run)
    assert "leaking_feature" not in causes(run)


def test_places_that_are_left_out_of_the_loss_do_not_count():
    def batch():
        rows = text(ROWS, WIDTH + 2)
        y = rows[:, 2:].clone()
        y[:, :5] = -100
        return rows[:, :-2], y

    assert "labels_off_by_one" in causes(train(Model(), batch))


@pytest.mark.parametrize("time_first", [False, True])
def test_a_model_that_sees_the_next_token(time_first):
    def batch():
        x, y = next_ids()
        return (x.T, y.T) if time_first else (x, y)

    run = train(Model(causal=False, time_first=time_first), batch)
    first = run.diagnosis().findings[0]
    assert first.cause == "leaking_feature"
    assert "100% of the places" in first.evidence[0]


def test_a_prompt_may_be_read_in_both_directions():
    prompt = 6

    class Prefix(Model):
        def forward(self, ids):
            mixed = Model.forward(self, ids)
            start = self.layers[0](ids[:, :prompt]).mean(1, keepdim=True)
            seen = torch.arange(ids.shape[1]) < prompt - 1
            return mixed + torch.where(seen[:, None], 1.0, 0.0) * self.layers[3](start)

    def batch():
        x, y = next_ids()
        y = y.clone()
        y[:, : prompt - 1] = -100
        return x, y

    assert "leaking_feature" not in causes(train(Prefix(), batch))


def test_rows_that_are_turned_by_one_place_tell_nothing_ahead():
    def batch():
        rows = text(ROWS, WIDTH)
        return rows, rows.roll(-1, 1)

    assert "leaking_feature" not in causes(train(Model(causal=False), batch))


@pytest.mark.parametrize(("causal", "found"), [(True, True), (False, False)])
def test_an_answer_at_its_own_place_is_one_only_in_a_causal_model(causal, found):
    def batch():
        rows = text(ROWS, WIDTH)
        return rows, rows

    assert ("leaking_feature" in causes(train(Model(causal=causal), batch))) == found


def test_masked_tokens_are_no_answers():
    def batch():
        rows = text(ROWS, WIDTH)
        hidden = torch.rand(rows.shape) < 0.15
        return torch.where(hidden, 0, rows), torch.where(hidden, rows, -100)

    assert not {"labels_off_by_one", "leaking_feature"} & set(causes(train(Model(causal=False), batch)))


@pytest.mark.parametrize("shifted", [True, False])
def test_a_decoder_that_is_given_its_answer(shifted):
    def batch():
        source = text(ROWS, WIDTH)
        answer = source.flip(1)
        begun = torch.cat([torch.full((ROWS, 1), IDS), answer[:, :-1]], 1)
        return source, begun if shifted else answer, answer

    first = train(Decoder(), batch).diagnosis().findings
    assert ("leaking_feature" in [each.cause for each in first]) != shifted


class Bag(nn.Module):
    def __init__(self, ids: int = 60) -> None:
        super().__init__()
        self.ids, self.out = nn.Embedding(ids, 16), nn.Linear(16, 3)

    def forward(self, ids):
        return self.out(self.ids(ids).mean(1))


def classify(x, y, x_held, y_held) -> Watch:
    model = Bag()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    with tw.watch(model, optimizer) as run:
        for _ in range(3):
            for rows in torch.randperm(len(x)).split(16):
                optimizer.zero_grad()
                F.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
            with torch.no_grad():
                F.cross_entropy(model(x_held), y_held)
    return run


def zipf(rows: int, width: int = 20) -> torch.Tensor:
    shares = 1 / torch.arange(1, 51)
    return torch.multinomial(shares, rows * width, replacement=True).reshape(rows, width)


@pytest.mark.parametrize("held", [20, 300])
@pytest.mark.parametrize("anew", [False, True])
def test_ids_that_are_numbered_anew(held, anew):
    x, x_held = zipf(400), zipf(held)
    y, y_held = torch.randint(3, (400,)), torch.randint(3, (held,))
    found = causes(classify(x, y, 59 - x_held if anew else x_held, y_held))
    assert ("preprocessing_differs" in found) == anew


@pytest.mark.parametrize("held", [20, 100, 1_000])
@pytest.mark.parametrize("ids", [50, 5_000])
def test_chance_explains_the_distance_of_rows_that_are_drawn_alike(held, ids):
    draw = np.random.default_rng(0)
    shares = 1 / np.arange(1, ids + 1)
    shares /= shares.sum()
    # ids of a row come in runs
    x, other = (draw.choice(ids, (num, 6), p=shares).repeat(4, axis=1) for num in (1_000, held))
    apart, chance = _apart(x, other)
    assert 0 < apart < chance + 0.05
    moved, of_it = _apart(x, ids - 1 - other)
    assert moved - of_it > 0.25 or (ids, held) == (5_000, 20)  # 120 ids tell little of so many
