"""What a study found, as text and as a page."""

from __future__ import annotations

import textwrap

from thalweg.core import Table
from thalweg.report._charts import charts
from thalweg.report._page import card, document, escape, items, pairs, plot, table
from thalweg.report._text import file_lines, note_lines, wrap
from thalweg.report._words import count, read_fields, show_device, show_seconds, steps_of, toml_value
from thalweg.studies import theory_of
from thalweg.workflows import StudyResult

#: tables of more rows are folded in on the page
_LONG = 20
#: names of columns are broken into lines of at least so many characters
_NARROW = 14


def study_text(result: StudyResult) -> str:
    """Returns what a study found, as text.

    Args:
        result: What `study` returned.
    """
    answer, task = result.answer, result.task
    lines = [f"{task.name}: {result.question}", "", *wrap(answer.headline, "")]
    if answer.findings:
        lines += ["", *(line for finding in answer.findings for line in wrap(finding, "- "))]
    for each in answer.tables:
        lines += ["", *_table_lines(each)]
    lines += note_lines([*answer.notes, *task.notes])
    how = f"{count(len(result.seeds), 'seed')}, {steps_of(task, result.recipe)}, {show_seconds(result.seconds)}"
    lines += ["", *wrap(f"How: {how}, {show_device(result.plan)}. The test rows stay closed.", "")]
    return "\n".join(lines + file_lines(result))


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


def study_html(result: StudyResult) -> str:
    """Returns what a study found, as one self-contained HTML document.

    Args:
        result: What `study` returned.
    """
    answer, task, drawn = result.answer, result.task, charts(result.answer)
    parts = [
        f'<p class="kicker">thalweg study {escape(result.name)} &middot; {escape(task.name)}</p>',
        f"<h1>{escape(result.question)}</h1>",
        f'<p class="lead">{escape(answer.headline)}</p>',
        items(answer.findings) if answer.findings else "",
    ]
    parts += [card(f"<h3>{escape(c.title)}</h3>", plot(drawn, c.name, c.caption)) for c in answer.charts]
    for each in answer.tables:
        rows = [[escape(cell) for cell in row] for row in each.rows]
        shown = table([escape(name) for name in each.head], rows)
        title = escape(each.title)
        folded = f"<details><summary>{title}</summary>{shown}</details>"
        parts.append(card(folded if len(rows) > _LONG else f"<h3>{title}</h3>{shown}"))
    parts += ["<h2>What theory says</h2>", card(f"<p>{escape(theory_of(result.name))}</p>")]
    fields = ", ".join(
        f"{name} = {toml_value(name, getattr(result.recipe, name))}" for name in read_fields(result.recipe)
    )
    rows = [
        ("data", f"{task.name}: {task.kind}, loss {task.loss}, metric {task.metric}"),
        ("recipe", fields),
        ("seeds", ", ".join(str(seed) for seed in result.seeds)),
        ("length", steps_of(task, result.recipe)),
        ("scores", "of the validation rows; the test rows stay closed"),
        ("device", show_device(result.plan)),
        ("time", show_seconds(result.seconds)),
    ]
    notes = [*answer.notes, *task.notes]
    parts += ["<h2>How it was done</h2>", card(pairs(rows)), card("<h3>Notes</h3>", items(notes)) if notes else ""]
    return document(f"{task.name}: {result.question}", "".join(parts), drawn)
