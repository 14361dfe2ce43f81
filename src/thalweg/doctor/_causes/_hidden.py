"""Causes in what hidden layers are given, and in what lies between them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeGuard

import numpy as np
import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from thalweg.core import RunError
from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import Change, ModelChange
from thalweg.doctor._record._batch import Batch
from thalweg.doctor._view import EARLY, View

#: standard deviations above 0 from which a unit is on for all rows, and the share of such units in a layer
_ABOVE, _SHARE = 3.0, 0.4
#: by how much the steepest direction of the layer above is steeper for it. Units of a sigmoid around 0 reach some tens.
_STEEPER = 100.0
#: rows that are looked at, at least and at most; what a unit passes on as it is differs by so many standard deviations
_FEWEST, _ROWS, _SAME = 64, 512, 0.1
#: share of its mean up to which the standard deviation of a unit is rounding
_ROUNDED = 1e-6
#: share of the loss that centred inputs come to in the first steps, and of a constant answer's that is well learnt
_BETTER, _LEARNT = 0.8, 0.1
Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Hidden:
    """Two layers with weights, one above the other, at the start.

    Args:
        below: Name of the lower one. above: of the upper one.
        means: Of the units of the lower one, in standard deviations, before what lies between.
        on: Which units are on for all rows: far above 0, and passed on as they are.
        centre: Means of what the upper one is given.
        steeper: Largest eigenvalue of the second moment of what the upper one is given, over that of its covariance.
    """

    below: str
    above: str
    means: np.ndarray
    on: np.ndarray
    centre: np.ndarray
    steeper: float


@cause("off_centre_activations", "inputs of a hidden layer that are not centred")
def _off_centre_activations(view: View) -> Finding | None:
    steep = [each for each in _hidden(view) if each.steeper >= _STEEPER]
    found = [each for each in steep if each.on.mean() >= _SHARE]
    if not found:
        return _better_centred(view, steep)
    worst = max(found, key=lambda each: each.steeper)
    known = dict(view.recording.model.named_parameters())
    biases = [name for each in found if (name := f"{each.below}.bias") in known]
    anew = Remedy(
        says="Begin with biases of 0.",
        change=Change(model=_without_biases(biases)),
        before="nn.init.constant_(layer.bias, ...)",
        after="nn.init.zeros_(layer.bias)",
    )
    return Finding(
        cause="off_centre_activations",
        says=f"Inputs of {worst.above} are not centred: units of {worst.below} are on for every row, so that they bend "
        "nothing, and all weights above them are pushed the same way.",
        weight=min(0.93, 0.8 + 0.05 * math.log10(worst.steeper / _STEEPER)),
        evidence=[
            f"At the start {int(worst.on.sum())} of the {len(worst.on)} units of {worst.below} lie 3 or more standard "
            f"deviations above 0 (median {np.median(worst.means):.1f}), and pass on what they are given.",
            f"The steepest direction of {worst.above} is {worst.steeper:.0f} times as steep as with centred inputs, so "
            "the longest stable step is as much shorter.",
        ],
        remedies=[anew] if biases else [],
    )


def _better_centred(view: View, steep: list[_Hidden]) -> Finding | None:
    """Tries whether a copy whose hidden inputs are moved to mean 0, once and for all, learns better."""
    if not steep or view.unlearnt() < _LEARNT:
        return None
    change = Change(model=_centred(steep))
    tried = view.early(change, 2 * EARLY)
    if tried is not None and tried.changed < _BETTER * tried.own and not tried.is_better(_BETTER):
        tried = view.early(change, 4 * EARLY)  # less by then, and not yet less than in the end
    if tried is None or not tried.is_better(_BETTER):
        return None
    worst = max(steep, key=lambda each: each.steeper)
    return Finding(
        cause="off_centre_activations",
        says=f"Inputs of {worst.above} are not centred: all weights of a unit are pushed the same way, and steps must "
        "be short for it.",
        weight=0.85,
        evidence=[
            f"The steepest direction of {worst.above} is {worst.steeper:.0f} times as steep as with centred inputs.",
            f"After {tried.steps:,} steps from the start the loss was {tried.own:.3g}; where the means of the first "
            f"batches are subtracted, {tried.changed:.3g}.",
        ],
        remedies=[
            Remedy(
                says="Subtract the mean that the activation has at the start, or normalise between layers.",
                change=change,
                after="x = activation(x) - mean  # or nn.LayerNorm, nn.BatchNorm1d",
            )
        ],
    )


def _centred(steep: list[_Hidden]) -> ModelChange:
    """Subtracts means from what layers are given."""

    def change(model: nn.Module, given: object) -> None:
        for each in steep:
            part = model.get_submodule(each.above)
            centre = torch.from_numpy(each.centre)
            if isinstance(part, _ConvNd):
                centre = centre.view(-1, *([1] * len(part.kernel_size)))
            part.register_forward_pre_hook(partial(_without, centre))

    return change


def _without(centre: torch.Tensor, part: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Subtracts a mean from the first argument of a layer."""
    x, *rest = args
    return (x - centre.to(x), *rest)


