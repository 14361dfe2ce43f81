"""What a study found, as text and as a page."""

from __future__ import annotations

from thalweg.report._answer import answer_lines, answer_parts
from thalweg.report._charts import charts
from thalweg.report._page import card, document, escape, items, pairs
from thalweg.report._text import file_lines, note_lines, wrap
from thalweg.report._words import count, read_fields, show_device, show_seconds, steps_of, toml_value
from thalweg.studies import theory_of
from thalweg.workflows import StudyResult


def study_text(result: StudyResult) -> str:
    """Returns what a study found, as text.

    Args:
        result: What `study` returned.
    """
    answer, task = result.answer, result.task
    lines = [f"{task.name}: {result.question}", "", *answer_lines(answer)]
    lines += note_lines([*answer.notes, *task.notes])
    how = f"{count(len(result.seeds), 'seed')}, {steps_of(task, result.recipe)}, {show_seconds(result.seconds)}"
    lines += ["", *wrap(f"How: {how}, {show_device(result.plan)}. The test rows stay closed.", "")]
    return "\n".join(lines + file_lines(result))


def study_html(result: StudyResult) -> str:
    """Returns what a study found, as one self-contained HTML document.

    Args:
        result: What `study` returned.
    """
    answer, task, drawn = result.answer, result.task, charts(result.answer)
    parts = [
        f'<p class="kicker">thalweg study {escape(result.name)} &middot; {escape(task.name)}</p>',
        f"<h1>{escape(result.question)}</h1>",
        *answer_parts(answer, drawn),
    ]
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
