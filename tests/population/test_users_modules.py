"""Users' modules: promise 1 in every program, one result in all, and a reason where vmap cannot run one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.population.conftest import BASE
from tests.population.test_conformance import advance, assert_close, assert_same_bits, hold_to_promise_1, make

from thalweg.population import PROGRAMS, Settings, _vmap_program
from thalweg.recipes import Member
from thalweg.tasks import Task, load_task

STACKED = ("Transformer", "ByHand", "Norms", "Noisy", "Frozen")
LOOPED = {
    "Recurrent": "vmap of tests.population.users:Recurrent raised",
    "Branching": "data-dependent control flow",
    "Averaging": "item()",
    "Ruleless": "not yet implemented the batching rule",
}


def recipe_of(name):
    return BASE.changed(model=f"tests.population.users:{name}", init="keep", widths=(), optimizer="momentum")


@pytest.fixture(scope="session")
def sequences() -> Task:
    rng = np.random.default_rng(8)
    x = rng.standard_normal((60, 16))
    return load_task((x, (x @ rng.standard_normal((16, 3))).argmax(axis=1)), kind="multiclass")


@pytest.mark.parametrize("name", STACKED)
def test_vmap_runs_it(name, sequences):
    assert PROGRAMS["vmap"].refuses(sequences, recipe_of(name), Settings()) is None
    assert PROGRAMS["vmap"].refuses(sequences, recipe_of(name), Settings(precision="float64")) is None


@pytest.mark.parametrize("name", LOOPED)
def test_vmap_refuses_it_and_says_why(name, sequences):
    refusal = PROGRAMS["vmap"].refuses(sequences, recipe_of(name), Settings())
    assert refusal is not None
    assert LOOPED[name] in refusal
    assert "\n" not in refusal


def test_vmap_refuses_what_changes_from_call_to_call(sequences):
    refusal = PROGRAMS["vmap"].refuses(sequences, recipe_of("Counting"), Settings())
    assert refusal == "vmap of tests.population.users:Counting gives another head.weight than the model alone"


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_trial_at_full_size_finds_products_that_round_by_lane(precision):
    rng = np.random.default_rng(8)
    x = rng.standard_normal((300, 131))
    task = load_task((x, (x @ rng.standard_normal((131, 3))).argmax(axis=1)), kind="multiclass")
    recipe = recipe_of("Einsum").changed(batch_size=61)
    refusal = PROGRAMS["vmap"].refuses(task, recipe, Settings(precision=precision))
    if refusal is not None:  # which products round by lane is up to the machine's BLAS
        assert refusal == "a member's rounding in tests.population.users:Einsum would depend on its lane"
        return
    members = [Member(recipe=recipe, seed=seed) for seed in range(16)]
    forth, back = (make("vmap", task, some, precision=precision) for some in (members, members[::-1]))
    advance(forth, 2)
    advance(back, 2)
    for k in range(16):
        assert_same_bits(forth.snapshot(k), back.snapshot(15 - k))


def test_the_trial_sees_a_lane_that_rounds_otherwise(sequences, monkeypatch):
    def last_bit_off(*args):
        losses, grads, buffers = honest(*args)
        grads["last.weight"][3].view(-1)[0] *= 1 + 2**-20
        return losses, grads, buffers

    honest = _vmap_program._gradients
    monkeypatch.setattr(_vmap_program, "_gradients", last_bit_off)
    monkeypatch.setattr(_vmap_program, "_trials", {})
    refusal = PROGRAMS["vmap"].refuses(sequences, recipe_of("Frozen"), Settings())
    assert refusal == "a member's rounding in tests.population.users:Frozen would depend on its lane"


@pytest.mark.parametrize("name", [*STACKED, *LOOPED])
def test_a_member_is_the_same_alone_and_in_company_in_the_loop(name, sequences):
    hold_to_promise_1("loop", sequences, recipe_of(name))


@pytest.mark.parametrize("name", STACKED)
def test_a_member_is_the_same_alone_and_in_company_under_vmap(name, sequences):
    hold_to_promise_1("vmap", sequences, recipe_of(name))


@pytest.mark.parametrize("name", STACKED)
def test_vmap_agrees_with_the_loop(name, sequences):
    member = Member(recipe=recipe_of(name).changed(clip_norm=0.5, alpha=0.01, l1_ratio=0.5), seed=1)
    loop, stacked = (make(program, sequences, [member], precision="float64") for program in ("loop", "vmap"))
    advance(loop, 1)
    advance(stacked, 1)
    for name_, value in loop.snapshot(0).params.items():
        np.testing.assert_allclose(stacked.snapshot(0).params[name_], value, rtol=1e-10, atol=1e-13)
    advance(loop, 5)
    advance(stacked, 5)
    assert_close(stacked.snapshot(0), loop.snapshot(0))
    x = sequences.validation.x
    np.testing.assert_allclose(stacked.outputs([0], x)[0], loop.outputs([0], x)[0], rtol=1e-8, atol=1e-10)


@pytest.fixture(scope="session")
def images() -> Task:
    rng = np.random.default_rng(9)
    x = rng.standard_normal((60, 2, 9, 8)).astype(np.float32)
    return load_task((x, (x[:, 0, :3, :3].mean((1, 2)) > 0).astype(np.int64)), kind="binary")


CNNS = {
    "plain": {},
    "batch": {"norm": "batch"},
    "layer-dropout": {"norm": "layer", "dropout": 0.3},
    "maxout": {"activation": "maxout"},
    "prelu-batch-dropout": {"activation": "prelu", "norm": "batch", "dropout": 0.2},
    "one-block": {"widths": (3,), "activation": "gelu"},
    "three-blocks": {"widths": (2, 3, 4), "norm": "layer", "activation": "maxout", "activation_parameter": 3},
    "orthogonal": {"init": "orthogonal"},
    "lsuv": {"init": "lsuv", "norm": "batch"},
    "ridge": {"alpha": 0.3, "l1_ratio": 0.0},
    "lasso": {"alpha": 0.1, "l1_ratio": 1.0},
    "elastic-net-clip-adamw": {"alpha": 0.1, "l1_ratio": 0.5, "clip_norm": 0.05, "optimizer": "adamw"},
    "label-smoothing-schedule": {"label_smoothing": 0.1, "schedule": "cosine", "warmup": 0.2, "weight_decay": 0.1},
}


@pytest.mark.parametrize("program", ["kernel", "loop", "vmap"])
@pytest.mark.parametrize("case", CNNS)
def test_cnns_are_the_same_alone_and_in_company(program, case, images):
    recipe = BASE.changed(**{"model": "cnn", "widths": (3, 5), "optimizer": "momentum", **CNNS[case]})
    assert PROGRAMS[program].refuses(images, recipe, Settings()) is None
    hold_to_promise_1(program, images, recipe)


@pytest.mark.parametrize("program", ["kernel", "vmap"])
@pytest.mark.parametrize("case", CNNS)
def test_cnns_agree_with_the_loop(program, case, images):
    recipe = BASE.changed(**{"model": "cnn", "widths": (3, 5), "optimizer": "momentum", **CNNS[case]})
    loop, other = (make(p, images, [Member(recipe=recipe, seed=1)], precision="float64") for p in ("loop", program))
    advance(loop, 4)
    advance(other, 4)
    assert_close(other.snapshot(0), loop.snapshot(0))
    x = images.validation.x
    np.testing.assert_allclose(other.outputs([0], x)[0], loop.outputs([0], x)[0], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("program", ["loop", "vmap"])
def test_draws_follow_the_seed_and_leave_torch_generator_alone(program, sequences):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    members = [Member(recipe=recipe_of("Noisy").changed(init="he"), seed=seed) for seed in (0, 1)]
    made = make(program, sequences, members)
    advance(made, 2)
    assert torch.rand(1) == expected
    start = made.snapshot(0)
    forks = make(program, sequences, [Member(recipe=m.recipe, seed=m.seed, start=start) for m in members])
    before = forks.outputs([0, 1], sequences.validation.x)
    assert not np.array_equal(before[0], before[1])
    assert np.array_equal(before[0], made.outputs([0], sequences.validation.x)[0])
    advance(forks, 1)
    with pytest.raises(AssertionError):
        assert_same_bits(forks.snapshot(0), forks.snapshot(1))
