"""`thalweg doctor` on scripts as people write them."""

from __future__ import annotations

import sys

from tests.cli.conftest import call, one_object


def test_a_script_is_run_and_its_fault_is_named_and_mended(place, capsys):
    before = sys.argv, list(sys.path)
    code, out, err = call(capsys, "doctor", "--seconds", "2", "trains.py", "--not-ours")
    assert code == 0
    assert (sys.argv, list(sys.path)) == before
    assert out.startswith("ended 1\n1. Softmax is applied before cross-entropy")
    assert "+ return logits" in out
    assert "Proof: " in out
    assert not err


def test_the_diagnosis_alone_as_json(place, capsys):
    code, out, err = call(capsys, "doctor", "--json", "--seeds", "0", "trains.py")
    assert code == 0
    found = one_object(out)
    assert found["steps"] == 64
    assert found["findings"][0]["cause"] == "softmax_before_cross_entropy"
    assert found["findings"][0]["verdicts"] == []
    assert err == "ended 1\n"


def test_runs_in_place_of_forks(place, capsys):
    looked = "with torch.no_grad():\n    cross_entropy(model(x), y)\n"
    (place / "evaluates.py").write_text((place / "trains.py").read_text() + looked)
    code, out, err = call(capsys, "doctor", "--json", "--rerun", "--seeds", "2", "evaluates.py")
    assert code == 0
    (verdict,) = one_object(out)["findings"][0]["verdicts"]
    assert verdict["effect"]["seeds"] == 2
    assert err.splitlines()[:2] == ["ended 1", "Run 1 of 2: unchanged"]


def test_an_error_after_steps_ends_the_record(place, capsys):
    text = (place / "trains.py").read_text().replace('print("ended"', 'raise KeyError("x")\nprint("ended"')
    (place / "fails.py").write_text(text)
    code, out, _ = call(capsys, "doctor", "--seeds", "0", "fails.py")
    assert code == 0
    assert "The script ended with KeyError: 'x'" in out
    assert "1. Softmax" in out


def test_a_script_that_is_interrupted_after_steps_is_diagnosed(place, capsys):
    text = (place / "trains.py").read_text()
    (place / "stops.py").write_text(text.replace('print("ended"', 'raise KeyboardInterrupt\nprint("ended"'))
    code, out, _ = call(capsys, "doctor", "--seeds", "0", "stops.py")
    assert code == 0
    assert "The script was interrupted." in out
    assert "1. Softmax" in out
    (place / "begins.py").write_text("raise KeyboardInterrupt")
    code, out, err = call(capsys, "doctor", "begins.py")
    assert code == 130
    assert err.strip() == "thalweg: interrupted."


def test_a_run_folder_keeps_the_diagnosis(place, capsys):
    code, out, _ = call(
        capsys, "doctor", "--seconds", "1", "--seeds", "2", "--out", "found", "trains.py", "--epochs", "3"
    )
    assert code == 0
    assert "Files in found" in out
    page = (place / "found" / "report.html").read_text()
    assert "What is wrong with this training loop?" in page
    assert "trains.py --epochs 3" in page
    code, shown, _ = call(capsys, "show", "found")
    assert code == 0
    assert shown.startswith(out.removeprefix("ended 1\n").split("\n\n")[0])
    code, shown, _ = call(capsys, "show", "found", "--json")
    found = one_object(shown)
    assert found["arguments"] == ["--epochs", "3"]
    verdict = found["findings"][0]["verdicts"][0]
    assert verdict["effect"]["low"] <= verdict["effect"]["mean"] <= verdict["effect"]["high"]
    code, listed, _ = call(capsys, "runs", ".")
    assert "trains.py: Softmax is applied before cross-entropy" in listed


def test_a_diagnosis_draws_itself(place, capsys):
    from thalweg.doctor import watch_script

    run = watch_script(place / "trains.py")
    capsys.readouterr()
    diagnosis = run.prove(seeds=2, seconds=1.0)
    assert "srcdoc" in diagnosis._repr_html_()
    assert [chart.name for chart in diagnosis.answer.charts] == ["verdicts-0", "losses", "gradients", "updates"]
    losses = diagnosis.answer.charts[1].series[0]
    assert len(losses.y) == 64
    assert losses.y[0] == float(run.recording.losses[0])
