"""Metrics against scikit-learn, in the target's own unit, as means of row scores."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk

from thalweg.core import InputError
from thalweg.tasks import LOSSES, METRICS, apply_link, evaluate_metric, load_task

STD = np.array([7.0, 0.5])


def as_task(kind, loss) -> Any:
    return SimpleNamespace(kind=kind, loss=loss, preparation=SimpleNamespace(target_std=tuple(STD)))


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


CASES: dict[str, tuple[Any, np.ndarray, np.ndarray]] = {
    "multiclass": (as_task("multiclass", "cross_entropy"), draw(60, 4), np.arange(60) * 7 % 11 % 4),
    "binary": (as_task("binary", "bce"), draw(60, 1), (draw(60, 1, seed=1) > 0.4).astype(np.float32)),
    "multilabel": (as_task("multilabel", "bce"), draw(60, 3), (draw(60, 3, seed=1) > 0.4).astype(np.float32)),
    "regression": (as_task("regression", "mse"), draw(60, 2), draw(60, 2, seed=1)),
}


def by_label(score):
    """Mean over labels of scikit-learn's score for one."""
    return lambda y, o: np.mean([score(y[:, k], o[:, k]) for k in range(y.shape[1])])


def log_loss(y, o):
    return sk.log_loss(y, apply_link("sigmoid", o), labels=[0, 1])


REFERENCE = {
    ("accuracy", "multiclass"): lambda y, o: sk.accuracy_score(y, o.argmax(1)),
    ("accuracy", "binary"): lambda y, o: sk.accuracy_score(y, o > 0),
    ("accuracy", "multilabel"): by_label(lambda y, o: sk.accuracy_score(y, o > 0)),
    ("balanced_accuracy", "multiclass"): lambda y, o: sk.balanced_accuracy_score(y, o.argmax(1)),
    ("balanced_accuracy", "binary"): lambda y, o: sk.balanced_accuracy_score(y, o > 0),
    ("balanced_accuracy", "multilabel"): by_label(lambda y, o: sk.balanced_accuracy_score(y, o > 0)),
    ("log_loss", "multiclass"): lambda y, o: sk.log_loss(y, apply_link("softmax", o)),
    ("log_loss", "binary"): by_label(log_loss),
    ("log_loss", "multilabel"): by_label(log_loss),
    ("mse", "regression"): lambda y, o: sk.mean_squared_error(y * STD, o * STD),
    ("rmse", "regression"): lambda y, o: sk.mean_squared_error(y * STD, o * STD) ** 0.5,
    ("mae", "regression"): lambda y, o: sk.mean_absolute_error(y * STD, o * STD),
    ("r2", "regression"): lambda y, o: sk.r2_score(y * STD, o * STD),
}


def test_every_metric_has_a_reference_for_every_kind():
    assert {(name, kind) for name, metric in METRICS.items() for kind in metric.kinds} == set(REFERENCE)


@pytest.mark.parametrize(("name", "kind"), REFERENCE)
def test_equals_scikit_learn(name, kind):
    task, output, y = CASES[kind]
    found = evaluate_metric(task, output, y, metric=name)
    assert isinstance(found, float)
    assert found == pytest.approx(REFERENCE[name, kind](y, output), rel=1e-12)


@pytest.mark.parametrize(("name", "kind"), REFERENCE)
def test_is_a_display_of_mean_row_scores_stacked_or_not(name, kind):
    task, output, y = CASES[kind]
    metric = METRICS[name]
    stacked = np.stack([output, -output, output * 2])
    scores = metric.row_scores(stacked, y, task)
    assert scores.shape == (3, len(y))
    assert scores.dtype == np.float64
    each = [evaluate_metric(task, o, y, metric=name) for o in stacked]
    np.testing.assert_allclose(evaluate_metric(task, stacked, y, metric=name), each, rtol=1e-12)


@pytest.mark.parametrize(("name", "kind"), REFERENCE)
def test_a_diverged_output_scores_nan(name, kind):
    task, output, y = CASES[kind]
    broken = output.copy()
    broken[3] = np.nan
    scores = METRICS[name].row_scores(broken, y, task)
    assert np.flatnonzero(np.isnan(scores)).tolist() == [3]
    assert np.isnan(evaluate_metric(task, np.full_like(output, np.nan), y, metric=name))
    evaluate_metric(task, np.full_like(output, np.inf), y, metric=name)  # no warning


def test_without_a_link_the_threshold_is_one_half():
    task = as_task("binary", "mse")
    assert evaluate_metric(task, np.array([[0.4], [0.6]]), np.array([[0.0], [1.0]]), metric="accuracy") == 1.0


def test_default_metric_and_units_of_a_loaded_task():
    task = load_task("diabetes")
    truth = task.test.y * np.array(task.preparation.target_std)
    zero = np.zeros_like(task.test.y)
    assert task.metric == "rmse"
    assert evaluate_metric(task, zero, task.test.y) == pytest.approx(np.sqrt((truth**2).mean()), rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "rmse"}, "metric must be one that fits a multiclass target"),
        ({"metric": "acuracy"}, "Did you mean 'accuracy'"),
        ({"loss": "bce"}, "loss must be one that fits a multiclass target"),
        ({"loss": "mse", "metric": "log_loss"}, "needs no probabilities"),
    ],
)
def test_misfits_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        load_task("iris", **options)


@pytest.mark.parametrize("loss", [name for name, loss in LOSSES.items() if "multiclass" in loss.kinds])
def test_classes_may_be_learned_with_any_fitting_loss(loss):
    task = load_task("iris", loss=loss)
    assert task.loss == loss
    assert task.link == LOSSES[loss].link
    assert task.train.y.dtype == np.int64
