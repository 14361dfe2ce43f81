"""A population on disk: saved between segments, restored to the same bits."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from thalweg.core import RunError, write_atomically
from thalweg.population._contract import Snapshot
from thalweg.population._population import Population, Record
from thalweg.store import RunFolder, load_arrays, save_arrays

#: saving when due may take this share of the run's time; what must be saved at the end of a stage comes on top
SHARE = 0.015
_LEAST_SECONDS = 0.5
_PARTS = ("params", "buffers")


@dataclass(kw_only=True)
class Allowance:
    """What saving costs a run: shared by its populations, so that none spends what another has spent.

    Args:
        spent: Seconds that all saves took together.
    """

    spent: float = 0.0
    _started: float = field(default_factory=time.monotonic)

    def covers(self, cost: float) -> bool:
        """Returns whether so many seconds more keep within the share."""
        return self.spent + cost <= SHARE * (time.monotonic() - self._started)


class Checkpointer:
    """Saves one population of a run: often enough to lose little, seldom enough to cost little.

    Args:
        population: What is saved; restored at once where the run holds a checkpoint of that name.
        folder: The run.
        name: Of the population in the run.
        allowance: What the run may spend on saving; default is one of its own.
    """

    def __init__(
        self, population: Population, folder: RunFolder, name: str, allowance: Allowance | None = None
    ) -> None:
        self.population, self.folder, self.name = population, folder, name
        self.allowance = allowance or Allowance()
        self._saved_records = 0
        self._sums: dict[str, int] = {}
        self._last = time.monotonic()
        self._cost = 0.0
        if folder.checkpoint_path(name).exists():
            self._restore()
        else:
            self._drop_segments()  # they belong to a state that is gone

    def save_if_due(self) -> None:
        """Saves where enough time has passed for the cost to stay below its share."""
        if time.monotonic() - self._last >= _LEAST_SECONDS and self.allowance.covers(self._cost):
            self.save()

    def save(self) -> None:
        """Writes the new history as one segment, then the state that refers to it.

        Raises:
            RunError: where the disk is full or the folder read-only; the checkpoint before stays good.
        """
        started = time.monotonic()
        records = self.population.history
        if len(records) > self._saved_records:
            path = self.folder.segment_path(self.name, self._saved_records)
            write_history(path, {self.name: records[self._saved_records :]})
            self._saved_records = len(records)
            self._sums[path.name] = _checksum(path)
        arrays, about = state_of(self.population)
        about["segments"] = self._sums
        save_arrays(self.folder.checkpoint_path(self.name), arrays, about)
        self._last = time.monotonic()
        self._cost = self._last - started
        self.allowance.spent += self._cost

    def _restore(self) -> None:
        path = self.folder.checkpoint_path(self.name)
        try:
            arrays, about = load_arrays(path)
            self._restore_from(arrays, about)
        except (RunError, OSError, AttributeError, KeyError, TypeError, ValueError) as error:
            detail = str(error).splitlines()[0] if isinstance(error, RunError) else f"{path} does not fit the run"
            cause = detail.partition(". Restore it")[0]
            raise RunError(f"{cause}. Delete {path} to repeat this part: the result will be the same.") from None
        self._drop_segments()

    def _drop_segments(self) -> None:
        """Removes the segments that no checkpoint counts: they will be written again."""
        for path in self.folder.segments(self.name):
            if path.name not in self._sums:
                self.folder.remove(f"history/{path.name}")

    def _restore_from(self, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> None:
        records: list[Record] = []
        for path in self.folder.segments(self.name):
            if len(records) >= about["num_records"]:
                break  # written after the checkpoint
            found = _checksum(path)
            if about.get("segments", {}).get(path.name, found) != found:
                raise RunError(f"{path} is damaged (its bytes are not those that were written). Restore it.")
            self._sums[path.name] = found
            records.extend(read_history(path)[self.name])
        if len(records) < about["num_records"] or len(about["members"]) != len(self.population):
            raise ValueError
        for number, member in enumerate(about["members"]):
            state = _take(arrays, f"{number}", member["state"]) if "state" in member else None
            best = None if member.get("best") is None else _take(arrays, f"{number}/best", member["best"])
            self.population.restore_member(number, member, state, best)
        self.population.restore_history(records[: about["num_records"]])
        self._saved_records = len(self.population.history)


def _checksum(path: Path) -> int:
    return zlib.crc32(path.read_bytes())


def write_history(path: Path, histories: dict[str, list[Record]]) -> None:
    """Writes the records of named populations as one Parquet file, atomically."""
    types = {f.name: pl.Int64 if f.type == "int" else pl.Float64 for f in fields(Record)}
    frame = pl.concat(
        pl.DataFrame({n: [getattr(record, n) for record in records] for n in types}, schema=types).select(
            pl.lit(name).alias("population"), pl.all()
        )
        for name, records in histories.items()
    )
    write_atomically(path, lambda temporary: frame.write_parquet(temporary))


def read_history(path: Path) -> dict[str, list[Record]]:
    """Returns population -> records of a Parquet file that `write_history` wrote.

    Raises:
        RunError: where the file is missing or damaged.
    """
    try:
        rows = pl.read_parquet(path).iter_rows(named=True)
    except (OSError, pl.exceptions.PolarsError) as error:
        detail = str(error).splitlines()[0]
        raise RunError(f"{path} is damaged ({detail}). Restore it from a copy, or run again.") from None
    found: dict[str, list[Record]] = {}
    for row in rows:
        found.setdefault(row.pop("population"), []).append(Record(**row))
    return found


def state_of(population: Population) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Returns the arrays and the plain data of a checkpoint."""
    arrays: dict[str, np.ndarray] = {}
    members = [population.progress_json(number) for number in range(len(population))]
    # a member that has not moved is made again from its seed
    kept = [
        n for n, about in enumerate(members) if not about["released"] and (about["step"] or population.members[n].start)
    ]
    states = dict(zip(kept, population.snapshots(kept), strict=True))
    for number, about in enumerate(members):
        if number in states:
            about["state"] = _put(arrays, f"{number}", states[number])
            best = population.best_snapshot(number)
            about["best"] = None if best is None else _put(arrays, f"{number}/best", best)
    return arrays, {"members": members, "num_records": len(population.history)}


def _put(arrays: dict[str, np.ndarray], prefix: str, snapshot: Snapshot) -> dict[str, Any]:
    for part in _PARTS:
        for name, array in getattr(snapshot, part).items():
            arrays[f"{prefix}/{part}/{name}"] = array
    for slot, tree in snapshot.slots.items():
        for name, array in tree.items():
            arrays[f"{prefix}/slots/{slot}/{name}"] = array
    return {"step": snapshot.step, "optimizer": snapshot.optimizer, "slots": list(snapshot.slots)}


def _take(arrays: dict[str, np.ndarray], prefix: str, about: dict[str, Any]) -> Snapshot:
    """Returns the snapshot that was put under a prefix."""

    def tree(part: str) -> dict[str, np.ndarray]:
        start = f"{prefix}/{part}/"
        return {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}

    return Snapshot(
        params=tree("params"),
        buffers=tree("buffers"),
        slots={slot: tree(f"slots/{slot}") for slot in about["slots"]},
        step=about["step"],
        optimizer=about["optimizer"],
    )
