"""`thalweg gallery`: faults that are shown, guessed, and written as scripts."""

from __future__ import annotations

import io
import re
import sys

import pytest
from tests.cli.conftest import call, listing, one_object

from thalweg.doctor import CAUSES, draw_exercise

QUICK = ("--data", "wine", "--model", "mlp")
PROOF = ("--seeds", "2", "--seconds", "1")


@pytest.fixture
def quizzes() -> dict[bool, int]:
    """Seeds of a quiz with a fault and of one without."""
    found = {}
    for seed in range(60):
        found.setdefault(bool(draw_exercise(seed, "wine", "mlp").fault), seed)
    return found


def test_the_list_names_every_fault_in_words(place, capsys):
    code, out, err = call(capsys, "gallery")
    assert (code, err) == (0, "")
    assert "Loss and head\n  softmax_before_cross_entropy  softmax before cross-entropy\n" in out
    code, out, _ = call(capsys, "gallery", "--json")
    found = one_object(out)
    assert len(found["faults"]) == 52
    assert all(each["title"] == CAUSES[each["name"]].title for each in found["faults"])
    assert set(found["data"]) >= {"digits", "sums"}


def test_a_fault_is_shown_beside_the_loop_without_it(place, capsys):
    code, out, err = call(capsys, "gallery", "missing_zero_grad", *QUICK, *PROOF, "--out", "found")
    assert (code, err) == (0, "")
    assert re.search(r"Gradients that are never set to zero: validation accuracy \d+\.\d%, without this fault", out)
    assert "The doctor, who was not told, names it first" in out
    assert "  -         optimizer.zero_grad()" in out
    assert "1. Gradients are not set to zero between steps" in out
    page = (place / "found" / "report.html").read_text()
    assert all(f'data-figure="{name}"' in page for name in ("course", "scores", "losses"))
    code, shown, _ = call(capsys, "show", "found")
    assert shown.split("\n\nFiles in")[0] == out.split("\n\nFiles in")[0]
    _, shown, _ = call(capsys, "show", "found", "--json")
    found = one_object(shown)
    assert found["fault"] == "missing_zero_grad"
    assert (found["rank"], found["quiz"]) == (1, None)
    epochs = found["loop"]["epochs"]
    assert len(epochs["training"]) == len(epochs["validation"]) == len(epochs["score"]) == len(epochs["lr"]) == 20
    assert found["without"]["epochs"]["training"][-1] < epochs["training"][-1]
    _, listed, _ = call(capsys, "runs", ".")
    assert "wine, mlp: Gradients that are never set to zero" in listed
    code, out, _ = call(capsys, "doctor", "--seeds", "0", "--out", "again", "found/loop.py")
    assert "1. Gradients are not set to zero between steps" in out


def test_a_loop_that_fine_tunes_is_written_with_its_weights(place, capsys):
    code, out, _ = call(
        capsys, "gallery", "pretrained_weights_forgotten", *QUICK, "--seeds", "0", "--script", "tune.py"
    )
    assert code == 0
    assert out.startswith("Wrote tune.py and tune.safetensors\n")
    _, shown, _ = call(capsys, "gallery", "pretrained_weights_forgotten", *QUICK, "--seeds", "0", "--out", "shown")
    assert "  loop.safetensors   the weights that loop.py starts from" in shown
    code, out, _ = call(capsys, "doctor", "--seeds", "0", "--out", "found", "tune.py")
    assert code == 0
    assert "\n1. " in out


def test_a_quiz_tells_nothing_before_the_guess(place, capsys, monkeypatch, quizzes):
    for number in quizzes.values():
        fault = draw_exercise(number, "wine", "mlp").fault
        asked = ("gallery", "--quiz", "--seed", str(number), *QUICK)
        before = listing(place)
        monkeypatch.setattr(sys, "stdin", io.StringIO(""))
        code, out, _ = call(capsys, *asked)
        assert code == 0
        assert "What the loop prints" in out
        assert "  5  nothing is wrong" in out
        assert f"Answer with: thalweg gallery --quiz --seed {number} --data wine --model mlp --guess NAME" in out
        assert listing(place) == before
        code, told, _ = call(capsys, *asked, "--json")
        found = one_object(told)
        assert found["choices"][-1] == {"name": "nothing", "title": "nothing is wrong"}
        assert len(found["choices"]) == 5
        assert not {"fault", "truth", "title", "change", "diagnosis"} & found.keys()
        assert not fault or fault in {each["name"] for each in found["choices"]}


