"""`train.py` trains what the population trained: same weights, batches, masks, rule and stopping."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from thalweg.models import ACTIVATIONS, INITS
from thalweg.optim import RULES, SCHEDULES
from thalweg.population import Plan, Population
from thalweg.recipes import Member, Recipe
from thalweg.report._script import script_of
from thalweg.tasks import LOSSES, METRICS, Task, load_task

torch.set_num_threads(1)

_SMALL = Recipe(widths=(8, 6), batch_size=16, epochs=3, lr=0.02)


def _multilabel() -> Task:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 5)).astype(np.float32)
    return load_task((x, (x[:, :3] + 0.3 * rng.normal(size=(120, 3)) > 0).astype(np.int64)), kind="multilabel")


def _tasks() -> dict[str, Task]:
    return {
        "iris": load_task("iris"),
        "wine": load_task("wine", metric="balanced_accuracy"),
        "digits": load_task("digits"),
        "diabetes": load_task("diabetes"),
        "cancer": load_task("breast-cancer", kind="binary", metric="log_loss"),
        "labels": _multilabel(),
    }


def _cases() -> dict[str, tuple[str, Recipe, dict[str, str]]]:
    """Returns name -> (task, recipe, changes of the task): every registered piece at least once."""
    found: dict[str, tuple[str, Recipe, dict[str, str]]] = {}

    def add(name: str, task: str = "iris", of: dict[str, str] | None = None, **changes: object) -> None:
        found[name] = (task, dataclasses.replace(_SMALL, **changes), of or {})  # type: ignore[arg-type]

    for rule in RULES:
        lr = 0.003 if rule == "lion" else 0.02
        add(f"rule {rule}", optimizer=rule, lr=lr, weight_decay=0.01, norm="layer", proposals=3)
        if RULES[rule].proximal:
            add(f"l1 {rule}", optimizer=rule, lr=lr, alpha=0.02, l1_ratio=0.7)
    for activation in ACTIVATIONS:
        add(f"activation {activation}", "wine", activation=activation, norm="batch", dropout=0.2, optimizer="momentum")
    for init in INITS:
        add(f"init {init}", "diabetes", init=init, activation="tanh")
        # with equal output weights what reaches the convolution is rounding, which Adam would blow up: momentum there
        cnn = {"model": "cnn", "widths": (3,), "epochs": 1, "batch_size": 256, "optimizer": "momentum"}
        add(f"cnn init {init}", "digits", init=init, activation="tanh", **cnn)
    for schedule in SCHEDULES:
        add(f"schedule {schedule}", schedule=schedule, warmup=0.3, epochs=14, schedule_gamma=0.3, lr=0.001)
    for name, loss in LOSSES.items():
        for kind, task in (("multiclass", "iris"), ("regression", "diabetes"), ("binary", "cancer")):
            if kind in loss.kinds:
                metric = {"multiclass": "accuracy", "binary": "accuracy", "regression": "r2"}[kind]
                add(f"loss {name} {kind}", task, {"loss": name, "metric": metric})
        if "multilabel" in loss.kinds:
            add(f"loss {name} multilabel", "labels", {"loss": name})
    add("metric mae", "diabetes", {"metric": "mae"})
    add("smooth softmax", label_smoothing=0.1)
    add("smooth sigmoid", "cancer", label_smoothing=0.1, clip_norm=0.5)
    add("ridge and clip", "wine", alpha=0.1, clip_norm=0.3, optimizer="momentum")
    add("full batch", batch_size=None, optimizer="nesterov")
    add("linear", "wine", model="linear", widths=(), optimizer="muon")
    # sums before batch norm have no gradient but rounding, which Adam would blow up: momentum there
    add("patience", patience=2, lr=0.3, epochs=12, norm="batch", optimizer="momentum")
    add("lsuv and batch norm", "wine", init="lsuv", norm="batch", optimizer="momentum")
    add("patience average", patience=2, lr=0.5, epochs=12, optimizer="schedule_free_adamw")
    add("plateau average", schedule="plateau", lr=0.5, epochs=24, optimizer="schedule_free_adamw", schedule_gamma=0.5)
    add("plateau falls", schedule="plateau", lr=1e-9, epochs=13, optimizer="sgd")
    add("search", optimizer="random_search", norm="batch", dropout=0.3, alpha=0.1, proposals=3, schedule="warmup")
    cnn = {"model": "cnn", "widths": (4, 3), "epochs": 1, "batch_size": 256}
    for norm in ("none", "batch", "layer"):
        add(f"cnn {norm}", "digits", norm=norm, dropout=0.3, activation="maxout", optimizer="momentum", **cnn)
    add("cnn muon", "digits", optimizer="muon", activation="prelu", init="lsuv", norm="layer", dropout=0.2, **cnn)
    return found


_RUNNER = """
import os, runpy, sys, torch
torch.set_num_threads(1)
assert "thalweg" not in sys.modules
for line in open(sys.argv[1]):
    script, out = line.rstrip("\\n").split("\\t")
    sys.argv = [script, "--out", out]
    runpy.run_path(script, run_name="__main__")
