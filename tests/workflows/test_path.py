"""`thalweg path` from data to a run folder, its report, and predictions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LassoCV

import thalweg as tw
from thalweg.core import InputError, RunError
from thalweg.linear import PathOptions
from thalweg.population import Control
from thalweg.tasks import load_task
from thalweg.workflows import list_runs, open_result, path, predict


def table(rng, num=120):
    """Numbers, a column of two categories and one of three, and a group."""
    x = rng.standard_normal((num, 4))
    side, kind = rng.choice(["left", "right"], num), rng.choice(["a", "b", "c"], num)
    y = 3 * x[:, 0] - 2 * x[:, 1] + 4 * (side == "right") + rng.standard_normal(num)
    columns = {f"x{k}": x[:, k].tolist() for k in range(4)}
    more = {"side": side, "kind": kind, "y": y, "who": np.arange(num) // 4}
    return columns | {name: values.tolist() for name, values in more.items()}


@pytest.fixture
def frame():
    import polars as pl

    return pl.DataFrame(table(np.random.default_rng(0)))


def test_a_run_from_a_table(frame, tmp_path):
    frame.write_csv(tmp_path / "data.csv")
    task = load_task(tmp_path / "data.csv", target="y", exclude=["who"])
    result = path(task, PathOptions(alpha=(0.5, 1.0)), out=tmp_path / "run")
    answer = result.answer
    assert "certified" in " ".join(answer.findings)
    kept = [entry["input"] for entry in answer.data["coefficients"]]
    assert set(kept[:3]) == {"x0", "x1", "side=right"}
    assert "side=left" not in kept
    assert result.test.mean < 1.5
    stored = open_result(tmp_path / "run")
    assert stored.text.split("Files in")[0] == str(result).split("Files in")[0]
    assert json.loads((tmp_path / "run" / "result.json").read_text())["data"]["gap"] <= 1e-6
    assert list_runs(tmp_path)[0]["headline"].startswith("data.csv: lambda")
    page = (tmp_path / "run" / "report.html").read_text()
    for title in ("Error on rows that are held out", "Coefficients along the path", "Selected again on other rows"):
        assert title in page
    # predictions of the saved model are those of the coefficients, in the units of the table
    found = predict(tmp_path / "run", frame.drop("y", "who")).columns["prediction"]
    assert np.corrcoef(found, frame["y"].to_numpy())[0, 1] > 0.95
    assert np.abs(found - frame["y"].to_numpy()).mean() < 1.5
    assert "<iframe" in result._repr_html_()


def test_the_choice_is_that_of_scikit_learn():
    task = load_task("diabetes")
    result = path(task, PathOptions(halves=0))
    x = np.concatenate([task.train.x, task.validation.x]).astype(float)
    y = np.concatenate([task.train.y, task.validation.y])[:, 0] * task.preparation.target_std[0]
    strengths = result.answer.data["curves"][0]["lambda"]
    from sklearn.model_selection import KFold

    model = LassoCV(cv=KFold(10, shuffle=True, random_state=0), tol=1e-9, max_iter=100_000)
    model.set_params(alphas=strengths).fit(x, y)
    assert result.answer.data["lambda"] == pytest.approx(float(model.alpha_))
    np.testing.assert_allclose(result.answer.data["curves"][0]["error"], model.mse_path_.mean(1), rtol=1e-3)


@pytest.mark.parametrize("name", ["breast-cancer", "iris"])
def test_classes(name, tmp_path):
    result = tw.path(name, PathOptions(lambda_=20, folds=5, halves=10, choose="1se"), out=tmp_path / "run")
    assert result.answer.data["family"] == {"iris": "multinomial", "breast-cancer": "binomial"}[name]
    assert result.test.mean > 0.85
    found = predict(tmp_path / "run", load_frame(name))
    assert {"prediction"} <= set(found.columns)


def test_two_classes_with_an_output_each(tmp_path):
    task = load_task("breast-cancer", kind="multiclass")
    result = path(task, PathOptions(lambda_=10, folds=3, halves=0), out=tmp_path / "run")
    assert result.answer.data["family"] == "binomial"
    assert result.test.mean > 0.9


def load_frame(name):
    import polars as pl
    from sklearn import datasets

    data: Any = {"iris": datasets.load_iris, "breast-cancer": datasets.load_breast_cancer}[name]()
    return pl.DataFrame({str(n): data["data"][:5, k] for k, n in enumerate(data["feature_names"])})


def test_groups_unpenalised_and_bounds(frame):
    task = load_task(frame, target="y", groups=["who"], exclude=["who"])
    result = path(task, PathOptions(unpenalised=("x3", "kind"), halves=0, folds=5), group="who")
    kept = {entry["input"] for entry in result.answer.data["coefficients"]}
    assert {"x3", "kind=a", "kind=b", "kind=c"} <= kept
    bounded = path(task, PathOptions(nonnegative=True, halves=0, folds=5))
    assert all(entry["value"] > 0 for entry in bounded.answer.data["coefficients"])
    with pytest.raises(InputError, match="group must be a column that was kept as groups, got 'x0'"):
        path(task, group="x0")


def test_the_same_seed_gives_the_same_run():
    one, other = (path("diabetes", PathOptions(lambda_=30, halves=10), seed=3) for _ in range(2))
    assert one.answer.to_json() == other.answer.to_json()


def test_an_interrupted_path_writes_nothing(tmp_path):
    control = Control()
    control.on_progress = lambda num: control.cancel()
    with pytest.raises(RunError, match="interrupted; nothing was written"):
        path("diabetes", out=tmp_path / "run", control=control)
    assert not (tmp_path / "run").exists()


def test_progress_ends_at_the_size():
    seen, sizes = [], []
    path("diabetes", PathOptions(alpha=(0.5, 1.0)), control=Control(on_progress=seen.append, on_size=sizes.append))
    assert sum(seen) == sizes[0]


def test_several_targets_are_refused():
    with pytest.raises(InputError, match="target must be one column"):
        path(load_task((np.zeros((20, 2)) + np.arange(20)[:, None], np.random.default_rng(0).standard_normal((20, 2)))))
