"""Does a run that is killed lose anything? SIGKILL at random moments, resume, and compare the bytes.

    python benchmarks/kill_and_resume.py                          # 50 trials of tune and of train
    python benchmarks/kill_and_resume.py --trials 3 --out scratch.json

A run goes to its end once. Then each trial starts the same run and kills it, at a moment that is uniform over the
duration of the whole run, or, in every third trial, while it writes a file: as soon as a drawn one of its temporary
files has appeared. The resume is killed in the same way every other time, until one comes to the end. Exit code 1 where
a trial does not end with the bytes of the uninterrupted run.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from machine import hardware, today, versions, write_result

#: what is run, and the files that must have the same bytes; of result.json the times and the path are left out
RUNS = {
    "tune": "tune digits --set epochs=27 --set widths=64 --vary lr=1e-4..1e-1 --vary optimizer=sgd,adamw --seeds 3 "
    "--budget 60000steps --threads 1",
    "train": "train digits --set epochs=120 --seeds 3 --threads 1",
}
SAME = {
    "tune": ("history.parquet", "recipe.toml", "runner_up.toml", "model.safetensors", "result.json"),
    "train": ("history.parquet", "recipe.toml", "model.safetensors", "result.json"),
}
_NOT_COMPARED = ("seconds", "run")
#: a kill follows a temporary file within so many seconds
_WRITING_SECONDS = 0.001
_MOST_KILLS = 4
#: a resume is killed, too, with this probability
_AGAIN = 0.5
_IN_CREATE, _IN_ISDIR = 0x100, 0x40000000


class Watch:
    """Tells when a temporary file appears in a run folder (inotify, as the kernel says it)."""

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._folders: dict[int, Path] = {}
        for place in (folder, folder / "history", folder / "checkpoint"):
            if place.is_dir():
                self._add(place)

    def _add(self, folder: Path) -> None:
        number = self._libc.inotify_add_watch(self._handle, os.fsencode(folder), _IN_CREATE)
        if number < 0:
            raise OSError(ctypes.get_errno(), f"cannot watch {folder}")
        self._folders[number] = folder

    def created(self, seconds: float) -> int:
        """Returns how many temporary files have appeared since the last call; waits so long for the first."""
        if not select.select([self._handle], [], [], max(seconds, 0))[0]:
            return 0
        data, at, found = os.read(self._handle, 1 << 16), 0, 0
        while at < len(data):
            number, mask, _, length = struct.unpack_from("iIII", data, at)
            name = data[at + 16 : at + 16 + length].rstrip(b"\0").decode()
            at += 16 + length
            if mask & _IN_ISDIR:
                self._add(self._folders[number] / name)
            found += name.endswith(".part")
        return found

    def close(self) -> None:
        os.close(self._handle)


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A run that nobody killed.

    Args:
        kind: tune or train. command: its arguments. folder: the run. seconds: from start to end of the process.
        writes: temporary files that it made.
    """

    kind: str
    command: tuple[str, ...]
    folder: Path
    seconds: float
    writes: int


def run_whole(kind: str, command: Sequence[str], place: Path) -> Whole:
    """Returns the run of a command that is left alone, in `place/whole`."""
    folder = place / "whole"
    folder.mkdir(parents=True)
    watch, started, writes = Watch(folder), time.monotonic(), 0
    process = _start([*command, "--out", "whole"], place)
    while process.poll() is None:
        writes += watch.created(0.05)
    seconds = time.monotonic() - started
    watch.close()
    _check_end(process, "the uninterrupted run")
    return Whole(kind=kind, command=tuple(command), folder=folder, seconds=seconds, writes=writes)


def run_killed(
    whole: Whole, place: Path, rng: random.Random, *, while_writing: bool, again: float = _AGAIN
) -> dict[str, Any]:
    """Returns what happened to one run that was killed and resumed until it came to its end.

    Args:
        whole: The uninterrupted run.
        place: A new folder; the run goes to `place/run`.
        rng: The moments are drawn from it.
        while_writing: Kills while a file is written, not at a moment.
        again: Probability that a resume is killed in its turn.
    """
    folder = place / "run"
    folder.mkdir(parents=True)
    kills: list[dict[str, Any]] = []
    ended, started = False, time.monotonic()
    while not ended:
        # before run.json there is no run that could be resumed: the same command starts it
        begun = (folder / "run.json").exists()
        arguments = (whole.kind, "--resume", "run") if begun else (*whole.command, "--out", "run")
        process = _start(arguments, place)
        if len(kills) < _MOST_KILLS and (not kills or rng.random() < again):
            asked = _kill(process, folder, whole, rng, while_writing=while_writing)
            if process.returncode == -9:
                kills.append({**asked, **how_far(folder)})
                continue
        process.communicate()
        _check_end(process, f"a resume after {kills}")
        ended = (folder / "result.json").exists()
        if not ended:
            raise RuntimeError(f"a resume ended without a result after {kills}")
    seconds = round(time.monotonic() - started, 3)
    return {"kills": kills, "seconds": seconds, "differs": differences(whole.kind, whole.folder, folder)}


