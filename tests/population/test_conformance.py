"""The contract of a program: every registered piece, on every program that takes it."""

from __future__ import annotations

import numpy as np
import pytest
from tests.population.conftest import BASE, every_recipe, small_task

from thalweg.population import PROGRAMS, Plan, Population, Program, Settings, Snapshot
from thalweg.recipes import Member
from thalweg.tasks import LOSSES

RECIPES = every_recipe()
CASES = [(program, case) for program in PROGRAMS for case in RECIPES]


def advance(program: Program, steps: int) -> None:
    program.advance(np.full(len(program.members), steps), np.ones(len(program.members)))


def assert_same_bits(a: Snapshot, b: Snapshot) -> None:
    assert a.step == b.step
    for part in ("params", "buffers"):
        mine, theirs = getattr(a, part), getattr(b, part)
        assert mine.keys() == theirs.keys()
        for name in mine:
            assert mine[name].tobytes() == theirs[name].tobytes(), name
    for slot in a.slots:
        for name in a.slots[slot]:
            assert a.slots[slot][name].tobytes() == b.slots[slot][name].tobytes(), (slot, name)


def make(program: str, task, members, **options) -> Program:
    return PROGRAMS[program](task, members, Settings(**options))


def skip_if_refused(program: str, task, recipe) -> None:
    refusal = PROGRAMS[program].refuses(task, recipe, Settings())
    if refusal is not None:
        pytest.skip(refusal)


@pytest.mark.parametrize(("program", "case"), CASES)
def test_alone_in_company_permuted_cut_and_resumed_are_the_same_bits(program, case, task):
    recipe = RECIPES[case]
    skip_if_refused(program, task, recipe)
    hold_to_promise_1(program, task, recipe)


def hold_to_promise_1(program, task, recipe, threads=None):
    # the kernel's threads take members; torch's would only wait for each other on tensors this small
    threads = threads or (2 if program == "kernel" else 1)
    alone = make(program, task, [Member(recipe=recipe, seed=3)], threads=threads)
    advance(alone, 7)
    company = [
        Member(recipe=recipe.changed(lr=recipe.lr * 3), seed=3),
        Member(recipe=recipe.changed(lr=recipe.lr / 2, widths=(9,) if recipe.widths else ()), seed=3),
        Member(recipe=recipe, seed=3),
        Member(recipe=recipe, seed=4),
        Member(recipe=BASE, seed=3),
    ]
    together = make(program, task, company, threads=threads)
    advance(together, 7)
    assert_same_bits(alone.snapshot(0), together.snapshot(2))
    permuted = make(program, task, [company[k] for k in (2, 0, 3, 4, 1)], threads=threads)
    advance(permuted, 3)
    advance(permuted, 4)
    assert_same_bits(alone.snapshot(0), permuted.snapshot(0))
    assert_same_bits(together.snapshot(3), permuted.snapshot(2))
    width = PROGRAMS[program].side_by_side(recipe, Settings())
    if width > 1:
        everywhere = make(program, task, [Member(recipe=recipe, seed=3)] * width, threads=threads)
        advance(everywhere, 7)
        for place in range(width):
            assert_same_bits(alone.snapshot(0), everywhere.snapshot(place))
    first = make(program, task, [Member(recipe=recipe, seed=3)], threads=threads)
    advance(first, 5)
    resumed = make(program, task, [Member(recipe=recipe, seed=3, start=first.snapshot(0))], threads=threads)
    advance(resumed, 2)
    assert_same_bits(alone.snapshot(0), resumed.snapshot(0))


@pytest.mark.parametrize("case", RECIPES)
def test_every_program_agrees_with_the_loop_in_float64(case, task):
    recipe = RECIPES[case]
    reference = make("loop", task, [Member(recipe=recipe, seed=1)], precision="float64")
    advance(reference, 6)
    for name in PROGRAMS:
        if name == "loop" or PROGRAMS[name].refuses(task, recipe, Settings()) is not None:
            continue
        program = make(name, task, [Member(recipe=recipe, seed=1)], precision="float64")
        advance(program, 6)
        assert_close(program.snapshot(0), reference.snapshot(0))
        x = task.validation.x
        np.testing.assert_allclose(program.outputs([0], x)[0], reference.outputs([0], x)[0], rtol=1e-8, atol=1e-10)


def assert_close(a: Snapshot, b: Snapshot) -> None:
    for name in a.params:
        np.testing.assert_allclose(a.params[name], b.params[name], rtol=1e-9, atol=1e-11, err_msg=name)
    for name in a.buffers:
        np.testing.assert_allclose(a.buffers[name], b.buffers[name], rtol=1e-9, atol=1e-11, err_msg=name)


