"""The fault gallery, as text and as a page."""

from __future__ import annotations

from thalweg.report._answer import answer_lines, answer_parts
from thalweg.report._charts import charts
from thalweg.report._doctor import diagnosis_parts
from thalweg.report._page import card, document, escape, items, pairs, plot, table
from thalweg.report._text import file_lines, wrap
from thalweg.report._words import show_seconds
from thalweg.workflows import FaultList, GalleryResult, Quiz


def faults_text(found: FaultList) -> str:
    """Returns the parts of the gallery, as text.

    Args:
        found: What `faults` returned.
    """
    wide = max(len(name) for titles in found.groups.values() for name in titles)
    lines: list[str] = []
    for group, titles in found.groups.items():
        lines += [group[0].upper() + group[1:], *(f"  {name:{wide}}  {title}" for name, title in titles.items()), ""]
    for name, words in (("Data", found.data), ("Networks", found.models)):
        lines += [name, *(f"  {each:{wide}}  {what}" for each, what in words.items()), ""]
    lines += ["Show one:  thalweg gallery FAULT", "Guess one: thalweg gallery --quiz"]
    return "\n".join(lines)


def quiz_text(quiz: Quiz) -> str:
    """Returns what can be seen of a loop, and the choices, as text.

    Args:
        quiz: What `quiz` returned.
    """
    lines = [f"Quiz {quiz.exercise.seed}", "", *_setting_lines(quiz.trial.settings), "", *answer_lines(quiz.answer), ""]
    lines += [f"  {number}  {title}" for number, title in enumerate(quiz.choices.values(), start=1)]
    return "\n".join(lines)


def quiz_html(quiz: Quiz) -> str:
    """Returns what can be seen of a loop, and the choices, as one self-contained HTML document.

    Args:
        quiz: What `quiz` returned.
    """
    answer = quiz.answer
    drawn = charts(answer)
    shown = answer_parts(answer, drawn)
    head = "What is wrong with this training loop?"
    choices = [[str(number), escape(title)] for number, title in enumerate(quiz.choices.values(), start=1)]
    parts = [
        f'<p class="kicker">thalweg gallery &middot; quiz {quiz.exercise.seed}</p><h1>{head}</h1>',
        card(pairs(quiz.trial.settings.items())),
        *shown[2:],
        card(f"<h3>Choose</h3>{table(['', 'cause'], choices)}"),
    ]
    return document(f"Quiz {quiz.exercise.seed}", "".join(parts), drawn)


def gallery_text(result: GalleryResult) -> str:
    """Returns a fault of the gallery with what the doctor found, as text.

    Args:
        result: What `gallery` returned.
    """
    lines = [*wrap(_verdict(result), ""), ""] if result.guess is not None else []
    lines += [*_setting_lines(result.trial.settings), "", *answer_lines(result.answer)]
    if result.change:
        lines += ["", "What was planted", *(f"  {line}" for line in result.change)]
    lines += ["", "What the doctor says", *(f"  {line}".rstrip() for line in str(result.diagnosis).splitlines())]
    return "\n".join(lines + file_lines(result))


def gallery_html(result: GalleryResult) -> str:
    """Returns a fault of the gallery with what the doctor found, as one self-contained HTML document.

    Args:
        result: What `gallery` returned.
    """
    exercise, answer, found = result.exercise, result.answer, result.diagnosis.answer
    own, doctors = charts(answer), charts(found)
    parts = [
        f'<p class="kicker">thalweg gallery &middot; {escape(f"{exercise.data}, {exercise.model}")}</p>',
        f"<h1>{escape(answer.headline)}</h1>",
    ]
    if result.guess is not None:
        parts.append(card(f"<p>{escape(_verdict(result))}</p>", kind="" if result.guess.right else "warn"))
    parts.append(f'<p class="lead">{escape(" ".join(answer.findings))}</p>')
    both = [card(f"<h3>{escape(each.title)}</h3>", plot(own, each.name, each.caption)) for each in answer.charts]
    parts.append(f'<div class="two">{"".join(both)}</div>')
    if result.change:
        lines = escape("\n".join(result.change))
        parts.append(card(f"<h3>What was planted, in the code of the loop</h3><pre>{lines}</pre>"))
    for each in answer.tables:
        rows = [[escape(cell) for cell in row] for row in each.rows]
        parts.append(card(f"<h3>{escape(each.title)}</h3>{table([escape(name) for name in each.head], rows)}"))
    parts += ["<h2>What the doctor says</h2>", *diagnosis_parts(result.diagnosis, doctors)]
    rows = [*result.trial.settings.items(), ("seed", str(exercise.seed)), ("time", show_seconds(result.seconds))]
    notes = card("<h3>Notes</h3>", items(found.notes)) if found.notes else ""
    parts += ["<h2>How it was done</h2>", card(pairs(rows)), notes]
    return document(answer.headline, "".join(parts), {**own, **doctors})


def _verdict(result: GalleryResult) -> str:
    """Returns whether a guess was right."""
    assert result.guess is not None
    if result.guess.right:
        return f"Right: {result.title}."
    return f"No, not {result.guess.choices[result.guess.guess]}. The truth: {result.title}."


def _setting_lines(settings: dict[str, str]) -> list[str]:
    wide = max(map(len, settings))
    return [f"  {name:{wide}}  {value}" for name, value in settings.items()]
