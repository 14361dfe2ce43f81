"""Stacked programs: lanes, micro-batches, memory that runs out, precision, tensors of fixed place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.population.conftest import BASE, every_recipe, small_task
from tests.population.test_conformance import advance, assert_close, assert_same_bits, make
from tests.population.test_users_modules import recipe_of, sequences  # noqa: F401

from thalweg.core import InputError, RunError
from thalweg.population import PROGRAMS, Plan, Population, Settings
from thalweg.population._products import aligned_matmul, stacked_linear
from thalweg.recipes import Member

STACKED = ("batched", "vmap")
ALL = (*STACKED, "loop")


@pytest.mark.parametrize("program", STACKED)
def test_more_members_than_lanes_in_any_schedule(program, task, monkeypatch):
    monkeypatch.setattr(PROGRAMS[program], "lanes", {"cpu": 2})
    recipes = [BASE.changed(lr=lr, dropout=d, epochs=e) for lr, d, e in ((0.01, 0.1, 2), (0.03, 0.4, 3), (0.1, 0.2, 3))]
    members = [Member(recipe=recipe, seed=seed) for recipe in recipes for seed in (0, 1)][:5]
    one = Population(task, members, Plan(program=program))
    one.run()
    two = Population(task, members[::-1], Plan(program=program))
    two.run(epochs=1)
    two.release([0])
    two.run(which=[1, 3])
    two.run(which=[1, 2, 3, 4])
    for number in range(4):
        assert_same_bits(one.snapshot(number), two.snapshot(4 - number))
        mine = [r for r in one.history if r.member == number]
        theirs = [r for r in two.history if r.member == 4 - number]
        assert [(r.step, r.train_loss, r.validation_loss) for r in mine] == [
            (r.step, r.train_loss, r.validation_loss) for r in theirs
        ]


@pytest.mark.parametrize("program", STACKED)
def test_released_members_leave_the_others_as_they_are(program, task):
    members = [Member(recipe=BASE, seed=seed) for seed in range(4)]
    made = make(program, task, members)
    advance(made, 2)
    expected = made.snapshot(2)
    for index in (0, 3, 1):
        made.release(index)
    assert_same_bits(made.snapshot(2), expected)
    with pytest.raises(AssertionError, match="released"):
        made.snapshot(1)
    alone = make(program, task, [members[2]])
    advance(alone, 3)
    made.advance(np.array([0, 0, 1, 0]), np.ones(4))
    assert_same_bits(made.snapshot(2), alone.snapshot(0))


@pytest.mark.parametrize("program", STACKED)
@pytest.mark.parametrize("diverges", [False, True])
def test_tensors_of_fixed_place_give_the_same_bits(program, diverges, task):
    # what a CUDA graph replays: every step writes in place and no one looks at the losses before the end
    lr = 1e30 if diverges else 0.01
    recipe = BASE.changed(optimizer="sgd", norm="batch", dropout=0.2, activation="identity")
    members = [Member(recipe=recipe, seed=1), Member(recipe=recipe.changed(lr=lr), seed=0)]
    plain, fixed = make(program, task, members), make(program, task, members)
    fixed._fixed = True  # type: ignore[attr-defined]
    for steps in ((5, 2), (0, 3), (40, 40)):
        found = [p.advance(np.array(steps), np.ones(2)) for p in (plain, fixed)]
        for mine, theirs in zip(*found, strict=True):
            assert mine.tobytes() == theirs.tobytes()
    assert (plain.diverged_at[1] >= 0) == diverges
    assert np.array_equal(plain.diverged_at, fixed.diverged_at)
    for index in (0, 1):
        assert_same_bits(plain.snapshot(index), fixed.snapshot(index))


@pytest.mark.parametrize("program", ALL)
def test_micro_batches_give_the_gradient_of_the_batch(program, task):
    recipe = BASE.changed(dropout=0.4, norm="layer", label_smoothing=0.1, clip_norm=0.5)
    whole = make(program, task, [Member(recipe=recipe, seed=1)], precision="float64")
    parts = make(program, task, [Member(recipe=recipe, seed=1)], precision="float64", micro_batch=5)
    losses = [p.advance(np.array([4]), np.ones(1))[0] for p in (whole, parts)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-10)
    assert_close(parts.snapshot(0), whole.snapshot(0))
    with pytest.raises(AssertionError):
        assert_same_bits(parts.snapshot(0), whole.snapshot(0))


@pytest.mark.parametrize("name", ["Transformer", "ByHand"])
@pytest.mark.parametrize("program", ["vmap", "loop"])
def test_micro_batches_of_users_modules_draw_what_the_batch_draws(program, name, sequences):  # noqa: F811
    member = Member(recipe=recipe_of(name), seed=1)
    whole = make(program, sequences, [member], precision="float64")
    parts = make(program, sequences, [member], precision="float64", micro_batch=4)
    for each in (whole, parts):
        advance(each, 2)
    assert_close(parts.snapshot(0), whole.snapshot(0))


@pytest.mark.parametrize("program", ALL)
def test_micro_batches_are_refused_for_batch_norm(program, task, sequences):  # noqa: F811
    settings = Settings(micro_batch=4)
    assert PROGRAMS[program].refuses(task, BASE, settings) is None
    cases = [(task, BASE.changed(norm="batch"))]
    if program != "batched":
        cases.append((sequences, recipe_of("Norms")))
    for some, recipe in cases:
        assert PROGRAMS[program].refuses(some, recipe, Settings()) is None
        refusal = PROGRAMS[program].refuses(some, recipe, settings)
        assert refusal == "batch norm would take its statistics from a micro-batch in place of the batch"
    with pytest.raises(InputError, match="batch norm would take its statistics"):
        Plan(micro_batch=4, precision="bfloat16").program_for(task, BASE.changed(norm="batch"))


@pytest.mark.parametrize("program", ["vmap", "loop"])
def test_out_of_memory_halves_the_micro_batch_and_goes_on(program, sequences):  # noqa: F811
    hungry, modest = (
        make(program, sequences, [Member(recipe=recipe_of(name), seed=1)], precision="float64")
        for name in ("Hungry", "Modest")
    )
    losses = [p.advance(np.array([5]), np.ones(1))[0] for p in (hungry, modest)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-10)
    assert_close(hungry.snapshot(0), modest.snapshot(0))
    assert hungry.notes == [f"The device was out of memory: batches are taken {n} rows at a time." for n in (6, 3)]
    assert modest.notes == []


@pytest.mark.parametrize("program", ["vmap", "loop"])
def test_out_of_memory_with_batch_norm_is_one_line(program, sequences):  # noqa: F811
    made = make(program, sequences, [Member(recipe=recipe_of("HungryNorm"), seed=1)])
    with pytest.raises(RunError, match="out of memory, and batch norm needs the whole batch"):
        advance(made, 1)
    assert made.step[0] == 0


@pytest.mark.parametrize("program", ALL)
@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_bfloat16_products_keep_float32_weights(program, norm, task):
    recipe = BASE.changed(norm=norm, dropout=0.2)
    assert PROGRAMS[program].refuses(task, recipe, Settings(precision="bfloat16")) is None
    half, single = (make(program, task, [Member(recipe=recipe, seed=1)], precision=p) for p in ("bfloat16", "float32"))
    losses = [p.advance(np.array([6]), np.ones(1))[0] for p in (half, single)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.05)
    assert (losses[0] != losses[1]).any()
    assert {a.dtype for a in half.snapshot(0).params.values()} == {np.dtype(np.float32)}
    assert half.outputs([0], task.validation.x)[0].dtype == np.float32


@pytest.mark.parametrize("program", ALL)
def test_what_the_machine_lacks_is_refused_in_a_clause(program, task):
    assert PROGRAMS[program].refuses(task, BASE, Settings(precision="tf32")) == "tf32 is a mode of CUDA's matrix units"
    if not torch.cuda.is_available():
        refusal = PROGRAMS[program].refuses(task, BASE, Settings(device="cuda"))
        assert refusal == "this torch finds no CUDA device"


@pytest.mark.parametrize("program", STACKED)
def test_every_other_piece_is_taken(program, task):
    for case, recipe in every_recipe().items():
        refusal = PROGRAMS[program].refuses(task, recipe, Settings())
        expected = "not an elementwise rule" if recipe.optimizer in ("muon", "random_search") else "None"
        assert expected in str(refusal), case


def test_rules_that_are_not_elementwise_are_refused(task):
    for program in STACKED:
        refusal = PROGRAMS[program].refuses(task, BASE.changed(optimizer="muon"), Settings())
        assert refusal == "muon is not an elementwise rule"


def assert_lanes_agree(t: torch.Tensor) -> None:
    assert all(torch.equal(t[0], lane) for lane in t[1:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_padded_products_round_alike_in_every_lane(dtype):
    draw = torch.Generator().manual_seed(0)
    for _ in range(40):
        B, D, C = (int(n) for n in torch.randint(1, 90, (3,), generator=draw))
        x, w, b = (torch.randn(s, generator=draw, dtype=dtype) for s in ((B, D), (C, D), (C,)))
        stacked = [t.expand(8, *t.shape).contiguous().requires_grad_() for t in (x, w, b)]
        out = stacked_linear(*stacked)
        torch.testing.assert_close(out[0], torch.nn.functional.linear(x, w, b))
        for t in (out, *torch.autograd.grad((out * out).sum(), stacked)):
            assert_lanes_agree(t)
        product = aligned_matmul(stacked[0], stacked[1].mT)
        torch.testing.assert_close(product[0], x @ w.mT)
        for t in (product, *torch.autograd.grad((product * product).sum(), stacked[:2])):
            assert_lanes_agree(t)
    with pytest.raises(AssertionError):
        assert_lanes_agree(torch.tensor([1.0, 1.0, 1.0 + 1e-7]))


def test_a_task_with_full_batches_and_every_kind_runs_under_smoothing():
    for kind in ("binary", "multilabel", "multiclass"):
        task = small_task(kind)
        recipe = BASE.changed(batch_size=None, label_smoothing=0.1)
        found = []
        for program in ALL:
            made = make(program, task, [Member(recipe=recipe, seed=0)], precision="float64")
            found.append(made.advance(np.array([3]), np.ones(1))[0])
        np.testing.assert_allclose(found[0], found[2], rtol=1e-10)
        np.testing.assert_allclose(found[1], found[2], rtol=1e-10)
