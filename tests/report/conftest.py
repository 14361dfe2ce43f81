from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from thalweg.workflows import TrainResult, TuneResult

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tuned(tmp_path_factory) -> TuneResult:
    """A whole search in which one step size always diverges."""
    from thalweg.population import Plan
    from thalweg.recipes import Recipe
    from thalweg.workflows import tune

    out = tmp_path_factory.mktemp("tuned") / "run"
    vary = ["lr=0.003,0.01,0.03,0.1,1e30", "activation=relu,gelu", "optimizer=sgd,adam"]
    return tune("wine", Recipe(widths=(8,), epochs=9, batch_size=16), vary=vary, seeds=3, plan=Plan(), out=out)


@pytest.fixture(scope="session")
def regression() -> TuneResult:
    from thalweg.population import Plan
    from thalweg.recipes import Recipe
    from thalweg.workflows import tune

    recipe = Recipe(model="linear", widths=(), epochs=4, batch_size=32)
    return tune("diabetes", recipe, vary=["lr=1e-3..1e-1"], seeds=2, plan=Plan(), budget="4000steps")


@pytest.fixture(scope="session")
def interrupted(tuned: TuneResult) -> TuneResult:
    nothing = {"validation": None, "test": None, "runner_up": None, "runner_up_validation": None, "difference": None}
    history = {name: records for name, records in tuned.history.items() if name == "screening"}
    tuning = dataclasses.replace(tuned.tuning, **nothing)
    return dataclasses.replace(tuned, tuning=tuning, history=history, complete=False, model_seed=None)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> TrainResult:
    from thalweg.population import Plan
    from thalweg.recipes import Recipe
    from thalweg.workflows import train

    out = tmp_path_factory.mktemp("trained") / "run"
    return train("iris", Recipe(widths=(4,), epochs=4, batch_size=16), seeds=1, plan=Plan(), out=out)
