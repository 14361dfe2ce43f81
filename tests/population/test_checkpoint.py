"""A population on disk: the same bits after a resume in mid-epoch, and the last good state after a failure."""

# wrong values are given on purpose
# pyright: reportArgumentType=false, reportOptionalCall=false, reportOptionalMemberAccess=false
from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from tests.population.conftest import BASE
from tests.population.test_conformance import assert_same_bits
from tests.population.test_population import MODELS, own

from thalweg.core import RunError
from thalweg.population import (
    PROGRAMS,
    Checkpointer,
    Control,
    Plan,
    Population,
    Session,
    read_history,
    write_history,
)
from thalweg.recipes import Member, Recipe
from thalweg.store import RunFolder

RECIPES = {
    "plain": BASE,
    "dropout": BASE.changed(dropout=0.3, norm="batch", optimizer="momentum"),
    "patience": BASE.changed(epochs=30, lr=0.05, widths=(32,), patience=4),
    "plateau": BASE.changed(epochs=30, schedule="plateau", lr=0.05),
    "average": BASE.changed(optimizer="schedule_free_adamw"),
    "diverges": BASE.changed(optimizer="sgd", lr=1e30, activation="identity"),
}


def members(recipe: Recipe) -> list[Member]:
    return [Member(recipe=recipe, seed=3), Member(recipe=recipe.changed(lr=recipe.lr / 2), seed=4)]


def advance(population: Population, steps: int) -> None:
    """Trains all members for some steps, wherever that is in an epoch, as a segment that was cut off there would."""
    for cohort, program in enumerate(population.programs):
        losses = program.advance(np.full(len(program.members), steps), np.ones(len(program.members)))
        for number in range(len(population)):
            if population._place[number][0] == cohort:
                population._progress[number].losses.extend(losses[population._place[number][1]].tolist())


def assert_same(a: Population, b: Population) -> None:
    for number in range(len(a)):
        assert a.diverged_at(number) == b.diverged_at(number)
        assert a.stopped_at(number) == b.stopped_at(number)
        assert_same_bits(a.snapshot(number), b.snapshot(number))
    key = [(r.member, r.step) for r in a.history]
    assert sorted(key) == sorted((r.member, r.step) for r in b.history)
    assert sorted(map(repr, a.history)) == sorted(map(repr, b.history))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("case", RECIPES)
def test_a_resume_in_the_middle_of_an_epoch_gives_the_same_bits(task, tmp_path, program, case):
    plan = Plan(program=program)
    straight = Population(task, members(RECIPES[case]), plan)
    straight.run()
    folder = RunFolder.create(tmp_path / "run", "tune", {})
    first = Population(task, members(RECIPES[case]), plan)
    first.run(epochs=2)
    Checkpointer(first, folder, "training").save()
    again = Population(task, members(RECIPES[case]), plan)
    saver = Checkpointer(again, folder, "training")
    assert_same(first, again)
    if first.alive(0):
        advance(again, 1)  # in the third epoch
        assert again.step(0) % again.pace(0).steps_per_epoch
    saver.save()
    last = Population(task, members(RECIPES[case]), plan)
    Checkpointer(last, folder, "training")
    last.run()
    assert_same(straight, last)


def test_the_best_state_survives(task, tmp_path):
    folder = RunFolder.create(tmp_path / "run", "tune", {})
    recipe = RECIPES["patience"]
    first = Population(task, members(recipe))
    first.run(epochs=6)
    best = first.best_snapshot(0)
    assert best is not None
    Checkpointer(first, folder, "a").save()
    second = Population(task, members(recipe))
    Checkpointer(second, folder, "a")
    found = second.best_snapshot(0)
    assert found is not None
    assert_same_bits(best, found)


def test_released_members_stay_released(task, tmp_path):
    folder = RunFolder.create(tmp_path / "run", "tune", {})
    first = Population(task, members(BASE))
    first.run(epochs=1)
    first.release([1])
    Checkpointer(first, folder, "a").save()
    second = Population(task, members(BASE))
    Checkpointer(second, folder, "a")
    assert second.step(1) == first.step(1)
    assert second.last_record(1) == first.last_record(1)
    assert_same_bits(first.snapshot(0), second.snapshot(0))
    with pytest.raises(AssertionError, match="released"):
        second.snapshot(1)
    second.release([1])
    Checkpointer(second, folder, "b").save()


