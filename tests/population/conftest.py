"""Small tasks and one recipe for every piece: what the conformance suite runs every program on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thalweg.models import ACTIVATIONS
from thalweg.optim import RULES, SCHEDULES
from thalweg.recipes import Recipe
from thalweg.tasks import Task, load_task

BASE = Recipe(model="mlp", widths=(7, 5), batch_size=13, epochs=3, lr=0.01)
_LR = {"sgd": 0.1, "lion": 1e-3, "adagrad": 0.05, "random_search": 0.1}


def every_recipe() -> dict[str, Recipe]:
    """One recipe for each registered piece: registering a piece enrols it."""
    cases = {"linear": BASE.changed(model="linear", widths=())}
    for name, rule in RULES.items():
        cases[f"optimizer-{name}"] = BASE.changed(optimizer=name, lr=_LR.get(name, 0.01), weight_decay=0.01)
        if rule.proximal:
            cases[f"lasso-{name}"] = BASE.changed(optimizer=name, lr=_LR.get(name, 0.01), alpha=0.01, l1_ratio=0.7)
    for name in ACTIVATIONS:
        cases[f"activation-{name}"] = BASE.changed(activation=name)
    cases["activation-leaky_relu-0.2"] = BASE.changed(activation="leaky_relu", activation_parameter=0.2)
    cases["activation-maxout-3"] = BASE.changed(activation="maxout", activation_parameter=3)
    # a bias before batch norm has gradient 0: Adam would divide rounding noise by rounding noise
    plain = BASE.changed(optimizer="momentum")
    for norm in ("batch", "layer"):
        for activation in ("relu", "maxout"):
            cases[f"norm-{norm}-{activation}"] = plain.changed(norm=norm, activation=activation)
        cases[f"norm-{norm}-dropout"] = plain.changed(norm=norm, dropout=0.3)
    cases["dropout"] = BASE.changed(dropout=0.5)
    for name in SCHEDULES:
        cases[f"schedule-{name}"] = BASE.changed(schedule=name, warmup=0.2)
    cases["ridge"] = BASE.changed(alpha=0.1, l1_ratio=0.0)
    cases["clip"] = BASE.changed(clip_norm=0.05, optimizer="sgd", lr=0.5)
    cases["label-smoothing"] = BASE.changed(label_smoothing=0.1)
    cases["full-batch"] = BASE.changed(batch_size=None, optimizer="sgd", lr=0.3)
    for init in ("zeros", "normal", "xavier", "orthogonal", "lsuv"):
        cases[f"init-{init}"] = BASE.changed(init=init)
    # equal output weights: the gradients of the classes sum to 0 before them, and the same holds; relu would be
    # switched by the sign of such a bias
    cases["init-constant"] = plain.changed(init="constant", activation="tanh")
    return cases


def small_task(kind: str = "multiclass", loss: str | None = None, *, num_rows: int = 60) -> Task:
    """A random task of a kind: fresh inputs with some signal, standardised by the loader."""
    rng = np.random.default_rng(sum(map(ord, f"{kind}{loss}")))
    x = rng.standard_normal((num_rows, 6))
    signal = x @ rng.standard_normal((6, 3)) + 0.3 * rng.standard_normal((num_rows, 3))
    y = {
        "multiclass": signal.argmax(axis=1),
        "binary": (signal[:, 0] > 0).astype(np.int64),
        "multilabel": (signal > 0).astype(np.int64),
        "regression": signal[:, :2],
    }[kind]
    return load_task((x, y), kind=kind, loss=loss)


@pytest.fixture(scope="session")
def task() -> Task:
    return small_task()


def without_schedule(recipe: Recipe) -> Recipe:
    return replace(recipe, schedule="constant")
