"""A run on a disk that fills: one line, nothing half-written, and a resume to the same result."""

from __future__ import annotations

import resource
import sys

import pytest
from tests.cli.conftest import one_object, thalweg

SEARCH = ["tune", "iris", "--set", "epochs=3", "--seeds", "2", "--budget", "3000steps", "--threads", "1"]


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of file size are those of Linux")
def test_a_search_on_a_disk_that_fills_is_resumed_to_the_same_result(tmp_path):
    whole = thalweg(*SEARCH, "--out", "whole", "--json", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    cut = thalweg(*SEARCH, "--out", "cut", "--json", cwd=tmp_path, preexec_fn=limit_files)
    assert (cut.returncode, cut.stdout) == (2, "")
    last = cut.stderr.splitlines()[-1]
    assert last.startswith("thalweg: cannot write cut/")
    assert "the file may not grow any larger" in last
    assert "Traceback" not in cut.stderr
    assert not list((tmp_path / "cut").rglob("*.part"))
    again = thalweg("tune", "--resume", "cut", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr

    def comparable(text: str) -> dict:
        return {name: value for name, value in one_object(text).items() if name not in ("seconds", "run")}

    assert comparable(again.stdout) == comparable(whole.stdout)
