"""Files and folders that are wrong in one way each, and the command line called in process or as a process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from thalweg.cli import main

MODELS = """
import torch
from torch import nn

def wrong(input_shape, output_size):
    return nn.Linear(input_shape[0], output_size + 1)

def raises(input_shape, output_size):
    raise KeyError("two\\nlines")

def empty(input_shape, output_size):
    return nn.Flatten()

class OneRow(nn.Module):
    def __init__(self, input_shape, output_size):
        super().__init__()
        self.linear = nn.Linear(input_shape[0], output_size)

    def forward(self, x):
        if len(x) > 1:
            raise RuntimeError("one row\\nat a time")
        return self.linear(x)

def good(input_shape, output_size):
    return nn.Sequential(nn.Linear(input_shape[0], 4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, output_size))
"""
RECIPES = {
    "unknown": "[recipe]\nlearning_rate = 0.1\n",
    "misspelt": "[recipe]\nbatch_sise = 16\n",
    "text": "[recipe]\nlr = 'fast'\n",
    "number": "[recipe]\nmodel = 3\n",
    "list": "[recipe]\nactivation = ['relu']\n",
    "widths": "[recipe]\nwidths = [1.5]\n",
    "broken": "[recipe\n",
    "bare": "lr = 0.1\n",
    "two": "lr = 0.1\n[recipe]\nepochs = 3\n",
}
TABLES = {
    "good": {},
    "one": {2: dict.fromkeys(range(60), 1)},
    "nan": {0: {3: ""}, 1: {7: "NA", 8: "nan"}},
    "nan_target": {2: {5: ""}},
    "inf": {0: {3: "inf"}},
    "inf_target": {2: {k: 0.25 * k if k != 5 else "-inf" for k in range(60)}},
    "numbers": {2: {k: 0.25 * k for k in range(60)}},
    "missing_fits": {0: {3: ""}},
}
SCRIPTS = {
    "nothing": "x = 3\n",
    "broken": "1 / 0\n",
    "trains": """
import torch
from torch import nn
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
x = torch.randn(256, 4)
y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3), nn.Softmax(dim=1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for epoch in range(8):
    for rows in torch.randperm(256).split(32):
        optimizer.zero_grad()
        loss = cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
print("ended", int(loss < 2))
""",
}
RUNS = {
    "no_run": None,
    "damaged": '{"format": 1, "ki',
    "newer": '{"format": 99, "kind": "tune"}',
    "no_format": '{"kind": "tune"}',
    "no_kind": '{"format": 1}',
    "half": '{"format": 1, "kind": "tune"}',
    "of_train": '{"format": 1, "kind": "train"}',
    "a_list": "[1, 2]",
}


def write_table(path: Path, changes: dict[int, dict[int, object]]) -> None:
    rng = np.random.default_rng(0)
    rows: list[list[object]] = [[f"{rng.normal():.3f}", f"{rng.normal():.3f}", k % 2] for k in range(60)]
    for column, cells in changes.items():
        for row, value in cells.items():
            rows[row][column] = value
    path.write_text("a,b,y\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))


@pytest.fixture
def place(tmp_path, monkeypatch) -> Iterator[Path]:
    """A working directory with everything that can be wrong."""
    monkeypatch.chdir(tmp_path)
    for name, changes in TABLES.items():
        write_table(tmp_path / f"{name}.csv", changes)
    (tmp_path / "names.csv").write_text("a,b,y\n" + "".join(f"person {k},{k / 2},{k % 2}\n" for k in range(3000)))
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("a,b,y\n")
    (tmp_path / "ragged.csv").write_text("a,b,y\n1,2,0\n1,2\n3,4,1\n")
    (tmp_path / "table.xlsx").write_bytes(b"x")
    for name, text in RECIPES.items():
        (tmp_path / f"{name}.toml").write_text(text)
    for name, about in RUNS.items():
        (tmp_path / name).mkdir()
        if about is not None:
            (tmp_path / name / "run.json").write_text(about)
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    (tmp_path / "own_models.py").write_text(MODELS)
    for name, text in SCRIPTS.items():
        (tmp_path / f"{name}.py").write_text(text)
    yield tmp_path
    sys.modules.pop("own_models", None)


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in path.parts}


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    """Runs a command in process; returns (exit code, stdout, stderr)."""
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def thalweg(*arguments: str, cwd: Path | None = None, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "thalweg", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False, **options)


def one_object(text: str) -> dict:
    """Returns the JSON object that a text is, whole."""
    found = json.loads(text)
    assert isinstance(found, dict)
    return found
