"""The frame of a page: style, script and the few building blocks of HTML, written by hand."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any

STYLE = """
:root { color-scheme: light dark;
  --paper: #fbfaf7; --card: #ffffff; --ink: #1d2329; --soft: #5b6670; --line: #dfe3e6; --mark: #2f7dc0;
  --warn: #fdf3e1; --warnline: #e0b568; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14181c; --card: #1b2026; --ink: #e6e9ec; --soft: #9ba6b0; --line: #313941; --mark: #6fb1e8;
  --warn: #2e2716; --warnline: #8a6a26; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 2.2rem 1.25rem 4rem; }
h1 { font-size: clamp(1.35rem, 1.1rem + 1.3vw, 2rem); line-height: 1.25; letter-spacing: -0.015em; margin: 0 0 .6rem;
  max-width: 52rem; }
h2 { font-size: 1.2rem; margin: 2.8rem 0 .7rem; letter-spacing: -0.01em; }
h3 { font-size: 1rem; margin: 1.3rem 0 .3rem; }
p { margin: .4rem 0 .8rem; max-width: 46rem; }
a { color: var(--mark); }
.kicker { color: var(--soft); font-size: .85rem; margin: 0 0 .4rem; }
.lead { font-size: 1.08rem; }
.soft, figcaption { color: var(--soft); font-size: .88rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.1rem;
  margin: .8rem 0; min-width: 0; }
.card > h3:first-child { margin-top: 0; }
.warn { background: var(--warn); border-color: var(--warnline); }
.two { display: grid; align-items: start; gap: .9rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.two > .card { margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .34rem .8rem .34rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { font-weight: 600; color: var(--soft); font-size: .84rem; }
tr:last-child td { border-bottom: 0; }
code, pre { font-family: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace; font-size: .86rem; }
code { overflow-wrap: anywhere; }
td code { overflow-wrap: break-word; }
pre { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: .8rem; overflow-x: auto;
  margin: .5rem 0; }
summary { cursor: pointer; color: var(--mark); font-size: .92rem; }
button { font: inherit; font-size: .84rem; border: 1px solid var(--line); border-radius: 6px; background: var(--card);
  color: var(--ink); padding: .2rem .7rem; cursor: pointer; }
figure { margin: .3rem 0 0; }
figcaption { margin-top: .6rem; max-width: 46rem; }
.plot { width: 100%; }
ul { padding-left: 1.2rem; margin: .3rem 0; max-width: 46rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.1rem; margin: 0; font-size: .93rem; }
dt { color: var(--soft); }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
  main { padding: 1.3rem .9rem 3rem; } .card { padding: .8rem .8rem; } .optional { display: none; }
  table { font-size: .82rem; } th { font-size: .75rem; } th, td { padding-right: .45rem; } }
@media print { button { display: none; } .card { break-inside: avoid; } }
"""

SCRIPT = """
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const themed = (layout) => {
    const css = getComputedStyle(document.documentElement);
    const value = (name) => css.getPropertyValue(name).trim();
    const found = { ...layout, autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: value("--soft"), size: 12, family: getComputedStyle(document.body).fontFamily },
      hoverlabel: { font: { size: 12 } } };
    for (const key of Object.keys(layout).filter((k) => /^[xy]axis/.test(k)))
      found[key] = { ...layout[key], gridcolor: value("--line"), linecolor: value("--line"),
        zerolinecolor: value("--soft"), fixedrange: true };
    return found;
  };
  const draw = () => document.querySelectorAll("[data-figure]").forEach((place) => {
    const figure = structuredClone(figures[place.dataset.figure]);
    Plotly.react(place, figure.data, themed(figure.layout), { responsive: true, displayModeBar: false });
  });
  draw();
  dark.addEventListener("change", draw);
  document.querySelectorAll("details").forEach((d) => d.addEventListener("toggle", () =>
    d.querySelectorAll("[data-figure]").forEach((place) => Plotly.Plots.resize(place))));
  document.querySelectorAll("button[data-copy]").forEach((button) => button.addEventListener("click", () => {
    const range = document.createRange();
    range.selectNodeContents(document.getElementById(button.dataset.copy));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand("copy");
    button.textContent = "Copied";
  }));
})();
"""


def escape(text: object) -> str:
    """Returns text that is safe inside HTML, attributes included."""
    return html.escape(str(text), quote=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], optional: Sequence[int] = ()) -> str:
    """Returns a table; cells are HTML. Columns in `optional` are left out on a narrow screen."""

    def line(cells: Sequence[str], tag: str) -> str:
        marks = [' class="optional"' if k in optional else "" for k in range(len(cells))]
        return "".join(f"<{tag}{m}>{cell}</{tag}>" for m, cell in zip(marks, cells, strict=True))

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{line(head, "th")}</tr></thead><tbody>{body}</tbody></table></div>'


def plot(figures: dict[str, Any], name: str, caption: str = "") -> str:
    """Returns the place of a figure with its caption, or nothing where there is no such figure."""
    if name not in figures:
        return ""
    note = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    height = figures[name]["layout"]["height"]
    return f'<figure><div class="plot" data-figure="{escape(name)}" style="min-height:{height}px"></div>{note}</figure>'


def card(*parts: str, kind: str = "") -> str:
    """Returns a card around parts; nothing where all are empty."""
    inside = "".join(parts)
    return f'<div class="card {kind}">{inside}</div>' if inside else ""


def items(lines: Iterable[str]) -> str:
    """Returns a list of plain sentences."""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Returns a list of name and plain text."""
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in rows) + "</dl>"


def document(title: str, body: str, figures: dict[str, Any]) -> str:
    """Returns one self-contained page: style, plotly's own script, the figures as data.

    Args:
        title: Plain text.
        body: HTML.
        figures: Name -> figure.
    """
    from plotly.offline import get_plotlyjs

    data = json.dumps(figures, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    # nothing is loaded and nothing can be sent: the page works, and stays, offline
    policy = (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
    )
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<title>{escape(title)}</title><link rel="icon" href="data:,"><style>{STYLE}</style></head>\n',
            f"<body><main>{body}</main>\n",
            f'<script type="application/json" id="figures">{data}</script>\n',
            f"<script>{get_plotlyjs()}</script>\n<script>{SCRIPT}</script></body></html>\n",
        )
    )
