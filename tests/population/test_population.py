"""The run loop: records, early stopping, plateau, control, planning, and a user's own module."""

# wrong values are given on purpose
# pyright: reportArgumentType=false, reportOptionalCall=false, reportOptionalMemberAccess=false
from __future__ import annotations

import sys
import threading
import warnings

import numpy as np
import pytest
import torch
from tests.population.conftest import BASE, small_task
from tests.population.test_conformance import assert_same_bits

from thalweg.core import InputError, RunError
from thalweg.population import PROGRAMS, Control, Plan, Population, Settings, check_recipes, default_plan
from thalweg.recipes import Member, Recipe
from thalweg.tasks import LOSSES, Task, load_task

MODELS = """
import torch
from torch import nn

def dropped(input_shape, output_size):
    return nn.Sequential(nn.Linear(input_shape[0], 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5),
                         nn.Linear(8, output_size))

def frozen(input_shape, output_size):
    net = nn.Sequential(nn.Linear(input_shape[0], 8), nn.ReLU(), nn.Linear(8, output_size))
    net[0].requires_grad_(False)
    return net

class Scaled(nn.Module):
    def __init__(self, input_shape, output_size):
        super().__init__()
        self.linear = nn.Linear(input_shape[0], output_size)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.linear(x) * self.scale

class Breaks(nn.Module):
    def __init__(self, input_shape, output_size):
        super().__init__()
        self.linear = nn.Linear(input_shape[0], output_size)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls > 4:
            raise ValueError("enough\\nof this")
        return self.linear(x)
"""


