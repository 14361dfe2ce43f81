"""What a path found, as text and as a page."""

from __future__ import annotations

from thalweg.report._answer import answer_lines, answer_parts
from thalweg.report._charts import charts
from thalweg.report._page import card, document, escape, items, pairs
from thalweg.report._text import file_lines, note_lines, wrap
from thalweg.report._words import metric_line, show_range, show_score, show_seconds
from thalweg.workflows import PathResult

_QUESTION = "Which penalty, and which inputs?"


def path_text(result: PathResult) -> str:
    """Returns what `path` found, as text.

    Args:
        result: What `path` returned.
    """
    answer, task = result.answer, result.task
    lines = [f"{task.name}: {_QUESTION}", "", *answer_lines(answer), "", *wrap(_tested(result), "")]
    lines += note_lines([*answer.notes, *task.notes])
    lines += ["", *wrap(f"How: {_how(result)}, {show_seconds(result.seconds)}.", "")]
    return "\n".join(lines + file_lines(result))


def path_html(result: PathResult) -> str:
    """Returns what `path` found, as one self-contained HTML document.

    Args:
        result: What `path` returned.
    """
    answer, task, drawn = result.answer, result.task, charts(result.answer)
    parts = [
        f'<p class="kicker">thalweg path &middot; {escape(task.name)}</p>',
        f"<h1>{escape(_QUESTION)}</h1>",
        *answer_parts(answer, drawn),
        card("<h3>On the test rows</h3>", f"<p>{escape(_tested(result))}</p>"),
    ]
    rows = [("data", f"{task.name}: {task.kind}"), ("fits", _how(result)), ("time", show_seconds(result.seconds))]
    notes = [*answer.notes, *task.notes]
    parts += ["<h2>How it was done</h2>", card(pairs(rows)), card("<h3>Notes</h3>", items(notes))]
    return document(f"{task.name}: {_QUESTION}", "".join(parts), drawn)


def _tested(result: PathResult) -> str:
    metric, num = result.task.metric, len(result.task.test)
    score, ends = show_score(metric, result.test.mean), show_range(metric, result.test)
    return (
        f"Test rows ({num:,}, opened once): {metric_line(metric)}: {score}, 95% interval {ends}, with the sampling of "
        "test rows included."
    )


def _how(result: PathResult) -> str:
    options = result.options
    num = options.lambda_ if isinstance(options.lambda_, int) else len(options.lambda_)
    halves = f", {options.halves} random halves" if options.halves else ""
    return f"{num} strengths, {options.folds} folds of {result.num_rows:,} rows{halves}, seed {result.model_seed}"