LOSS_CASES = [(kind, loss) for loss, known in LOSSES.items() for kind in known.kinds]


@pytest.mark.parametrize(("kind", "loss"), LOSS_CASES)
def test_every_loss_agrees_with_the_loop_in_float64(kind, loss):
    task = small_task(kind, loss)
    smoothing = 0.1 if LOSSES[loss].link != "identity" else 0.0
    member = Member(recipe=BASE.changed(label_smoothing=smoothing), seed=1)
    programs = [make(name, task, [member], precision="float64") for name in PROGRAMS]
    losses = [program.advance(np.array([6]), np.ones(1))[0] for program in programs]
    for program, found in zip(programs[:-1], losses[:-1], strict=True):
        np.testing.assert_allclose(found, losses[-1], rtol=1e-10)
        assert_close(program.snapshot(0), programs[-1].snapshot(0))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_member_that_diverges_is_marked_and_frozen_and_stops_nobody(program, task):
    wild = BASE.changed(optimizer="sgd", lr=1e30, activation="identity")
    members = [Member(recipe=wild, seed=0), Member(recipe=BASE, seed=0)]
    together = make(program, task, members)
    losses = together.advance(np.array([20, 6]), np.ones(2))
    step = int(together.diverged_at[0])
    assert 0 < step < 20
    assert len(losses[0]) == step
    assert np.isfinite(losses[0]).all()
    before = together.snapshot(0)
    advance(together, 2)
    assert_same_bits(before, together.snapshot(0))
    alone = make(program, task, [members[1]])
    advance(alone, 8)
    assert_same_bits(alone.snapshot(0), together.snapshot(1))


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_crowd_that_reads_the_same_rows_is_the_same_bits(program, kind):
    """The kernel copies such rows in the order in which they are read."""
    task = small_task(kind)
    members = [Member(recipe=BASE.changed(lr=0.01 * (k + 1)), seed=3) for k in range(9)]
    crowd, alone = make(program, task, members, threads=2), make(program, task, members[4:5])
    for steps in (4, 9, 1, 7):  # within an epoch, over several
        advance(crowd, steps)
        advance(alone, steps)
    assert_same_bits(alone.snapshot(0), crowd.snapshot(4))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_fork_that_changes_nothing_goes_on_as_the_original(program, task):
    member = Member(recipe=BASE, seed=5)
    original = make(program, task, [member])
    advance(original, 4)
    fork = make(program, task, [Member(recipe=BASE, seed=5, start=original.snapshot(0))])
    changed = make(program, task, [Member(recipe=BASE.changed(lr=0.5), seed=5, start=original.snapshot(0))])
    for each in (original, fork, changed):
        advance(each, 4)
    assert_same_bits(original.snapshot(0), fork.snapshot(0))
    with pytest.raises(AssertionError):
        assert_same_bits(original.snapshot(0), changed.snapshot(0))


def test_snapshots_move_between_programs(task):
    member = Member(recipe=BASE, seed=5)
    kernel = make("kernel", task, [member], precision="float64")
    advance(kernel, 4)
    loop = make("loop", task, [Member(recipe=BASE, seed=5, start=kernel.snapshot(0))], precision="float64")
    advance(kernel, 1)
    advance(loop, 1)
    assert_close(kernel.snapshot(0), loop.snapshot(0))


def test_the_helpers_see_a_difference_in_the_last_bit(task):
    program = make("kernel", task, [Member(recipe=BASE, seed=0)])
    advance(program, 2)
    a, b = program.snapshot(0), program.snapshot(0)
    assert_same_bits(a, b)
    name = next(iter(b.params))
    b.params[name].flat[0] = np.nextafter(b.params[name].flat[0], np.float32(np.inf))
    with pytest.raises(AssertionError):
        assert_same_bits(a, b)
    b.params[name].flat[0] += 1e-3
    with pytest.raises(AssertionError):
        assert_close(a, b)


def test_the_population_is_the_same_however_it_is_scheduled(task):
    members = [Member(recipe=BASE.changed(lr=lr), seed=s) for lr in (0.01, 0.03) for s in (0, 1)]
    one = Population(task, members, Plan(threads=1))
    one.run()
    two = Population(task, members[::-1], Plan(threads=2))
    two.run(epochs=1)
    two.run(which=[1, 2])
    two.run()
    for number in range(4):
        assert_same_bits(one.snapshot(number), two.snapshot(3 - number))
        mine = [r for r in one.history if r.member == number]
        theirs = [r for r in two.history if r.member == 3 - number]
        assert [(r.step, r.train_loss, r.validation_loss) for r in mine] == [
            (r.step, r.train_loss, r.validation_loss) for r in theirs
        ]
