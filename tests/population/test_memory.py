"""What members need of the memory, what there is, and what a child process with limited memory can do."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.population.conftest import BASE

from thalweg.core import InputError, RunError
from thalweg.population import (
    PROGRAMS,
    Fit,
    Plan,
    available_memory,
    check_memory,
    largest_micro_batch,
    largest_population,
    member_memory,
    needed_memory,
    probe_fits,
    show_bytes,
)
from thalweg.population._memory import _free_in_groups
from thalweg.population._probe import _search
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task, load_task

SETTINGS = Plan(threads=1)
MB = 1 << 20


@pytest.fixture(scope="module")
def images() -> Task:
    return load_task("digits")


@pytest.mark.parametrize("program", ["kernel", "loop"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_member_holds_what_is_predicted(task, program, optimizer):
    recipe = BASE.changed(widths=(512, 512), optimizer=optimizer)
    plan = Plan(program=program, threads=1)
    held = PROGRAMS[program](task, [Member(recipe=recipe, seed=0)], plan).snapshot(0)
    trees = [held.params, held.buffers, *held.slots.values()]
    size = sum(array.nbytes for tree in trees for array in tree.values())
    memory = member_memory(task, recipe, plan)
    params = sum(array.nbytes for array in held.params.values())
    module = params if program == "loop" else 0
    assert size + module <= memory.member <= 1.01 * (size + module) + 4096
    assert memory.working >= params  # the gradient
    double = member_memory(task, recipe, Plan(program=program, threads=1, precision="float64"))
    assert double.member == pytest.approx(2 * memory.member, rel=0.01)


def test_working_memory_grows_with_the_batch_and_not_with_the_rows_beyond_a_micro_batch(images):
    small, large = (BASE.changed(model="cnn", widths=(8,), batch_size=n) for n in (16, 256))
    plan = Plan(program="loop", threads=1)
    activations = (member_memory(images, r, plan).working for r in (small, large))
    first, second = activations
    assert second > 5 * first
    parts = Plan(program="loop", threads=1, micro_batch=16)
    assert member_memory(images, large, parts).working == first


def test_a_population_needs_its_members_and_what_is_needed_once(task):
    recipe = BASE.changed(widths=(256, 256))
    one, ten = (needed_memory(task, [recipe] * n, SETTINGS) for n in (1, 10))
    memory = member_memory(task, recipe, SETTINGS)
    assert ten - one <= 9 * (memory.member + memory.saving)
    assert ten == memory.total(10, 1)
    mixed = needed_memory(task, [recipe, recipe.changed(optimizer="muon")], SETTINGS)
    assert mixed > one


def test_what_does_not_fit_is_refused_in_one_line(task):
    wide = BASE.changed(widths=(10**6, 10**6))
    with pytest.raises(
        InputError, match=r"^memory must be enough for 3 members \(.* TB\), got '.*B free'\. Try less\.$"
    ):
        check_memory(task, [wide] * 3, SETTINGS, remedy="Try less.")
    check_memory(task, [BASE] * 3, SETTINGS, remedy="Try less.")


def test_free_memory_is_that_of_the_system_and_of_the_control_groups(tmp_path):
    assert 1 * MB < available_memory() < 1 << 50
    own = tmp_path / "own"

    def write(folder: Path, limit: str, used: int, cached: int, version: int) -> None:
        names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        folder.mkdir(parents=True)
        (folder / names[0]).write_text(f"{limit}\n")
        (folder / names[1]).write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\n")

    write(tmp_path / "a", "1000", 700, 100, 2)
    write(tmp_path / "a/b", "max", 600, 0, 2)
    own.write_text("0::/a/b\n")
    assert _free_in_groups(tmp_path, own) == [400]
    write(tmp_path / "memory/c", "5000", 1000, 0, 1)
    own.write_text("5:cpu:/x\n4:memory:/c\n")
    assert _free_in_groups(tmp_path, own) == [4000]
    assert _free_in_groups(tmp_path, tmp_path / "none") == []


def test_amounts_are_shown_as_a_person_reads_them():
    assert [show_bytes(n) for n in (12, 1234, 2.5e9, 7e15)] == ["12 B", "1.23 kB", "2.5 GB", "7e+03 TB"]


# ---- how many fit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("truth", [0, 1, 2, 7, 63, 99, 100])
@pytest.mark.parametrize("predicted", [0, 1, 20, 70, 100])
def test_the_search_starts_at_the_prediction_and_ends_near_the_truth(truth, predicted):
    tried: list[int] = []

    def fits(num: int) -> bool:
        tried.append(num)
        return num <= truth

    fit = _search(lambda num: num <= predicted, fits, most=100, limit=5, probe=True)
    assert fit.predicted == predicted
    assert fit.probed is not None
    assert fit.probed <= truth
    assert truth <= 1.1 * fit.probed
    assert tried[0] == max(1, predicted)
    assert len(set(tried)) == len(tried)
    if truth == predicted == 100:
        assert tried == [100]


def test_without_a_probe_there_is_a_prediction(images):
    recipe = Recipe(widths=(256,), batch_size=32)
    fit = largest_population(images, recipe, SETTINGS, limit=50 * MB, probe=False)
    memory = member_memory(images, recipe, SETTINGS)
    assert fit.probed is None
    assert memory.total(fit.predicted, 1) <= 50 * MB < memory.total(fit.predicted + 1, 1)
    assert largest_population(images, recipe, SETTINGS, limit=50 * MB, most=3, probe=False) == Fit(
        limit=50 * MB, predicted=3, probed=None
    )


def test_micro_batches_are_refused_for_batch_norm(images):
    recipe = Recipe(model="cnn", widths=(4,), norm="batch", batch_size=32)
    with pytest.raises(InputError, match=r"^micro_batch must be off with batch norm. Statistics of a part"):
        largest_micro_batch(images, recipe, SETTINGS, limit=50 * MB)


def test_a_child_process_finds_what_the_arithmetic_predicts(images):
    recipe = Recipe(widths=(512, 512), batch_size=64)
    memory = member_memory(images, recipe, SETTINGS)
    limit = memory.total(40, 1)
    assert probe_fits(images, recipe, SETTINGS, 25, limit=limit)
    assert not probe_fits(images, recipe, SETTINGS, 70, limit=limit)


def test_a_child_that_fails_for_another_reason_says_so(images, tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("def model(input_shape, output_size):\n    raise KeyError('here')\n")
    monkeypatch.chdir(tmp_path)
    recipe = Recipe(model="broken:model", init="keep", batch_size=32)
    with pytest.raises(RunError, match=r"^the probe of memory failed: .*KeyError.*\. Plan without --probe\.$"):
        probe_fits(images, recipe, Plan(program="loop", threads=1), 1, limit=100 * MB)
