"""Scripts as strangers write them: several loops, several models in one loop, layers that nobody holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from thalweg.doctor import rerun_script, watch_script

HEAD = """
import torch
import torch.nn.functional as F
from torch import nn
torch.manual_seed(0)
x = torch.randn(400, 8)
y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
def steps(model, optimizer, num=60):
    for _ in range(num):
        rows = torch.randint(300, (32,))
        loss = F.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        F.cross_entropy(model(x[300:]), y[300:])
body = nn.Sequential(nn.Linear(8, 32), nn.ReLU())
head = nn.Linear(32, 3)
"""
TWO = """
first = nn.Sequential(body, head)
steps(first, torch.optim.Adam(first.parameters(), lr=1e-2))
second = nn.Sequential(body, nn.Linear(32, 3){})
steps(second, torch.optim.Adam(second.parameters(), lr={}), 80)
"""
APART = """
optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=1e-2)
for _ in range(60):
    rows = torch.randint(300, (32,))
    h = body(x[rows])
    loss = F.cross_entropy(head({}), y[rows])
    {}
    loss.backward()
    optimizer.step()
"""
LISTED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = {}
        self.head = nn.Linear(32, 3)
    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)
net = Net()
steps(net, torch.optim.Adam(net.parameters(), lr=1e-2))
"""


def script(place: Path, text: str) -> Path:
    path = place / "train.py"
    path.write_text(HEAD + text)
    return path


def causes(run) -> list[str]:
    return [each.cause for each in run.diagnosis().findings]


def test_the_worse_of_two_loops_is_told_and_the_other_one_named(tmp_path):
    run = watch_script(script(tmp_path, TWO.format(", nn.Softmax(dim=1)", 1e-2)))
    assert (run.number, run.recording.num_steps) == (1, 80)
    assert causes(run)[0] == "softmax_before_cross_entropy"
    text = str(run.diagnosis())
    assert "This is number 2, 80 steps of Adam on Sequential" in text
    assert "In loop 1, 60 steps of Adam on Sequential: nothing wrong was found" in " ".join(text.split())


def test_of_two_healthy_loops_the_last_is_told(tmp_path):
    run = watch_script(script(tmp_path, TWO.format("", 1e-2)))
    assert run.number == 1
    assert causes(run) == []
    pairs = run.view().replay.recorded()
    assert len(pairs) == 80
    assert all(a == b for a, b in pairs)


def test_a_loop_can_be_asked_for(tmp_path):
    path = script(tmp_path, TWO.format(", nn.Softmax(dim=1)", 1e-2))
    assert causes(watch_script(path, loop=0)) == []


def test_whole_runs_change_the_loop_that_is_told(tmp_path):
    path = script(tmp_path, TWO.format("", 1e-6))
    found = rerun_script(watch_script(path), path, seeds=6).findings[0]
    assert found.cause == "lr_too_low"
    assert found.verdicts[0].proven


def test_what_a_script_freezes_later_was_not_frozen(tmp_path):
    freeze = "[p.requires_grad_(False) for p in body.parameters()]\n"
    text = TWO.format("", 1e-2).replace("second = ", f"{freeze}second = ")
    assert watch_script(script(tmp_path, text), loop=0).recording.frozen == frozenset()
    assert watch_script(script(tmp_path, text), loop=1).recording.frozen == {"0.0.weight", "0.0.bias"}


@pytest.mark.parametrize("between", ["h", "h * 1.0"])
def test_models_that_are_called_one_after_another_are_one(between, tmp_path):
    run = watch_script(script(tmp_path, APART.format(between, "optimizer.zero_grad()")))
    assert causes(run) == []
    names = {each.name for each in run.view().layers(0)}
    assert names == {"sequential.0", "sequential.1", "linear"}
    if between == "h":
        pairs = run.view().replay.recorded()
        assert len(pairs) == 60
        assert all(a == b for a, b in pairs)
    else:
        assert run.diagnosis().refused == "what the loop does between its models is not known"
    assert causes(watch_script(script(tmp_path, APART.format(between, "pass"))))[0] == "missing_zero_grad"


@pytest.mark.parametrize("held", ["nn.ModuleList", ""])
def test_layers_in_a_plain_list_are_trained_by_nobody(held, tmp_path):
    layers = "[nn.Linear(8, 32), nn.Linear(32, 32)]"
    run = watch_script(script(tmp_path, LISTED.format(f"{held}({layers})")))
    assert causes(run)[:1] == ([] if held else ["parameters_not_in_optimizer"])
    assert torch.nn.Module._call_impl.__name__ == "_call_impl"  # nothing is left behind


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_frozen_batch_norm_before_the_model_is_seen(mode, tmp_path):
    norm = "norm = nn.Sequential(nn.BatchNorm1d(8)).requires_grad_(False)\n"
    text = TWO.format("", 1e-2).replace("second = ", f"{norm}norm.{mode}()\nsecond = ")
    text = text.replace("steps(second, ", "x = x + 3\nsteps(lambda x: second(norm(x)), ")
    found = causes(watch_script(script(tmp_path, text), loop=1))
    assert ("frozen_batch_norm_drifts" in found) == (mode == "train")


def test_a_loop_whose_model_is_lent_its_parameters_is_seen(tmp_path):
    loop = """
from torch.func import functional_call
net = nn.Linear(8, 3)
for fold in range(2):
    params = {name: p.detach().clone().requires_grad_() for name, p in net.named_parameters()}
    optimizer = torch.optim.LBFGS(list(params.values()), max_iter=5)
    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(functional_call(net, params, (x,)), y)
        loss.backward()
        return loss
    for _ in range(5):
        optimizer.step(closure)
"""
    (tmp_path / "lent.py").write_text(HEAD + loop)
    found = watch_script(tmp_path / "lent.py").diagnosis()
    assert not found.findings
    assert found.refused is not None


def test_parameters_that_are_thawed_for_nobody_are_named(tmp_path):
    loop = """
model = nn.Sequential(body, head)
for p in body.parameters():
    p.requires_grad_(False)
optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
steps(model, optimizer, {})
for p in body.parameters():
    p.requires_grad_(True)
steps(model, optimizer)
"""
    (tmp_path / "thawed.py").write_text(HEAD + loop.format(30))
    assert watch_script(tmp_path / "thawed.py").diagnosis().findings[0].cause == "parameters_not_in_optimizer"
    (tmp_path / "later.py").write_text(HEAD + loop.format(30).replace("steps(model, optimizer)\n", ""))
    found = watch_script(tmp_path / "later.py").diagnosis().findings
    assert "parameters_not_in_optimizer" not in [each.cause for each in found]
