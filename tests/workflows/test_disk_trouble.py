"""Damaged files, full disks, folders that turn read-only: one line, the last good state kept, and a way on."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from benchmarks.kill_and_resume import differences

import thalweg as tw
from thalweg.cli import main
from thalweg.core import InputError, RunError
from thalweg.workflows import open_result

BASE = tw.Recipe(widths=(4,), epochs=9, batch_size=16)
ASKED = {"recipe": BASE, "vary": ["lr=0.01,0.1", "optimizer=sgd,adamw", "weight_decay=0,0.01"], "seeds": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    tw.tune("iris", **ASKED, out=folder)
    return folder


@pytest.fixture
def copy(run, tmp_path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """Changes one bit: in the numbers of a file of arrays, in the middle of any other."""
    data = bytearray(path.read_bytes())
    data[-3 if path.suffix == ".safetensors" else len(data) // 2] ^= 4
    path.write_bytes(data)


def lose(path: Path) -> None:
    path.unlink()


def said(use: Callable[[], object]) -> str:
    """Returns the one line with which a use of a run ended, '' where it did not fail."""
    line = ""
    try:
        use()
    except (RunError, InputError) as error:
        line = str(error)
    assert "\n" not in line
    return line


# ---- damage ---------------------------------------------------------------------------------------------------------

STATE = ["checkpoint/screening.safetensors", "checkpoint/choice-1.safetensors", "checkpoint/saved model.safetensors"]


@pytest.mark.parametrize("damage", [truncate, flip], ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", STATE)
def test_a_damaged_checkpoint_is_named_and_without_it_the_same_result_comes(run, copy, name, damage):
    damage(copy / name)
    line = said(lambda: tw.resume(copy))
    assert line.startswith(f"{copy / name} is damaged (")
    assert line.endswith(f"Delete {copy / name} to repeat this part: the result will be the same.")
    (copy / name).unlink()
    assert tw.resume(copy).complete
    assert differences("tune", run, copy) == []


def test_a_checkpoint_that_is_missing_is_made_again(run, copy):
    shutil.rmtree(copy / "checkpoint")
    assert tw.resume(copy).complete
    assert differences("tune", run, copy) == []


@pytest.mark.parametrize("damage", [truncate, flip, lose], ids=lambda d: d.__name__)
def test_a_damaged_segment_of_history_is_named_and_so_is_its_checkpoint(run, copy, damage):
    segment = sorted((copy / "history").glob("choice-1-*"))[0]
    damage(segment)
    line = said(lambda: tw.resume(copy))
    assert str(segment) in line or damage is lose
    state = copy / "checkpoint" / "choice-1.safetensors"
    assert line.endswith(f"Delete {state} to repeat this part: the result will be the same.")
    state.unlink()
    assert tw.resume(copy).complete
    assert differences("tune", run, copy) == []


@pytest.mark.parametrize("damage", [truncate, flip, lose], ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", ["result.json", "summary.txt"])
def test_a_damaged_result_is_one_line_and_written_again_by_resume(run, copy, name, damage):
    damage(copy / name)
    line = said(lambda: open_result(copy))
    assert line.endswith(f"--resume {copy}") or line.endswith(f"--resume {copy}.")
    assert tw.resume(copy).complete
    assert differences("tune", run, copy) == []
    assert open_result(copy).text


@pytest.mark.parametrize("damage", [truncate, flip, lose], ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", ["task.json", "recipe.toml", "model.safetensors"])
def test_a_damaged_model_predicts_nothing(run, copy, name, damage):
    rows = np.zeros((1, 4))
    damage(copy / name)
    assert said(lambda: tw.predict(copy, rows))
    assert tw.resume(copy).complete
    assert differences("tune", run, copy) == []
    assert (copy / "task.json").read_bytes() == (run / "task.json").read_bytes()


@pytest.mark.parametrize("damage", [truncate, flip, lose], ids=lambda d: d.__name__)
def test_what_was_asked_cannot_be_guessed(copy, damage):
    damage(copy / "run.json")
    for use in (lambda: tw.resume(copy), lambda: open_result(copy), lambda: tw.predict(copy, np.zeros((1, 4)))):
        line = said(use)
        assert "run.json" in line or damage is flip


def test_a_damaged_size_is_one_line(copy):
    for text in ('{"screened"', '{"x": 3}', "[]", '{"screened": 8, "seeds": 2}'):
        (copy / "size.json").write_text(text)
        assert said(lambda: tw.resume(copy)).startswith(f"{copy / 'size.json'} is damaged")


def test_damaged_times_are_lost_and_no_more(run, copy):
    for text in ('{"sec', '{"seconds": "long"}', "[1]", '{"seconds": [1]}'):
        (copy / "timing.json").write_text(text)
        line = said(lambda: tw.resume(copy))
        assert line.endswith("Delete it: only the seconds spent so far are lost.")
    (copy / "timing.json").unlink()
    (copy / "events.jsonl").write_bytes(b"\xff\xfe\n")
    (copy / "SHA256SUMS").write_bytes(b"\xff")
    assert said(lambda: open_result(copy)).startswith(f"{copy / 'SHA256SUMS'} is damaged")
    assert tw.resume(copy).complete
    assert differences("tune", run, copy) == []


# ---- a disk that fails in the middle of a run -----------------------------------------------------------------------


def mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A file system of 16 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)):
        pytest.skip("mounting a file system needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def make_full(disk: Path) -> None:
    with contextlib.suppress(OSError), open(disk / "filler", "wb") as handle:
        while True:
            handle.write(b"\0" * 65536)


def make_room(disk: Path) -> None:
    (disk / "filler").unlink()


def make_read_only(disk: Path) -> None:
    while not mount("-o", "remount,ro", str(disk)):  # busy while a file is being written
        time.sleep(0.001)


def make_writable(disk: Path) -> None:
    assert mount("-o", "remount,rw", str(disk))


@pytest.mark.parametrize(
    ("spoil", "mend", "cause"),
    [
        (make_full, make_room, "the disk is full"),
        (make_read_only, make_writable, "the file system is read-only"),
    ],
    ids=["full", "read-only"],
)
def test_a_disk_that_fails_in_the_middle_of_a_run(disk, tmp_path, spoil, mend, cause):
    asked = ["train", "digits", "--set", "epochs=60", "--set", "widths=32", "--seeds", "3", "--threads", "1"]
    command = [sys.executable, "-m", "thalweg", *asked]
    subprocess.run([*command, "--out", "whole"], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    folder, saved = disk / "run", disk / "run" / "checkpoint" / "saved model.safetensors"
    with subprocess.Popen([*command, "--out", "disk/run"], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while not saved.exists() and process.poll() is None:
            time.sleep(0.01)
        spoil(disk)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    last = errors.splitlines()[-1]
    assert last.startswith("thalweg: cannot write disk/run/")
    assert cause in last
    assert "Traceback" not in errors
    assert open_state(saved)
    assert cause in said(lambda: tw.resume(folder))
    mend(disk)
    assert tw.resume(folder).complete
    assert differences("train", tmp_path / "whole", folder) == []


def open_state(path: Path) -> bool:
    from thalweg.store import load_arrays

    return bool(load_arrays(path)[0])


def test_a_disk_that_is_full_at_any_file(disk, tmp_path):
    """The space is taken so far that each time another write fails, from the first to the last."""
    whole = tmp_path / "whole"
    recipe = BASE.changed(epochs=4)
    tw.train("iris", recipe, seeds=2, out=whole)
    filler, folder = disk / "filler", disk / "run"
    failed: set[str] = set()
    for left in (0, 4, 8, 12, 20, 28, 40, 60, 100, 2000):
        shutil.rmtree(folder, ignore_errors=True)
        filler.unlink(missing_ok=True)
        fill(disk, filler, left * 1024)
        line = said(lambda: tw.train("iris", recipe, seeds=2, out=folder))
        failed.add(line)
        assert "the disk is full" in line or "No space left on device" in line  # of a file, or of the folder itself
        assert not list(disk.rglob("*.part"))
        filler.unlink()
        result = tw.resume(folder) if (folder / "run.json").exists() else tw.train("iris", recipe, seeds=2, out=folder)
        assert result.complete
        assert differences("train", whole, folder) == []
    assert len(failed) >= 5


def fill(disk: Path, filler: Path, left: int) -> None:
    """Writes a file that leaves so many bytes of a file system."""
    free = shutil.disk_usage(disk).free
    filler.write_bytes(b"\0" * max(free - left, 0))


def test_a_run_in_a_read_only_folder_is_one_line(run, disk, capsys):
    shutil.copytree(run, disk / "run")
    assert mount("-o", "remount,ro", str(disk))
    for arguments in (["tune", "--resume", str(disk / "run")], ["train", "iris", "--out", str(disk / "new")]):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 2
        err = capsys.readouterr().err
        assert err.startswith("thalweg: ")
        assert err.count("\n") == 1
        assert "read-only" in err.lower()
    assert open_result(disk / "run").complete
    assert len(tw.predict(disk / "run", np.zeros((2, 4)))) == 2
