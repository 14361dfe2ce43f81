"""Scores: exact cause at rank 1 and 3, proven remedies, false alarms; intervals over clusters of cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

#: share of the faults that are named first, and among the first three; of remedies that are proven; alarms of 100 loops
RANK_1, RANK_3, PROVEN, ALARMS = 0.85, 0.95, 0.9, 2.0
#: times as many faults as any rival that are named first
_AHEAD = 2
#: a score that is so many times as large, and larger by so much, is clearly worse
_WORSE, _SLIGHT = 1.1, 0.005
#: faults without a remedy that training could show
NO_PROOF = ("shuffled_labels", "rows_in_both_splits", "leaking_feature", "missing_eval", "labels_off_by_one")


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the figures of every tool, in all and by split and fault."""
    tools: dict[str, Any] = {}
    for tool in dict.fromkeys(each["tool"] for each in found):
        own = [each for each in found if each["tool"] == tool]
        tools[tool] = {
            "all": figures(own),
            **{split: figures([e for e in own if _split(e) == split]) for split in ("tuned", "other", "apart")},
        }
    faults = {
        fault: {
            tool: figures([e for e in found if e["fault"] == fault and e["tool"] == tool], short=True) for tool in tools
        }
        for fault in dict.fromkeys(each["fault"] for each in found)
        if fault
    }
    return {"tools": tools, "faults": faults}


def claims(report: dict[str, Any], *, whole: bool = True) -> dict[str, bool]:
    """Returns what was to be shown, and whether it was.

    Args:
        report: The summary. whole: whether splits are looked at too, which are few cases in a part of them.
    """
    found: dict[str, bool] = {}
    for split, figures in report["tools"].get("thalweg", {}).items():
        if split != "all" and not whole:
            continue
        if "rank 1" in figures:
            found[f"{split}: the exact cause is first in at least {RANK_1:.0%}"] = figures["rank 1"]["share"] >= RANK_1
            found[f"{split}: it is among the first three in at least {RANK_3:.0%}"] = (
                figures["rank 3"]["share"] >= RANK_3
            )
        if "proven where it harms" in figures:
            share = figures["proven where it harms"]["share"]
            found[f"{split}: a remedy is proven for at least {PROVEN:.0%} of the faults that harm"] = share >= PROVEN
        if "alarms" in figures:
            found[f"{split}: at most {ALARMS:g} alarms in 100 healthy loops"] = (
                100 * figures["alarms"]["share"] <= ALARMS
            )
    first = {tool: figures["all"]["rank 1"]["share"] for tool, figures in report["tools"].items() if _ranked(figures)}
    ours = first.pop("thalweg", None)
    if ours is not None and first:
        found["every rival is beaten by a factor of two at rank 1"] = ours >= _AHEAD * max(first.values())
    return found


def table(report: dict[str, Any]) -> list[str]:
    """Returns a line of figures for each tool, below their names."""
    lines = [f"{'':16}{'rank 1':>10}{'rank 3':>10}{'alarms':>10}{'errors':>10}{'median s':>10}"]
    for tool, figures in report["tools"].items():
        of = figures["all"]
        shares = [f"{of[name]['share']:.1%}" if name in of else "-" for name in ("rank 1", "rank 3", "alarms")]
        lines.append(f"{tool:16}" + "".join(f"{one:>10}" for one in (*shares, of.get("errors", 0))))
        lines[-1] += f"{of['median seconds']:10.2f}"
    return lines


def _ranked(figures: dict[str, Any]) -> bool:
    return "rank 1" in figures["all"]


def named(finding: Sequence[Any]) -> frozenset[str]:
    """Returns the causes of a finding; a rival's words may stand for several."""
    causes = finding[0]
    return frozenset([causes] if isinstance(causes, str) else causes)


def _split(each: dict[str, Any]) -> str:
    from benchmarks.doctor.cases import Case

    return Case(**{key: each[key] for key in ("fault", "data", "model", "seed")}).split


def figures(found: list[dict[str, Any]], *, short: bool = False) -> dict[str, Any]:
    faulty = [each for each in found if each["fault"]]
    healthy = [each for each in found if not each["fault"]]
    names = {id(each): [named(one) for one in each.get("findings", [])] for each in found}
    report: dict[str, Any] = {}
    if faulty:
        report["rank 1"] = _share(faulty, [_hit(e["fault"], names[id(e)][:1]) for e in faulty])
        report["rank 3"] = _share(faulty, [_hit(e["fault"], names[id(e)][:3]) for e in faulty])
        open_ = [e for e in faulty if e["fault"] not in NO_PROOF and "proven" in e]
        if any(e.get("tried") for e in open_):
            report["proven"] = _share(open_, [e["fault"] in e["proven"] for e in open_])
            harmed = [e for e in open_ if _harmed(e)]
            if harmed:
                report["proven where it harms"] = _share(harmed, [e["fault"] in e["proven"] for e in harmed])
    if healthy:
        report["alarms"] = _share(healthy, [_alarms(e) for e in healthy])
    errors = sum("error" in each for each in found)
    if errors:
        report["errors"] = errors
    if not short and found:
        report["median seconds"] = float(np.median([each["seconds"] for each in found]))
    return report


def _hit(fault: str, findings: list[frozenset[str]]) -> bool:
    return any(fault in causes for causes in findings)


def _alarms(each: dict[str, Any]) -> bool:
    """Whether there is a finding that is more than a note."""
    return any(weight is not None for _, weight in each.get("findings", []))


def _harmed(each: dict[str, Any]) -> bool:
    """Whether the loop without the fault ends with a clearly better score on its rows of validation."""
    if each.get("score") is None:
        return True
    return each["score without"] is not None and each["score"] > _WORSE * each["score without"] + _SLIGHT


def _share(cases: list[dict[str, Any]], hits: list[bool]) -> dict[str, Any]:
    """Returns a share with the interval of a bootstrap over clusters (fault, data and network), 95%."""
    clusters: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    for case, hit in zip(cases, hits, strict=True):
        clusters[case["fault"], case["data"], case["model"]].append(hit)
    sums = np.array([(sum(each), len(each)) for each in clusters.values()], float)
    drawn = sums[np.random.default_rng(0).integers(0, len(sums), (2_000, len(sums)))].sum(1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    share = sum(hits) / len(hits)
    return {"share": round(share, 4), "low": round(float(low), 4), "high": round(float(high), 4), "cases": len(hits)}
