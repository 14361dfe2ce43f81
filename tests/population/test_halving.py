"""Successive halving: its rungs, its ranks, and a resume in the middle."""

# wrong values are given on purpose
# pyright: reportArgumentType=false, reportOptionalCall=false, reportOptionalMemberAccess=false
from __future__ import annotations

import math
import shutil
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.population.conftest import BASE

from thalweg.population import Control, Plan, Session, halving_rungs, rank, run_halving, split_brackets
from thalweg.recipes import Member
from thalweg.store import RunFolder

MEMBERS = [
    Member(recipe=BASE.changed(epochs=9, lr=lr, optimizer=optimizer), seed=0)
    for optimizer in ("sgd", "adam", "momentum")
    for lr in (1e-4, 0.01, 0.3)
]


@given(st.integers(1, 2000), st.integers(1, 300), st.integers(1, 20))
def test_rungs(num_members, epochs, finalists):
    finalists = min(finalists, num_members)
    rungs = halving_rungs(num_members, epochs, finalists=finalists)
    assert rungs[0].members == num_members
    assert rungs[-1].epochs == epochs
    assert all(a.epochs < b.epochs for a, b in pairwise(rungs))
    assert all(a.members >= b.members for a, b in pairwise(rungs))
    assert all(rung.epochs >= 1 for rung in rungs)
    assert all(finalists <= rung.members <= num_members for rung in rungs)
    for before, after in pairwise(rungs):
        assert after.members <= max(finalists, math.ceil(before.members / 3) + 1)


def test_rungs_by_hand():
    assert [(r.epochs, r.members) for r in halving_rungs(324, 27, finalists=8)] == [
        (1, 324),
        (3, 108),
        (9, 36),
        (27, 12),
    ]
    assert [(r.epochs, r.members) for r in halving_rungs(8, 27, finalists=8)] == [(27, 8)]
    assert [(r.epochs, r.members) for r in halving_rungs(324, 1, finalists=8)] == [(1, 324)]


@pytest.mark.parametrize("num", [54, 80, 122, 324, 400, 700, 1024, 5000])
def test_a_recipe_costs_the_same_whatever_the_size_of_the_search(num):
    # brackets of 79 that kept 3 had three rungs and took 6.5 epochs a recipe, where those of 81 took 2.8
    epochs = 0
    for bracket in split_brackets(num, size=54):
        before = 0
        for rung in halving_rungs(len(bracket), 24, finalists=2):
            epochs += rung.members * (rung.epochs - before)
            before = rung.epochs
    assert 2.5 <= epochs / num <= 2.9


def halved(task, folder=None, control=None, size=9):
    session = Session(task, Plan(), control, folder)
    population = session.open("screening", MEMBERS)
    brackets = split_brackets(len(MEMBERS), size=size)
    return session, population, run_halving(session, "screening", brackets, 9, finalists=1, higher_is_better=True)


@given(st.integers(1, 500), st.integers(1, 200))
def test_brackets_hold_every_member_once_and_are_alike(num, size):
    brackets = split_brackets(num, size=size)
    assert sorted(member for bracket in brackets for member in bracket) == list(range(num))
    assert max(map(len, brackets)) - min(map(len, brackets)) <= 1
    assert all(bracket == sorted(bracket) for bracket in brackets)


@pytest.mark.parametrize("size", [9, 5])
def test_the_better_third_of_a_bracket_goes_on(task, size):
    session, population, survivors = halved(task, size=size)
    assert survivors is not None
    steps = population.pace(0).steps_per_epoch
    for bracket in split_brackets(9, size=size):
        going_on = bracket
        rungs = halving_rungs(len(bracket), 9, finalists=1)
        for rung, later in pairwise(rungs):
            ranked = rank(population, going_on, higher_is_better=True, epochs=rung.epochs)
            going_on = ranked[: later.members]
            for number in ranked[later.members :]:
                assert population.step(number) <= rung.epochs * steps
        full = {n for n in bracket if population.step(n) == 9 * steps}
        assert full <= set(going_on) <= set(survivors)
    last = [population.last_record(n).validation_score for n in survivors if population.diverged_at(n) is None]
    assert last == sorted(last, reverse=True)
    assert len({record.member for record in session.history("screening")}) == 9


def test_ranks_by_score_then_loss_then_place_and_diverged_last(task):
    wild = BASE.changed(optimizer="sgd", lr=1e30, activation="identity")
    recipes = [wild, BASE, BASE, BASE.changed(lr=1e-6)]
    session = Session(task, Plan())
    population = session.open("a", [Member(recipe=recipe, seed=0) for recipe in recipes])
    session.run("a")
    assert population.diverged_at(0) is not None
    order = rank(population, [3, 2, 0, 1], higher_is_better=True)
    assert order[-1] == 0
    assert order.index(1) + 1 == order.index(2)  # equal in all: the earlier first
    keys = [(-r.validation_score, r.validation_loss) for n in order[:-1] if (r := population.last_record(n))]
    assert keys == sorted(keys)
    assert rank(population, [1, 3], higher_is_better=False) != rank(population, [1, 3], higher_is_better=True)


@pytest.mark.parametrize("stop_after", [1, 3, 7])
def test_a_halving_that_was_interrupted_ends_with_the_same_survivors(task, tmp_path, stop_after):
    whole = RunFolder.create(tmp_path / "whole", "tune", {})
    session, population, survivors = halved(task, whole)
    session.merge_history()
    part = RunFolder.create(tmp_path / "part", "tune", {})
    control, segments = Control(), []

    def on_progress(steps: int) -> None:
        segments.append(steps)
        if len(segments) == stop_after:
            control.cancel()

    control.on_progress = on_progress
    _, _, nothing = halved(task, part, control)
    assert nothing is None
    shutil.copytree(part.path, tmp_path / "copy")
    resumed_session, resumed, found = halved(task, RunFolder(tmp_path / "copy"))
    assert found == survivors
    assert resumed_session.history("screening") == session.history("screening")
    resumed_session.merge_history()
    assert (whole.path / "history.parquet").read_bytes() == (tmp_path / "copy" / "history.parquet").read_bytes()
    for number in found or []:
        for name, array in population.eval_params(number).items():
            assert array.tobytes() == resumed.eval_params(number)[name].tobytes()
