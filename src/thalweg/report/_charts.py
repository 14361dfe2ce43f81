"""Charts of a study as plain plotly data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from thalweg.core import Answer, Chart, Field, Series

_ROLES = {"main": "#2f7dc0", "second": "#d97a1f", "third": "#3a9a6b", "quiet": "#9aa3ad", "bad": "#c8454d"}
_HEIGHT = 340
#: whole numbers along an axis that each have a tick, at most
_FEW = 12


def charts(answer: Answer) -> dict[str, dict[str, Any]]:
    """Returns name -> plotly figure of every chart of an answer."""
    return {chart.name: _drawn(chart) for chart in answer.charts}


def _drawn(chart: Chart | Field) -> dict[str, Any]:
    if isinstance(chart, Field):
        return _solid(chart) if chart.solid else _field(chart)
    return _chart(chart)


def _chart(chart: Chart) -> dict[str, Any]:
    named = {series.name for series in chart.series if series.role != "quiet"}
    traces, shown = [_trace(series) for series in chart.series], set()
    for trace in traces:  # several lines of one name have one entry
        trace["showlegend"] = trace["showlegend"] and trace["name"] not in shown
        shown.add(trace["name"])
    return {"data": traces, "layout": _layout(chart, legend=len(named) > 1)}


def _field(field: Field) -> dict[str, Any]:
    heat = {
        "type": "heatmap",
        "x": list(field.xs),
        "y": list(field.ys),
        "z": [list(row) for row in field.values],
        "colorscale": "Viridis",
        "colorbar": {"title": {"text": field.z, "side": "right"}, "thickness": 14},
        "hovertemplate": f"{field.x} %{{x:.4g}}, {field.y} %{{y:.4g}}: %{{z:.4g}}<extra></extra>",
    }
    return {"data": [heat, *(_trace(series) for series in field.series)], "layout": _layout(field, legend=False)}


def _solid(field: Field) -> dict[str, Any]:
    surface = {
        "type": "surface",
        "x": list(field.xs),
        "y": list(field.ys),
        "z": [list(row) for row in field.values],
        "colorscale": "Viridis",
        "showscale": False,
        "contours": {"z": {"show": True, "usecolormap": True, "width": 1}},
        "hovertemplate": f"{field.x} %{{x:.4g}}, {field.y} %{{y:.4g}}: %{{z:.4g}}<extra></extra>",
    }
    axes = {
        "xaxis": {"title": {"text": field.x}},
        "yaxis": {"title": {"text": field.y}},
        "zaxis": {"title": {"text": field.z}},
        "camera": {"eye": {"x": 1.5, "y": -1.5, "z": 1.0}},
        "aspectratio": {"x": 1, "y": 1, "z": 0.7},
    }
    margin = {"l": 0, "r": 0, "t": 0, "b": 0}
    return {"data": [surface], "layout": {"height": 1.5 * _HEIGHT, "margin": margin, "scene": axes}}


def _trace(series: Series) -> dict[str, Any]:
    colour = _ROLES[series.role]
    quiet = series.role == "quiet"
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": {"line": "lines", "points": "markers", "both": "lines+markers"}[series.style],
        "name": series.name,
        "x": list(series.x),
        "y": [_round(value) for value in series.y],
        "marker": {"color": colour, "size": 6 if quiet else 9, "opacity": 0.6 if quiet else 1},
        "line": {"color": colour, "width": 1.2 if quiet else 2.2},
        "hovertemplate": f"{series.name}<br>%{{x}}: %{{y:.5g}}<extra></extra>",
        "showlegend": not quiet,
    }
    if series.low is not None and series.high is not None:
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": _distances(series.high, series.y),
            "arrayminus": _distances(series.y, series.low),
            "color": colour,
            "thickness": 2,
            "width": 5,
        }
    return trace


def _distances(upper: Sequence[float | None], lower: Sequence[float | None]) -> list[float]:
    return [0.0 if a is None or b is None else _round(a - b) or 0.0 for a, b in zip(upper, lower, strict=True)]


def _round(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _layout(chart: Chart | Field, *, legend: bool) -> dict[str, Any]:
    def axis(title: str, log: bool) -> dict[str, Any]:
        scale = {"type": "log", "exponentformat": "power"} if log else {}
        return {"title": {"text": title}, "automargin": True, "zeroline": False, **scale}

    return {
        "height": _HEIGHT,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "xaxis": axis(chart.x, chart.log_x) | _whole_ticks(chart),
        "yaxis": axis(chart.y, chart.log_y),
        "showlegend": legend,
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
    }


def _whole_ticks(chart: Chart | Field) -> dict[str, Any]:
    """Returns ticks at whole numbers for an axis that counts a few things, such as layers."""
    places = [x for series in chart.series for x in series.x]
    whole = [x for x in places if isinstance(x, int)]
    if isinstance(chart, Field) or chart.log_x or not whole or len(whole) < len(places):
        return {}
    return {"dtick": 1} if max(whole) - min(whole) <= _FEW else {}
