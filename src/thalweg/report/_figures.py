"""Figures of a result as plain plotly data: dicts of lists, numbers and text, which any plotly can draw."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from thalweg.core import Interval
from thalweg.population import Record, Scores
from thalweg.recipes import format_value
from thalweg.report._words import by_importance, cut_to_share, interval_rows, is_share, metric_label
from thalweg.search import AxisEffect, Tuning
from thalweg.tasks import METRICS
from thalweg.workflows import TrainResult, TuneResult

#: curves that are drawn in one figure; of more, an even sample
MOST_CURVES = 400
_FIRST, _SECOND, _QUIET, _BAD = "#2f7dc0", "#d97a1f", "#9aa3ad", "#c8454d"
_LR_BINS = 12
_MOST_ROWS = 18

Figure = dict[str, Any]


def figures(result: TuneResult | TrainResult) -> dict[str, Figure]:
    """Returns name -> figure of everything that a result can show; what it does not know has no figure.

    Scores that are shares of rows are in percent. A figure is `{"data": [...], "layout": {...}}`.

    Args:
        result: What `tune` or `train` returned.
    """
    metric = result.task.metric
    found: dict[str, Figure] = {}
    if isinstance(result, TrainResult):
        _add(found, "validation", _scores_figure(metric, [("", result.validation, _FIRST)]))
        _add(found, "test", _scores_figure(metric, [("", result.test, _FIRST)]))
        records = result.history.get("training", [])
        _add(found, "loss", _loss_figure(records))
        _add(found, "score", _score_curves(records, metric, [("", None, _FIRST)]))
        return found
    tuning: Tuning = result.tuning
    pair = [
        ("recommended", tuning.validation, _FIRST),
        ("runner-up", tuning.runner_up_validation, _SECOND),
    ]
    _add(found, "validation", _scores_figure(metric, pair))
    _add(found, "test", _scores_figure(metric, [("recommended", tuning.test, _FIRST)]))
    _add(found, "difference", _difference_figure(metric, tuning))
    for effect in by_importance(tuning.effects):
        _add(found, f"axis {effect.axis}", _axis_figure(metric, effect))
    _add(found, "heat", _heat_figure(metric, tuning))
    _add(found, "screening", _screening_figure(metric, result.history.get("screening", [])))
    records, half = result.history.get("confirmation", []), tuning.size.seeds
    mine = [r for r in records if r.member < half]
    _add(found, "loss", _loss_figure(mine))
    _add(found, "score", _score_curves(records, metric, [("recommended", half, _FIRST), ("runner-up", None, _SECOND)]))
    return found


def _add(found: dict[str, Figure], name: str, figure: Figure | None) -> None:
    if figure is not None:
        found[name] = figure


def _round(value: float | None, digits: int = 4) -> float | None:
    """Returns a number with few digits, so that a page stays small; None where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def _shown(metric: str, values: Iterable[float | None]) -> list[float | None]:
    scale = 100.0 if is_share(metric) else 1.0
    return [None if v is None else _round(scale * v, 5) for v in values]


def _title(metric: str, what: str = "") -> str:
    text = f"{what} {metric_label(metric)}".strip()
    return f"{text} (%)" if is_share(metric) else text


def _layout(height: int, x: str, y: str = "", **extra: Any) -> dict[str, Any]:
    return {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "xaxis": {"title": {"text": x}, "automargin": True, "zeroline": False, **extra.pop("xaxis", {})},
        "yaxis": {"title": {"text": y}, "automargin": True, "zeroline": False, **extra.pop("yaxis", {})},
        "showlegend": False,
        "hovermode": "closest",
        **extra,
    }


_LEGEND = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}


def _bars(metric: str, intervals: Sequence[Interval]) -> tuple[list[Any], dict[str, Any]]:
    """Returns means and error bars; an end that is not known has no bar."""
    scale = 100.0 if is_share(metric) else 1.0
    means = _shown(metric, [i.mean for i in intervals])
    up = [_round(scale * (i.high - i.mean)) or 0.0 for i in intervals]
    down = [_round(scale * (i.mean - i.low)) or 0.0 for i in intervals]
    return means, {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 2, "width": 5}


