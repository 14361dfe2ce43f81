"""A fixed part of the benchmark of the doctor: what it claims holds there too, and its sums are right."""

from __future__ import annotations

import sys

import pytest
from benchmarks.doctor import run
from benchmarks.doctor.cases import Case, cases
from benchmarks.doctor.score import claims, summary

from thalweg.doctor._gallery import FAULTS, KINDS


def test_there_are_cases_of_every_fault_and_enough_healthy_loops():
    found = cases()
    assert len({each.name for each in found}) == len(found)
    assert {each.fault for each in found} == {"", *FAULTS}
    assert len(KINDS) >= 20
    assert {each.split for each in found} == {"tuned", "other", "apart"}
    for fault in ("lr_too_high", "missing_zero_grad", "label_noise", "unscaled_inputs"):
        own = [each for each in found if each.fault == fault]
        assert len(own) == 27
        assert len({each.data for each in own}) >= 3
        assert len({each.model for each in own}) >= 3


def test_figures_of_a_score():
    def case(fault: str, found: list[str], *, seed: int = 0, proven: tuple[str, ...] = ()) -> dict:
        own = Case(fault=fault, data="wine", model="mlp", seed=seed).to_json()
        return {
            **own,
            "tool": "thalweg",
            "findings": [(name, 1.0) for name in found],
            "proven": list(proven),
            "tried": found[:3],
            "seconds": 1.0,
        }

    report = summary(
        [
            case("lr_too_high", ["lr_too_high"], proven=("lr_too_high",)),
            case("lr_too_high", ["dead_units", "lr_too_high"], seed=1),
            case("missing_zero_grad", [], seed=1),
            case("", []),
            case("", ["overfitting"], seed=1),
        ]
    )
    figures = report["tools"]["thalweg"]["all"]
    assert figures["rank 1"]["share"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["rank 3"]["share"] == pytest.approx(2 / 3, abs=1e-4)
    assert figures["proven"]["share"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["alarms"]["share"] == 0.5
    assert not any(holds for text, holds in claims(report).items() if text.startswith("all"))


@pytest.mark.slow
def test_faults_are_named_and_healthy_loops_left_in_peace_in_a_twentieth(monkeypatch, capsys):
    # without proofs: what these reach depends on the time that there is
    monkeypatch.setattr(sys, "argv", ["run.py", "--share", "0.05", "--proof", "0", "--out", "", "--workers", "2"])
    code = run.main()
    out = capsys.readouterr().out
    assert code == 0, out
    assert out.count("holds: all") == 3
