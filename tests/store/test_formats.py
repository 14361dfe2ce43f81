"""Runs of every released version are opened, shown, used and resumed by this one."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.core import RunError
from thalweg.population import read_history
from thalweg.store import FORMAT, RunFolder
from thalweg.workflows import list_runs, open_result

FORMATS = sorted(path for path in (Path(__file__).parent / "formats").iterdir() if path.is_dir())


@pytest.fixture(params=FORMATS, ids=lambda path: path.name)
def runs(request, tmp_path) -> Path:
    """A copy: what was released stays as it is."""
    return Path(shutil.copytree(request.param, tmp_path / "runs"))


def test_they_are_listed(runs):
    states = {Path(row["run"]).name: (row["kind"], row["state"]) for row in list_runs(runs)}
    assert states == {
        "tune": ("tune", "complete"),
        "train": ("train", "complete"),
        "tune-interrupted": ("tune", "unfinished"),
        "train-interrupted": ("train", "unfinished"),
    }


@pytest.mark.parametrize("kind", ["tune", "train"])
def test_what_was_found_is_shown(runs, kind):
    found = open_result(runs / kind)
    assert found.complete
    assert found.result["task"]["name"] == "iris"
    assert "accuracy" in found.text
    assert sum(len(records) for records in read_history(runs / kind / "history.parquet").values()) > 0


@pytest.mark.parametrize("kind", ["tune", "train"])
def test_the_model_predicts(runs, kind):
    task = tw.load_task("iris")
    raw = task.test.x * np.array([c.std for c in task.preparation.columns]) + [c.mean for c in task.preparation.columns]
    import polars as pl

    found = tw.predict(runs / kind, pl.DataFrame({c.name: raw[:, k] for k, c in enumerate(task.preparation.columns)}))
    right = float(np.mean(found.columns["prediction"] == np.array(task.classes)[task.test.y]))
    result = open_result(runs / kind).result
    scores = result["recommended"] if kind == "tune" else result
    assert right == pytest.approx(scores["test"]["values"][0], abs=0.07)


@pytest.mark.parametrize("kind", ["tune", "train"])
def test_a_killed_run_resumes_to_a_result(runs, kind):
    """Bits may differ on another processor: what is compared is what the result has, not its numbers.

    A later version may say more; what was there stays.
    """
    result = tw.resume(runs / f"{kind}-interrupted")
    assert result.complete
    ours, theirs = result.to_json(), json.loads((runs / kind / "result.json").read_text())
    assert missing(keys(theirs), keys(ours)) == []
    assert not list((runs / f"{kind}-interrupted").rglob("*.part"))
    mean = (ours["recommended"] if kind == "tune" else ours)["test"]["mean"]
    assert math.isfinite(mean)
    assert mean > 0.8


@pytest.mark.parametrize("kind", ["tune", "train"])
def test_a_whole_run_resumes_to_itself(runs, kind):
    before = read_history(runs / kind / "history.parquet")
    assert tw.resume(runs / kind).complete
    assert read_history(runs / kind / "history.parquet") == before


def keys(value: object) -> object:
    """Returns the shape of plain data: names, with the kinds of what they hold."""
    if isinstance(value, dict):
        return {name: keys(item) for name, item in value.items()}
    if isinstance(value, list):
        return [keys(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


def missing(old: object, new: object, at: str = "") -> list[str]:
    """Returns the places of a shape that another does not have, or has with another kind."""
    if isinstance(old, dict) and isinstance(new, dict):
        gone = [f"{at}.{name}" for name in old if name not in new]
        return gone + [each for name in old if name in new for each in missing(old[name], new[name], f"{at}.{name}")]
    if isinstance(old, list) and isinstance(new, list) and old and new:
        return missing(old[0], new[0], f"{at}[]")
    return [] if old == new else [at]


def test_the_shape_sees_a_missing_name_and_another_kind():
    old = keys({"a": 1, "b": [{"c": 2.0}]})
    assert missing(old, keys({"a": 2.5, "b": [{"c": 1}, {"c": 3}], "new": "more"})) == []
    assert missing(old, keys({"a": 1})) == [".b"]
    assert missing(old, keys({"a": None, "b": [{"c": 2}]})) == [".a"]
    assert missing(old, keys({"a": 1, "b": [{"d": 2}]})) == [".b[].c"]
    assert missing(old, keys({"a": 1, "b": []})) == [".b"]


def test_a_newer_format_is_refused_in_one_line(runs):
    path = runs / "tune" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": FORMAT + 1}))
    for use in (RunFolder, open_result, tw.resume, lambda run: tw.predict(run, np.zeros((1, 4)))):
        with pytest.raises(RunError, match=f"has format {FORMAT + 1}; this version reads up to {FORMAT}. Upgrade") as e:
            use(runs / "tune")
        assert "\n" not in str(e.value)