def _scores_figure(metric: str, rows: Sequence[tuple[str, Scores | None, str]]) -> Figure | None:
    known = [(name, scores, colour) for name, scores, colour in rows if scores is not None]
    if not known:
        return None
    labels = ["each seed", *(short for short, _, _ in interval_rows(known[0][1]))]
    data: list[dict[str, Any]] = []
    for k, (name, scores, colour) in enumerate(known):
        shift = 0.0 if len(known) == 1 else 0.14 - 0.28 * k
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": _shown(metric, scores.values),
                "y": [round(3 + shift, 2)] * len(scores.values),
                "text": [f"seed {s}" for s in scores.seeds],
                "marker": {"color": colour, "size": 8, "opacity": 0.55},
                "hovertemplate": "%{text}: %{x}<extra></extra>",
                "showlegend": False,
            }
        )
        means, bars = _bars(metric, [cut_to_share(metric, interval) for _, _, interval in interval_rows(scores)])
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": means,
                "y": [round(2 - n + shift, 2) for n in range(3)],
                "error_x": {**bars, "color": colour},
                "marker": {"color": colour, "size": 9, "symbol": "diamond"},
                "hovertemplate": "%{x}<extra></extra>",
            }
        )
    ticks = {"tickvals": [3, 2, 1, 0], "ticktext": labels, "range": [-0.5, 3.5], "showgrid": False}
    return {
        "data": data,
        "layout": _layout(
            230 if len(known) == 1 else 280, _title(metric), yaxis=ticks, showlegend=len(known) > 1, legend=_LEGEND
        ),
    }


def _difference_figure(metric: str, tuning: Tuning) -> Figure | None:
    difference, first, second = tuning.difference, tuning.validation, tuning.runner_up_validation
    if difference is None or first is None or second is None:
        return None
    common = [s for s in first.seeds if s in second.seeds]
    apart = [first.values[first.seeds.index(s)] - second.values[second.seeds.index(s)] for s in common]
    means, bars = _bars(metric, [difference])
    unit = "percentage points" if is_share(metric) else metric_label(metric)
    ticks = {"tickvals": [1, 0], "ticktext": ["each seed", "mean"], "range": [-0.6, 1.6], "showgrid": False}
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "x": _shown(metric, apart),
                "y": [1] * len(apart),
                "text": [f"seed {s}" for s in common],
                "marker": {"color": _QUIET, "size": 8, "opacity": 0.8},
                "hovertemplate": "%{text}: %{x}<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "x": means,
                "y": [0],
                "error_x": {**bars, "color": _FIRST},
                "marker": {"color": _FIRST, "size": 9, "symbol": "diamond"},
                "hovertemplate": "%{x}<extra></extra>",
            },
        ],
        "layout": _layout(170, f"difference ({unit})", xaxis={"zeroline": True, "zerolinewidth": 2}, yaxis=ticks),
    }


def _axis_figure(metric: str, effect: AxisEffect) -> Figure | None:
    levels = effect.levels
    if not levels:
        return None
    labels = [level.label if level.given is None else f"{level.label}, {level.given}" for level in levels]
    known = [(label, level.mean) for label, level in zip(labels, levels, strict=True) if level.mean is not None]
    means, bars = _bars(metric, [mean for _, mean in known])
    best = [label for label, level in zip(labels, levels, strict=True) if _is_best(effect, level)]
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": means,
            "y": [label for label, _ in known],
            "error_x": {**bars, "color": _QUIET},
            "marker": {"color": [_FIRST if label in best else _QUIET for label, _ in known], "size": 9},
            "hovertemplate": "%{y}: %{x}<extra></extra>",
        },
    ]
    split = any(level.diverged for level in levels)
    if split:
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "x": [round(100 * level.share_diverged, 1) for level in levels],
                "y": labels,
                "xaxis": "x2",
                "text": [f"{level.diverged} of {level.num}" if level.diverged else "" for level in levels],
                "textposition": "auto",
                "marker": {"color": _BAD},
                "hovertemplate": "%{y}: %{x}% diverged<extra></extra>",
            }
        )
    beside = {
        "domain": [0.78, 1],
        "range": [0, 100],
        "tickvals": [0, 100],
        "title": {"text": "diverged (%)"},
        "anchor": "y",
        "zeroline": False,
    }
    layout = _layout(
        110 + 27 * len(levels),
        _title(metric, "mean"),
        xaxis={"domain": [0, 0.72 if split else 1]},
        yaxis={"type": "category", "categoryorder": "array", "categoryarray": labels[::-1]},
        bargap=0.45,
    )
    return {"data": data, "layout": {**layout, "xaxis2": beside} if split else layout}


