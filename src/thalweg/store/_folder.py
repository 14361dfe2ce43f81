"""The run folder: what a run wrote, in files that anything can read.

run.json          kind, format, version, what was asked, the plan
events.jsonl      append-only log: id, seconds, kind, detail
history/          immutable Parquet segments of evaluations, merged into history.parquet at the end
checkpoint/       the state of populations that still run
result.json       the result, as `--json` prints it
timing.json       seconds; outside the equality of two runs
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from thalweg.core import InputError, RunError, describe_os_error, write_text

#: of the folder; raised when an older reader could not read it
FORMAT = 1


class RunFolder:
    """One run on disk.

    Args:
        path: An existing run folder; `create` makes a new one.

    Raises:
        RunError: where the folder is no run, is damaged, or was written by a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._started = time.monotonic()
        self.about = self.read_json("run.json")
        if not isinstance(self.about, dict) or not isinstance(self.about.get("format"), int):
            raise RunError(
                f"{self.path / 'run.json'} is damaged (no format number). Restore it from a copy, or run again."
            )
        if self.about["format"] > FORMAT:
            raise RunError(
                f"{self.path} has format {self.about['format']}; this version reads up to {FORMAT}. Upgrade thalweg."
            )

    @classmethod
    def create(cls, path: str | Path, kind: str, about: dict[str, Any]) -> RunFolder:
        """Makes the folder and writes what was asked.

        Raises:
            InputError: where the folder exists already or cannot be made; nothing is written then.
        """
        path = Path(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(
                "--out", "a folder that is new or empty", str(path), "Choose another one, or use --resume."
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
            for part in ("history", "checkpoint"):
                (path / part).mkdir(exist_ok=True)
        except OSError as error:
            raise InputError("--out", f"a folder that can be written ({error.strerror})", str(path)) from None
        from thalweg import __version__

        write_text(path / "run.json", _dump({"format": FORMAT, "kind": kind, "version": __version__, **about}))
        folder = cls(path)
        folder.log("created", {"at": datetime.now().astimezone().isoformat(timespec="seconds")})
        return folder

    @property
    def kind(self) -> str:
        """What kind of run it is: tune, train, ..."""
        return str(self.about["kind"])

    # ---- plain data ---------------------------------------------------------------------------------------------

    def write_json(self, name: str, value: Any) -> None:
        """Writes one JSON file atomically."""
        write_text(self.path / name, _dump(value))

    def read_json(self, name: str) -> Any:
        """Returns the content of one JSON file.

        Raises:
            RunError: where it is missing or damaged.
        """
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if name == "run.json":
                raise RunError(f"{self.path} is not a run folder: it holds no run.json.") from None
            raise RunError(f"{path} is missing. The run did not finish: use --resume {self.path}.") from None
        except (OSError, ValueError) as error:
            raise RunError(f"{path} is damaged ({error}). Restore it from a copy, or run again.") from None

    def has(self, name: str) -> bool:
        """Returns whether a file of the run exists."""
        return (self.path / name).exists()

    # ---- events -------------------------------------------------------------------------------------------------

    def log(self, kind: str, detail: dict[str, Any] | None = None) -> None:
        """Appends one event; its id is its line number, so a reader can ask for events after an id."""
        event = {"seconds": round(time.monotonic() - self._started, 3), "kind": kind, **(detail or {})}
        try:
            with open(self.path / "events.jsonl", "a", encoding="utf-8") as handle:
                handle.write(json.dumps(event) + "\n")
        except OSError as error:
            raise describe_os_error(error, self.path / "events.jsonl") from error

    def events(self, after: int = 0) -> Iterator[dict[str, Any]]:
        """Yields the events whose id is above `after`; a last line that was cut off is left out."""
        path = self.path / "events.jsonl"
        if not path.exists():
            return
        with open(path, encoding="utf-8") as handle:
            for number, line in enumerate(handle, start=1):
                if number > after and line.endswith("\n"):
                    yield {"id": number, **json.loads(line)}

    # ---- files --------------------------------------------------------------------------------------------------

    def checkpoint_path(self, population: str) -> Path:
        """Returns where the state of a population is kept while it runs."""
        return self.path / "checkpoint" / f"{population}.safetensors"

    def segment_path(self, population: str, first: int) -> Path:
        """Returns the path of an immutable piece of history that starts at a record number."""
        return self.path / "history" / f"{population}-{first:08d}.parquet"

    def segments(self, population: str) -> list[Path]:
        """Returns the pieces of a population's history, in order."""
        return sorted((self.path / "history").glob(f"{population}-*.parquet"))


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def new_run_path(parent: str | Path, name: str) -> Path:
    """Returns a path for a new run under `parent`, named by what it is and when, that does not exist yet."""
    stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    parent = Path(parent)
    path, number = parent / stem, 2
    while path.exists():
        path, number = parent / f"{stem}-{number}", number + 1
    return path


def find_runs(parent: str | Path) -> list[Path]:
    """Returns the run folders directly under `parent`, newest first."""
    parent = Path(parent)
    if not parent.is_dir():
        return []
    found = [entry for entry in parent.iterdir() if (entry / "run.json").is_file()]
    return sorted(found, key=lambda entry: os.stat(entry / "run.json").st_mtime, reverse=True)
