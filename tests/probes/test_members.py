"""Members that are looked at: nothing of them changes, and a resume sees what one sitting would have seen."""

# pyright: reportOptionalMemberAccess=false
from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from tests.population.conftest import BASE, small_task
from tests.population.test_checkpoint import RECIPES, assert_same, members

from thalweg.population import PROGRAMS, Checkpointer, Control, Plan, Population, empty_module
from thalweg.probes import Stretch, first_look, layer_signals, watch_members
from thalweg.recipes import Member, Recipe
from thalweg.store import RunFolder


@pytest.fixture(scope="module")
def task():
    return small_task()


def watching(task, recipe=BASE):
    """All powers of two."""
    found = watch_members(task, [Stretch(recipe, 1, 0, 10**9)])
    assert found.first == 1
    return found


def seen(population) -> list[str]:
    """As text, since the loss before a divergence may be NaN."""
    return [repr(population.probes(number)) for number in range(len(population))]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("case", RECIPES)
def test_a_member_that_is_looked_at_has_the_same_bits(task, program, case):
    plain = Population(task, members(RECIPES[case]), Plan(program=program))
    watched = Population(task, members(RECIPES[case]), Plan(program=program), watching=watching(task))
    for population in (plain, watched):
        population.run(epochs=2)
        population.run()
    assert_same(plain, watched)
    assert not any(plain.probes(n) for n in range(2))
    for n in range(2):
        steps = [probe.step for probe in watched.probes(n)]
        ends = {2 * watched.pace(n).steps_per_epoch, watched.pace(n).total_steps}
        ends |= {watched.step(n)} if watched.stopped_at(n) is not None else set()
        wanted = sorted({0, *ends, *(1 << k for k in range(12))})
        assert steps == [step for step in wanted if step <= watched.step(n)]


@pytest.mark.parametrize("case", ["patience", "diverges", "dropout"])
def test_a_resume_sees_the_same(task, tmp_path, case):
    plan = Plan()
    straight = Population(task, members(RECIPES[case]), plan, watching=watching(task))
    straight.run()
    folder = RunFolder.create(tmp_path / "run", "tune", {})
    first = Population(task, members(RECIPES[case]), plan, watching=watching(task))
    control = Control()
    control.on_segment = control.cancel  # after the first stretch
    first.run(control)
    Checkpointer(first, folder, "training").save()
    again = Population(task, members(RECIPES[case]), plan, watching=watching(task))
    Checkpointer(again, folder, "training")
    assert seen(again) == seen(first)
    again.run()
    assert_same(straight, again)
    assert seen(again) == seen(straight)
    assert json.dumps([asdict(probe) for probe in again.probes(0)])


def test_a_member_that_stops_early_is_looked_at_where_it_stops(task):
    recipe = BASE.changed(patience=1, epochs=60, lr=0.1)
    population = Population(task, [Member(recipe=recipe, seed=0)], watching=watching(task))
    population.run()
    stopped = population.stopped_at(0)
    assert stopped is not None
    assert stopped < population.pace(0).total_steps
    assert population.probes(0)[-1].step == stopped


def test_what_is_seen_is_what_the_signals_of_the_state_are(task):
    recipe = BASE.changed(widths=(9, 8, 7), activation="relu", lr=0.3, optimizer="sgd", norm="batch")
    population = Population(task, [Member(recipe=recipe, seed=1)], watching=watching(task))
    population.run(epochs=1)
    probe, state = population.probes(0)[-1], population.snapshot(0)
    assert probe.step == state.step
    x, y = task.train.x[:64], task.train.y[:64]
    module = empty_module(recipe, task.input_shape, task.output_size)
    layers = layer_signals(module, {**state.params, **state.buffers}, x, y, task.loss)
    assert probe.dead == pytest.approx(max(len(layer.dead_units) / layer.units for layer in layers))
    assert probe.first_to_last == pytest.approx(layers[0].gradient / layers[-1].gradient)
    assert probe.saturated == 0


def test_flat_layers_are_saturated_and_not_dead(task):
    recipe = BASE.changed(widths=(50,), activation="tanh", init="normal", init_scale=40.0)
    population = Population(task, [Member(recipe=recipe, seed=1)], watching=watching(task))
    population.run(epochs=1)
    assert population.probes(0)[0].saturated > 0.8
    assert population.probes(0)[0].dead == 0


def test_members_that_begin_alike_are_looked_at_once(task):
    recipes = [BASE.changed(lr=lr) for lr in (0.01, 0.02)]
    population = Population(task, [Member(recipe=r, seed=s) for r in recipes for s in (0, 1)], watching=watching(task))
    population.run(epochs=1)
    starts = [population.probes(n)[0] for n in range(4)]
    assert starts[0] is not starts[2]
    assert starts[0] == starts[2]
    assert starts[0] != starts[1]


def test_looks_are_counted():
    task, recipe = small_task(), BASE
    few = [Stretch(recipe, 100, 0, 40)]
    assert first_look(task, few) > 40  # short steps: only at the start and the end
    assert first_look(task, few, others=1e4) == 1
    firsts = [first_look(task, few, others=others) for others in np.geomspace(0.1, 1e4, 30)]
    assert firsts == sorted(firsts, reverse=True)
    big = Recipe(widths=(2048, 2048), batch_size=60)
    longer = [Stretch(each, 100, 0, 4000) for each in (recipe, big)]
    assert first_look(task, longer[1:]) < first_look(task, longer[:1])
