"""Which transformations of the training rows help this data, and which harm it?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.core import Answer, Purpose, derive_key
from thalweg.recipes import Recipe
from thalweg.studies._compare import (
    comparison_chart,
    comparison_data,
    comparison_table,
    difference_words,
    headline,
)
from thalweg.studies._study import Lab, Study
from thalweg.tasks import METRICS, Split, Task

#: versions of every training row: the row itself, and transformed ones
_VERSIONS = 4
#: largest shift, as a share of the side; largest angle, degrees; smallest side of a crop; noise, in standard deviations
_SHIFT, _ANGLE, _CROP = 0.1, 15.0, 0.8
_NOISE = (0.1, 0.3)

Transform = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def shift_images(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns images (n, c, h, w) moved by up to a tenth of their side, their edges drawn out."""
    return _warped(x, _matrices(len(x), move=rng.uniform(-2 * _SHIFT, 2 * _SHIFT, (len(x), 2))))


def rotate_images(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns images turned by up to 15 degrees."""
    return _warped(x, _matrices(len(x), angle=np.deg2rad(rng.uniform(-_ANGLE, _ANGLE, len(x)))))


def crop_images(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns windows of 80 to 100% of the side, brought back to the full size."""
    size = rng.uniform(_CROP, 1.0, len(x))
    move = (1 - size)[:, None] * rng.uniform(-1, 1, (len(x), 2))
    return _warped(x, _matrices(len(x), scale=size, move=move))


def flip_images(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns images of which every second one, by chance, is mirrored left to right."""
    chosen = rng.random(len(x)) < 0.5
    return np.where(chosen[:, None, None, None], x[..., ::-1], x)


def flip_upside_down(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns images of which every second one, by chance, is mirrored top to bottom."""
    chosen = rng.random(len(x)) < 0.5
    return np.where(chosen[:, None, None, None], x[..., ::-1, :], x)


def _noise(amount: float) -> Transform:
    def add(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return x + amount * rng.standard_normal(x.shape, dtype=np.float32)

    return add


def transforms(task: Task) -> dict[str, Transform]:
    """Returns the transformations that fit the inputs: of images geometry and noise, of columns noise."""
    found: dict[str, Transform] = {}
    if len(task.input_shape) == 3:
        found = {
            "shift": shift_images,
            "rotate": rotate_images,
            "crop": crop_images,
            "flip left-right": flip_images,
            "flip up-down": flip_upside_down,
        }
    return found | {f"noise {amount:g}": _noise(amount) for amount in _NOISE}


def augmented(task: Task, transform: Transform, versions: int, seed: int) -> Task:
    """Returns a task whose training rows are there in several versions: as they are, and transformed.

    Args:
        task: What is optimised.
        transform: (x, generator) -> rows of the same shape.
        versions: Of every row, the row itself included.
        seed: Of the transformations.
    """
    split = task.train
    parts = [split.x]
    for number in range(1, versions):
        rng = np.random.default_rng(derive_key(seed, Purpose.RESAMPLE, number))
        parts.append(np.ascontiguousarray(transform(split.x, rng), dtype=np.float32))
    train = Split(
        x=np.concatenate(parts), y=np.concatenate([split.y] * versions), rows=np.concatenate([split.rows] * versions)
    )
    return replace(task, train=train)


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe once as it is and once for every transformation."""
    return dict.fromkeys(["none", *transforms(task)], recipe)


def run(lab: Lab) -> Answer:
    """Compares training rows as they are with rows that are also there in transformed versions, at equal steps.

    A transformation that leaves the class as it is tells the network of a symmetry that few rows show: it costs no
    labels, and the network has to find what the versions have in common (Simard, Steinkraus and Platt, Best practices
    for convolutional neural networks applied to visual document analysis, 2003). One that changes the class, or leads
    away from what the test rows look like, does harm: a 6 upside down is a 9. Noise on the inputs acts to first order
    like a penalty on the slopes of the network (Bishop, Training with noise is equivalent to Tikhonov regularization,
    1995). What helps depends on the data, and can be tried. Here every row is there in four versions, one of them
    itself; the number of steps is the same for all, and so are the validation rows, which stay as they are.
    """
    task = lab.task
    every = transforms(task)

    def task_of(label: str) -> Task:
        return task if label == "none" else augmented(task, every[label], _VERSIONS, lab.seeds[0])

    recipes = {label: r if label == "none" else _at_equal_steps(r) for label, r in lab.levels.items()}
    found = lab.compare(recipes, task_of=task_of)
    sign = 1 if METRICS[task.metric].higher_is_better else -1
    findings: list[str] = []
    told: dict[str, dict[str, Any]] = {}
    for place, label in enumerate(found.labels[1:], start=1):
        difference = found.difference(place, 0, comparisons=len(every))
        if difference is None:
            findings.append(f"{label}: it diverged on nearly every seed.")
            continue
        told[label] = difference.to_json() | {"told_apart": difference.told_apart}
        word = "" if not difference.told_apart else " helps" if sign * difference.mean > 0 else " harms"
        findings.append(f"{label}{word}: {difference_words(difference)}.")
    if not any(label in every for label in ("shift", "rotate")):
        lab.notes.append("The rows are columns, not images, so noise is the only transformation that is tried.")
    return Answer(
        headline=headline(found, "kinds of training rows"),
        findings=findings,
        tables=[comparison_table(found, "transformation")],
        charts=[comparison_chart(found, "transformation")],
        data={**comparison_data(found), "versions": _VERSIONS, "against_none": told},
        notes=lab.notes,
    )


def _at_equal_steps(recipe: Recipe) -> Recipe:
    """Returns a recipe that makes about as many steps on rows in several versions as it did before."""
    return recipe.changed(epochs=max(1, round(recipe.epochs / _VERSIONS)))


# ---- images ----------------------------------------------------------------------------------------------------------


def _matrices(
    num: int, *, angle: np.ndarray | None = None, scale: np.ndarray | None = None, move: np.ndarray | None = None
) -> np.ndarray:
    """Returns (num, 2, 3): where each place of the new image, from -1 to 1, lies in the old one."""
    turn = np.zeros(num) if angle is None else angle
    size = np.ones(num) if scale is None else scale
    found = np.zeros((num, 2, 3))
    found[:, 0, 0] = found[:, 1, 1] = size * np.cos(turn)
    found[:, 0, 1] = -size * np.sin(turn)
    found[:, 1, 0] = size * np.sin(turn)
    if move is not None:
        found[:, :, 2] = move
    return found


def _warped(x: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    import torch
    from torch.nn import functional

    theta = torch.from_numpy(matrices.astype(np.float32))
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    found = functional.grid_sample(torch.from_numpy(x), grid, padding_mode="border", align_corners=False)
    return found.numpy()


STUDY = Study(name="augment", levels=levels, run=run, seeds=8)
