"""Runs that are killed at random moments, again and again, end with the bytes of one that nobody killed."""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path

import pytest
from benchmarks.kill_and_resume import Whole, differences, run_killed, run_whole

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify is a part of Linux")
COMMANDS = {
    "tune": "tune iris --set epochs=9 --seeds 2 --budget 9000steps --threads 2",
    "train": "train digits --set epochs=40 --seeds 2 --threads 2",
}


@pytest.fixture(scope="module", params=COMMANDS)
def whole(request, tmp_path_factory) -> Whole:
    return run_whole(request.param, COMMANDS[request.param].split(), tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("while_writing", [False, True])
def test_a_killed_run_resumes_to_the_same_bytes(whole, tmp_path, while_writing):
    rng = random.Random(f"{whole.kind} {while_writing}")
    kills = 0
    while kills < {"tune": 3, "train": 2}[whole.kind]:  # a draw may come after the end; 10 kills in all
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        found = run_killed(whole, tmp_path, rng, while_writing=while_writing, again=1.0)
        assert found["differs"] == [], found
        kills += len(found["kills"])


def test_the_comparison_sees_what_differs(whole, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(whole.folder, copy)
    assert differences(whole.kind, whole.folder, copy) == []
    change(copy / "model.safetensors", -1)
    change(copy / "history.parquet", 40)
    (copy / "recipe.toml").unlink()
    (copy / "result.json").write_text((copy / "result.json").read_text().replace('"complete": true', '"complete": 1'))
    (copy / "history" / ".x.parquet.1.part").write_bytes(b"half")
    found = differences(whole.kind, whole.folder, copy)
    expected = ["history.parquet", "recipe.toml", "model.safetensors", "result.json", "history/.x.parquet.1.part"]
    assert found == expected


def change(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
