"""The main job, as a user calls it: files, interruption, resume."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.core import InputError, RunError
from thalweg.population import Control, empty_module, load_state, read_history
from thalweg.recipes import read_recipe
from thalweg.store import RunFolder, load_arrays, save_arrays

SEARCH = ["tune", "iris", "--set", "epochs=9", "--seeds", "2", "--budget", "9000steps", "--threads", "2"]
ENDS = {"low": -math.inf, "high": math.inf}


def thalweg(*arguments: str, cwd: Path, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "thalweg", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, **options)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tune")
    done = thalweg(*SEARCH, "--out", "run", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.json").write_text(done.stdout)
    return folder / "run"


def test_json_is_the_stored_result_and_has_the_documented_keys(run):
    result = json.loads((run.parent / "stdout.json").read_text())
    assert {**result, "run": ""} == {**json.loads((run / "result.json").read_text()), "run": ""}
    assert {"task", "recommended", "runner_up", "axes", "screened", "diverged", "seconds", "run"} <= result.keys()
    for split in ("validation", "test"):
        scores = result["recommended"][split]
        # null is unbounded: two seeds may score the same
        low, high = (unbounded if scores[end] is None else scores[end] for end, unbounded in ENDS.items())
        assert low <= scores["mean"] <= high
        assert len(scores["seeds"]) == 2
    for axis in result["axes"].values():
        assert {"effect", "best"} <= axis.keys()


def test_the_folder_holds_what_the_documentation_names(run):
    for name in ("recipe.toml", "history.parquet", "model.safetensors", "report.html", "train.py", "data.npz"):
        assert (run / name).stat().st_size > 0, name
    read_recipe(run / "recipe.toml")
    assert {"screening", "choice-1", "choice-2", "confirmation", "saved model"} == set(
        read_history(run / "history.parquet")
    )
    kinds = [event["kind"] for event in RunFolder(run).events()]
    assert kinds.count("test opened") == 1


def test_no_seed_serves_two_stages(run):
    result = json.loads((run / "result.json").read_text())
    assert not {0, 1, 2, 3} & set(result["recommended"]["test"]["seeds"])


def test_predict_gives_the_test_score_back(run, tmp_path):
    import polars as pl
    from sklearn.datasets import load_iris

    task = tw.load_task("iris")
    x, _ = load_iris(return_X_y=True)
    names = [column.name for column in task.preparation.columns]
    data = pl.DataFrame({name: x[task.test.rows, k] for k, name in enumerate(names)})
    found = tw.predict(run, data)
    classes = np.array(task.classes)
    right = float(np.mean(found.columns["prediction"] == classes[task.test.y]))
    result = json.loads((run / "result.json").read_text())
    assert right == pytest.approx(result["recommended"]["test"]["values"][0], abs=0.05)  # float64 beside float32
    total = sum(values for name, values in found.columns.items() if name.startswith("p_"))
    np.testing.assert_allclose(total, 1, atol=1e-9)


def test_the_script_repeats_the_saved_model_without_this_package(run):
    script = (run / "train.py").read_text()
    assert "import thalweg" not in script
    assert "from thalweg" not in script
    done = subprocess.run([sys.executable, "train.py"], cwd=run, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    with np.load(run / "predictions.npz") as found, np.load(run / "data.npz") as data:
        task = tw.load_task("iris")
        assert data["x_test"].tobytes() == task.test.x.tobytes()
        module, outputs = saved_module(run), found["outputs"]
    import torch

    with torch.no_grad():
        ours = module(torch.from_numpy(task.test.x).double()).numpy()
    assert (ours.argmax(1) == outputs.argmax(1)).mean() >= 0.995
    np.testing.assert_allclose(ours, outputs, rtol=1e-6, atol=1e-8)


def saved_module(run: Path):
    module = empty_module(read_recipe(run / "recipe.toml"), (4,), 3)
    load_state(module, load_arrays(run / "model.safetensors")[0])
    return module.eval()


def test_an_interrupted_run_says_what_it_knows_and_resumes(run, tmp_path):
    task = tw.load_task("iris")
    control = Control()
    control.on_progress = lambda steps: control.cancel()
    asked = {"recipe": read_recipe(run / "recipe.toml"), "vary": ["lr=0.001..0.1"], "seeds": 2, "budget": "9000steps"}
    first = tw.tune(task, **asked, out=tmp_path / "run", control=control)
    assert not first.complete
    assert first.tuning.test is None
    assert "interrupted" in str(first).lower()
    whole = tw.tune(task, **asked, out=tmp_path / "whole")
    second = tw.resume(tmp_path / "run", task=task)
    assert second.complete
    assert whole.recipe == second.recipe
    assert (tmp_path / "run/history.parquet").read_bytes() == (tmp_path / "whole/history.parquet").read_bytes()
    assert (tmp_path / "run/model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()


def test_resume_refuses_other_data(run, tmp_path):
    with pytest.raises(InputError, match="has changed"):
        tw.resume(run, task=tw.load_task("wine"))


@pytest.mark.parametrize("name", ["result.json", "task.json", "model.safetensors", "recipe.toml", "run.json"])
def test_a_truncated_run_folder_gives_one_line(run, tmp_path, name):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[: len(data) // 2])
    rows = tmp_path / "rows.csv"
    rows.write_text("a\n1\n")
    command = ["show", "run"] if name == "result.json" else ["predict", "run", "rows.csv"]
    done = thalweg(*command, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_a_tampered_model_is_refused(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    arrays, about = load_arrays(copy / "model.safetensors")
    save_arrays(copy / "model.safetensors", {k: v[:1] for k, v in arrays.items()}, about)
    with pytest.raises(RunError, match="does not fit"):
        tw.predict(copy, np.zeros((1, 4)))


def test_resume_takes_runs_of_its_own_command(run, tmp_path):
    done = thalweg("train", "--resume", str(run), cwd=tmp_path)
    assert done.returncode == 2
    assert "Use thalweg tune --resume." in done.stderr


def test_two_processes_do_not_write_one_run(run):
    folder = RunFolder(run)
    with folder.locked():
        done = thalweg("tune", "--resume", "run", cwd=run.parent)
    assert done.returncode == 2
    assert "being written by another process" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_epochs_may_vary(tmp_path):
    result = tw.tune(
        "iris", tw.Recipe(widths=(4,), epochs=3, batch_size=16), vary=["epochs=1,6", "lr=0.01,0.1"], seeds=2
    )
    assert result.complete
    assert {record.epoch for record in result.history["screening"]} >= {1, 6}


def test_schedules_are_compared_at_full_length():
    base = tw.Recipe(widths=(4,), epochs=9, batch_size=16)
    result = tw.tune("iris", base, vary=["schedule=constant,cosine,one_cycle", "lr=0.001..0.1:12"], seeds=2)
    last = {record.member: record.epoch for record in result.history["screening"]}
    assert len(last) == len(result.tuning.screened) == 36
    assert set(last.values()) == {9}
    assert result.tuning.first_epochs == 9


def test_a_search_is_no_larger_than_the_memory():
    from thalweg.population import Budget, available_memory
    from thalweg.search import plan_search

    task = tw.load_task("fashion-mnist")
    base = tw.Recipe(widths=(4096,), epochs=1, batch_size=1000)
    axes = [tw.Axis(field="lr", low=1e-4, high=1e-1, scale="log")]
    found = plan_search(task, base, axes, budget=Budget(steps=1e9), seeds=2, seed=0, plan=tw.Plan())
    assert 8 <= found.size.screened <= available_memory() // (3 * 4 * 784 * 4096)


def test_a_search_that_cannot_fit_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(
        InputError, match=r"^memory must be enough for .* members? \(.* TB\), got '.* free'. Take smaller"
    ):
        tw.tune("iris", tw.Recipe(widths=(10**6, 10**6)), vary=["lr=0.01,0.1"], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_fates_are_in_the_result_as_data_and_a_killed_run_has_the_same(tmp_path):
    vary = ["lr=1e-6..0.1", "activation=relu,tanh"]
    recipe = tw.Recipe(widths=(8,), epochs=9, batch_size=16)
    settings = {"vary": vary, "seeds": 2, "budget": "40000steps"}
    straight = tw.tune("digits", recipe, **settings).to_json()["fates"]
    assert straight
    for fate in straight:
        assert fate.keys() == {"symptom", "members", "of", "since", "axis"}
        assert 0 < fate["members"] <= fate["of"]
        assert fate["axis"] is None or fate["axis"].keys() == {"axis", "condition", "inside", "outside", "p"}
    assert "hardly_moved" in {fate["symptom"] for fate in straight}
    control = Control()
    segments = iter(range(3))
    control.on_segment = lambda: control.cancel() if next(segments, None) is None else None
    first = tw.tune("digits", recipe, **settings, out=tmp_path / "run", control=control)
    assert not first.complete
    assert tw.resume(tmp_path / "run").to_json()["fates"] == straight
