"""Models that are called by keyword and answer with their own loss: their loops are replayed like any others."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import thalweg as tw
from thalweg.core import RunError
from thalweg.doctor import watch_script
from thalweg.doctor._gallery import healthy
from thalweg.doctor._proof._forks import run_forks
from thalweg.doctor._proof._replay import Replay
from thalweg.doctor._record._batch import Batch, logits_of, own_loss, with_logits


class Own(nn.Module):
    """Says its loss itself, as models of transformers do."""

    def __init__(self, answer: str = "object", reduction: str = "mean", terms: int = 1) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
        self.answer, self.reduction, self.terms = answer, reduction, terms

    def forward(self, x: torch.Tensor, mask: Any = None, labels: Any = None, num_items_in_batch: Any = None) -> Any:
        logits = self.net(x)
        loss: Any = sum(
            F.cross_entropy(logits.view(-1, 3), labels.view(-1), reduction=self.reduction) for _ in range(self.terms)
        )
        if num_items_in_batch is not None:
            loss = loss / num_items_in_batch
        if self.answer == "object":
            return SimpleNamespace(loss=loss, logits=logits)
        return {"tuple": (logits, loss), "dict": {"loss": loss, "logits": logits}, "loss": loss}[self.answer]


def rows(num: int = 192) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(num, 6, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long()


def record(model: nn.Module, *, lr: float = 0.02, passes: int = 1, steps: int = 24, label: int = 0, **more: Any) -> Any:
    torch.manual_seed(0)
    for p in model.parameters():
        nn.init.normal_(p, std=0.3)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    x, y = rows()
    with tw.watch(model, optimizer) as run:
        for step in range(steps):
            optimizer.zero_grad()
            for part in range(passes):
                k = 16 * ((step * passes + part) % 12)
                # labels come first, as collators put them
                answer = model(labels=y[k : k + 16] + label, mask=torch.ones(16), x=x[k : k + 16], **more)
                own_loss(answer).backward()  # pyright: ignore[reportOptionalMemberAccess]
            optimizer.step()
    return run


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("answer", ["object", "tuple", "dict"])
def test_the_models_own_loss_is_replayed_to_the_bit(answer):
    run = record(Own(answer), lr=1.0)
    diagnosis = run.prove(seconds=60)
    assert diagnosis.refused is None
    assert diagnosis.replayed == (24, 24)
    assert diagnosis.findings[0].cause == "lr_too_high"
    assert any(verdict.proven for verdict in diagnosis.findings[0].verdicts)


def test_inputs_and_targets_are_found_among_keywords():
    view = record(Own())._view
    assert view.kind == "classes"
    assert view.inputs.shape == (192 * 2, 6)
    assert len(view.rows) == 192
    assert view.batch_size == 16
    assert view.noise_scale > 0


def test_a_sum_over_targets_that_is_divided_by_their_number_is_a_mean():
    run = record(Own(reduction="sum"), passes=3, num_items_in_batch=torch.tensor(48))
    view = run._view
    assert view.call.unit == pytest.approx(1 / 3)
    assert view.losses[0] == pytest.approx(float(view.recording.losses[0]))
    assert view.null_loss() == pytest.approx(1.04, abs=0.02)
    assert {each.cause for each in run.diagnosis().findings}.isdisjoint({"summed_loss", "accumulation_not_normalised"})
    pairs = view.replay.recorded()
    assert len(pairs) == 72
    assert all(a == b for a, b in pairs)
    # and a true sum is one
    assert "summed_loss" in {each.cause for each in record(Own(reduction="sum")).diagnosis().findings}


def test_a_remedy_that_changes_targets_or_rows_is_tried_on_the_outputs():
    class Later(Own):
        def __init__(self) -> None:
            super().__init__()
            self.net[3] = nn.Linear(16, 4)

        def forward(self, x: Any, mask: Any = None, labels: Any = None) -> Any:
            logits = self.net(x)
            return SimpleNamespace(loss=F.cross_entropy(logits, labels), logits=logits)

    diagnosis = record(Later(), label=1).prove(seeds=4, seconds=3)
    finding = next(each for each in diagnosis.findings if each.cause == "labels_off_by_one")
    change = finding.remedies[0].change
    view = record(Later(), label=1)._view
    (fork,) = run_forks(view.replay, view.recording.states[0], [view.training], change, steps=5)
    assert change.batches is not None
    changed = change.batches(view.training)[0]
    assert int(changed.target.min()) == 0
    assert int(view.training[0].kwargs["labels"].min()) == 1
    model, _ = view.replay.copies(view.recording.states[0])
    model.eval()
    expected = F.cross_entropy(model(**changed.kwargs).logits, changed.target)
    assert view.replay.loss_of(model, changed).item() == pytest.approx(expected.item())
    assert len(fork.losses) == 5


def test_what_a_fork_cannot_express_is_refused_with_a_note():
    alone = record(Own("loss"), lr=1.0)
    assert alone.diagnosis().refused == "the model answers with its loss alone, so that forks have no score"

    class Hidden(Own):
        def forward(self, x: Any, mask: Any = None, labels: Any = None) -> Any:
            logits = self.net(x)
            return SimpleNamespace(loss=F.cross_entropy(2 * logits.roll(0, 1), labels), logits=logits)

    view = record(Hidden())._view
    assert view.call.head is None
    assert view.replay.refused() is None
    assert all(a == b for a, b in view.replay.recorded())
    model, _ = view.replay.copies(view.recording.states[0])
    batch = view.training[0]
    with pytest.raises(RunError, match="cannot be told from what the model answers"):
        view.replay.loss_of(model, batch.with_target(batch.target))


def test_several_losses_of_a_model_have_no_unit():
    view = record(Own(terms=2))._view
    assert view.call.unit is None
    assert view.null_loss() is None
    assert all(a == b for a, b in view.replay.recorded())


def test_a_closure_that_is_called_once_is_a_plain_step():
    def train(closures: bool) -> Any:
        torch.manual_seed(0)
        model, (x, y) = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.2), nn.Linear(8, 3)), rows(32)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        with tw.watch(model, optimizer, share=None) as run:
            for _ in range(8):
                if closures:
                    optimizer.step(closure)
                else:
                    closure()
                    optimizer.step()
        return run

    with_closure, plain = train(True), train(False)
    assert list(map(float, with_closure.recording.losses)) == list(map(float, plain.recording.losses))
    assert with_closure.recording.events == plain.recording.events
    assert len(with_closure.recording.probes) == len(plain.recording.probes)
    assert all(a == b for a, b in with_closure._view.replay.recorded())
    assert with_closure.diagnosis().refused is None


def test_a_softmax_in_the_loop_is_taken_away_by_its_remedy():
    loop = healthy("digits", "mlp", 0)
    assert loop is not None
    loop.criterion = lambda output, target: F.cross_entropy(output.softmax(1), target)
    diagnosis = loop.run().prove(seconds=60)
    assert diagnosis.findings[0].cause == "softmax_before_cross_entropy"
    assert diagnosis.findings[0].verdicts[0].proven


def test_the_first_call_of_a_script_is_recorded_with_its_keywords(tmp_path: Path):
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\n"
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Linear(4, 3)\n"
        "    def forward(self, x, labels):\n"
        "        out = self.layer(x)\n"
        "        return out, nn.functional.cross_entropy(out, labels)\n"
        "model = Net()\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "for _ in range(6):\n"
        "    optimizer.zero_grad()\n"
        "    model(labels=torch.randint(3, (8,)), x=torch.randn(8, 4))[1].backward()\n"
        "    optimizer.step()\n"
    )
    before = nn.Module.__call__
    run = watch_script(script)
    assert nn.Module.__call__ is before
    assert sys.argv[0] != str(script)
    assert [sorted(each.kwargs) for each in run.recording.passes] == [["labels", "x"]] * 6
    assert all(a == b for a, b in Replay(run.recording).recorded())


def test_rows_of_a_batch_go_together():
    ids = torch.arange(12).reshape(4, 3)
    batch = Batch(
        args=(), kwargs={"ids": ids, "mask": [ids > 3], "scale": 2.0, "places": torch.arange(3)}, target=ids.flatten()
    )
    part = batch.take(torch.tensor([3, 0]))
    assert part.kwargs["ids"].tolist() == [[9, 10, 11], [0, 1, 2]]
    assert part.kwargs["mask"][0].tolist() == [[True] * 3, [False] * 3]
    assert part.kwargs["places"].tolist() == [0, 1, 2]
    assert part.target.tolist() == [9, 10, 11, 0, 1, 2]
    assert part.own
    whole = Batch.joined([batch, part])
    assert len(whole) == 6
    assert whole.target.tolist() == whole.kwargs["ids"].flatten().tolist()
    with pytest.raises(RunError, match="different shapes"):
        Batch.joined([batch, batch.with_inputs(torch.zeros(4, 5))])
    counted = Batch(args=(ids,), kwargs={"num": torch.tensor(4)}, target=ids[:, 0])
    assert not counted.take(slice(2)).own
    assert not batch.with_target(batch.target).own


@pytest.mark.parametrize("wrap", [lambda o: o, lambda o: (o, torch.tensor(0.0)), lambda o: {"logits": o}])
def test_outputs_are_found_and_exchanged(wrap):
    output = wrap(torch.ones(2, 3))
    assert logits_of(output) is not None
    assert torch.equal(logits_of(with_logits(output, lambda o: 2 * o)), torch.full((2, 3), 2.0))  # type: ignore[arg-type]
    assert torch.equal(logits_of(output), torch.ones(2, 3))  # type: ignore[arg-type]