def _kill(
    process: subprocess.Popen[str], folder: Path, whole: Whole, rng: random.Random, *, while_writing: bool
) -> dict[str, Any]:
    """Kills a process at a drawn moment, unless it ends before; returns what was drawn and when the kill came."""
    started = time.monotonic()
    if while_writing:
        number, delay = rng.randint(1, whole.writes), rng.uniform(0, _WRITING_SECONDS)
        watch, seen = Watch(folder), 0
        while seen < number and process.poll() is None:
            seen += watch.created(0.05)
        watch.close()
        time.sleep(delay)
        asked: dict[str, Any] = {"at_write": number, "delay": round(delay, 5)}
    else:
        moment = rng.uniform(0, whole.seconds)
        asked = {"moment": round(moment, 3)}
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
    process.kill()
    process.communicate()
    return {**asked, "killed_after": round(time.monotonic() - started, 3)}


def how_far(folder: Path) -> dict[str, Any]:
    """Returns how far a run had come: its populations on disk, segments of history, and half-written files."""
    return {
        "checkpoints": sorted(path.stem for path in (folder / "checkpoint").glob("*.safetensors")),
        "segments": len(list((folder / "history").glob("*.parquet"))),
        "half_written": sorted(str(path.relative_to(folder)) for path in folder.rglob(".*.part")),
        "result": (folder / "result.json").exists(),
    }


def differences(kind: str, a: Path, b: Path) -> list[str]:
    """Returns the files that differ between two runs, and the half-written ones of the second."""
    found = [name for name in SAME[kind] if _content(a / name) != _content(b / name)]
    return found + [str(path.relative_to(b)) for path in b.rglob(".*.part")]


def _content(path: Path) -> bytes | None:
    if not path.exists():
        return None
    if path.name != "result.json":
        return path.read_bytes()
    result = json.loads(path.read_text(encoding="utf-8"))
    return json.dumps({name: value for name, value in result.items() if name not in _NOT_COMPARED}).encode()


def _start(arguments: Sequence[str], place: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "thalweg", *arguments]
    with open(place / "stderr.txt", "w") as errors:
        return subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL, stderr=errors, text=True)


def _check_end(process: subprocess.Popen[str], what: str) -> None:
    if process.returncode != 0:
        raise RuntimeError(f"{what} ended with exit code {process.returncode}")


def run_trials(kind: str, *, trials: int, seed: int, place: Path) -> dict[str, Any]:
    """Returns the report of one kind of run: the whole run, every trial, and whether all are equal."""
    whole = run_whole(kind, RUNS[kind].split(), place)
    print(f"{kind}: {whole.seconds:.1f} s uninterrupted, {whole.writes} files written", flush=True)
    rows = []
    for trial in range(trials):
        rng = random.Random(f"{seed} {kind} {trial}")
        folder = place / f"trial-{trial}"
        row: dict[str, Any] = {"trial": trial}
        try:
            while not row.get("kills"):  # the draw came after the end
                shutil.rmtree(folder, ignore_errors=True)
                row.update(run_killed(whole, folder, rng, while_writing=trial % 3 == 2))
                if row["differs"]:
                    break
                if not row["kills"]:  # the machine is faster than it was
                    whole = replace(whole, seconds=min(whole.seconds, row["seconds"]))
        except RuntimeError as error:
            said = (folder / "stderr.txt").read_text().strip().splitlines() or [""]
            row.update({"kills": [], "differs": ["no result"], "error": f"{error}: {said[-1]}"})
        rows.append(row)
        moments = ", ".join(str(kill.get("moment", f"write {kill.get('at_write')}")) for kill in row["kills"])
        print(f"{kind} {trial}: killed at {moments}; {'equal' if not row['differs'] else row}", flush=True)
        shutil.rmtree(folder)
    return {
        "command": f"thalweg {RUNS[kind]}",
        "seconds": round(whole.seconds, 2),
        "files_written": whole.writes,
        "compared": SAME[kind],
        "trials": trials,
        "kills": sum(len(row["kills"]) for row in rows),
        "kills_with_a_half_written_file": sum(bool(kill["half_written"]) for row in rows for kill in row["kills"]),
        "equal": sum(not row["differs"] for row in rows),
        "rows": rows,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill runs at random moments, resume them, compare the bytes.")
    parser.add_argument("--trials", type=int, default=50, help="of each kind")
    parser.add_argument("--kind", choices=sorted(RUNS), help="default is both")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "kill_and_resume.json")
    given = parser.parse_args()
    report: dict[str, Any] = {
        "date": today(),
        "hardware": hardware(),
        "versions": versions("torch", "numba", "numpy"),
        "seed": given.seed,
    }
    for kind in [given.kind] if given.kind else RUNS:
        with tempfile.TemporaryDirectory() as place:
            report[kind] = run_trials(kind, trials=given.trials, seed=given.seed, place=Path(place))
        write_result(given.out, report)
    kinds = [report[kind] for kind in RUNS if kind in report]
    for kind in kinds:
        print(
            f"{kind['command']}: {kind['equal']} of {kind['trials']} equal, {kind['kills']} kills, of which "
            f"{kind['kills_with_a_half_written_file']} left a half-written file"
        )
    return 0 if all(kind["equal"] == kind["trials"] for kind in kinds) else 1


if __name__ == "__main__":
    sys.exit(main())
