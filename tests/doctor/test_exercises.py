"""Exercises of the gallery: what is drawn, what a script repeats, and what the doctor says of that script."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from thalweg.core import InputError
from thalweg.doctor import FAULT_GROUPS, Exercise, choices_of, draw_exercise, find_exercise, watch_script
from thalweg.doctor._gallery import DATA, DATA_WORDS, FAULTS, MODEL_WORDS, MODELS
from thalweg.doctor._gallery._code import difference
from thalweg.doctor._gallery._words import LOOKS

#: faults whose scripts draw other weights or rows than the loop: layers are drawn once, training before is over
OTHER_DRAWS = {
    "labels_off_by_one",
    "class_collapse",
    "vanishing_gradients",
    "frozen_batch_norm_drifts",
    "pretrained_weights_forgotten",
}
#: loops without a fault, of each data and of each network but for one that makes its blocks before its first layer
PLAIN = [("digits", model) for model in MODELS if model != "residual"]
PLAIN += [(data, "attention" if data == "sums" else "mlp") for data in DATA]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(fault: str) -> Exercise:
    """Returns the exercise of a fault on little data, where it makes sense there."""
    for data, model in (("wine", "mlp"), ("diabetes", "mlp"), ("wine", "deep"), ("wine", "norm")):
        try:
            return find_exercise(fault, data, model)
        except InputError:
            continue
    return find_exercise(fault)


def run_script(exercise: Exercise, folder):
    script, weights = folder / "loop.py", exercise.weights()
    script.write_text(exercise.script(weights="loop.safetensors"))
    if weights is not None:
        save_file(weights, folder / "loop.safetensors")
    return watch_script(script)


def losses(run) -> list[float]:
    return [float(loss) for loss in run.recording.losses]


@pytest.mark.parametrize(("data", "model"), dict.fromkeys(PLAIN))
def test_the_script_of_a_healthy_loop_gives_its_losses_to_the_bit(data, model, tmp_path):
    exercise = Exercise(fault="", data=data, model=model, seed=3, optimizer="sgd")
    wanted = losses(exercise.train().watched)
    assert losses(run_script(exercise, tmp_path)) == wanted
    assert losses(run_script(replace(exercise, seed=4), tmp_path)) != wanted


def test_the_script_of_a_healthy_loop_is_healthy(tmp_path):
    run = run_script(Exercise(fault="", data="wine", model="residual", seed=3), tmp_path)
    assert run.recording.num_steps == 100
    assert not run.diagnosis().findings


@pytest.mark.filterwarnings("ignore:Using a target size")  # torch names a fault itself
@pytest.mark.parametrize("fault", [each for each in FAULTS if each not in OTHER_DRAWS])
def test_the_script_of_a_fault_gives_the_losses_of_the_loop_to_the_bit(fault, tmp_path):
    exercise = small(fault)
    wanted, found = losses(exercise.train().watched), losses(run_script(exercise, tmp_path))
    torch.testing.assert_close(torch.tensor(found), torch.tensor(wanted), rtol=0, atol=0, equal_nan=True)
    assert fault not in exercise.script()


@pytest.mark.parametrize("fault", sorted(OTHER_DRAWS))
def test_the_doctor_names_the_fault_of_a_script_that_draws_otherwise(fault, tmp_path):
    exercise = find_exercise(fault)
    run = run_script(exercise, tmp_path)
    assert run.diagnosis().findings[0].cause == fault
    assert run.recording.num_steps == exercise.train().watched.recording.num_steps


def test_the_change_is_what_the_fault_does_to_the_script():
    assert find_exercise("missing_zero_grad").change()[1:2] == ["-         optimizer.zero_grad()"]
    assert all(small(fault).change() for fault in FAULTS)
    assert difference("a\nb\nc\nd\n", "a\nB\nc\nd\n") == ["  a", "- b", "+ B", "  c"]
    assert difference("a\n", "a\n") == []


def test_the_words_of_the_gallery_are_of_all_its_parts():
    assert sorted(name for names in FAULT_GROUPS.values() for name in names) == sorted(FAULTS)
    assert {name for look in LOOKS for name in look} == set(FAULTS)
    assert (set(DATA_WORDS), set(MODEL_WORDS)) == (set(DATA), set(MODELS))


def test_what_is_drawn_depends_on_the_seed_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    drawn = [draw_exercise(seed) for seed in range(30)]
    assert drawn == [draw_exercise(seed) for seed in range(30)]
    assert torch.equal(torch.get_rng_state(), before)
    assert len({each.fault for each in drawn}) > 15
    healthy = [each for each in drawn if not each.fault]
    assert 1 <= len(healthy) <= 12
    kept = [draw_exercise(seed, "wine", "mlp") for seed in range(10)]
    assert {(each.data, each.model) for each in kept} == {("wine", "mlp")}


def test_choices_make_sense_and_hold_the_truth():
    for seed in (0, 3, 5):  # 3 draws a healthy loop
        exercise = draw_exercise(seed)
        choices = choices_of(exercise)
        assert len(set(choices)) == len(choices) == 4
        assert not exercise.fault or exercise.fault in choices
        assert all(replace(exercise, fault=each).loop() is not None for each in choices)
        assert choices == choices_of(exercise)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lr_to_high",), "FAULT must be a known name, got 'lr_to_high'. Did you mean 'lr_too_high'"),
        (("lr_too_high", "digit"), "data must be a known name, got 'digit'. Did you mean 'digits'"),
        (("lr_too_high", None, "mpl"), "model must be a known name, got 'mpl'. Did you mean 'mlp'"),
        (("lr_too_high", None, None, -1), "seed must be a whole number at least 0, got -1"),
        (("dead_units", "wine", "norm"), "in which dead_units makes sense on wine, got 'norm'. It does in mlp, deep."),
        (
            ("unscaled_target", "wine"),
            "data on which unscaled_target makes sense, got 'wine'. It does on diabetes, flavanoids, smoothness.",
        ),
        (("prompt_not_masked", "wine", "mlp"), "got 'wine with mlp'. It does on sums with attention."),
    ],
)
def test_bad_input_names_what_would_do(arguments, message):
    with pytest.raises(InputError, match=message):
        find_exercise(*arguments)


def test_a_network_that_does_not_take_the_data_is_not_drawn():
    with pytest.raises(InputError, match=r"model must be one that takes wine, got 'cnn'. These do: mlp, deep"):
        draw_exercise(0, "wine", "cnn")
