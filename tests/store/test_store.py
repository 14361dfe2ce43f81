"""Run folders and arrays on disk, and what a disk that fails leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from thalweg.core import InputError, RunError
from thalweg.store import FORMAT, RunFolder, check_new, find_runs, load_arrays, new_run_path, save_arrays


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_folder_is_made_and_opened_again(tmp_path):
    made = RunFolder.create(tmp_path / "deep" / "run", "tune", {"seed": 3})
    opened = RunFolder(tmp_path / "deep" / "run")
    assert opened.about == made.about == {"format": FORMAT, "kind": "tune", "version": made.about["version"], "seed": 3}
    assert opened.kind == "tune"
    assert [event["kind"] for event in opened.events()] == ["created"]
    (tmp_path / "empty").mkdir()
    RunFolder.create(tmp_path / "empty", "tune", {})


def test_plain_data_round_trips_and_never_holds_nan(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "tune", {})
    folder.write_json("a.json", {"x": [1, 2.5, None, "é"]})
    assert folder.has("a.json")
    assert folder.read_json("a.json") == {"x": [1, 2.5, None, "é"]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        folder.write_json("a.json", {"x": float("nan")})
    assert folder.read_json("a.json")["x"][0] == 1
    with pytest.raises(RunError, match=r"b.json is missing. The run did not finish: use --resume"):
        folder.read_json("b.json")
    (folder.path / "a.json").write_text('{"x": [1,')
    with pytest.raises(
        RunError, match=r"a.json is damaged .* Restore it from a copy, or write it again with: thalweg tune --resume"
    ):
        folder.read_json("a.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is not a run folder: it holds no run.json"),
        ("", "is damaged"),
        ("[]", "no format number"),
        ('{"kind": "tune"}', "no format number"),
        ('{"format": true, "kind": "tune"}', "no format number"),
        ('{"format": 1}', "does not say what kind"),
        (f'{{"format": {FORMAT + 1}, "kind": "tune"}}', f"reads up to {FORMAT}. Upgrade thalweg"),
    ],
)
def test_folders_that_are_no_runs(tmp_path, text, message):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError, match=message) as caught:
        RunFolder(tmp_path)
    assert "\n" not in str(caught.value)


def test_where_no_folder_can_be(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    before = names(tmp_path)
    for place in ("file", "file/deep/er", "full"):
        with pytest.raises(InputError, match=r"^--out must be a folder that"):
            check_new(tmp_path / place)
        with pytest.raises(InputError, match=r"^--out must be a folder that"):
            RunFolder.create(tmp_path / place, "tune", {})
    assert names(tmp_path) == before
    check_new(tmp_path / "new" / "deep")
    assert names(tmp_path) == before


def test_a_folder_that_turns_writes_away_is_left_as_it_was():
    """/proc takes no folders, whoever asks."""
    with pytest.raises(
        InputError, match=r"^--out must be a folder that can be written \(.*\), got '/proc/thalweg/run'"
    ):
        RunFolder.create("/proc/thalweg/run", "tune", {})


def test_what_was_made_goes_again_where_the_first_file_fails(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        RunFolder.create(tmp_path / "a" / "run", "tune", {"x": object()})
    done = limited(f"RunFolder.create({str(tmp_path / 'b' / 'run')!r}, 'tune', {{'x': 'y' * 9000}})")
    assert "RunError: cannot write" in done.stderr
    assert not (tmp_path / "b").exists()


# ---- events ---------------------------------------------------------------------------------------------------------


def test_events_after_an_id(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "tune", {})
    for number in range(3):
        folder.log("rung", {"number": number})
    assert [event["id"] for event in folder.events()] == [1, 2, 3, 4]
    assert [event["number"] for event in folder.events(after=2)] == [1, 2]
    assert list(folder.events(after=4)) == []
    (folder.path / "events.jsonl").unlink()
    assert list(folder.events()) == []


def test_a_line_that_was_cut_off_is_left_out_and_then_replaced(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "tune", {})
    folder.log("rung", {"number": 0})
    path = folder.path / "events.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"seconds": 3, "ki')
    assert [event["id"] for event in folder.events()] == [1, 2]
    RunFolder(folder.path).log("rung", {"number": 1})
    assert path.read_bytes().startswith(whole)
    assert [(event["id"], event.get("number")) for event in folder.events()] == [(1, None), (2, 0), (3, 1)]
    path.write_bytes(b'{"cut')
    folder.log("rung")
    assert [event["kind"] for event in folder.events()] == ["rung"]


# ---- files ----------------------------------------------------------------------------------------------------------


def test_half_written_files_are_cleaned(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "tune", {})
    half = [folder.path / ".run.json.77.part", folder.path / "checkpoint" / ".a.safetensors.77.part"]
    for path in half:
        path.write_bytes(b"half")
    RunFolder(folder.path)  # a reader leaves them: another process may be writing
    assert all(path.exists() for path in half)
    with folder.locked():
        pass
    assert not any(path.exists() for path in half)
    assert folder.has("run.json")


def test_segments_come_in_order(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "tune", {})
    for first in (100, 7, 0):
        folder.segment_path("screening", first).write_bytes(b"")
    folder.segment_path("choice", 3).write_bytes(b"")
    assert folder.segments("screening") == [folder.segment_path("screening", first) for first in (0, 7, 100)]


def test_new_paths_and_lists(tmp_path):
    first = new_run_path(tmp_path, "tune-iris")
    RunFolder.create(first, "tune", {})
    second = new_run_path(tmp_path, "tune-iris")
    assert second != first
    RunFolder.create(second, "tune", {})
    (tmp_path / "other").mkdir()
    assert set(find_runs(tmp_path)) == {first, second}
    assert find_runs(tmp_path / "none") == []


# ---- arrays ---------------------------------------------------------------------------------------------------------


def test_arrays_come_back_to_the_bit(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "w": rng.standard_normal((3, 4)).astype(np.float32),
        "fortran": np.asfortranarray(rng.standard_normal((3, 4))),
        "strided": np.arange(10)[::3],
        "empty": np.zeros((0, 2), np.float32),
        "scalar": np.array(2.5),
        "nan": np.array([np.nan, -0.0, np.inf]),
    }
    save_arrays(tmp_path / "a.safetensors", arrays, {"step": 3, "x": [1, None]})
    found, about = load_arrays(tmp_path / "a.safetensors")
    assert about == {"step": 3, "x": [1, None]}
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
    again = {name: found[name] for name in reversed(found)}
    save_arrays(tmp_path / "b.safetensors", again, about)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("keep", [0, 4, 50, -1])
def test_truncated_arrays_are_one_line(tmp_path, keep):
    path = tmp_path / "a.safetensors"
    save_arrays(path, {"w": np.zeros(100)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RunError, match=r"a.safetensors is damaged .* Restore it from a copy, or run again") as caught:
        load_arrays(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match="is missing"):
        load_arrays(tmp_path / "none.safetensors")


def fill(folder: RunFolder) -> None:
    for _ in range(2000):
        folder.log("rung", {"text": "y" * 100})


def limited(code: str, num_bytes: int = 4096) -> subprocess.CompletedProcess[str]:
    """Runs code in a process whose files may not grow past a size: writes fail as on a full disk."""
    setup = (
        "import resource; import numpy as np; from thalweg.core import *; from thalweg.store import *\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({num_bytes}, {num_bytes}))\n"
    )
    command = [sys.executable, "-c", setup + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_arrays_that_do_not_fit_on_the_disk_leave_the_old_ones(tmp_path):
    path = tmp_path / "a.safetensors"
    save_arrays(path, {"w": np.zeros(10)}, {"old": 1})
    done = limited(f"save_arrays({str(path)!r}, {{'w': np.zeros(10_000)}})")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"thalweg.core._errors.RunError: cannot write {path}: the file may not grow any larger.")
    assert load_arrays(path)[1] == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 kB, where the tests may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a file system needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_keeps_the_last_good_files(small_disk):
    folder = RunFolder.create(small_disk / "run", "tune", {})
    path = folder.checkpoint_path("a")
    save_arrays(path, {"w": np.ones(10)})
    with pytest.raises(RunError, match=r"cannot write .*a.safetensors: the disk is full. Free some space and resume"):
        save_arrays(path, {"w": np.zeros(100_000)})
    assert load_arrays(path)[0]["w"].sum() == 10
    (small_disk / "filler").write_bytes(b"x" * 4096)
    with pytest.raises(OSError, match="No space"), open(small_disk / "filler", "ab") as handle:
        handle.write(b"x" * 100_000)
    with pytest.raises(RunError, match="the disk is full"):
        folder.write_json("a.json", {"x": "y" * 5000})
    with pytest.raises(RunError, match="the disk is full"):
        fill(folder)
    assert not list(folder.path.rglob("*.part"))
    (small_disk / "filler").unlink()
    folder.log("afterwards")
    events = list(folder.events())
    assert events[-1]["kind"] == "afterwards"
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert json.loads((folder.path / "run.json").read_text())["kind"] == "tune"
