"""Transformations of training rows."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.population import Plan
from thalweg.recipes import Recipe
from thalweg.studies._augment import (
    augmented,
    crop_images,
    flip_images,
    flip_upside_down,
    rotate_images,
    shift_images,
    transforms,
)
from thalweg.tasks import load_task
from thalweg.workflows import study

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("transform", [shift_images, rotate_images, crop_images])
def test_flat_images_stay_as_they_are(transform):
    flat = np.full((4, 2, 9, 9), 3.0, np.float32)
    np.testing.assert_allclose(transform(flat, RNG), flat, rtol=1e-6)


def test_a_shift_moves_the_centre_of_mass_by_at_most_a_tenth():
    dot = np.zeros((200, 1, 21, 21), np.float32)
    dot[:, 0, 10, 10] = 1.0
    moved = shift_images(dot, RNG)[:, 0]
    rows, columns = np.mgrid[:21, :21]
    total = moved.sum((1, 2))
    for places in (rows, columns):
        centre = (moved * places).sum((1, 2)) / total - 10
        assert np.abs(centre).max() <= 0.1 * 21 + 1e-3
        assert np.abs(centre).max() > 1.5


def test_a_turn_keeps_a_ring_and_moves_a_bar():
    bar = np.zeros((50, 1, 21, 21), np.float32)
    bar[:, 0, 10, :] = 1.0
    turned = rotate_images(bar, RNG)
    assert np.abs(turned - bar).max() > 0.5
    np.testing.assert_allclose(turned[:, 0, 10, 10], 1.0, atol=1e-5)  # the middle stays


def test_flips_mirror_about_half_of_the_images():
    x = RNG.standard_normal((400, 1, 4, 4)).astype(np.float32)
    for flip, mirrored in ((flip_images, x[..., ::-1]), (flip_upside_down, x[..., ::-1, :])):
        found = flip(x, np.random.default_rng(0))
        same = (found == x).all((1, 2, 3))
        assert ((found == mirrored).all((1, 2, 3)) | same).all()
        assert 120 < same.sum() < 280


def test_rows_are_there_in_several_versions_and_validation_rows_stay():
    task = load_task("digits")
    found = augmented(task, shift_images, 3, 0)
    num = len(task.train)
    np.testing.assert_array_equal(found.train.x[:num], task.train.x)
    np.testing.assert_array_equal(found.train.y, np.concatenate([task.train.y] * 3))
    assert not np.array_equal(found.train.x[num : 2 * num], found.train.x[2 * num :])
    assert found.validation is task.validation
    assert list(transforms(load_task("iris"))) == ["noise 0.1", "noise 0.3"]


def test_upside_down_digits_harm():
    recipe = Recipe(widths=(32,), epochs=12, lr=0.003)
    found = study("augment", "digits", recipe, seeds=6, plan=Plan(threads=2)).answer
    scores = {label: np.mean(values) for label, values in found.data["scores"].items()}
    assert scores["flip up-down"] < scores["none"]
    assert any(sentence.startswith("flip up-down harms") for sentence in found.findings)