def test_own_modules_resume_too(task, tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    try:
        for name in ("dropped", "frozen", "Scaled"):
            straight = Population(task, [Member(recipe=own(name), seed=0)])
            straight.run()
            folder = RunFolder.create(tmp_path / name, "tune", {})
            first = Population(task, [Member(recipe=own(name), seed=0)])
            first.run(epochs=1)
            advance(first, 1)
            Checkpointer(first, folder, "a").save()
            second = Population(task, [Member(recipe=own(name), seed=0)])
            Checkpointer(second, folder, "a")
            second.run()
            assert_same(straight, second)
    finally:
        sys.modules.pop("own_models", None)


# ---- history --------------------------------------------------------------------------------------------------------


def test_history_round_trips(task, tmp_path):
    population = Population(task, members(BASE))
    population.run()
    write_history(tmp_path / "h.parquet", {"a": population.history, "b": population.history[:1]})
    assert read_history(tmp_path / "h.parquet") == {"a": population.history, "b": population.history[:1]}
    data = (tmp_path / "h.parquet").read_bytes()
    for size in (0, 10, len(data) // 2):
        (tmp_path / "h.parquet").write_bytes(data[:size])
        with pytest.raises(RunError, match=r"h.parquet is damaged .* Restore it from a copy, or run again") as caught:
            read_history(tmp_path / "h.parquet")
        assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match="is damaged"):
        read_history(tmp_path / "none.parquet")


def test_segments_after_the_checkpoint_are_written_again(task, tmp_path):
    folder = RunFolder.create(tmp_path / "run", "tune", {})
    population = Population(task, members(BASE))
    saver = Checkpointer(population, folder, "a")
    population.run(epochs=1)
    saver.save()
    state = folder.checkpoint_path("a").read_bytes()
    population.run(epochs=2)
    saver.save()
    assert len(folder.segments("a")) == 2
    folder.checkpoint_path("a").write_bytes(state)  # killed between the segment and the state
    second = Population(task, members(BASE))
    again = Checkpointer(second, folder, "a")
    assert len(folder.segments("a")) == 1
    second.run()
    again.save()
    third = Population(task, members(BASE))
    Checkpointer(third, folder, "a")
    assert third.history == second.history
    assert len({(r.member, r.step) for r in third.history}) == len(third.history)


def test_without_a_checkpoint_old_segments_are_not_read(task, tmp_path):
    folder = RunFolder.create(tmp_path / "run", "tune", {})
    population = Population(task, members(BASE))
    saver = Checkpointer(population, folder, "a")
    for epochs in (1, 2, 3):
        population.run(epochs=epochs)
        saver.save()
    folder.checkpoint_path("a").unlink()
    second = Population(task, members(BASE))
    again = Checkpointer(second, folder, "a")
    assert second.step(0) == 0
    second.run()
    again.save()
    third = Population(task, members(BASE))
    Checkpointer(third, folder, "a")
    assert_same(population, third)


# ---- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["half", "empty", "header", "segment", "no_segment", "other"])
def test_a_damaged_checkpoint_is_one_line_with_the_way_on(task, tmp_path, damage):
    folder = RunFolder.create(tmp_path / "run", "tune", {})
    first = Population(task, members(BASE))
    first.run()
    Checkpointer(first, folder, "a").save()
    path, segment = folder.checkpoint_path("a"), folder.segments("a")[0]
    data = path.read_bytes()
    if damage == "segment":
        segment.write_bytes(segment.read_bytes()[:40])
    elif damage == "no_segment":
        segment.unlink()
    elif damage == "other":
        from thalweg.store import save_arrays

        save_arrays(path, {"a": np.zeros(3)}, {"members": [{}], "num_records": 1})
    else:
        path.write_bytes(data[: {"half": len(data) // 2, "empty": 0, "header": 20}[damage]])
    with pytest.raises(RunError) as caught:
        Checkpointer(Population(task, members(BASE)), folder, "a")
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(f"Delete {path} to repeat this part: the result will be the same.")
    path.unlink()
    again = Population(task, members(BASE))
    Checkpointer(again, folder, "a")
    again.run()
    assert_same(first, again)


def test_a_disk_that_fills_in_the_middle_of_a_run(task, tmp_path):
    """Files of the child may not grow past a size that the first checkpoint fits in and a later one does not."""
    code = f"""
        import resource
        from tests.population.conftest import BASE, small_task
        from thalweg.core import RunError
        from thalweg.population import Plan, Session
        from thalweg.recipes import Member
        from thalweg.store import RunFolder

        folder = RunFolder.create({str(tmp_path / "run")!r}, "tune", {{}})
        session = Session(small_task(), Plan(), None, folder)
        recipe = BASE.changed(widths=(64, 64), epochs=6)
        session.open("a", [Member(recipe=recipe, seed=0)])
        session.run("a", epochs=2)
        session._checkpoints["a"].save()
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        session.run("a", epochs=4)
        try:
            session._checkpoints["a"].save()
        except RunError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    path = tmp_path / "run" / "checkpoint" / "a.safetensors"
    assert done.stdout.startswith(f"cannot write {path}: the file may not grow any larger.")
    assert done.stdout.count("\n") == 1
    assert not list((tmp_path / "run").rglob("*.part"))
    recipe = BASE.changed(widths=(64, 64), epochs=6)
    straight = Population(task, [Member(recipe=recipe, seed=0)])
    straight.run()
    session = Session(task, Plan(), None, RunFolder(tmp_path / "run"))
    population = session.open("a", [Member(recipe=recipe, seed=0)])
    assert population.step(0) == 2 * population.pace(0).steps_per_epoch
    assert session.run("a")
    assert_same(straight, population)


# ---- sessions -------------------------------------------------------------------------------------------------------


def test_a_session_saves_where_it_was_cancelled_and_cleans_up(task, tmp_path):
    folder = RunFolder.create(tmp_path / "run", "tune", {})
    half = folder.path / ".result.json.77.part"
    half.write_bytes(b"half")
    control = Control()
    control.on_progress = lambda steps: control.cancel()
    long = BASE.changed(epochs=3000)
    with folder.locked():
        assert not half.exists()
    session = Session(task, Plan(), control, folder)
    population = session.open("a", [Member(recipe=long, seed=0)])
    assert not session.run("a")
    done = population.step(0)
    assert 0 < done < population.pace(0).total_steps
    reported: list[int] = []
    second = Session(task, Plan(), Control(on_progress=reported.append), folder)
    again = second.open("a", [Member(recipe=long, seed=0)])
    assert again.step(0) == done == sum(reported)
    assert_same_bits(population.snapshot(0), again.snapshot(0))
