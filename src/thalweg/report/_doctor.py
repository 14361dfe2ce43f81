"""What the doctor found, as text and as a page."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from thalweg.doctor import Diagnosis
from thalweg.report._answer import answer_parts
from thalweg.report._charts import charts
from thalweg.report._page import card, document, escape, items, pairs
from thalweg.report._text import file_lines
from thalweg.report._words import show_seconds
from thalweg.workflows import DoctorResult

_QUESTION = "What is wrong with this training loop?"


def doctor_text(result: DoctorResult) -> str:
    """Returns what `doctor` found, as text.

    Args:
        result: What `doctor` returned.
    """
    return "\n".join([str(result.diagnosis), *file_lines(result)])


def doctor_html(result: DoctorResult) -> str:
    """Returns what `doctor` found, as one self-contained HTML document.

    Args:
        result: What `doctor` returned.
    """
    command = shlex.join([result.script, *result.arguments])
    rows = [("script", command), ("time", show_seconds(result.seconds))]
    return _page(result.diagnosis, Path(result.script).name, rows)


def diagnosis_html(diagnosis: Diagnosis) -> str:
    """Returns a diagnosis as one self-contained HTML document.

    Args:
        diagnosis: Of any loop.
    """
    return _page(diagnosis, "a loop", [])


def diagnosis_parts(diagnosis: Diagnosis, drawn: dict[str, dict[str, Any]]) -> list[str]:
    """Returns the sentences, the change, the charts and tables of a diagnosis as HTML.

    Args:
        diagnosis: Of any loop.
        drawn: Its charts by name.
    """
    remedy = diagnosis.findings[0].advice if diagnosis.findings else None
    shown = answer_parts(diagnosis.answer, drawn)
    if remedy is not None:
        change = [f"- {line}" for line in remedy.before.splitlines()] + [
            f"+ {line}" for line in remedy.after.splitlines()
        ]
        if change:
            lines = escape("\n".join(change))
            shown.insert(2, card(f"<h3>The change</h3><p>{escape(remedy.says)}</p><pre>{lines}</pre>"))
    return shown


def _page(diagnosis: Diagnosis, name: str, rows: list[tuple[str, str]]) -> str:
    answer = diagnosis.answer
    drawn = charts(answer)
    parts = [f'<p class="kicker">thalweg doctor &middot; {escape(name)}</p>', f"<h1>{escape(_QUESTION)}</h1>"]
    parts += diagnosis_parts(diagnosis, drawn)
    rows = [*rows, ("watched", f"{diagnosis.num_steps:,} steps")]
    notes = card("<h3>Notes</h3>", items(answer.notes)) if answer.notes else ""
    parts += ["<h2>How it was done</h2>", card(pairs(rows)), notes]
    return document(f"{name}: {_QUESTION}", "".join(parts), drawn)
