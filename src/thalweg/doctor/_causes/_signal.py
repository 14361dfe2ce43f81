"""Causes in the start of the weights and in what passes through the layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from thalweg.doctor._causes._trained import is_adapter, trained_before
from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import Change, ModelChange
from thalweg.doctor._record._activations import KINDS, ActivationCalls
from thalweg.doctor._record._batch import Batch
from thalweg.doctor._record._recording import LayerStats
from thalweg.doctor._view import View

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_WEIGHTED = ("Linear", "Conv1d", "Conv2d")
_SQUASHING = ("Sigmoid", "Tanh", "Softsign", "Hardtanh", "Hardsigmoid")
#: mean slope of an activation over its largest possible one, below which it is saturated at the start
_FLAT = 0.25
#: share of the units of a layer without gradient, from which it is worth a word
_DEAD = 0.5
#: share of the loss of what knows nothing at which units that are missing are not missed
_LEARNT = 0.1
#: and where they do not die, with a leaky ReLU, the loss comes to this share of itself in the first steps
_MISSED = 0.9
#: gradients of the first and the last layer further apart than this
_APART = 1e3
#: a layer of the upper half with a gradient of at most so many times that of the first: it is not depth that takes it
_AGAIN = 10.0
#: layers from which a network is deep, and growth of the signal from the first to the last one
_DEEP, _GROWN = 4, 50.0
#: or this growth, where the first loss is so many times that of the best constant answer
_SOME, _OFF = 5.0, 2.0


@cause("zero_initialisation", "weights that all begin alike")
def _zero_initialisation(view: View) -> Finding | None:
    state, end = view.recording.states[0].model, view.recording.states[-1].model
    alike = [
        name
        for name, p in view.recording.model.named_parameters()
        if p.ndim > 1 and p.numel() > 1 and name in state and bool((state[name] == state[name].flatten()[0]).all())
    ]
    # one matrix of zeros among drawn ones learns to differ, as the last of a residual block or of an adapter does
    copies = [n for n in alike if len(end[n]) > 1 and not is_adapter(n) and bool((end[n] == end[n][:1]).all())]
    if not copies:
        return None
    value = float(state[alike[0]].flatten()[0])
    scales = [
        f"{name}.weight"
        for name, part in view.recording.model.named_modules()
        if isinstance(part, _NORMS) and part.weight is not None and not bool(state[f"{name}.weight"].any())
    ]
    norms = "; the scales of normalisation begin at 1" if scales else ""
    return Finding(
        cause="zero_initialisation",
        says=f"All weights of {', '.join(alike[:3])} begin at {value:g}: units of a layer get the same gradient and "
        "stay copies of one another.",
        weight=1.0,
        evidence=[f"{len(alike)} weight matrices hold one number each at the start."],
        remedies=[
            Remedy(
                says=f"Draw the weights (He initialisation for ReLU{norms}).",
                change=Change(model=_drawn(alike, scales)),
                before="nn.init.zeros_(layer.weight)",
                after="nn.init.kaiming_uniform_(layer.weight, nonlinearity='relu')",
            )
        ],
    )


@cause("initial_weights_too_large", "weights that begin too large")
def _initial_weights_too_large(view: View) -> Finding | None:
    layers = [each for each in view.layers(0) if each.slope is not None]
    flat = [each for each in layers if each.kind in _SQUASHING and (each.slope or 0.0) < _FLAT * _steepest(each.kind)]
    fan = _fan_ratios(view)
    large = [name for name, ratio in fan.items() if ratio > 3.0]
    every = len(large) > len(fan) / 2
    grows = len(_weighted(view)) >= _DEEP and _growth(view) > _GROWN  # told as what it is
    if not large or (not flat and (grows or not (every or max(fan.values()) > 5.0))):
        return None
    worst = max(fan, key=lambda name: fan[name])
    evidence = [f"{worst}: standard deviation {fan[worst]:.1f} times that of He initialisation."]
    if flat:
        evidence.append(
            f"{flat[0].name}: inputs of RMS {flat[0].rms_in:.2g}; its mean slope is "
            f"{(flat[0].slope or 0.0) / _steepest(flat[0].kind):.0%} of the largest."
        )
    return Finding(
        cause="initial_weights_too_large",
        says="Weights begin too large: activations are saturated before the first step."
        if flat
        else "Weights begin too large: signals grow from layer to layer.",
        weight=0.9,
        evidence=evidence,
        remedies=[
            Remedy(
                says="Draw them with the spread of their fan-in.",
                change=Change(model=_drawn(large)),
                before="nn.init.normal_(layer.weight, std=...)",
                after="nn.init.xavier_uniform_(layer.weight)",
            )
        ],
    )


@cause("dead_units", "units that get no gradient")
def _dead_units(view: View) -> Finding | None:
    layers = [each for each in view.layers() if each.slope is not None and each.kind not in _SQUASHING]
    dead = [(each, len(each.still) / each.units) for each in layers if each.units > 1]
    if not dead or view.unlearnt() < _LEARNT:
        return None
    worst, share = max(dead, key=lambda pair: pair[1])
    if share < _DEAD:
        return None
    since = next(
        (
            p.step
            for p in view.recording.probes
            for each in p.layers
            if each.name == worst.name and len(each.still) / each.units > share / 2
        ),
        0,
    )
    changed = Change(model=_exchanged({"ReLU": partial(F.leaky_relu, negative_slope=0.1)}))
    # units that are dead from the start were drawn so; others were killed by a step, and may not be missed
    without = view.early(changed) if since > 0 else None
    evidence = [f"Since step {since}. The first of them: {', '.join(map(str, worst.still[:8]))}."]
    if without is not None:
        if not without.changed < _MISSED * without.own:
            return None
        evidence.append(
            f"After {without.steps:,} steps from the start the loss was {without.own:.3g}; with a leaky ReLU "
            f"{without.changed:.3g}."
        )
    anew = Remedy(
        says="Begin with He initialisation and biases of 0.",
        change=Change(model=_begun_anew),
        after="nn.init.kaiming_uniform_(layer.weight, nonlinearity='relu')\nnn.init.zeros_(layer.bias)",
    )
    module, written = _as_written(view, worst)
    leaky = Remedy(
        says="Use a leaky ReLU.",
        change=changed,
        before=written,
        after="nn.LeakyReLU(0.1)" if module else "F.leaky_relu(x, 0.1)",
    )
    lower = Remedy(says="Lower the learning rate.", change=Change(rate=0.1))
    return Finding(
        cause="dead_units",
        says=f"{len(worst.still)} of {worst.units} units of {worst.name} ({worst.kind}) are dead: they get no gradient "
        "on any row.",
        weight=min(0.95 if since == 0 else 0.8, 0.45 + 0.5 * share),
        evidence=evidence,
        remedies=[anew, leaky] if since == 0 else [leaky, lower],
    )


@cause("vanishing_gradients", "gradients that vanish on their way down")
def _vanishing_gradients(view: View) -> Finding | None:
    first, last, ratio, depth = _gradient_ratio(view.layers(0))
    if depth < _DEEP or not 0 <= ratio < 1 / _APART:
        return None
    squashing = [each for each in view.layers(0) if each.kind in _SQUASHING]
    kind = squashing[0].kind if squashing else "the activations"
    module, written = _as_written(view, squashing[0]) if squashing else (True, "")
    return Finding(
        cause="vanishing_gradients",
        says=f"Gradients vanish: {first} gets {ratio:.1g} of what {last} gets, through {depth} layers.",
        weight=0.85,
        evidence=[f"The slope of {kind} is at most {_steepest(kind):g}, and multiplies at every layer."]
        if squashing
        else ["Measured at the first step."],
        remedies=[
            Remedy(
                says="Use ReLU with He initialisation.",
                change=Change(model=_relu_with_he(_num_hidden(view.layers(0)))),
                before=written,
                after="nn.ReLU()" if module else "F.relu(x)",
            )
        ],
    )


@cause("exploding_signals", "signals that grow from layer to layer")
def _exploding_signals(view: View) -> Finding | None:
    layers = _weighted(view)
    if len(layers) < _DEEP or not layers[0].rms_out > 0:
        return None
    growth, null = _growth(view), view.null_loss()
    off = null is not None and len(view.losses) > 0 and view.losses[0] > _OFF * null
    largest = _largest(layers)
    if not growth > (_SOME if off else _GROWN) or _knows_before(view, layers):
        return None
    each = growth ** (1 / max(1, layers.index(largest)))
    return Finding(
        cause="exploding_signals",
        says=f"Signals grow {each:.1f} times at every layer, {growth:.2g} times in all, before the first step.",
        weight=0.9,
        evidence=[
            f"RMS {layers[0].rms_out:.2g} after {layers[0].name}, {largest.rms_out:.2g} after {largest.name}.",
            f"The first loss is {view.losses[0]:.3g}"
            + ("." if null is None else f"; a constant answer has {null:.3g}."),
        ],
        remedies=[
            Remedy(
                says="Use He initialisation, or normalise between layers.",
                change=Change(model=_drawn([f"{layer.name}.weight" for layer in layers])),
                after="nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')",
            )
        ],
    )


def _knows_before(view: View, layers: Sequence[LayerStats]) -> bool:
    """Whether some of the layers were trained before: how their signals grow is what they have learnt."""
    weights = view.recording.states[0].model
    return bool(
        trained_before(
            {each.name: weights[f"{each.name}.weight"] for each in layers if f"{each.name}.weight" in weights}
        )
    )


def _growth(view: View) -> float:
    """Returns by how much signals grow from the first layer on, at the first step."""
    layers = _weighted(view)
    growth = _largest(layers).rms_out / layers[0].rms_out if layers and layers[0].rms_out > 0 else 1.0
    return growth if math.isfinite(growth) else math.inf


def _largest(layers: Sequence[LayerStats]) -> LayerStats:
    """Returns the layer with the largest outputs; that whose outputs are not finite, where there is one."""
    return max(layers, key=lambda each: each.rms_out if math.isfinite(each.rms_out) else math.inf)


def _weighted(view: View) -> list[LayerStats]:
    """Returns the layers with weights, at the first step."""
    return [each for each in view.layers(0) if each.kind in _WEIGHTED]


def _gradient_ratio(layers: Sequence[LayerStats]) -> tuple[str, str, float, int]:
    """Returns the first and the last layer with weights, the share of their gradients, and their number."""
    found = [each for each in layers if each.kind in _WEIGHTED and each.gradient is not None]
    if len(found) < 2 or not found[-1].gradient:
        return "", "", math.nan, len(found)
    first = found[0].gradient or 0.0
    if any((each.gradient or 0.0) <= _AGAIN * first for each in found[len(found) // 2 :]):
        return "", "", math.nan, len(found)  # small in some branch of every block, as queries and keys are at first
    return found[0].name, found[-1].name, first / found[-1].gradient, len(found)


def _steepest(kind: str) -> float:
    """Returns the largest slope of an activation."""
    return {"Sigmoid": 0.25, "Hardsigmoid": 1 / 6}.get(kind, 1.0)


def _fan_ratios(view: View) -> dict[str, float]:
    """Returns the standard deviation of each weight matrix at the start over sqrt(2 / fan-in)."""
    state, found = view.recording.states[0].model, {}
    tables = {f"{name}.weight" for name, part in view.recording.model.named_modules() if isinstance(part, nn.Embedding)}
    for name, p in view.recording.model.named_parameters():
        if p.ndim > 1 and name in state and p.numel() >= 16 and name not in tables:
            fan_in = int(np.prod(p.shape[1:]))
            found[name] = float(state[name].float().std()) / math.sqrt(2 / fan_in)
    return found


def _drawn(names: Sequence[str], scales: Sequence[str] = ()) -> ModelChange:
    """Draws weights by He's rule, from the state of the random numbers, and sets scales to 1."""

    def change(model: nn.Module, given: object) -> None:
        params = dict(model.named_parameters())
        for name in names:
            nn.init.kaiming_uniform_(params[name], a=math.sqrt(5) if params[name].shape[0] <= 1 else 0.0)
        for name in scales:
            nn.init.ones_(params[name])

    return change


