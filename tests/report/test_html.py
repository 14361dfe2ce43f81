"""The page: complete, escaped, self-contained, and drawn by a real browser without an error."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from thalweg.population import Record
from thalweg.report import figures, notebook_html, train_html, tune_html
from thalweg.report._figures import MOST_CURVES

_VOID = {"meta", "link", "br"}


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.loads += [v for k, v in attrs if k in ("src", "href") and v and not v.startswith("data:")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _own(page: str) -> str:
    return page.replace(get_plotlyjs(), "")


@pytest.mark.parametrize("name", ["tuned", "regression", "interrupted", "trained"])
def test_self_contained(name, request):
    result = request.getfixturevalue(name)
    page = (train_html if name == "trained" else tune_html)(result)
    assert page.count(get_plotlyjs()) == 1
    own = _own(page)
    assert len(own) < 1_000_000
    balance = _Balance()
    balance.feed(own)
    assert balance.open == []
    assert balance.loads == []
    assert "NaN" not in own.split('id="figures">')[1].split("</script>")[0]
    for figure in figures(result):
        assert f'data-figure="{figure}"' in own, "every figure has its place"


def test_user_text_is_escaped(tuned):
    evil = "</script><script>alert(1)</script>"
    task = dataclasses.replace(tuned.task, name=evil, notes=(evil,))
    own = _own(tune_html(dataclasses.replace(tuned, task=task)))
    assert "alert(1)</script>" not in own
    assert "&lt;script&gt;alert(1)" in own


def test_figures_are_the_result(tuned):
    found = figures(tuned)
    assert {"validation", "test", "difference", "heat", "screening", "loss", "score", "axis lr"} <= set(found)
    json.dumps(found, allow_nan=False)
    dots, means = found["test"]["data"]
    np.testing.assert_allclose(dots["x"], 100 * np.array(tuned.tuning.test.values), rtol=1e-4)
    np.testing.assert_allclose(means["x"], 100 * tuned.tuning.test.over_seeds.mean, rtol=1e-4)
    high = 100 * (tuned.tuning.test.over_rows.high - tuned.tuning.test.over_rows.mean)
    assert means["error_x"]["array"][1] == pytest.approx(high, rel=1e-3)
    assert sum(text == "×" for row in found["heat"]["data"][0]["text"] for text in row) == 4
    lr = next(effect for effect in tuned.tuning.effects if effect.axis == "lr")
    assert max(level.diverged for level in lr.levels) == 4
    assert max(found["axis lr"]["data"][1]["x"]) == 100.0


def test_curves_are_capped_and_say_so(tuned):
    records = [
        Record(
            member=n,
            epoch=e,
            step=e,
            examples=e,
            train_loss=1.0,
            validation_loss=1.0,
            validation_score=0.5,
            lr=0.1,
        )
        for n in range(900)
        for e in (1, 2, 3)[: 3 if n % 30 == 0 else 1]
    ]
    result = dataclasses.replace(tuned, history={**tuned.history, "screening": records})
    drawn = figures(result)["screening"]["data"]
    assert sum(trace["y"].count(None) for trace in drawn) == MOST_CURVES
    assert f"An even sample of {MOST_CURVES} of 900 members" in tune_html(result)


def test_how_it_was_chosen_is_told(tuned):
    runs = [len({r.member for r in tuned.history[f"choice-{heat}"]}) for heat in (1, 2)]
    assert f"the leading ones on more: {runs[0]} and {runs[1]} runs" in tune_html(tuned)


def test_diverged_members_are_listed(tuned):
    own = _own(tune_html(tuned))
    rows = own.split("members that diverged</summary>")[1].split("</table>")[0]
    assert rows.count("<tr>") == 1 + len(tuned.tuning.diverged)
    assert "1e+30" in rows


def test_notebook_frame(trained):
    frame = notebook_html(trained)
    assert frame.startswith("<iframe srcdoc=")
    inside = re.search(r'srcdoc="([^"]*)"', frame)
    assert inside is not None
    assert inside[1].startswith("&lt;!doctype html&gt;")
    assert trained._repr_html_() == frame


_BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--v=0",
    "--virtual-time-budget=8000",
]
_RECORDER = """<script>
window.seen = [];
addEventListener("error", (e) => seen.push(String(e.message)));
addEventListener("securitypolicyviolation", (e) => seen.push(e.violatedDirective));
addEventListener("load", () => setTimeout(() => {
  const places = [...document.querySelectorAll("[data-figure]")];
  const root = document.documentElement;
  root.dataset.errors = JSON.stringify(seen);
  root.dataset.places = places.length;
  root.dataset.drawn = places.filter((p) => p.querySelector("svg.main-svg .plot, svg.main-svg .cartesianlayer")).length;
  root.dataset.wide = root.scrollWidth - innerWidth;
}, 500));
</script>"""


@pytest.mark.skipif(_BROWSER is None, reason="no chromium or google-chrome on this machine draws the page")
@pytest.mark.parametrize("width", [1400, 500])
@pytest.mark.parametrize("name", ["tuned", "interrupted", "trained"])
def test_in_a_browser(name, width, request, tmp_path):
    result = request.getfixturevalue(name)
    page = (train_html if name == "trained" else tune_html)(result)
    file = tmp_path / "page.html"
    file.write_text(page.replace("<style>", _RECORDER + "<style>", 1), encoding="utf-8")
    command = [str(_BROWSER), *_FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},2000"]
    done = subprocess.run(
        [*command, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=90, check=False
    )
    assert "CONSOLE" not in done.stderr
    told = dict(re.findall(r'data-(errors|places|drawn|wide)="([^"]*)"', done.stdout.split("<head>")[0]))
    assert told["errors"] == "[]"
    assert int(told["places"]) == len(figures(result)) > 0
    assert told["drawn"] == told["places"]
    assert int(told["wide"]) <= 0, "nothing sticks out to the side"
