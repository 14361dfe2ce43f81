"""Every training is watched, and the doctor looks at runs."""

import json

import pytest

import thalweg as tw
from thalweg.core import InputError
from thalweg.recipes import Recipe
from thalweg.workflows import TrainResult, doctor

LOOP = Recipe(widths=(16,), epochs=30, batch_size=16, lr=0.01)


@pytest.fixture(scope="module")
def sick(tmp_path_factory) -> TrainResult:
    """A training whose weights all begin at 0."""
    folder = tmp_path_factory.mktemp("sick") / "run"
    return tw.train("wine", LOOP.changed(init="zeros"), seeds=2, out=folder)


def test_a_training_says_what_is_wrong_with_its_loop(sick: TrainResult):
    assert sick.diagnosis is not None
    causes = [finding.cause for finding in sick.diagnosis.findings]
    assert causes[0] == "zero_initialisation"
    assert sick.run is not None
    assert "All weights of linear1.weight" in (sick.run / "summary.txt").read_text()
    assert "All weights of linear1.weight" in (sick.run / "report.html").read_text()
    stored = json.loads((sick.run / "result.json").read_text())["diagnosis"]["findings"]
    assert [each["cause"] for each in stored] == causes
    assert f"thalweg doctor {sick.run}" in str(sick).replace("\n", " ")


def test_a_healthy_training_is_left_in_peace_and_says_the_same_twice(tmp_path):
    first, again = (tw.train("wine", LOOP, seeds=2, out=tmp_path / name) for name in ("first", "again"))
    assert first.diagnosis is not None
    assert again.diagnosis is not None
    assert not first.diagnosis.findings
    assert first.diagnosis.to_json() == again.diagnosis.to_json()
    assert "The doctor found nothing wrong in the 180 steps of seed 0." in str(first)


def test_a_rate_that_is_too_low_is_named_and_a_higher_one_is_proven(tmp_path):
    # most rows are told apart, so the training looks well; it is not done
    slow = tw.train("wine", LOOP.changed(lr=0.001), seeds=2, out=tmp_path / "run")
    assert slow.diagnosis is not None
    assert [finding.cause for finding in slow.diagnosis.findings] == ["lr_too_low"]
    (finding,) = doctor(tmp_path / "run", seconds=20).diagnosis.findings
    assert finding.proof is not None
    assert finding.proof.remedy.after == "lr=0.01"
    assert finding.proof.changed < 0.5 * finding.proof.unchanged  # Brier score, 0.28 -> 0.1


def test_a_training_says_what_became_of_its_seeds():
    found = tw.train("digits", Recipe(model="linear", lr=100.0, epochs=2, batch_size=32), seeds=3)
    (fate,) = found.to_json()["fates"]
    assert (fate["symptom"], fate["members"], fate["of"], fate["axis"]) == ("loss_rose", 3, 3, None)
    assert fate["since"] is not None
    assert "3 of the 3 seeds ended with a higher training loss than they began with" in str(found).replace("\n", " ")
    assert not tw.train("wine", LOOP, seeds=2).fates


def test_the_doctor_proves_what_mends_a_run(sick: TrainResult):
    assert sick.run is not None
    found = doctor(sick.run, seconds=20).diagnosis
    first = found.findings[0]
    assert first.cause == "zero_initialisation"
    assert first.verdicts[-1].proven
    assert first.verdicts[-1].measure == "Brier score of your validation"
    assert found.replayed is not None
    assert found.replayed[0] == found.replayed[1] > 0


def test_a_run_whose_every_seed_diverged_is_looked_at_and_mended(tmp_path):
    # the best step is some 500 times shorter: a tenth of the rate diverges too. The script ends with an error at step 5
    lost = tw.train("diabetes", Recipe(optimizer="sgd", lr=5.0, epochs=10), seeds=2, out=tmp_path / "run")
    assert lost.model_seed is None
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert lost.diagnosis is not None
    assert lost.diagnosis.findings[0].cause == "lr_too_high"
    assert "steps of seed 0. To prove what mends it: thalweg doctor" in str(lost).replace("\n", " ")
    first = doctor(tmp_path / "run", seconds=20).diagnosis.findings[0]
    assert first.cause == "lr_too_high"
    assert first.proof is not None
    assert first.proof.steps >= 100
    assert first.proof.changed < 0.2 * first.proof.unchanged


def test_a_long_loop_is_looked_at_when_asked_only(tmp_path):
    found = tw.train("wine", LOOP.changed(epochs=1_000), seeds=1, out=tmp_path / "long")
    assert found.diagnosis is None
    said = "The doctor did not look at the loop of train.py, which is long. To look at it: thalweg doctor"
    assert said in str(found).replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "script must be a Python file, or the folder of a run with its train.py, got"),
        (["--epochs", "3"], "arguments must be left out for a run, got '--epochs 3'"),
    ],
)
def test_what_is_no_run_is_one_line(tmp_path, arguments, message):
    with pytest.raises(InputError, match="must be") as caught:
        doctor(tmp_path, arguments)
    assert message in str(caught.value)