def _is_best(effect: AxisEffect, level: Any) -> bool:
    ends = (level.low, level.high)
    same = effect.best == ends if isinstance(effect.best, tuple) else effect.best == level.label
    return bool(same and effect.best_given == level.given)


def _heat_figure(metric: str, tuning: Tuning) -> Figure | None:
    """Mean first-rung score over the step size and the axes that matter most beside it."""
    names = [axis.field for axis in tuning.axes]
    if "lr" not in names:
        return None
    scores = np.array(tuning.first_scores, dtype=np.float64)
    diverged = {d.member for d in tuning.diverged}
    seen = [n for n in range(len(tuning.screened)) if math.isfinite(scores[n]) or n in diverged]
    if len(seen) < 2:
        return None
    rows = _row_labels(tuning, seen)
    rates = np.log10([tuning.screened[n].lr for n in seen])
    edges = np.linspace(rates.min(), rates.max() + 1e-9, _LR_BINS + 1)
    column = np.clip(np.digitize(rates, edges) - 1, 0, _LR_BINS - 1)
    labels = sorted(set(rows))
    z: list[list[float | None]] = []
    text: list[list[str]] = []
    notes: list[list[str]] = []
    for label in labels:
        line, marks, told = [], [], []
        for k in range(_LR_BINS):
            inside = [n for n, row, c in zip(seen, rows, column, strict=True) if row == label and c == k]
            good = [scores[n] for n in inside if math.isfinite(scores[n])]
            line.append(_shown(metric, [float(np.mean(good))])[0] if good else None)
            marks.append("×" if inside and not good else "")
            told.append(f"{len(inside)} members, {len(inside) - len(good)} diverged")
        z.append(line)
        text.append(marks)
        notes.append(told)
    values = [v for line in z for v in line if v is not None]
    if not values:
        return None
    higher = METRICS[metric].higher_is_better
    low, high = (np.percentile(values, 10), max(values)) if higher else (min(values), np.percentile(values, 80))
    centres = 10 ** ((edges[:-1] + edges[1:]) / 2)
    return {
        "data": [
            {
                "type": "heatmap",
                "x": [f"{c:.2g}" for c in centres],
                "y": labels,
                "z": z,
                "text": text,
                "texttemplate": "%{text}",
                "customdata": notes,
                "hovertemplate": "lr near %{x}, %{y}: %{z}<br>%{customdata}<extra></extra>",
                "hoverongaps": False,
                "colorscale": "Viridis",
                "reversescale": not higher,
                "zmin": _round(float(low)),
                "zmax": _round(float(max(high, low))),
                "xgap": 2,
                "ygap": 2,
                "colorbar": {"thickness": 10, "title": {"text": "%" if is_share(metric) else ""}, "outlinewidth": 0},
            }
        ],
        "layout": _layout(
            130 + 26 * len(labels),
            "lr",
            xaxis={"type": "category", "showgrid": False},
            yaxis={"type": "category", "categoryorder": "array", "categoryarray": labels[::-1], "showgrid": False},
        ),
    }


def _row_labels(tuning: Tuning, seen: Sequence[int]) -> list[str]:
    """Returns for each member its value of the optimizer and of the axis that matters most beside lr."""
    order = [effect.axis for effect in by_importance(tuning.effects)]
    order = order or [axis.field for axis in tuning.axes]
    chosen = ["optimizer"] if "optimizer" in order else []
    chosen += [name for name in order if name not in ("lr", "optimizer")][:1]
    for fields in (chosen, chosen[:1]):
        labels = [
            ", ".join(format_value(name, getattr(tuning.screened[n], name)) for name in fields) or "all" for n in seen
        ]
        if len(set(labels)) <= _MOST_ROWS:
            return labels
    return ["all"] * len(seen)


def _by_member(records: Iterable[Record]) -> dict[int, list[Record]]:
    found: dict[int, list[Record]] = {}
    for record in records:
        found.setdefault(record.member, []).append(record)
    return found


def sampled(members: Sequence[int], most: int = MOST_CURVES) -> list[int]:
    """Returns at most so many members, evenly spread over their order."""
    if len(members) <= most:
        return list(members)
    return [members[k] for k in np.linspace(0, len(members) - 1, most).round().astype(int)]


