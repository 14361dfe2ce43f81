"""What is measured around one member, on the first of the training rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.curvature import Surface
from thalweg.population import Population, empty_module, penalty_strengths
from thalweg.probes import LayerSignals, layer_signals, path_ratio

#: rows on which signals and gradients of layers are measured
PROBE_ROWS = 512


def surface_around(population: Population, number: int, *, rows: int) -> Surface:
    """Returns the loss around a member, in float64, with the label smoothing and the penalty that it trains under.

    Args:
        population: What has trained.
        number: Of the member.
        rows: Training rows that the loss is taken of, at most.
    """
    recipe, split = population.members[number].recipe, population.task.train
    return Surface(
        _module(population, number),
        population.eval_params(number),
        population.snapshot(number).buffers,
        split.x[:rows],
        split.y[:rows],
        population.task.loss,
        label_smoothing=recipe.label_smoothing,
        l2=penalty_strengths(recipe)[1],
    )


def signals_of(population: Population, number: int) -> list[LayerSignals]:
    """Returns the signals of a member's layers, as `layer_signals` does."""
    return layer_signals(*_probed(population, number))


def turning_of(population: Population, number: int) -> float:
    """Returns how much longer than straight a descent from a member is, as `path_ratio` does."""
    return path_ratio(*_probed(population, number))


def _probed(population: Population, number: int) -> tuple[Any, dict[str, np.ndarray], np.ndarray, np.ndarray, str]:
    """Returns the network of a member, its parameters and buffers, rows, their targets, and the loss."""
    task = population.task
    tensors = {**population.eval_params(number), **population.snapshot(number).buffers}
    x, y = task.train.x[:PROBE_ROWS], task.train.y[:PROBE_ROWS]
    return _module(population, number), tensors, x, y, task.loss


def _module(population: Population, number: int) -> Any:
    task = population.task
    return empty_module(population.members[number].recipe, task.input_shape, task.output_size)
