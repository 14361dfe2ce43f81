"""Results as text for the terminal."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from thalweg.population import Scores
from thalweg.recipes import Recipe
from thalweg.report._words import (
    FILES,
    by_importance,
    compare_runner_up,
    count,
    doctor_words,
    effect_unit,
    interval_rows,
    metric_label,
    metric_line,
    missing_part,
    read_fields,
    screening_words,
    seed_words,
    show_device,
    show_range,
    show_score,
    show_seconds,
    shown_fields,
    steps_of,
    toml_value,
    where_diverged,
)
from thalweg.tasks import Task

if TYPE_CHECKING:
    from thalweg.workflows import DoctorResult, GalleryResult, PathResult, StudyResult, TrainResult, TuneResult

_WIDTH = 110


def tune_text(result: TuneResult) -> str:
    """Returns what `tune` found, as text: about 40 lines of at most 110 characters.

    Args:
        result: What `tune` returned.
    """
    found, task = result.tuning, result.task
    metric = task.metric
    head = f"{task.name}: the recommended recipe, out of {len(found.screened)} that were tried"
    lines = [head if result.complete else f"{head} (interrupted)", ""]
    lines += ["Recipe (what varied or differs from the start; recipe.toml has every field)"]
    lines += _recipe_lines(result.recipe, shown_fields(result.recipe, result.base, found.axes), result.base)
    missing = missing_part(result)
    if missing:
        lines += ["", *wrap(missing, "")]
    if found.validation is not None and found.test is not None:
        lines += ["", *_score_lines(task, found.validation, found.test, fresh=True)]
    if found.runner_up is not None:
        fields = list(found.runner_up.differing(result.recipe))
        differs = ", ".join(f"{n} = {toml_value(n, getattr(found.runner_up, n))}" for n in fields)
        lines += ["", f"Runner-up: {differs}"]
        if found.runner_up_validation is not None:
            mean = show_score(metric, found.runner_up_validation.over_seeds.mean)
            lines += wrap(f"Validation {metric_label(metric)} {mean}. {compare_runner_up(found, metric)}")
    if found.effects:
        lines += ["", f"What mattered ({effect_unit(metric, found.first_epochs)})"]
        for effect in by_importance(found.effects):
            told = [effect.sentence, *where_diverged(found, effect)]
            if effect.note:
                told.append(effect.note)
            lines += wrap(" ".join(told), "- ")
    lines += _doctor_lines(result)
    lines += ["", "What became of the others"]
    lines += [line for sentence in screening_words(found) for line in wrap(sentence, "- ")]
    lines += note_lines([*found.notes, *task.notes])
    steps = f"{count(found.size.steps, 'step')} over all members"
    lines += ["", *wrap(f"How: {steps}, {show_seconds(result.seconds)}, {show_device(result.plan)}.", "")]
    return "\n".join(lines + file_lines(result))


def train_text(result: TrainResult) -> str:
    """Returns what `train` found, as text.

    Args:
        result: What `train` returned.
    """
    task, recipe = result.task, result.recipe
    head = f"{task.name}: one recipe on {count(len(result.seeds), 'seed')}"
    lines = [head if result.complete else f"{head} (interrupted: there are no scores)", "", "Recipe"]
    lines += _recipe_lines(recipe, read_fields(recipe), recipe)
    if result.validation is not None and result.test is not None:
        lines += ["", *_score_lines(task, result.validation, result.test, fresh=False)]
    elif result.complete:
        lines += ["", "Every seed diverged: there are no scores. A smaller lr is the first thing to try."]
    if result.diverged:
        told = ", ".join(f"seed {seed} at step {step:,}" for seed, step in list(result.diverged.items())[:5])
        more = "" if len(result.diverged) <= 5 else ", ..."
        text = f"Diverged (the loss stopped being finite): {told}{more}."
        if len(result.diverged) < len(result.seeds):
            text += " Scores are of the other seeds."
        lines += ["", *wrap(text, "")]
    told = seed_words(result)
    lines += ["", *(line for sentence in told for line in wrap(sentence, ""))] if told else []
    lines += _doctor_lines(result)
    lines += note_lines(task.notes)
    lines += ["", f"How: {steps_of(task, recipe)}, {show_seconds(result.seconds)}, {show_device(result.plan)}."]
    return "\n".join(lines + file_lines(result))


def wrap(text: str, first: str = "  ") -> list[str]:
    """Returns a text in lines of at most 110 characters, the first behind `first`."""
    indent = " " * max(len(first), 0)
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)


def _recipe_lines(recipe: Recipe, fields: Sequence[str], base: Recipe) -> list[str]:
    before = recipe.differing(base)
    texts = {name: f"{name} = {toml_value(name, getattr(recipe, name))}" for name in fields}
    wide = max((len(text) for text in texts.values()), default=0)
    return [
        f"  {text:{wide}}  # was {toml_value(name, before[name][1])}" if name in before else f"  {text}"
        for name, text in texts.items()
    ]


def _score_lines(task: Task, validation: Scores, test: Scores, *, fresh: bool) -> list[str]:
    seeds = count(len(test.seeds), "fresh seed" if fresh else "seed")
    splits = [(f"validation ({len(task.validation):,} rows)", validation), (f"test ({len(task.test):,} rows)", test)]
    mean = "mean over seeds" if len(test.seeds) > 1 else "score of the seed"
    rows = [(mean, [show_score(s.metric, s.over_seeds.mean) for _, s in splits])]
    for k, (_, question, _) in enumerate(interval_rows(test)):
        cells = [show_range(s.metric, interval_rows(s)[k][2]) for _, s in splits]
        rows.append((f"95% interval, {question}", cells))
    left = max(len(label) for label, _ in rows)
    middle = max(len(splits[0][0]), *(len(cells[0]) for _, cells in rows))
    cut = any("(cut)" in cell for _, cells in rows for cell in cells)
    return [
        f"Scores ({metric_line(test.metric)}; {seeds})",
        f"  {'':{left}}  {splits[0][0]:{middle}}  {splits[1][0]}",
        *(f"  {label:{left}}  {cells[0]:{middle}}  {cells[1]}" for label, cells in rows),
        *(["  (cut): the formula went beyond what a share can be, and its end is put at 0% or 100%"] if cut else []),
    ]


def _doctor_lines(result: TuneResult | TrainResult) -> list[str]:
    told, findings = doctor_words(result)
    lines = ["", *wrap(told, "")] if told else []
    for finding in findings:
        lines += wrap(finding, "- ")
    return lines


def note_lines(notes: Sequence[str]) -> list[str]:
    """Returns notes under their heading, or nothing."""
    if not notes:
        return []
    return ["", "Notes", *(line for note in notes for line in wrap(note, "- "))]


def file_lines(result: TuneResult | TrainResult | StudyResult | PathResult | DoctorResult | GalleryResult) -> list[str]:
    """Returns the files of a run with the commands that use it; nothing where the run has no folder."""
    if result.run is None:
        return []
    run = shlex.quote(str(result.run))
    found = [name for name in FILES if (result.run / name).exists()]
    lines = ["", f"Files in {run}", *(f"  {name:18} {FILES[name]}" for name in found)]
    if not result.complete and result.kind == "tune":
        lines += [f"Go on:              thalweg tune --resume {run}"]
    if getattr(result, "model_seed", None) is not None:
        lines += [f"Predict new rows:   thalweg predict {run} DATA"]
    return [*lines, f"Show this again:    thalweg show {run}"]