def _joined(curves: Iterable[list[Record]], field: str, metric: str | None) -> tuple[list[Any], list[Any]]:
    """Returns x and y of many curves as one line with gaps: a fraction of the size of one trace for each."""
    x: list[Any] = []
    y: list[Any] = []
    for records in curves:
        values = [getattr(r, field) for r in records]
        x += [r.epoch for r in records] + [None]
        y += (_shown(metric, values) if metric else [_round(v) for v in values]) + [None]
    return x, y


def _line(x: list[Any], y: list[Any], name: str, colour: str, **extra: Any) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": x,
        "y": y,
        "name": name,
        "line": {"color": colour, "width": extra.pop("width", 1.4)},
        "marker": {"size": extra.pop("size", 3)},
        "opacity": extra.pop("opacity", 0.8),
        "hovertemplate": "epoch %{x}: %{y}<extra></extra>",
        **extra,
    }


def _screening_figure(metric: str, records: Sequence[Record]) -> Figure | None:
    curves = _by_member(records)
    if not curves:
        return None
    last = max(r.epoch for r in records)
    survivors = [n for n, found in curves.items() if found[-1].epoch == last]
    others = sampled([n for n in curves if n not in set(survivors)], max(MOST_CURVES - len(survivors), 0))
    data = []
    for name, which, colour, extra in (
        ("stopped before", others, _QUIET, {"width": 0.8, "opacity": 0.6, "hoverinfo": "skip"}),
        ("reached the end", sampled(survivors), _FIRST, {"opacity": 0.85}),
    ):
        x, y = _joined([curves[n] for n in which], "validation_score", metric)
        data.append(_line(x, y, name, colour, **extra))
    x, y = _epoch_axis(last), _score_range(metric, data)
    title = _title(metric, "validation")
    return {
        "data": data,
        "layout": _layout(380, "epoch", title, showlegend=True, legend=_LEGEND, xaxis=x, yaxis=y),
    }


def _epoch_axis(last: int) -> dict[str, Any]:
    return _log_axis(1, last) if last > 20 else {"rangemode": "tozero"}


def _log_axis(low: float, high: float) -> dict[str, Any]:
    """Returns a logarithmic axis with ticks at 1, 2 and 5 (1 alone over many decades), each written in full."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    heads = (1, 2, 5) if last - first <= 3 else (1,)
    ticks = [float(f"{head}e{k}") for k in range(first, last + 1) for head in heads]
    ticks = [t for t in ticks if low * 0.99 <= t <= high * 1.01]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{t:g}" for t in ticks]}


def _score_range(metric: str, data: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Losses of members that are about to diverge would flatten all other curves: the top is cut."""
    values = sorted(v for trace in data for v in trace["y"] if v is not None)
    if (METRICS[metric].higher_is_better and is_share(metric)) or len(values) < 5:
        return {}
    low, high = np.percentile(values, [5, 95])
    if METRICS[metric].higher_is_better:
        return {"range": [_round(float(low)), _round(values[-1] + 0.05 * (values[-1] - low))]}
    return {"range": [_round(values[0] - 0.05 * (high - values[0])), _round(float(high))]}


def _loss_figure(records: Sequence[Record]) -> Figure | None:
    curves = list(_by_member(records).values())
    if not curves:
        return None
    data = []
    for name, field, colour in (("training", "train_loss", _FIRST), ("validation", "validation_loss", _SECOND)):
        x, y = _joined(curves, field, None)
        data.append(_line(x, y, name, colour, width=1.1, size=2))
    values = [v for trace in data for v in trace["y"] if v is not None]
    scale = _log_axis(min(values), max(values)) if values and min(values) > 0 else {}
    return {"data": data, "layout": _layout(320, "epoch", "loss", showlegend=True, legend=_LEGEND, yaxis=scale)}


def _score_curves(
    records: Sequence[Record], metric: str, parts: Sequence[tuple[str, int | None, str]]
) -> Figure | None:
    """Curves of members by part; each part holds the members below its end."""
    curves = _by_member(records)
    if not curves:
        return None
    data, start = [], 0
    for name, end, colour in parts:
        which = [n for n in curves if n >= start and (end is None or n < end)]
        if which:
            x, y = _joined([curves[n] for n in which], "validation_score", metric)
            data.append(_line(x, y, name, colour, width=1.1, size=2))
        start = end or 0
    named = len(data) > 1
    return {
        "data": data,
        "layout": _layout(320, "epoch", _title(metric, "validation"), showlegend=named, legend=_LEGEND),
    }
