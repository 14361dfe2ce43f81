"""What `plan` found, for the terminal and a notebook."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from thalweg.population import Fit, show_bytes
from thalweg.report._page import card, escape, items, pairs, table
from thalweg.report._words import count, show_device, show_seconds

if TYPE_CHECKING:
    from thalweg.workflows import CohortPlan, PlanResult

_WIDTH = 110
_HEAD = ["what members share", "members", "program", "memory", "time"]
_SIDES = "<><>>"


def plan_text(result: PlanResult) -> str:
    """Returns what `plan` found, as text.

    Args:
        result: What `plan` returned.
    """
    members = sum(cohort.members for cohort in result.cohorts)
    lines = [f"{result.task.name}: what thalweg {result.command} would do with {count(members, 'member')}", ""]
    rows = [_HEAD, *(_cells(cohort) for cohort in result.cohorts)]
    wide = [max(len(row[k]) for row in rows) for k in range(len(_HEAD))]
    for row in rows:
        cells = (f"{cell:{side}{w}}" for cell, side, w in zip(row, _SIDES, wide, strict=True))
        lines.append("  " + "  ".join(cells).rstrip())
    lines += ["", "Why"]
    for line in _reasons(result):
        lines += textwrap.wrap(line, _WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
    fits = [line for cohort in result.cohorts for line in _fits(cohort)]
    if fits:
        lines += ["", "Tried in a child process with the memory that is free", *(f"- {line}" for line in fits)]
    facts = _facts(result)
    left = max(len(name) for name, _ in facts)
    lines.append("")
    for name, text in facts:
        indent = " " * (left + 2)
        lines += textwrap.wrap(text, _WIDTH, initial_indent=f"{name:{left}}  ", subsequent_indent=indent)
    return "\n".join(lines)


def plan_html(result: PlanResult) -> str:
    """Returns what `plan` found as HTML for a notebook.

    Args:
        result: What `plan` returned.
    """
    rows = [[escape(cell) for cell in _cells(cohort)] for cohort in result.cohorts]
    fits = [line for cohort in result.cohorts for line in _fits(cohort)]
    parts = [table(_HEAD, rows), items(_reasons(result)), items(fits) if fits else "", pairs(_facts(result))]
    return card(f"<b>{escape(result.task.name)}: plan of thalweg {escape(result.command)}</b>", *parts)


def _cells(cohort: CohortPlan) -> list[str]:
    memory, seconds = show_bytes(cohort.memory), show_seconds(cohort.seconds)
    return [cohort.shares, f"{cohort.members:,}", cohort.program, memory, seconds]


def _reasons(result: PlanResult) -> list[str]:
    told = [c for c in result.cohorts if not any(c.why in note for note in result.notes)]
    return [*(f"{c.shares}: {c.program}, {c.why}." for c in told), *result.notes]


def _fits(cohort: CohortPlan) -> list[str]:
    lines = []
    if cohort.population is not None:
        lines.append(f"{cohort.shares}: {_tried(cohort.population)} of {count(cohort.members, 'member')} fit")
        rows = "off, with batch norm" if cohort.micro_batch is None else f"{_tried(cohort.micro_batch)} at once"
        lines.append(f"{cohort.shares}: rows of a batch: {rows}")
    return lines


def _tried(fit: Fit) -> str:
    return f"{fit.predicted:,} (predicted)" if fit.probed is None else f"{fit.probed:,}"


def _facts(result: PlanResult) -> list[tuple[str, str]]:
    most = "at most " if result.at_most else ""
    total = f"{most}{show_seconds(result.seconds)}"
    if result.low is not None and result.high is not None:
        total += f"; {show_seconds(result.low)} to {show_seconds(result.high)}, by which recipes win"
    stages = ", ".join(f"{name} {show_seconds(seconds)}" for name, seconds in result.stages.items())
    return [
        ("time", f"{total} ({stages}); starting and the report are not in it"),
        ("memory", f"{show_bytes(result.memory)} of {show_bytes(result.free)} that are free"),
        ("device", show_device(result.plan)),
    ]
