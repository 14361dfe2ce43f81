"""Results as one HTML file that opens offline, from the answer down to how it was found."""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from thalweg.core import render
from thalweg.population import Scores
from thalweg.recipes import Recipe, field_docs, format_value, recipe_to_text
from thalweg.report._figures import MOST_CURVES, figures
from thalweg.report._page import card, document, escape, items, pairs, plot, table
from thalweg.report._words import (
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
from thalweg.search import Tuning
from thalweg.workflows import StudyResult, TrainResult, TuneResult

_MOST_DIVERGED = 40
_HOW_TO_READ = (
    "A score is reported with three 95% intervals, because they answer three questions.",
    "Mean over seeds: the same training on the same rows with many more seeds. It gets narrow with more seeds.",
    "Rows included: the same, also on other rows of the same kind. It is what to quote for new data.",
    "One new run: the score of a single new training. It does not shrink to nothing, as runs differ.",
    "A dot is one seed; a diamond is a mean; a bar is an interval. Where no bar is drawn, the data cannot tell.",
    "(cut): the formula went beyond 0% or 100%, where no share can lie, and its end is put there.",
)


def tune_html(result: TuneResult) -> str:
    """Returns what `tune` found as one self-contained HTML document.

    Args:
        result: What `tune` returned.
    """
    found, task = result.tuning, result.task
    drawn = figures(result)
    axes = [axis.field for axis in found.axes]
    missing = missing_part(result)
    body = [
        f'<p class="kicker">thalweg tune &middot; {escape(task.name)}</p>',
        f"<h1>{_tune_answer(result)}</h1>",
        _tune_lead(result),
        card(f"<p>{escape(missing)}</p>", kind="warn") if missing else "",
        f"<h2>{'Recommended recipe' if result.complete else 'Best recipe so far'}</h2>",
        _recipe_part(result.recipe, shown_fields(result.recipe, result.base, found.axes), result.base, varied=axes),
        _scores_part(found, drawn, task.metric),
        _mattered_part(found, drawn, task.metric),
        _screening_part(found, drawn, task.metric, result),
        _curves_part(drawn, "of the recommended recipe on the confirmation seeds"),
        _doctor_part(result),
        _fates_part(found),
        _how_part(result, _tune_how(result)),
    ]
    return document(f"{task.name}: which recipe to use", "".join(body), drawn)


def train_html(result: TrainResult) -> str:
    """Returns what `train` found as one self-contained HTML document.

    Args:
        result: What `train` returned.
    """
    task, drawn = result.task, figures(result)
    answer = f"{count(len(result.seeds), 'seed')} of one recipe on {escape(task.name)}"
    if result.test is not None:
        score = show_score(task.metric, result.test.over_seeds.mean)
        answer += f": {score} test {escape(metric_label(task.metric))}"
    parts = [f'<p class="kicker">thalweg train &middot; {escape(task.name)}</p>', f"<h1>{answer}</h1>"]
    if not result.complete:
        parts.append(card("<p>The run was interrupted: there are no scores.</p>", kind="warn"))
    elif result.test is None:
        text = "Every seed diverged: there are no scores. A smaller lr is the first thing to try."
        parts.append(card(f"<p>{text}</p>", kind="warn"))
    if result.validation is not None and result.test is not None:
        parts += ["<h2>Scores</h2>", _score_table(result.validation, result.test), _score_plots(drawn)]
    parts += ["<h2>Recipe</h2>", _recipe_part(result.recipe, read_fields(result.recipe), None, varied=())]
    parts.append(_curves_part(drawn, "of every seed"))
    if result.diverged:
        rows = [[str(seed), f"{step:,}"] for seed, step in result.diverged.items()]
        parts.append(f"<h2>Seeds that diverged</h2>{card(table(['seed', 'step'], rows))}")
    told = seed_words(result)
    if told:
        parts.append(f"<h2>What became of the seeds</h2>{card(items(told), kind='warn')}")
    parts.append(_doctor_part(result))
    how = [
        ("seeds", ", ".join(str(s) for s in result.seeds)),
        ("length", steps_of(task, result.recipe)),
    ]
    parts.append(_how_part(result, how))
    return document(f"{task.name}: one recipe", "".join(parts), drawn)


def notebook_html(result: TuneResult | TrainResult | StudyResult) -> str:
    """Returns the document in a frame of its own, so that its style and a notebook's leave each other alone."""
    page = render(result, "html")
    return (
        f'<iframe srcdoc="{html.escape(page, quote=True)}" sandbox="allow-scripts" '
        f'title="{escape(result.kind)} result" style="width:100%;height:900px;border:0"></iframe>'
    )


def _tune_answer(result: TuneResult) -> str:
    found, metric = result.tuning, result.task.metric
    named = escape(_in_words(result.recipe, [axis.field for axis in found.axes]))
    if found.test is None:
        return f"{'Unconfirmed' if result.complete else 'Best so far'}: {named}"
    score = show_score(metric, found.test.over_seeds.mean)
    return f"Use {named}: {score} test {escape(metric_label(metric))}"


def _in_words(recipe: Recipe, fields: Sequence[str]) -> str:
    """Returns the varied fields as a person says them: names that speak for themselves stand alone."""
    alone = [name for name in ("optimizer", "activation", "init") if name in fields]
    texts = [format_value(name, getattr(recipe, name)) for name in alone]
    rest = sorted((name for name in fields if name not in alone), key=lambda name: name != "lr")
    texts[1:1] = [f"{name.replace('_', ' ')} {format_value(name, getattr(recipe, name))}" for name in rest]
    return ", ".join(texts)


def _tune_lead(result: TuneResult) -> str:
    found, metric = result.tuning, result.task.metric
    if found.test is None:
        return ""
    parts = [
        f"The test score is the mean of {count(len(found.test.seeds), 'fresh seed')}; its 95% interval, with the "
        f"choice of test rows included: {show_range(metric, found.test.over_rows)}."
    ]
    if found.difference is not None:
        told = "is told apart from" if found.difference.told_apart else "cannot be told apart from"
        parts.append(f"On validation rows the recipe {told} the runner-up.")
    return f'<p class="lead">{escape(" ".join(parts))}</p>'


def _recipe_part(recipe: Recipe, fields: Sequence[str], base: Recipe | None, varied: Sequence[str]) -> str:
    docs = field_docs()
    before = recipe.differing(base) if base is not None else {}
    rows = []
    for name in fields:
        cells = [f"<code>{escape(name)}</code>", f"<code>{escape(toml_value(name, getattr(recipe, name)))}</code>"]
        if base is not None:
            start = f"<code>{escape(toml_value(name, before[name][1]))}</code>" if name in before else "the same"
            cells.append(start)
        rows.append([*cells, escape(docs[name])])
    head = ["field", "value", *(["start"] if base is not None else []), "what it is"]
    told = "What was varied or differs from the start." if varied else "The fields that this model and optimizer read."
    toml = (
        "<details><summary>Every field, as TOML</summary>"
        f'<pre id="toml">{escape(recipe_to_text(recipe).strip())}</pre>'
        '<button type="button" data-copy="toml">Copy</button></details>'
    )
    return card(f'<p class="soft">{told}</p>', table(head, rows, optional=[len(head) - 1]), toml)


def _score_table(validation: Scores, test: Scores, runner_up: Scores | None = None) -> str:
    named = [("test", test), ("validation", validation)]
    if runner_up is not None:
        named.append(("runner-up, validation", runner_up))
    questions = interval_rows(test)
    rows = [["mean", *(f"<b>{show_score(s.metric, s.over_seeds.mean)}</b>" for _, s in named)]]
    for k, (short, question, _) in enumerate(questions):
        cells = [escape(show_range(s.metric, interval_rows(s)[k][2])) for _, s in named]
        rows.append([f"{escape(short)}<br><span class='soft optional'>{escape(question)}</span>", *cells])
    note = f"{metric_line(test.metric)}; {count(len(test.seeds), 'seed')}; intervals at 95%."
    return card(f'<p class="soft">{escape(note[0].upper() + note[1:])}</p>', table(["", *(n for n, _ in named)], rows))


def _score_plots(drawn: dict[str, Any]) -> str:
    test = card("<h3>Test rows</h3>", plot(drawn, "test"))
    return f'<div class="two">{test}{card("<h3>Validation rows</h3>", plot(drawn, "validation"))}</div>'


def _scores_part(found: Tuning, drawn: dict[str, Any], metric: str) -> str:
    if found.validation is None or found.test is None:
        return ""
    parts = ["<h2>Scores on fresh seeds</h2>"]
    parts.append(_score_table(found.validation, found.test, found.runner_up_validation))
    parts.append(_score_plots(drawn))
    if found.runner_up is not None:
        names = found.runner_up.differing(found.recommended)
        differs = ", ".join(f"{n} = {toml_value(n, getattr(found.runner_up, n))}" for n in names)
        text = f"<p>It has <code>{escape(differs)}</code>. {escape(compare_runner_up(found, metric))}</p>"
        caption = "Recommended minus runner-up, paired by seed, on the validation rows."
        parts.append(card("<h3>The runner-up</h3>", text, plot(drawn, "difference", caption)))
    return "".join(parts)


def _mattered_part(found: Tuning, drawn: dict[str, Any], metric: str) -> str:
    if not found.effects:
        return ""
    cards = []
    for effect in by_importance(found.effects):
        told = [effect.sentence, *where_diverged(found, effect)]
        if effect.note:
            told.append(effect.note)
        text = f"<h3><code>{escape(effect.axis)}</code></h3><p>{escape(' '.join(told))}</p>"
        cards.append(card(text, plot(drawn, f"axis {effect.axis}")))
    unit = effect_unit(metric, found.first_epochs)
    note = (
        f"{unit[0].upper()}{unit[1:]}. Means have every other axis spread evenly; their 95% intervals hold for all "
        "values of one axis at once. The best value is blue."
    )
    return f'<h2>What mattered</h2><p class="soft">{escape(note)}</p><div class="two">{"".join(cards)}</div>'


def _screening_part(found: Tuning, drawn: dict[str, Any], metric: str, result: TuneResult) -> str:
    label = metric_label(metric)
    heat = (
        f"Mean validation {label} after {count(found.first_epochs, 'epoch')}. A cross: every member there diverged; "
        "an empty cell: none was tried."
    )
    num = len({r.member for r in result.history.get("screening", [])})
    curves = f"Validation {label} of {count(num, 'member')}; those that were stopped are grey."
    if num > MOST_CURVES:
        curves = f"An even sample of {MOST_CURVES} of {num:,} members; all are in history.parquet."
    parts = [
        card("<h3>Where good recipes lie</h3>", plot(drawn, "heat", heat)) if "heat" in drawn else "",
        card("<h3>All members</h3>", plot(drawn, "screening", curves)) if "screening" in drawn else "",
    ]
    inside = "".join(parts)
    return f"<h2>The screening</h2>{inside}" if inside else ""


def _curves_part(drawn: dict[str, Any], of: str) -> str:
    if "loss" not in drawn:
        return ""
    loss = card("<h3>Loss</h3>", plot(drawn, "loss", f"Training and validation loss {of}."))
    score = card("<h3>Score</h3>", plot(drawn, "score", "One line a seed."))
    return f'<h2>Learning curves</h2><div class="two">{loss}{score}</div>'


def _fates_part(found: Tuning) -> str:
    told = card(items(screening_words(found)))
    named = [fate for fate in found.fates if fate.split is not None]
    if named:
        rows = []
        for fate in named:
            assert fate.split is not None
            sides = [f"{some:,} of {num:,}" for some, num in (fate.split.inside, fate.split.outside)]
            condition = f"<code>{escape(fate.split.condition)}</code>"
            rows.append([fate.symptom.replace("_", " "), condition, *sides, f"{fate.split.p:.1g}"])
        head = ["symptom", "goes with", "there", "elsewhere", "chance"]
        note = "Chance: of a split as uneven, among all that were tried (Fisher's exact test, Bonferroni)."
        told += card(table(head, rows), f'<p class="soft">{note}</p>')
    return f"<h2>What became of the others</h2>{told}{_diverged_table(found)}"


def _diverged_table(found: Tuning) -> str:
    if not found.diverged:
        return ""
    shown = sorted(found.diverged, key=lambda d: d.step)[:_MOST_DIVERGED]
    fields = list(shown[0].recipe)
    rows = [[str(d.member), f"{d.step:,}", *(escape(d.recipe[name]) for name in fields)] for d in shown]
    rest = len(found.diverged) - len(shown)
    more = f'<p class="soft">The first {len(shown)} by step; {rest} more are in result.json.</p>' if rest else ""
    body = table(["member", "step", *(escape(name) for name in fields)], rows)
    return card(f"<details open><summary>{count(len(shown), 'member')} that diverged</summary>{body}{more}</details>")


def _tune_how(result: TuneResult) -> list[tuple[str, str]]:
    found = result.tuning
    rows = [("varied", "; ".join(str(axis) for axis in found.axes))]
    ended = Counter(_last_epochs(result).values())
    if ended and len(ended) <= 6:
        told = ", ".join(f"{num:,} ended after {count(epoch, 'epoch')}" for epoch, num in sorted(ended.items()))
        rows.append(("screening", f"{count(len(found.screened), 'recipe')} on one seed by halving: {told}"))
    else:
        rows.append(("screening", f"{count(len(found.screened), 'recipe')} on one seed by halving"))
    heats = [len({r.member for r in records}) for name, records in result.history.items() if name.startswith("choice")]
    if heats:
        runs = " and ".join(str(num) for num in heats)
        rows.append(("choice", f"finalists on fresh seeds, the leading ones on more: {runs} runs"))
    if found.validation is not None:
        seeds = ", ".join(str(s) for s in found.validation.seeds)
        rows.append(("confirmation", f"recommended recipe and runner-up on seeds {seeds}, which chose nothing"))
        rows.append(("test rows", "opened once, after the confirmation"))
    rows.append(("length", steps_of(result.task, result.recipe)))
    rows.append(("steps", f"{found.size.steps:,}, summed over all members"))
    return rows


def _last_epochs(result: TuneResult) -> dict[int, int]:
    last: dict[int, int] = {}
    for record in result.history.get("screening", []):
        last[record.member] = max(record.epoch, last.get(record.member, 0))
    for diverged in result.tuning.diverged:
        last.pop(diverged.member, None)
    return last


def _doctor_part(result: TuneResult | TrainResult) -> str:
    told, findings = doctor_words(result)
    if not told:
        return ""
    shown = items(findings) if findings else ""
    return f"<h2>What the doctor saw</h2>{card(f'<p>{escape(told)}</p>', shown, kind='warn' if findings else '')}"


def _how_part(result: TuneResult | TrainResult, rows: list[tuple[str, str]]) -> str:
    task, plan = result.task, result.plan
    program, why = plan.program_for(task, result.recipe)
    sizes = f"{len(task.train):,} training, {len(task.validation):,} validation, {len(task.test):,} test"
    rows = [
        ("data", f"{task.name}: {task.kind}, loss {task.loss}, metric {task.metric}; rows: {sizes}"),
        *rows,
        ("program", f"{program} ({why})"),
        ("device", show_device(plan)),
        ("time", show_seconds(result.seconds) if math.isfinite(result.seconds) else "unknown"),
    ]
    if result.model_seed is not None:
        rows.append(("saved model", f"seed {result.model_seed}; train.py beside this page trains it in plain PyTorch"))
    reading = card("<h3>How to read the intervals</h3>", items(_HOW_TO_READ))
    known = [*getattr(getattr(result, "tuning", None), "notes", ()), *task.notes]
    notes = card("<h3>Notes on the data</h3>", items(known)) if known else ""
    return f"<h2>How it was done</h2>{card(pairs(rows))}{reading}{notes}"