def _hidden(view: View) -> list[_Hidden]:
    """Returns layers with weights that are called one after the other, as they are at the start on some rows."""
    some = next((k for k in range(1, len(view.training) + 1) if sum(map(len, view.training[:k])) >= _FEWEST), 0)
    if not some or not view.replay.knows_loss:  # a loop that cannot be copied has none
        return []
    try:
        rows = Batch.joined(view.training[:some]).take(slice(_ROWS))
    except RunError:  # of different lengths, or not to be told apart
        return []
    model, _ = view.replay.copies(view.recording.states[0])
    found: list[_Hidden] = []
    last: list[tuple[str, torch.Tensor]] = []

    def looking(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...], torch.Tensor], None]:
        def look(part: nn.Module, given: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
            if not given:  # called by keyword
                last.clear()
                return
            if last and last[-1][1].shape == given[0].shape and last[-1][1] is not given[0]:
                found.append(_compare(last[-1][0], name, _by_unit(last[-1][1]), _by_unit(given[0])))
            last[:] = [(name, out.clone())]  # an activation may write over it

        return look

    for name, part in model.named_modules():
        if isinstance(part, nn.Linear | _ConvNd):
            part.register_forward_hook(looking(name))
    model.eval()
    with torch.no_grad():
        rows.answer(model)
    return found


def _compare(below: str, above: str, z: np.ndarray, x: np.ndarray) -> _Hidden:
    """Returns what lies between the outputs z of a layer and the inputs x of the next one, (rows, units) each."""
    spread = np.maximum(z.std(0), 1e-30)
    means = z.mean(0) / spread
    varies = z.std(0) > _ROUNDED * np.abs(z.mean(0))  # else all below is dead
    on = varies & (means >= _ABOVE) & (np.abs(x - z).mean(0) <= _SAME * spread)
    centre = x.mean(0)
    steeper = steepest(x) / steepest(x - centre)
    return _Hidden(below=below, above=above, means=means, on=on, centre=centre, steeper=steeper)


def _by_unit(values: torch.Tensor) -> np.ndarray:
    """Returns (rows, units), places of images and of texts as rows."""
    units = 1 if values.ndim == 4 else values.ndim - 1
    return values.movedim(units, -1).reshape(-1, values.shape[units])[: 8 * _ROWS].double().cpu().numpy()


def _without_biases(names: list[str]) -> ModelChange:
    def change(model: nn.Module, given: object) -> None:
        for name in names:
            nn.init.zeros_(model.get_parameter(name))

    return change


def steepest(x: np.ndarray, rounds: int = 30) -> float:
    """Returns the largest eigenvalue of X'X / n, by the power method."""
    v = np.ones(x.shape[1]) + np.linspace(0, 1, x.shape[1])
    size = 0.0
    for _ in range(rounds):
        v = x.T @ (x @ v) / len(x)
        size = float(np.linalg.norm(v))
        v /= max(size, 1e-300)
    return max(size, 1e-300)


@cause("no_activation", "no activation between layers")
def _no_activation(view: View) -> Finding | None:
    layers = view.layers(0)
    linear = [each for each in layers if each.kind == "Linear"]
    # a layer that is narrower than both its neighbours passes on less than they could: one of low rank is meant
    sizes = {name: part.weight.shape for name, part in view.recording.model.named_modules() if _is_linear(part)}
    chained = [
        each
        for each in linear
        for other in linear
        if each.follows == other.name
        and not (other.name in sizes and each.name in sizes and _narrows(sizes[other.name], sizes[each.name]))
    ]
    if not chained:
        return None
    every = len(chained) == len(linear) - 1
    pairs = ", ".join(f"{each.follows} -> {each.name}" for each in chained)
    return Finding(
        cause="no_activation",
        says="Linear layers follow one another without an activation: together they are one linear layer.",
        weight=0.95 if every else 0.7,
        evidence=[f"Given on as they are: {pairs}."],
        remedies=[
            Remedy(
                says="Put a ReLU between them.",
                change=Change(model=_insert_relu([each.name for each in chained])),
                before="nn.Linear(...), nn.Linear(...)",
                after="nn.Linear(...), nn.ReLU(), nn.Linear(...)",
            )
        ],
    )


def _is_linear(part: nn.Module) -> TypeGuard[nn.Linear]:
    return isinstance(part, nn.Linear)


def _narrows(below: Shape, above: Shape) -> bool:
    """Whether what one layer gives the next is narrower than what comes in and what goes out."""
    return below[0] < min(below[1], above[0])


def _insert_relu(names: list[str]) -> ModelChange:
    def change(model: nn.Module, given: object) -> None:
        for name in names:
            parent, _, last = name.rpartition(".")
            owner = model.get_submodule(parent)
            setattr(owner, last, nn.Sequential(nn.ReLU(), getattr(owner, last)))

    return change
