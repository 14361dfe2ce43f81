"""The choice of programs, what a plan keeps of it, and the time that is predicted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.population.conftest import BASE, small_task

from thalweg.core import InputError
from thalweg.population import PROGRAMS, Company, Control, Forecast, Plan, Population, Session, make_plan, step_cost
from thalweg.population._forecast import _Fit, _side_by_side
from thalweg.population._make_plan import _Race, filled_lanes
from thalweg.population._measure import Trial
from thalweg.population._planner import structure_of
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task, load_task

SETTINGS = Plan(threads=1)


@pytest.fixture(scope="module")
def digits() -> Task:
    return load_task("digits")


def test_programs_are_chosen_by_measurement_and_stored_with_numbers(task):
    muon = BASE.changed(optimizer="muon")
    plan = make_plan(task, [Company(recipes=[BASE, BASE, muon], steps=1e7)], SETTINGS)
    assert plan.program_for(task, BASE)[0] == "kernel"
    program, why = plan.program_for(task, muon)
    assert program != "kernel" or "muon" in why
    kernel = next(choice for choice in plan.choices if choice.program == "kernel")
    assert "x as fast as the loop" in kernel.why
    assert kernel.step_seconds is not None
    assert 0 < kernel.step_seconds < 1
    assert kernel.member_bytes > 0
    assert Plan.from_json(plan.to_json()) == plan
    assert make_plan(task, [Company(recipes=[muon], steps=1e7)], plan) is plan
    assert plan.slow(task, muon) is not None
    population = Population(task, [Member(recipe=BASE, seed=0), Member(recipe=muon, seed=0)], plan)
    assert population.reasons["kernel"] == kernel.why


def test_measuring_ends_when_it_costs_more_than_it_could_save(task):
    plan = make_plan(task, [Company(recipes=[BASE], steps=1)], SETTINGS)
    assert plan.program_for(task, BASE) == ("kernel", "the first in the order of preference")


def test_a_stored_choice_is_obeyed_whatever_is_faster(task):
    plan = make_plan(task, [Company(recipes=[BASE], steps=1)], SETTINGS)
    other = replace(plan, choices=tuple(replace(choice, program="loop", why="stored") for choice in plan.choices))
    assert other.program_for(task, BASE) == ("loop", "stored")
    assert [p.name for p in Population(task, [Member(recipe=BASE, seed=0)], other).programs] == ["loop"]


def test_an_unknown_structure_gets_the_first_program_that_takes_it(task):
    plan = make_plan(task, [Company(recipes=[BASE], steps=1)], SETTINGS)
    wide = BASE.changed(widths=(500, 500))
    assert structure_of(task, wide, plan) not in {c.structure for c in plan.choices}
    assert plan.program_for(task, wide)[0] == "kernel"


def test_a_forced_program_measures_nothing_and_says_where_it_cannot(task):
    forced = Plan(program="kernel", threads=1)
    assert make_plan(task, [Company(recipes=[BASE], steps=1e9)], forced) is forced
    with pytest.raises(InputError, match=r"program must be one that can run the recipe .*, got 'kernel'. Use auto"):
        forced.program_for(task, BASE.changed(optimizer="muon"))


def test_full_precision_is_planned_beside_what_a_screening_rounds():
    assert Plan(precision="bfloat16").in_full_precision().precision == "float32"
    assert Plan(precision="tf32", device="cuda").in_full_precision().precision == "float32"
    assert Plan(precision="float64").in_full_precision().precision == "float64"
    saved = Plan(precision="bfloat16", threads=2).of_saved_model(BASE)
    assert (saved.program, saved.precision, saved.device, saved.threads) == ("loop", "float64", "cpu", 1)
    own = Plan(precision="bfloat16").of_saved_model(Recipe(model="a:b", init="keep"))
    assert own.precision == "float32"


def test_choices_hold_for_both_precisions(task):
    plan = make_plan(task, [Company(recipes=[BASE], steps=1)], replace(SETTINGS, precision="bfloat16"))
    assert plan.program_for(task, BASE)[0] != "kernel"
    assert plan.in_full_precision().program_for(task, BASE)[0] == "kernel"
    assert len(plan.choices) == 2


def test_a_program_that_is_not_clearly_faster_takes_no_lead(task, monkeypatch):
    times = {"kernel": [1.0, 0.9], "loop": [0.8, 0.95]}

    class Timed:
        def __init__(self, task: Task, recipe: Recipe, plan: Plan) -> None:
            self.name, self.spent = plan.program, 0.0

        def steps(self, *, stretch: float, give_up: float) -> list[float]:
            return [times[self.name].pop(0)]

    monkeypatch.setattr("thalweg.population._make_plan.Trial", Timed)
    forced = [name for name in PROGRAMS if name not in times]
    for name in forced:
        monkeypatch.setattr(PROGRAMS[name], "refuses", lambda *_: "not here")
    race = _Race(task, BASE, [Company(recipes=[BASE], steps=1e9)], SETTINGS)
    race.run()
    assert race.leading == "kernel"  # 0.8 once, then 0.9 against 0.8: not 1.15 times
    times.update(kernel=[1.0, 1.0], loop=[0.5, 0.6])
    race = _Race(task, BASE, [Company(recipes=[BASE], steps=1e9)], SETTINGS)
    race.run()
    assert race.leading == "loop"
    assert race.seconds == {"kernel": 1.0, "loop": 0.5}
    assert race.refusals == dict.fromkeys(forced, "not here")


def test_lanes_stay_empty_where_few_members_go_together():
    assert filled_lanes([Company(recipes=[BASE] * 5, steps=1)], "kernel", Plan(threads=2)) == pytest.approx(5 / 3)
    assert filled_lanes([Company(recipes=[BASE] * 5, steps=1)], "loop", Plan(threads=2)) == 1
    cnn = BASE.changed(model="cnn")
    lanes = PROGRAMS["vmap"].side_by_side(cnn, SETTINGS)
    wide = cnn.changed(widths=(9,))
    assert filled_lanes([Company(recipes=[cnn] * lanes, steps=1)], "vmap", SETTINGS) == lanes
    assert filled_lanes([Company(recipes=[cnn, wide], steps=1)], "vmap", SETTINGS) == 1
    both = [Company(recipes=[cnn, wide], steps=3), Company(recipes=[cnn] * lanes, steps=1)]
    assert filled_lanes(both, "vmap", SETTINGS) == pytest.approx(4 / (3 + 1 / lanes))


# ---- what cannot be vectorised --------------------------------------------------------------------------------------


def test_what_runs_in_the_loop_for_want_of_a_program_is_said_once_when_it_begins(task):
    refused = "muon is not"
    notes: list[str] = []
    members = [Member(recipe=BASE.changed(optimizer="muon", lr=lr), seed=0) for lr in (0.1, 0.2)]
    plan = make_plan(task, [Company(recipes=[BASE, members[0].recipe], steps=1)], SETTINGS)
    session = Session(task, plan, Control(on_note=notes.append))
    session.open("one", [*members, Member(recipe=BASE, seed=0)])
    session.open("two", members)
    said = [note for note in notes if refused in note]
    assert len(said) == 1
    assert said[0].startswith("mlp with muon runs in the loop: muon is not")
    assert Plan(program="loop").slow(task, members[0].recipe) is None
    assert plan.slow(task, BASE) is None


# ---- time -----------------------------------------------------------------------------------------------------------


def test_members_that_run_side_by_side_take_as_long_as_the_fullest_core():
    assert _side_by_side([3.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert _side_by_side([2.0, 2.0, 2.0], 2) == 4.0
    assert _side_by_side([1.0, 2.0, 3.0], 1) == 6.0
    assert _side_by_side([], 2) == 0.0


def test_a_fit_finds_rates_and_none_below_zero():
    work = np.array([[1, 10.0], [1, 100.0], [1, 1000.0]])
    fit = _Fit.through(work, 0.5 + 0.01 * work[:, 1])
    assert fit.at(np.array([1, 50.0])) == pytest.approx(1.0)
    falling = _Fit.through(work, 1 / work[:, 1])
    assert (falling.rates >= 0).all()


@pytest.mark.parametrize("fields", [{"widths": (8,)}, {"widths": (64,), "activation": "gelu", "dropout": 0.2}])
def test_a_trial_times_steps_and_evaluations(digits, fields):
    trial = Trial(digits, BASE.changed(batch_size=32, **fields), Plan(program="kernel", threads=1))
    steps = trial.steps()
    assert len(steps) == 3
    assert 0 < min(steps) < 0.1
    assert 0 <= trial.evaluation(steps[0]) < 1
    assert 0 < trial.building < 1
    assert len(trial.steps(give_up=0.0)) == 1


def test_predicted_time_grows_with_members_epochs_and_size(digits):
    small, large = BASE.changed(batch_size=32, epochs=10), BASE.changed(batch_size=32, epochs=10, widths=(200, 200))
    forecast = Forecast(digits, [small, large], SETTINGS)
    one = forecast.seconds([small])
    assert forecast.seconds([small] * 4) == pytest.approx(4 * one)
    assert forecast.seconds([large]) > one
    assert 0.5 * one < forecast.seconds([small], first=4) <= 0.61 * one
    assert forecast.seconds([small], first=2, last=2) == 0
    assert forecast.seconds([small, large]) == pytest.approx(one + forecast.seconds([large]))


def test_predicted_time_is_about_what_it_takes(digits):
    # wide bounds: other work on the machine makes either side longer
    import time

    recipe = BASE.changed(widths=(64,), batch_size=32, epochs=10)
    ratios = []
    for _ in range(3):
        predicted = Forecast(digits, [recipe], SETTINGS).seconds([recipe] * 4)
        population = Population(digits, [Member(recipe=recipe, seed=0) for _ in range(4)], SETTINGS)
        started = time.perf_counter()
        population.run()
        ratios.append(predicted / (time.perf_counter() - started))
    assert 0.3 < float(np.median(ratios)) < 3


def test_the_work_of_a_step_is_known_without_a_program():
    task = small_task()
    population = Population(task, [Member(recipe=BASE, seed=0)], SETTINGS)
    n = population.programs[0].num_parameters(0)
    weights = 6 * 7 + 7 * 5 + 5 * 3
    assert step_cost(task, BASE) == pytest.approx(6 * weights * 13 + 12 * n + 1e4)
    assert set(PROGRAMS) >= {"kernel", "loop"}
