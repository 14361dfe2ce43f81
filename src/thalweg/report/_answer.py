"""An answer, as text and as parts of a page."""

from __future__ import annotations

import textwrap
from typing import Any

from thalweg.core import Answer, Table
from thalweg.report._page import card, escape, items, plot, table
from thalweg.report._text import wrap

#: tables of more rows are folded in on the page
_LONG = 20
#: names of columns are broken into lines of at least so many characters
_NARROW = 14


def answer_lines(answer: Answer) -> list[str]:
    """Returns the sentences and tables of an answer as text."""
    lines = wrap(answer.headline, "")
    if answer.findings:
        lines += ["", *(line for finding in answer.findings for line in wrap(finding, "- "))]
    for each in answer.tables:
        lines += ["", *_table_lines(each)]
    return lines


def _table_lines(found: Table) -> list[str]:
    """Returns a table as text; names of columns are broken where their cells are narrower."""
    columns = range(len(found.head))
    widest = [max((len(row[k]) for row in found.rows), default=0) for k in columns]
    heads = [textwrap.wrap(name, max(widest[k], _NARROW), break_long_words=False) for k, name in enumerate(found.head)]
    widths = [max(widest[k], *map(len, heads[k])) if heads[k] else widest[k] for k in columns]
    height = max(map(len, heads), default=0)
    rows = [[""] * (height - len(head)) + head for head in heads]
    lines = [[rows[k][i] for k in columns] for i in range(height)] + [list(row) for row in found.rows]
    shown = ["  " + "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines]
    return [found.title, *(line.rstrip() for line in shown)]


def answer_parts(answer: Answer, drawn: dict[str, dict[str, Any]]) -> list[str]:
    """Returns the sentences, charts and tables of an answer as HTML.

    Args:
        answer: What was found.
        drawn: Its charts by name.
    """
    parts = [f'<p class="lead">{escape(answer.headline)}</p>', items(answer.findings) if answer.findings else ""]
    parts += [card(f"<h3>{escape(c.title)}</h3>", plot(drawn, c.name, c.caption)) for c in answer.charts]
    for each in answer.tables:
        rows = [[escape(cell) for cell in row] for row in each.rows]
        shown = table([escape(name) for name in each.head], rows)
        title = escape(each.title)
        folded = f"<details><summary>{title}</summary>{shown}</details>"
        parts.append(card(folded if len(rows) > _LONG else f"<h3>{title}</h3>{shown}"))
    return parts
