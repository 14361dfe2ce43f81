"""Remedies tried in whole runs of a script: a change that is made while it runs is the change in its text."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from thalweg.core import InputError
from thalweg.doctor import rerun_script, watch_script
from thalweg.doctor._causes._decay import _as_adamw
from thalweg.doctor._causes._signal import _begun_anew
from thalweg.doctor._proof._replay import UNCHANGED, Change, setting
from thalweg.doctor._rerun import _outcome
from thalweg.workflows import doctor

SCRIPT = """
import torch
import torch.nn.functional as F
from torch import nn
torch.manual_seed(3)
x = torch.randn(160, 6, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] + x[:, 1] > 0).long()
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.5)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10, 0.5)
given, told = torch.empty(16, 6), torch.empty(16, dtype=torch.long)
for epoch in range(4):
    model.train()
    for rows in torch.randperm(96).split(16):
        given.copy_(x[rows])
        told.copy_(y[rows])
        optimizer.zero_grad()
        loss = F.cross_entropy(model(given), told)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        optimizer.step()
        scheduler.step()
    model.eval()
    with torch.no_grad():
        print(F.cross_entropy(model(x[96:]), y[96:]))
"""


def _drawn_anew(model: nn.Module, given: object) -> None:
    torch.manual_seed(5)
    _begun_anew(model, given)


def written(place: Path, *changes: tuple[str, str]) -> Path:
    text = SCRIPT
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = place / f"train{len(list(place.iterdir()))}.py"
    path.write_text(text)
    return path


def ends_with(path: Path, change: Change = UNCHANGED, seed: int = 0) -> float:
    return _outcome(path, (), change, "score", "cross_entropy", seed)


ADAM = ("torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.5)", "torch.optim.Adam(model.parameters(), lr=0.1)")
ADAMW = "torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.3)"
ADAM_L2 = "torch.optim.Adam(model.parameters(), lr=0.1, weight_decay=0.3)"
PENALTY = "(loss / 2 + {} * sum(p.square().sum() for p in model.parameters())).backward()"
CLIPPED = "        nn.utils.clip_grad_norm_(model.parameters(), 0.05)\n"


@pytest.mark.parametrize(
    ("faulty", "mended", "change"),
    [
        ([], [("lr=0.5", "lr=0.05")], Change(rate=0.1)),
        ([], [("10, 0.5", "10, 1.0")], Change(rates=lambda step: 0.5)),
        ([], [(CLIPPED, "")], Change(clip=False)),
        ([], [("momentum=0.5", "momentum=0.1")], Change(optimizer=setting("momentum", 0.1))),
        ([(ADAM[0], ADAM_L2)], [(ADAM[0], ADAMW)], Change(optimizer=_as_adamw)),
        ([("        optimizer.zero_grad()\n", "")], [], Change(zero=True)),
        ([("model.train()", "model.eval()")], [], Change(training=True)),
        (
            [(CLIPPED, ""), ("model(given), told)", "model(given), told, reduction='sum')")],
            [(CLIPPED, "")],
            Change(scale=1 / 16),
        ),
        ([("loss.backward()", PENALTY.format(0.02))], [("loss.backward()", PENALTY.format(0.002))], Change(beside=0.1)),
        (
            [],
            [("F.cross_entropy(model(given), told)", "F.cross_entropy(model(given), told, label_smoothing=0.4)")],
            Change(criterion=lambda output, target: F.cross_entropy(output, target, label_smoothing=0.4)),
        ),
        (
            [],
            [
                (
                    "optimizer =",
                    "for layer in (model[0], model[3]):\n"
                    "    nn.init.kaiming_uniform_(layer.weight, nonlinearity='relu')\n"
                    "    nn.init.zeros_(layer.bias)\n"
                    "optimizer =",
                ),
            ],
            None,
        ),
    ],
    ids=["rate", "rates", "clip", "setting", "adamw", "zero", "training", "scale", "beside", "criterion", "model"],
)
def test_a_change_of_a_run_is_the_change_in_its_text(faulty, mended, change, tmp_path):
    if change is None:  # weights are drawn at the first call, after the order of the rows
        change = Change(model=_drawn_anew)
        mended = [("optimizer =", mended[0][1].replace("for layer", "torch.manual_seed(5)\nfor layer", 1))]
        both = ("    for rows in torch.randperm(96)", "    for rows in torch.arange(96)")
        dropout = ("nn.Dropout(0.2)", "nn.Identity()")
        faulty, mended = [both, dropout], [both, dropout, *mended]
    before, after = written(tmp_path, *faulty), written(tmp_path, *mended)
    expected = ends_with(after)
    assert ends_with(before, change) == pytest.approx(expected, rel=1e-5)
    assert abs(ends_with(before) - expected) > 1e-4 * expected


def test_runs_differ_by_seed_and_leave_everything_as_it_was(tmp_path):
    path = written(tmp_path)
    functions = torch.manual_seed, np.random.seed, random.seed, F.cross_entropy.__code__
    states = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"], random.getstate()
    first, second = ends_with(path), ends_with(path, seed=1)
    assert first == ends_with(path)
    assert first != second
    assert functions == (torch.manual_seed, np.random.seed, random.seed, F.cross_entropy.__code__)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state(legacy=False)["state"]["key"])
    assert states[2] == random.getstate()


def test_a_loop_that_cannot_be_replayed_gets_its_proof_from_runs(tmp_path, capsys):
    faulty = [("nn.Linear(16, 2))", "nn.Linear(16, 2), nn.Softmax(dim=1))"), (CLIPPED, "")]
    path = written(tmp_path, *faulty)
    plain = doctor(path).diagnosis
    assert plain.refused == "batches were written over after they were used"
    assert plain.notes[-1] == "With --rerun, remedies are tried in whole runs of the script"
    lines: list[str] = []
    found = doctor(path, rerun=True, seeds=6, told=lines.append).diagnosis
    assert found.refused is None
    (verdict,) = found.findings[0].verdicts
    assert found.findings[0].cause == "softmax_before_cross_entropy"
    assert verdict.proven
    assert verdict.measure == "Brier score of your validation"
    assert verdict.effect.seeds == 6
    assert len(lines) == 12
    assert lines[0] == "Run 1 of 6: unchanged"
    assert "Proof: Brier score of your validation" in str(found)


def test_a_script_without_chance_has_one_pair(tmp_path):
    fixed = [("randperm(96)", "arange(96)"), ("nn.Dropout(0.2)", "nn.Softmax(dim=1)"), ("torch.manual_seed(3)\n", "")]
    weights = ("optimizer =", "[nn.init.constant_(p, 0.1 * k) for k, p in enumerate(model.parameters())]\noptimizer =")
    path = written(tmp_path, *fixed, weights)
    found = rerun_script(watch_script(path), path, seeds=3)
    tried = [verdict for finding in found.findings for verdict in finding.verdicts]
    assert tried
    assert all(verdict.effect.seeds == 1 and not verdict.proven for verdict in tried)
    assert any(note.startswith("The script draws the same numbers in every run") for note in found.notes)


def test_what_runs_cannot_try_is_told(tmp_path):
    path = written(
        tmp_path, ("y = (x", "x[5, 0] = float('nan')\ny = (x"), ("model(given), told", "model(x[rows]), y[rows]")
    )
    found = rerun_script(watch_script(path), path, seeds=2)
    assert found.findings[0].cause == "not_finite_inputs"
    assert any(note.startswith("Not tried in runs, as the script makes its batches itself") for note in found.notes)


def test_bad_input(tmp_path):
    path = written(tmp_path)
    with pytest.raises(InputError, match=r"^seeds must be at least 2 with --rerun, got 0"):
        doctor(path, rerun=True, seeds=0)
    with pytest.raises(InputError, match=r"^seeds must be .*, got 1"):
        doctor(path, rerun=True, seeds=1)
    with pytest.raises(InputError, match=r"^rerun must be left out for a run"):
        doctor(tmp_path, rerun=True)
