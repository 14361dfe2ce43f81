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


def test_an_error_after_steps_ends_the_record(place, capsys):
    text = (place / "trains.py").read_text().replace('print("ended"', 'raise KeyError("x")\nprint("ended"')
    (place / "fails.py").write_text(text)
    code, out, _ = call(capsys, "doctor", "--seeds", "0", "fails.py")
    assert code == 0
    assert "The script ended with KeyError: 'x'" in out
    assert "1. Softmax" in out
