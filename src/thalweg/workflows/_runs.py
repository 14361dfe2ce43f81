"""Runs that are on disk: what one found, and which there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.core import InputError, RunError
from thalweg.store import RunFolder, find_runs


@dataclass(frozen=True, kw_only=True)
class StoredResult:
    """What a run wrote of its result.

    Args:
        result: The JSON object.
        text: The summary that was printed.
        complete: False where the run was interrupted.
    """

    result: dict[str, Any]
    text: str
    complete: bool


def open_result(run: str | Path) -> StoredResult:
    """Returns what a run found, from its folder alone.

    Raises:
        RunError: where the folder is no run, is damaged, or holds no result yet.
    """
    folder = RunFolder(run)
    complete = folder.has("result.json")
    if not complete and not folder.has("result.partial.json"):
        raise RunError(f"{folder.path} holds no result yet. Go on with: thalweg {folder.kind} --resume {folder.path}")
    name = "result.json" if complete else "result.partial.json"
    folder.check(name, "summary.txt")
    result = folder.read_json(name)
    try:
        text = (folder.path / "summary.txt").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise folder.damaged("summary.txt", error) from None
    return StoredResult(result=result, text=text.rstrip("\n"), complete=complete)


def list_runs(parent: str | Path) -> list[dict[str, Any]]:
    """Returns the runs directly under a folder, newest first: run, kind, state, headline.

    A folder that is damaged is listed with what is wrong; it hides no other.

    Raises:
        InputError: where the folder does not exist.
    """
    if not Path(parent).is_dir():
        raise InputError("FOLDER", "an existing folder", str(parent), "Runs are written to runs/ by default.")
    rows = []
    for path in find_runs(parent):
        row = {"run": str(path), "kind": "?", "state": "damaged", "headline": ""}
        try:
            row["kind"] = RunFolder(path).kind
            found = open_result(path)
            row["state"] = "complete" if found.complete else "interrupted"
            row["headline"] = _headline(row["kind"], found.result)
        except (RunError, AttributeError, KeyError, TypeError) as error:
            damage = f"result.json is damaged ({type(error).__name__}: {error})."
            row["headline"] = str(error) if isinstance(error, RunError) else damage
            if "no result yet" in str(error):
                row["state"] = "unfinished"
        rows.append(row)
    return rows


def _headline(kind: str, result: dict[str, Any]) -> str:
    if kind == "doctor":
        return f"{Path(result['script']).name}: {result['headline']}"
    if kind == "gallery":
        return f"{result['data']}, {result['model']}: {result['headline']}"
    name = result["task"]["name"]
    if kind == "study":
        return f"{name}: {result['study']}: {result['headline']}"
    if kind == "path":
        return f"{name}: {result['headline'].split(':')[0]}"
    scores = result["recommended"] if kind == "tune" else result
    best = scores.get("test") or scores.get("validation")
    if best is None:
        return name
    which = "test" if scores.get("test") else "validation"
    num = len(best["seeds"])
    return f"{name}: {which} {best['metric']} {best['mean']:.4g} over {num} seed{'' if num == 1 else 's'}"