def test_a_guess_is_told_to_be_right_or_wrong(place, capsys, monkeypatch, quizzes):
    number = quizzes[True]
    asked = ("gallery", "--quiz", "--seed", str(number), *QUICK, "--seeds", "0")
    truth = draw_exercise(number, "wine", "mlp").fault
    _, told, _ = call(capsys, *asked, "--json")
    names = [each["name"] for each in one_object(told)["choices"]]
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{names.index(truth) + 1}\n"))
    code, out, _ = call(capsys, *asked, "--out", "right")
    assert code == 0
    assert f"Right: {CAUSES[truth].title}.\n" in out
    _, told, _ = call(capsys, *asked, "--out", "wrong", "--json", "--guess", "nothing")
    found = one_object(told)
    assert found["quiz"] == {"choices": names, "guess": "nothing", "truth": truth, "right": False}
    assert found["fault"] == truth
    page = (place / "wrong" / "report.html").read_text()
    assert f"No, not nothing is wrong. The truth: {CAUSES[truth].title}." in page
    number = quizzes[False]
    code, out, _ = call(capsys, *("gallery", "--quiz", "--seed", str(number), *QUICK, "--out", "well", "--guess", "5"))
    assert out.startswith("Right: nothing is wrong.\n")
    assert "The doctor finds nothing either." in out
    assert "What was planted" not in out


def test_the_script_of_a_quiz_keeps_the_secret(place, capsys, quizzes):
    _, out, _ = call(
        capsys, "gallery", "--quiz", "--seed", str(quizzes[True]), *QUICK, "--script", "exercise.py", "--json"
    )
    found = one_object(out)
    assert (found["fault"], found["files"]) == (None, ["exercise.py"])
    assert draw_exercise(quizzes[True], "wine", "mlp").fault not in (place / "exercise.py").read_text()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "gallery softmax",
            "FAULT must be a known name, got 'softmax'. Did you mean softmax_before_cross_entropy or",
        ),
        ("gallery lr_to_high", "FAULT must be a known name, got 'lr_to_high'. Did you mean 'lr_too_high'"),
        ("gallery lr_too_high --data iris", "data must be a known name, got 'iris'. "),
        ("gallery dead_units --model norm", "model must be one in which dead_units makes sense, got 'norm'. It does"),
        ("gallery lr_too_high --seeds 1", "seeds must be a whole number at least 2, got 1"),
        ("gallery lr_too_high --seconds 0", "seconds must be a number above 0, got 0.0"),
        ("gallery lr_too_high --out full", "--out must be a folder that is new or empty, got 'full'"),
        ("gallery lr_too_high --quiz", "FAULT must be left out with --quiz, which draws one, got 'lr_too_high'"),
        ("gallery lr_too_high --guess 2", "--guess must be given with --quiz, and without --script, got '2'"),
        ("gallery lr_too_high --script a.py --out b", "--out must be left out with --script"),
        ("gallery lr_too_high --script a.txt", "--script must be a file that ends in .py, got 'a.txt'"),
        ("gallery lr_too_high --script nothing.py", "--script must be a file that is not there yet"),
        ("gallery lr_too_high --script no/a.py", "--script must be in a folder that exists"),
        ("gallery --data wine", "--data must be given with FAULT or --quiz, got 'wine'"),
        ("gallery --quiz --seed -1", "seed must be a whole number at least 0, got -1"),
        ("gallery --quiz --data wine --model mlp --seed 0 --guess 7", "guess must be from 1 to 5, got '7'"),
        ("gallery --quiz --data wine --model mlp --seed 0 --guess nothin", "Did you mean 'nothing'"),
        ("gallery --quiz --data wine --model mlp --seed 0 --guess 1 --out full", "--out must be a folder that is new"),
    ],
)
def test_bad_input_is_one_line(place, capsys, line, message):
    before = listing(place)
    code, out, err = call(capsys, *line.split())
    assert (code, out) == (2, "")
    assert err.startswith("thalweg: ")
    assert err.count("\n") == 1
    assert message in err
    assert listing(place) == before
