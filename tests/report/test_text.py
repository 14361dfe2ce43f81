"""What a person reads in the terminal."""

from __future__ import annotations

import dataclasses

import pytest

from thalweg.core import interval_of_mean, paired_difference, render
from thalweg.report import train_text, tune_text
from thalweg.report._words import compare_runner_up, show_numbers, show_range
from thalweg.search import Fate


def test_tune_says_the_answer_with_its_evidence(tuned):
    text = tune_text(tuned)
    for name in ("lr", "activation", "optimizer"):
        assert f"  {name} = " in text
    mean = tuned.tuning.test.over_seeds.mean
    assert f"{100 * mean:.1f}%" in text or f"{100 * mean:.2f}%" in text
    assert "95% interval, more seeds on these rows" in text
    assert "one new run" in text
    assert "3 fresh seeds" in text
    assert "4 of the 20 screened recipes diverged" in text
    assert "all of them among the 4 with lr = 1e+30" in " ".join(text.split())
    for effect in tuned.tuning.effects:
        assert effect.sentence[:30] in " ".join(text.split())
    assert len(text.splitlines()) <= 60
    assert max(len(line) for line in text.splitlines()) <= 130
    assert str(tuned) == text


def test_interrupted_says_what_is_missing(interrupted):
    text = " ".join(tune_text(interrupted).split())
    assert "interrupted during the screening" in text
    assert "it flatters" in text
    assert "the test rows stay closed" in text
    assert "fresh seeds)" not in text


@pytest.mark.parametrize(
    ("last", "said"), [("choice-1", "comparison of the finalists"), ("confirmation", "confirmation")]
)
def test_interrupted_names_the_stage(interrupted, tuned, last, said):
    names = list(tuned.history)
    begun = {name: tuned.history[name] for name in names[: names.index(last) + 1]}
    text = " ".join(tune_text(dataclasses.replace(interrupted, history=begun)).split())
    assert f"interrupted during the {said}" in text


def test_files_and_commands(tuned, interrupted, tmp_path):
    run = tmp_path / "my run"
    run.mkdir()
    (run / "recipe.toml").write_text("")
    text = tune_text(dataclasses.replace(tuned, run=run))
    assert f"thalweg predict '{run}' DATA" in text
    assert f"thalweg show '{run}'" in text
    assert "recipe.toml" in text
    assert "train.py " not in text, "a file that is not there is not named"
    assert f"thalweg tune --resume '{run}'" in tune_text(dataclasses.replace(interrupted, run=run))


def test_one_seed_has_no_interval_and_says_so(trained):
    text = train_text(trained)
    assert "unknown (one seed cannot tell)" in text
    assert "inf" not in text.replace("information", "")
    assert "score of the seed" in text


def test_regression_has_its_unit(regression):
    text = tune_text(regression)
    assert "in the unit of the target, lower is better" in text
    assert "%)" not in text.split("What mattered")[0]


def test_all_diverged(trained):
    text = train_text(dataclasses.replace(trained, validation=None, test=None, model_seed=None, diverged={0: 3}))
    assert "Every seed diverged" in text
    assert "seed 0 at step 3" in text


@pytest.mark.parametrize(("metric", "better"), [("accuracy", "better"), ("rmse", "worse")])
def test_direction_of_the_difference(tuned, metric, better):
    difference = paired_difference([0.9, 0.92, 0.93], [0.8, 0.81, 0.85])
    found = dataclasses.replace(tuned.tuning, difference=difference, seeds_to_tell=None)
    text = compare_runner_up(found, metric)
    assert f" {better} on average" in text
    assert "can be told apart" in text


def test_ends_without_a_number():
    interval = interval_of_mean([0.5])
    assert show_range("accuracy", interval) == "unknown (one seed cannot tell)"
    high = interval_of_mean([0.99, 0.9, 1.0])
    assert high.high > 1
    assert show_range("accuracy", high).endswith("to 100.0% (cut)")
    assert not show_range("rmse", high).endswith("(cut)")
    assert show_numbers("accuracy", [0.8642, 0.85, 0.88]) == ["86.4%", "85.0%", "88.0%"]


def test_every_form_is_registered(tuned, trained):
    for result in (tuned, trained):
        for form in ("text", "html", "notebook", "script"):
            assert render(result, form)


def test_what_became_of_the_others_is_told_once(tuned):
    text = " ".join(tune_text(tuned).split())
    told = text.split("What became of the others")[1]
    assert text.count("diverged (the loss stopped being finite") == 1
    assert "Where it diverged" not in text  # the fate names that axis
    assert "of the 20 screened recipes" in told
    nameless = dataclasses.replace(tuned.tuning, fates=())
    assert "Where it diverged" in tune_text(dataclasses.replace(tuned, tuning=nameless))


def test_seeds_are_told_where_they_have_a_symptom(trained):
    assert "of the 1 seeds" not in train_text(trained)
    fate = Fate(symptom="dead_units", members=(0, 2, 3), of=10, since=64.0)
    text = " ".join(train_text(dataclasses.replace(trained, fates=(fate,))).split())
    told = "3 of the 10 seeds ended with dead units (40% of a layer or more gets no gradient), since step 64 (median)."
    assert told in text