@pytest.fixture
def own_models(tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("own_models", None)


def own(name: str, **fields) -> Recipe:
    fields = {"batch_size": 12, "epochs": 3, "lr": 0.01, "init": "keep", **fields}
    return Recipe(model=f"own_models:{name}", **fields)


def validation_loss(population: Population, number: int) -> float:
    split = population.task.validation
    return population.loss(population.outputs([number], split.x)[0], split.y)


# ---- records --------------------------------------------------------------------------------------------------------


def test_a_record_is_an_epoch(task):
    population = Population(task, [Member(recipe=BASE, seed=0), Member(recipe=BASE.changed(batch_size=None), seed=0)])
    population.run()
    for number, member in enumerate(population.members):
        rows = [record for record in population.history if record.member == number]
        pace = population.pace(number)
        assert [r.epoch for r in rows] == [1, 2, 3]
        assert [r.step for r in rows] == [pace.steps_per_epoch * k for k in (1, 2, 3)]
        assert [r.examples for r in rows] == [r.step * pace.batch_size for r in rows]
        assert {r.lr for r in rows} == {member.recipe.lr}
        assert rows[-1].validation_loss == validation_loss(population, number)
        assert 0 <= rows[-1].validation_score <= 1
        assert population.last_record(number) == rows[-1]
        assert population.last_record(number, epochs=2) == rows[1]
        assert population.last_record(number, epochs=0) is None


def test_the_train_loss_is_the_mean_of_the_batches(task):
    member = Member(recipe=BASE, seed=0)
    program = PROGRAMS["kernel"](task, [member], Settings())
    steps = program.paces[0].steps_per_epoch
    first = program.advance(np.array([steps]), np.ones(1))[0]
    population = Population(task, [member])
    population.run(epochs=1)
    assert population.history[0].train_loss == pytest.approx(first.mean(), rel=1e-12)


def test_a_long_run_is_evaluated_fifty_times(task):
    population = Population(task, [Member(recipe=BASE.changed(epochs=240, batch_size=None), seed=0)])
    population.run()
    assert [r.epoch for r in population.history] == list(range(5, 241, 5))


def test_members_advance_alone_and_in_stretches(task):
    population = Population(task, [Member(recipe=BASE, seed=s) for s in range(3)])
    population.run(which=[1], epochs=2)
    pace = population.pace(1)
    assert [population.step(n) for n in range(3)] == [0, 2 * pace.steps_per_epoch, 0]
    assert population.alive(1)
    population.run(epochs=1)
    assert population.step(1) == 2 * pace.steps_per_epoch  # never backwards
    population.run()
    assert not any(population.alive(n) for n in range(3))
    before = len(population.history)
    population.run()
    assert len(population.history) == before


# ---- early stopping -------------------------------------------------------------------------------------------------

OVERFIT = BASE.changed(epochs=40, lr=0.05, widths=(32,), patience=4)


@pytest.mark.parametrize("program", PROGRAMS)
def test_early_stopping_waits_and_restores_the_best_state(task, program):
    plan = Plan(program=program)
    population = Population(task, [Member(recipe=OVERFIT, seed=0)], plan)
    population.run()
    losses = [record.validation_loss for record in population.history]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 4 < 40
    assert population.stopped_at(0) == population.step(0) == population.history[-1].step
    assert not population.alive(0)
    assert validation_loss(population, 0) == pytest.approx(losses[best], rel=1e-6)
    short = Population(task, [Member(recipe=OVERFIT.changed(patience=None, epochs=best + 1), seed=0)], plan)
    short.run()
    assert_same_params(population, short)


def assert_same_params(a: Population, b: Population) -> None:
    mine, theirs = a.eval_params(0), b.eval_params(0)
    for name in mine:
        assert mine[name].tobytes() == theirs[name].tobytes(), name


def test_the_best_state_is_restored_at_the_last_epoch_too(task):
    whole = Population(task, [Member(recipe=OVERFIT, seed=0)])
    whole.run()
    best = int(np.argmin([record.validation_loss for record in whole.history]))
    population = Population(task, [Member(recipe=OVERFIT.changed(epochs=best + 3), seed=0)])
    population.run()
    assert population.stopped_at(0) is None
    assert validation_loss(population, 0) == pytest.approx(population.history[best].validation_loss, rel=1e-6)


# ---- plateau --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS)
def test_plateau_reduces_the_step_size_as_torch_does(task, program):
    recipe = BASE.changed(schedule="plateau", schedule_gamma=0.5, epochs=60, lr=0.05, batch_size=18)
    population = Population(task, [Member(recipe=recipe, seed=0)], Plan(program=program))
    population.run()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=recipe.lr)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=10, threshold=1e-4)
    expected = []
    for record in population.history:
        expected.append(optimizer.param_groups[0]["lr"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheduler.step(record.validation_loss)
    np.testing.assert_allclose([record.lr for record in population.history], expected, rtol=1e-12)
    assert len(set(expected)) >= 3


# ---- control --------------------------------------------------------------------------------------------------------


def test_cancel_from_another_thread_ends_after_the_segment(task):
    population = Population(task, [Member(recipe=BASE.changed(epochs=20_000), seed=0)])
    control = Control()
    timer = threading.Timer(0.3, control.cancel)
    timer.start()
    population.run(control)
    timer.join()
    assert control.cancelled
    assert 0 < population.step(0) < population.pace(0).total_steps


def test_pause_holds_and_resume_goes_on_to_the_same_bits(task):
    member = Member(recipe=BASE.changed(epochs=200), seed=0)
    straight = Population(task, [member])
    straight.run()
    population, control = Population(task, [member]), Control()
    seen: list[int] = []
    held = threading.Event()

    def on_progress(steps: int) -> None:
        seen.append(steps)
        if len(seen) == 2:
            control.pause()
            held.set()

    control.on_progress = on_progress
    thread = threading.Thread(target=population.run, args=(control,))
    thread.start()
    assert held.wait(20)
    thread.join(0.2)
    assert thread.is_alive()
    assert len(seen) == 2
    standing = population.step(0)
    assert standing == sum(seen)
    control.resume()
    thread.join(30)
    assert not thread.is_alive()
    assert sum(seen) == population.pace(0).total_steps
    assert_same_bits(straight.snapshot(0), population.snapshot(0))


def test_cancel_ends_a_paused_run(task):
    population, control = Population(task, [Member(recipe=BASE, seed=0)]), Control()
    control.pause()
    thread = threading.Thread(target=population.run, args=(control,))
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    control.cancel()
    thread.join(20)
    assert not thread.is_alive()
    assert population.step(0) == 0


# ---- planning -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "program", "reason"),
    [
        ({}, "kernel", "the first in the order of preference"),
        ({"model": "linear", "widths": ()}, "kernel", "the first in the order of preference"),
        ({"optimizer": "muon"}, "loop", "muon is not an elementwise rule of the kernel"),
        ({"model": "a:b", "init": "keep"}, "loop", "the kernel trains models of our own, not a:b"),
    ],
)
def test_the_planner_says_why(task, fields, program, reason):
    recipe = BASE.changed(**fields)
    assert Plan().program_for(task, recipe) == (program, reason)
    assert Plan(program="loop").program_for(task, recipe) == ("loop", "asked for")
    if program != "kernel":
        with pytest.raises(InputError, match=r"program must be one that can run the recipe .*, got 'kernel'. Use auto"):
            Plan(program="kernel").program_for(task, recipe)


def test_a_population_says_what_runs_it(task):
    members = [Member(recipe=BASE, seed=0), Member(recipe=BASE.changed(optimizer="muon"), seed=0)]
    population = Population(task, members)
    assert set(population.reasons) == {"kernel", "loop"}
    population.run(epochs=1)
    assert len(population.history) == 2


@pytest.mark.parametrize("fields", [{"program": "vamp"}, {"precision": "float16"}, {"threads": 0}, {"threads": 1.5}])
def test_plans_that_cannot_be(fields):
    with pytest.raises(InputError, match=f"^{next(iter(fields))} must be"):
        Plan(**fields)
    assert default_plan().threads >= 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch_size": 37}, "batch_size must be at most the 36 training rows, got 37. Take a smaller batch"),
        ({"norm": "batch", "batch_size": 1}, "batch_size must be at least 2 with batch norm, got 1"),
        ({"optimizer": "muon", "alpha": 0.1, "l1_ratio": 0.5}, "l1_ratio must be 0 with muon, .*, got 0.5"),
        ({"activation": "maxout", "activation_parameter": 2.5}, "2 pieces or more with maxout, got 2.5"),
        ({"model": "cnn"}, "input_shape must be .channels, height, width."),
        ({"model": "no_such_package:f", "init": "keep"}, "model must be importable"),
        ({"model": "a:b", "init": "keep", "dropout": 0.1}, "dropout must be 0 with the model a:b, got 0.1"),
    ],
)
def test_recipes_that_do_not_fit_the_task(task, fields, message):
    recipe = BASE.changed(**fields)
    with pytest.raises(InputError, match=message):
        check_recipes(task, [BASE, recipe], Plan())
    with pytest.raises(InputError, match=message):
        Population(task, [Member(recipe=BASE, seed=0), Member(recipe=recipe, seed=0)])


