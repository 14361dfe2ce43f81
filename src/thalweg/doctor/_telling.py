"""What a diagnosis says, in sentences, tables and charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from thalweg.core import Answer, Chart, Series, Table, known
from thalweg.doctor._finding import CAUSES, Finding, Verdict
from thalweg.doctor._record._recording import ParamStats, Recording
from thalweg.doctor._view import View

#: points of a curve, and lines of a chart
_POINTS, _LINES = 300, 6
#: points that are drawn as such
_DOTS = 40
_ROLES = ("main", "second", "third")
#: suspect rows that are listed
_SUSPECTS = 20


def answer_of(
    findings: Sequence[Finding], charts: Sequence[Chart], num_steps: int, notes: Sequence[str], data: dict[str, Any]
) -> Answer:
    """Returns a diagnosis as an answer.

    Args:
        findings: The likeliest first. charts: of the loop.
        num_steps: That were watched. notes: what else the reader should know. data: the diagnosis as plain data.
    """
    verdicts = [(finding, verdict) for finding in findings for verdict in finding.verdicts]
    tables = []
    if findings:
        rows = [(title_of(each.cause), f"{each.weight:.2f}", each.says) for each in findings]
        tables.append(Table(title="Findings, the likeliest first", head=("cause", "weight", "what"), rows=rows))
    if verdicts:
        tables.append(_verdict_table(verdicts))
    for each in findings:
        if each.rows:
            rows = [[str(row)] for row in each.rows[:_SUSPECTS]]
            title = (
                f"Suspect rows, in the order in which they were first seen, the worst first ({len(each.rows):,} in all)"
            )
            tables.append(Table(title=title, head=("row",), rows=rows))
    return Answer(
        headline=findings[0].says if findings else f"Nothing wrong was found in {num_steps:,} steps.",
        findings=[sentence for finding in findings[:1] for sentence in _sentences(finding)],
        tables=tables,
        charts=[*_verdict_charts([verdict for _, verdict in verdicts]), *charts],
        data=data,
        notes=notes,
    )


def title_of(cause: str) -> str:
    """Returns the words for a cause."""
    return CAUSES[cause].title


def verdict_line(verdict: Verdict) -> str:
    """Returns a verdict in one line, which begins with whether it is a proof."""
    effect = verdict.effect
    if effect.told_apart:
        label, way = ("Proof", "lower") if verdict.proven else ("Not proven, it does worse", "higher")
        ends = sorted((abs(effect.low), abs(effect.high)))
        what = f"{label}: {verdict.measure} {abs(effect.mean):.3g} {way} [{ends[0]:.3g}, {ends[1]:.3g}]"
    else:
        what = f"Not proven: no difference of the {verdict.measure} that {verdict.steps} steps can show"
    length = f"{verdict.steps} steps" + (f" from step {verdict.begins:,} on" if verdict.begins else "")
    return f"{what}, {verdict.unchanged:.3g} -> {verdict.changed:.3g} after {length}, {effect.seeds} seeds."


def verdict_lines(finding: Finding) -> list[str]:
    """Returns the proof of a finding, or else what became of each remedy that was tried: of the advice first."""
    if finding.proof is not None:
        return [verdict_line(finding.proof)]
    return [
        verdict_line(each) if each.remedy is finding.advice else f"Tried too: {each.remedy.says} {verdict_line(each)}"
        for each in finding.verdicts
    ]


def charts_of(view: View) -> list[Chart]:
    """Returns what shows the course of a loop: its losses, gradients and steps."""
    recording = view.recording
    found = [_loss_chart(view)]
    gradients = list(_courses(recording, lambda p: p.gradient))
    updates = list(_courses(recording, lambda p: p.update / p.norm if p.update is not None and p.norm > 0 else None))
    for name, title, caption, y, series in (
        ("gradients", "Gradients of the weights", "Norms, at the steps that were measured.", "norm", gradients),
        (
            "updates",
            "Steps of the weights",
            "Length of a step over the length of the weights: usual are 0.0001 to 0.01.",
            "share",
            updates,
        ),
    ):
        if any(len(each.x) > 1 for each in series):
            found.append(
                Chart(name=name, title=title, caption=caption, x="step", y=y, series=series, log_y=_positive(series))
            )
    return found


def _sentences(finding: Finding) -> Iterator[str]:
    yield from finding.evidence
    if finding.advice is not None:
        yield finding.advice.says
    yield from verdict_lines(finding)


def _verdict_table(verdicts: Sequence[tuple[Finding, Verdict]]) -> Table:
    head = ("finding", "remedy", "score", "unchanged", "changed", "better by", "95% interval", "steps", "seeds")
    rows = [
        (
            title_of(finding.cause),
            verdict.remedy.says,
            verdict.measure,
            f"{verdict.unchanged:.4g}",
            f"{verdict.changed:.4g}",
            f"{verdict.effect.mean:.3g}",
            f"{verdict.effect.low:.3g} to {verdict.effect.high:.3g}",
            f"{verdict.steps:,}" + (f" from {verdict.begins:,} on" if verdict.begins else ""),
            str(verdict.effect.seeds),
        )
        for finding, verdict in verdicts
    ]
    return Table(title="Remedies that were tried", head=head, rows=rows)


def _verdict_charts(verdicts: Sequence[Verdict]) -> Iterator[Chart]:
    """Yields a chart for each score by which remedies were compared."""
    for number, measure in enumerate(dict.fromkeys(each.measure for each in verdicts)):
        own = [each for each in verdicts if each.measure == measure]
        names = [each.remedy.says for each in own]
        yield Chart(
            name=f"verdicts-{number}",
            title=f"What the remedies did: {measure}",
            caption="Above 0 the change is better than none. Lines are 95% intervals of paired differences.",
            x="remedy",
            y="better by",
            series=[
                Series(name="no difference", x=names, y=[0.0] * len(own), style="points", role="second"),
                Series(
                    name="remedy",
                    x=names,
                    y=known([each.effect.mean for each in own]),
                    low=known([each.effect.low for each in own]),
                    high=known([each.effect.high for each in own]),
                    style="points",
                ),
            ],
        )


def _loss_chart(view: View) -> Chart:
    losses = view.losses
    size = max(1, -(-len(losses) // _POINTS))
    parts = [losses[k : k + size] for k in range(0, len(losses), size)]
    steps = [k * size + (len(part) - 1) / 2 for k, part in enumerate(parts)]
    means = [float(np.mean(part)) for part in parts]
    series = [Series(name="training", x=steps, y=known(means), style="line")]
    curve = view.curve
    if curve:
        series.append(
            Series(
                name="evaluation",
                x=[step for step, _ in curve],
                y=known([loss for _, loss in curve]),
                style="both" if len(curve) <= _DOTS else "line",
                role="second",
            )
        )
    caption = "Loss of every step" if size == 1 else f"Training: means over {size} steps"
    return Chart(
        name="losses",
        title="Loss",
        caption=f"{caption}.",
        x="step",
        y="loss",
        series=series,
        log_y=_positive(series),
    )


def _courses(recording: Recording, value: Any) -> Iterator[Series]:
    """Yields the course of a number of the weight matrices: of all, or of some from the first to the last."""
    names = (
        [p.name for p in recording.probes[0].params if p.name.endswith("weight") and p.size > 1]
        if recording.probes
        else []
    )
    places = np.unique(np.linspace(0, len(names) - 1, min(len(names), _LINES)).astype(int)) if names else []
    for number, place in enumerate(places):
        points: list[tuple[int, ParamStats]] = [
            (probe.step, p) for probe in recording.probes for p in probe.params if p.name == names[place]
        ]
        values = [(step, found) for step, p in points if (found := value(p)) is not None]
        yield Series(
            name=names[place],
            x=[step for step, _ in values],
            y=known([each for _, each in values]),
            style="line" if len(values) > _DOTS else "both",
            role=_ROLES[number] if number < len(_ROLES) else "quiet",
        )


def _positive(series: Sequence[Series]) -> bool:
    """Whether values are above 0 and so far apart that their logarithms are drawn."""
    values = [y for each in series for y in each.y if y is not None]
    return bool(values) and min(values) > 0 and max(values) > 20 * min(values)