assert "thalweg" not in sys.modules
"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """Returns (case, dtype) -> (outputs of the script, outputs of the population); all scripts in one process."""
    folder, tasks, todo = tmp_path_factory.mktemp("scripts"), _tasks(), []
    theirs: dict[tuple[str, str], np.ndarray] = {}
    for name, task in tasks.items():
        (folder / name).mkdir()
        parts = {"train": task.train, "validation": task.validation, "test": task.test}
        arrays = {f"{kind}_{part}": getattr(split, kind) for part, split in parts.items() for kind in ("x", "y")}
        np.savez(folder / name / "data.npz", allow_pickle=False, **arrays)
    for number, (case, (name, recipe, changes)) in enumerate(_cases().items()):
        task = dataclasses.replace(tasks[name], **changes)  # type: ignore[arg-type]
        for dtype in ("float32", "float64"):
            population = Population(task, [Member(recipe=recipe, seed=5)], Plan(precision=dtype))
            population.run()
            assert population.diverged_at(0) is None, case
            theirs[case, dtype] = population.outputs([0], task.test.x)[0]
            script = folder / name / f"train{number}_{dtype}.py"
            script.write_text(script_of(task, recipe, 5, dtype), encoding="utf-8")
            todo.append(f"{script}\t{script.with_suffix('.npz')}")
    (folder / "todo").write_text("\n".join(todo) + "\n")
    command = [sys.executable, "-c", _RUNNER, str(folder / "todo")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{done.stdout.splitlines()[-1:]}\n{done.stderr[-3000:]}"
    keys = list(theirs)
    return {key: (np.load(line.split("\t")[1])["outputs"], theirs[key]) for key, line in zip(keys, todo, strict=True)}


def _same_share(ours: np.ndarray, theirs: np.ndarray) -> float:
    if ours.shape[1] > 1:
        return float((ours.argmax(1) == theirs.argmax(1)).mean())
    return float(((ours > 0) == (theirs > 0)).mean())


@pytest.mark.parametrize("case", _cases())
def test_same_in_double_precision(case, outputs):
    ours, theirs = outputs[case, "float64"]
    # the size of the outputs is the scale: a single one may be near 0
    assert np.abs(ours - theirs).max() <= 1e-6 * max(np.abs(theirs).max(), 1.0)


@pytest.mark.parametrize("case", _cases())
def test_close_in_single_precision(case, outputs):
    ours, theirs = outputs[case, "float32"]
    assert ours.dtype == np.float32
    assert _same_share(ours, theirs) >= 0.995
    assert np.abs(ours - theirs).max() <= 5e-3 * max(np.abs(theirs).max(), 1.0)


def test_another_seed_is_told_apart(outputs):
    """The comparison above can fail: other draws give other outputs."""
    ours, _ = outputs["rule adamw", "float64"]
    _, other = outputs["init he", "float64"]
    assert ours.shape != other.shape or np.abs(ours - other).max() > 1e-3
    task, recipe = load_task("iris"), _cases()["rule adamw"][1]
    population = Population(task, [Member(recipe=recipe, seed=6)], Plan(precision="float64"))
    population.run()
    assert np.abs(population.outputs([0], task.test.x)[0] - ours).max() > 1e-2


@pytest.mark.parametrize("case", _cases())
def test_stands_alone(case):
    name, recipe, changes = _cases()[case]
    task = dataclasses.replace(_tasks_once()[name], **changes)  # type: ignore[arg-type]
    text = script_of(task, recipe, 5)
    assert "import thalweg" not in text
    assert "from thalweg" not in text
    assert "torch.optim.Optimizer" not in text or recipe.optimizer in (
        "heavy_ball",
        "lion",
        "muon",
        "random_search",
        "schedule_free_adamw",
    )
    assert len(text.splitlines()) < 220
    assert max(len(line) for line in text.splitlines()) <= 120


_KEPT: dict[str, Task] = {}


def _tasks_once() -> dict[str, Task]:
    if not _KEPT:
        _KEPT.update(_tasks())
    return _KEPT


def test_state_dict_is_the_saved_one(tmp_path):
    """The script's model has the parameters of `model.safetensors` under the same names."""
    from thalweg.population import empty_module

    for case, (name, recipe, _) in _cases().items():
        task = _tasks_once()[name]
        scope: dict = {"__name__": "script"}
        exec(script_of(task, recipe, 5), scope)
        ours = {k: tuple(v.shape) for k, v in scope["build_model"]().state_dict().items()}
        module = empty_module(recipe, task.input_shape, task.output_size)
        assert ours == {k: tuple(v.shape) for k, v in module.state_dict().items()}, case


def test_a_name_cannot_run_code(tmp_path):
    task = dataclasses.replace(load_task("iris"), name='x"""\nimport os\\N{')
    compile(script_of(task, _SMALL, 0), "train.py", "exec")
    assert "\nimport os\n" not in script_of(task, _SMALL, 0)


def test_metrics_are_all_known():
    for name, metric in METRICS.items():
        kind = "diabetes" if "regression" in metric.kinds else "iris"
        task = dataclasses.replace(_tasks_once()[kind], metric=name)
        compile(script_of(task, _SMALL, 0), "train.py", "exec")


def test_runs_in_its_folder(tmp_path):
    """End to end: `train` writes the folder, the script beside the data gives the saved model's scores."""
    from thalweg.workflows import train

    result = train("wine", _SMALL, seeds=2, out=tmp_path / "run", plan=Plan())
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=tmp_path / "run", capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert result.test is not None
    assert f"test accuracy: {result.test.values[0]:.6g}" in done.stdout
    assert Path(tmp_path / "run" / "predictions.npz").exists()
