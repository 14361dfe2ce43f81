"""A fixed part of the benchmark of the doctor: what it claims holds there too, and its sums are right."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch
from benchmarks.doctor import rivals, run, run_recipes, run_scripts
from benchmarks.doctor.cases import Case, cases
from benchmarks.doctor.rivals._seen import Seen, title, told
from benchmarks.doctor.score import claims, summary, table

from thalweg.doctor._gallery import FAULTS, KINDS, healthy
from thalweg.recipes import Recipe

RIVALS = [tool for tool in rivals.TOOLS if tool != "thalweg"]


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


def test_every_script_is_there_and_has_a_known_fault():
    for group in run_scripts.GROUPS:
        own = list(run_scripts.chosen([group]))
        files = {path.name for path in (run_scripts.SCRIPTS / group).glob("*.py")}
        assert {case["file"] for case in own} == files
        assert {case["fault"] for case in own} <= {"", *FAULTS}


def test_a_script_is_run_where_its_data_are():
    before, own = Path.cwd(), [case for case in run_scripts.chosen(["tables"]) if not run_scripts.needs_data(case)]
    found = run_scripts.work(next(case for case in own if case["fault"] == "softmax_before_cross_entropy"))
    assert found["findings"][0][0] == "softmax_before_cross_entropy"
    assert Path.cwd() == before


def test_recipes_that_are_drawn_are_recipes():
    found = [run_recipes.drawn(number) for number in range(240)]
    assert found == [run_recipes.drawn(number) for number in range(240)]
    assert {data for data, _ in found} == set(run_recipes.DATA)
    assert len({str(Recipe(**recipe)) for _, recipe in found}) > 200


def test_a_training_is_judged_by_the_best_of_its_data():
    def training(error: float | None, named: list[bool]) -> dict:
        found = [{"cause": "lr_too_low", "proven": [0.2, 0.1] if proven else None} for proven in named]
        return {"data": "iris", "error": error, "standard error": 0.02, "findings": found}

    trainings = [training(0.1, []), training(0.13, [False]), training(0.5, [True, False]), training(None, [False])]
    judged = run_recipes.judged(trainings)
    assert [each["well"] for each in judged] == [True, True, False, False]
    figures = run_recipes.figures(judged)
    assert figures["named among those that do well"]["share"] == 0.5
    assert figures["named without a proof among those that do well"]["share"] == 0.5
    assert figures["named among the others"]["share"] == 1.0
    assert figures["proven where something is named"]["share"] == pytest.approx(1 / 3)


def test_an_ordinary_training_is_scored_and_looked_at():
    found = run_recipes.work(1, 1.0)
    assert found["data"] == "wine"
    assert 0 <= found["error"] < 0.5
    assert found["standard error"] > 0
    assert isinstance(found["findings"], list)


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


def line(tool: str, fault: str, findings: list, *, seed: int = 0) -> dict:
    own = Case(fault=fault, data="wine", model="mlp", seed=seed).to_json()
    return {**own, "tool": tool, "findings": findings, "seconds": 1.0}


def test_a_finding_may_stand_for_several_causes_and_a_note_is_no_alarm():
    report = summary(
        [
            line("other", "lr_too_high", [(["dead_units", "lr_too_high"], 1)]),
            line("other", "lr_too_high", [([], 2), (["overfitting"], 1), (["lr_too_high"], None)], seed=1),
            line("other", "dead_units", [(["lr_too_high"], 2)], seed=2),
            line("other", "", [(["dead_units"], None)]),
            line("other", "", [([], 1)], seed=1),
        ]
    )
    figures = report["tools"]["other"]["all"]
    assert figures["rank 1"]["share"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["rank 3"]["share"] == pytest.approx(2 / 3, abs=1e-4)
    assert figures["alarms"]["share"] == 0.5
    assert claims(report) == {}  # nothing is claimed of others
    assert table(report)[1].split() == ["other", "33.3%", "66.7%", "50.0%", "0", "1.00"]


@pytest.mark.parametrize(("theirs", "holds"), [(2, True), (3, False)])
def test_every_rival_is_to_be_beaten_by_a_factor_of_two(theirs, holds):
    right, wrong = [("lr_too_high", 1.0)], [("dead_units", 1.0)]
    found = [line("thalweg", "lr_too_high", right if k < 4 else wrong, seed=k) for k in range(6)]
    for tool, hits in (("weak", 0), ("strong", theirs)):
        found += [line(tool, "lr_too_high", right if k < hits else wrong, seed=k) for k in range(6)]
    claim = "every rival is beaten by a factor of two at rank 1"
    report = summary(found)
    assert claims(report)[claim] is holds
    assert claims(report, whole=False)[claim] is holds  # on a part of the cases too: all tools have the same
    assert claim not in claims(summary([each for each in found if each["tool"] == "thalweg"]))


@pytest.mark.parametrize("tool", RIVALS)
def test_words_of_a_rival_mean_causes_of_ours(tool):
    module = importlib.import_module(f"benchmarks.doctor.rivals._{tool.replace('-', '_')}")
    assert module.WORDS
    assert {cause for causes in module.WORDS.values() for cause in causes} <= set(FAULTS)


def test_rivals_are_pinned():
    lines = Path(rivals.__file__).parents[1].joinpath("rivals.txt").read_text().splitlines()
    assert sorted(each.split("==")[0] for each in lines if "==" in each) == sorted(RIVALS)


def test_messages_become_findings_in_the_order_of_their_severity():
    words = {"rate: .+ high": ("lr_too_high",), "rate: ": ("lr_too_low",), "dead": ("dead_units",), "all well": ()}
    messages = [
        ("all well", None),
        ("dead units in 1", 1),
        ("rate: too high", 1),
        ("dead units in 2", 2),
        ("rate: ?", 1),
    ]
    found = told(messages, words)
    assert found["findings"] == [(["dead_units"], 2), (["lr_too_high"], 1), (["lr_too_low"], 1), ([], None)]
    assert found["said"] == ["dead units in 1", "rate: too high", "rate: ?", "all well"]
    by_rule = told(messages[2:3] + messages[4:], words, rule=title)
    assert by_rule["findings"] == [(["lr_too_high", "lr_too_low"], 1)]
    with pytest.raises(LookupError, match="unheard"):
        told([("unheard of", 1)], words)


def test_a_rival_sees_steps_epochs_and_gradients_before_they_are_clipped():
    class Noted(Seen):
        norms: list[float]
        clipped: list[float]
        epochs: list[tuple[float, float]]

        def begin(self) -> None:
            self.norms, self.clipped, self.epochs = [], [], []

        def backward(self, loss: float) -> None:
            self.norms.append(self.gradient_norm())

        def step(self, loss: float) -> None:
            self.clipped.append(self.gradient_norm())

        def epoch(self, loss: float, held_out: float) -> None:
            self.epochs.append((loss, held_out))

    def loop():
        found = healthy("wine", "mlp", 0)
        assert found is not None
        found.clip, found.passes, found.epochs = 0.01, 2, 3
        return found

    alone = loop()
    alone.run()
    seen = Noted(loop()).run()
    for ours, theirs in zip(alone.model.parameters(), seen.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)  # being seen does not change the loop
    assert len(seen.norms) == len(seen.clipped) == len(seen.losses)
    assert len(seen.epochs) == 3
    assert min(seen.norms) > 0.02
    assert max(seen.clipped) < 0.0101


def test_a_tool_that_is_not_installed_is_left_out(monkeypatch, capsys):
    monkeypatch.setattr(run, "installed", lambda tool: tool == "thalweg")
    monkeypatch.setattr(sys, "argv", ["run.py", "--tools", "all", "--share", "0", "--out", ""])
    assert run.main() == 0
    out = capsys.readouterr().out
    assert [each.split()[0] for each in out.splitlines() if "is left out" in each] == RIVALS


@pytest.mark.slow
def test_faults_are_named_and_healthy_loops_left_in_peace_in_a_twentieth(monkeypatch, capsys):
    # without proofs: what these reach depends on the time that there is
    monkeypatch.setattr(sys, "argv", ["run.py", "--share", "0.05", "--proof", "0", "--out", "", "--workers", "2"])
    code = run.main()
    out = capsys.readouterr().out
    assert code == 0, out
    assert out.count("holds: all") == 3