def _begun_anew(model: nn.Module, given: object) -> None:
    """Draws all weights by He's rule, with biases of 0."""
    for part in model.modules():
        if isinstance(part, nn.Linear | _ConvNd):
            nn.init.kaiming_uniform_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def _as_written(view: View, layer: LayerStats) -> tuple[bool, str]:
    """Returns whether an activation is a module, and the code that makes or calls it."""
    if layer.name in dict(view.recording.model.named_modules()):
        return True, f"nn.{layer.kind}()"
    return False, f"F.{layer.name.partition(' ')[0]}(x)"


def _num_hidden(layers: Sequence[LayerStats]) -> int:
    """Returns the number of activations below the last layer with weights: those above give the loss what it needs."""
    last = max((place for place, each in enumerate(layers) if each.kind in _WEIGHTED), default=0)
    return sum(each.kind in KINDS.values() for each in layers[:last])


def _exchanged(new: Mapping[str, Callable[[torch.Tensor], torch.Tensor]], first: float = math.inf) -> ModelChange:
    """Lets a model call other activations, be they modules or functions.

    Args:
        new: What is called in place of those of a kind. first: so many calls of activations, of every pass.
    """

    def change(model: nn.Module, given: object) -> None:
        own = type(model)

        def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
            count = itertools.count()

            def answer(
                kind: str,
                function: Callable[..., Any],
                given: torch.Tensor,
                args: tuple[Any, ...],
                kwargs: dict[str, Any],
            ) -> Any:
                if next(count) >= first or kind not in new:
                    return function(*args, **kwargs)
                if kwargs.get("inplace") or function.__name__.endswith("_"):
                    return given.copy_(new[kind](given.clone()))
                return new[kind](given)

            with ActivationCalls(answer):
                return own._call_impl(self, *args, **kwargs)

        model.__class__ = type(own.__name__, (own,), {"_call_impl": call})  # copies of the copy are of it too

    return change


def _relu_with_he(hidden: int) -> ModelChange:
    exchange = _exchanged(dict.fromkeys(_SQUASHING, F.relu), hidden)

    def change(model: nn.Module, given: Batch) -> None:
        exchange(model, given)
        with torch.no_grad():
            for p in model.parameters():
                if p.ndim > 1:
                    nn.init.kaiming_uniform_(p)

    return change