def test_label_smoothing_needs_classes():
    regression = small_task("regression")
    with pytest.raises(InputError, match=r"label_smoothing must be 0 with the loss mse, got 0.1"):
        check_recipes(regression, [BASE.changed(label_smoothing=0.1)], Plan())
    assert set(LOSSES) >= {"cross_entropy", "bce"}


# ---- a user's own module --------------------------------------------------------------------------------------------


def test_own_modules_are_the_same_alone_and_in_company(task, own_models):
    recipe = own("dropped")
    alone = Population(task, [Member(recipe=recipe, seed=3)])
    alone.run()
    torch.manual_seed(99)
    others = [Member(recipe=own("dropped", lr=0.1), seed=3), Member(recipe=own("Scaled"), seed=1)]
    company = Population(task, [others[0], Member(recipe=recipe, seed=3), others[1], Member(recipe=recipe, seed=4)])
    company.run(which=[0, 1], epochs=1)
    torch.rand(7)
    company.run()
    assert_same_bits(alone.snapshot(0), company.snapshot(1))
    with pytest.raises(AssertionError):
        assert_same_bits(company.snapshot(1), company.snapshot(3))


def test_dropout_of_an_own_module_draws_anew_in_each_step(task, own_models):
    population = Population(task, [Member(recipe=own("dropped", lr=1e-9, batch_size=None, epochs=4), seed=0)])
    population.run()
    assert len({record.train_loss for record in population.history}) == 4


def test_training_leaves_the_generator_of_torch_as_it_was(task, own_models):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    Population(task, [Member(recipe=own("dropped"), seed=3)]).run()
    check_recipes(task, [own("dropped")], Plan())
    assert torch.equal(before, torch.random.get_rng_state())


def test_what_an_own_module_froze_stays_frozen(task, own_models):
    population = Population(task, [Member(recipe=own("frozen", lr=0.1, alpha=0.1, l1_ratio=0.5), seed=0)])
    start = population.snapshot(0)
    population.run()
    end = population.snapshot(0)
    assert set(end.params) == {"2.weight", "2.bias"}
    assert end.buffers["0.weight"].tobytes() == start.buffers["0.weight"].tobytes()
    assert end.params["2.weight"].tobytes() != start.params["2.weight"].tobytes()
    again = Population(task, [Member(recipe=own("frozen", alpha=0.1, l1_ratio=0.5), seed=0, start=end)])
    np.testing.assert_array_equal(
        again.outputs([0], task.validation.x)[0], population.outputs([0], task.validation.x)[0]
    )


def test_an_own_module_that_breaks_is_one_line(task, own_models):
    population = Population(task, [Member(recipe=own("Breaks", epochs=50), seed=0)])
    with pytest.raises(RunError, match=r"^own_models:Breaks raised ValueError on \d+ rows: enough\.$"):
        population.run()


def test_a_task_needs_no_names(task):
    assert isinstance(task, Task)
    x = np.random.default_rng(0).standard_normal((30, 2))
    population = Population(load_task((x, x[:, 0])), [Member(recipe=BASE, seed=0)])
    population.run(epochs=1)
    assert np.isfinite(population.history[0].validation_loss)
