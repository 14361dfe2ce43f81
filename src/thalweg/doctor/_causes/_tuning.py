"""Causes in fine-tuning: weights that were trained before, gradients of several passes."""

from __future__ import annotations

import math

import numpy as np
import torch

from thalweg.doctor._causes._trained import trained_before
from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import Change, Criterion
from thalweg.doctor._view import View

#: share by which weights that were trained before moved, and by which one of the first steps changed them
_MOVED, _LEAP = 0.5, 0.05
#: share of the loss of the best constant answer below which a model that begins there knows something
_KNOWS, _KNOWN = 0.6, 0.1
#: rise of the loss in the first steps
_RISEN = 1.5
#: numbers of targets in the passes of one step that are so far apart
_UNEQUAL = 2.0


@cause("pretrained_weights_forgotten", "a learning rate that makes a trained model forget")
def _pretrained_weights_forgotten(view: View) -> Finding | None:
    recording = view.recording
    before, after = recording.states[0].model, recording.states[-1].model
    trained = {id(p) for group in recording.optimizer.param_groups for p in group["params"]}
    own = {name: p for name, p in recording.params.items() if id(p) in trained and name not in recording.frozen}
    null = view.null_loss()
    knows = null is not None and len(view.losses) > 0 and view.losses[0] < _KNOWS * null
    drawn = set() if knows else set(own) - set(trained_before(before))
    matrices = [name for name, p in own.items() if p.ndim > 1]
    names = [name for name in matrices[:-1] if name not in drawn]  # a head may well change
    if not names or view.recording.num_steps < 3 or view.replay.needs_closure:  # one of its steps is many
        return None
    size = math.sqrt(sum(float(before[n].double().square().sum()) for n in names))
    moved = math.sqrt(sum(float((after[n].double() - before[n].double()).square().sum()) for n in names)) / size
    leap = max(
        (p.update / p.norm for q in view.recording.probes[:4] for p in q.params if p.name in names and p.update),
        default=0.0,
    )
    losses = view.losses
    early = losses[1 : max(6, min(50, len(losses) // 4))]
    least = max(float(losses[0]), _KNOWN * (null or 0.0), 1e-12)  # the first batch may happen to be an easy one
    risen = float(np.max(_running(early))) / least if np.isfinite(early).all() else math.inf
    if not ((leap > _LEAP and (moved > _MOVED or not math.isfinite(moved))) or (risen > _RISEN and leap > _LEAP / 2)):
        return None
    lr = view.recording.rates[0][0]
    evidence = [
        f"{len(names)} weight matrices were trained before; {'the first loss' if knows else 'their spectrum'} says so. "
        f"They moved by {moved:.0%} of their size, and one of the first steps changed them by {leap:.1%}."
    ]
    if risen > _RISEN:
        evidence.append(f"In the first steps the loss rose to {risen:.3g} times the first one.")
    return Finding(
        cause="pretrained_weights_forgotten",
        says=f"The learning rate, {lr:g}, makes the model forget what it had learnt before.",
        weight=0.9,
        evidence=evidence,
        remedies=[
            Remedy(says=f"Try lr={f * lr:g}.", change=Change(rate=f), before=f"lr={lr:g}", after=f"lr={f * lr:g}")
            for f in (0.1, 0.01)
        ],
    )


@cause("accumulation_not_normalised", "gradients of several passes that are not normalised")
def _accumulation_not_normalised(view: View) -> Finding | None:
    per, scale = view.replay.passes_per_step, view.replay.mean_scale
    if (
        per < 2
        or view.replay.needs_closure
        or view.call is None
        or view.call.options.get("reduction", "mean") != "mean"
    ):
        return None
    if scale > _UNEQUAL:
        adaptive = type(view.recording.optimizer).__name__ not in ("SGD", "ASGD", "Rprop")
        return Finding(
            cause="accumulation_not_normalised",
            says=f"Gradients of {per} passes are added up, not averaged: steps are {scale:.3g} times as long as meant.",
            weight=0.65 if adaptive else 0.92,
            evidence=[f"{per} backward passes for each step; the loss of each was multiplied by {scale / per:.3g}."],
            remedies=[
                Remedy(
                    says="Divide the loss by the number of passes.",
                    change=Change(scale=1 / scale),
                    before="loss.backward()",
                    after=f"(loss / {per}).backward()",
                )
            ],
        )
    ignored = view.call.options.get("ignore_index", -100)
    counts: dict[int, list[int]] = {}
    for each in view.passes:
        if isinstance(each.target, torch.Tensor):
            counts.setdefault(each.step, []).append(int((each.target != ignored).sum()))
    ratios = [max(c) / max(1, min(c)) for c in counts.values() if len(c) == per]
    if not ratios or np.median(ratios) < _UNEQUAL:
        return None
    mean = float(np.mean([n for c in counts.values() for n in c]))
    return Finding(
        cause="accumulation_not_normalised",
        says="Passes of one step differ in their number of targets, but weigh the same.",
        weight=0.9,
        evidence=[f"Within a step the largest pass has {np.median(ratios):.1f} times the targets of the smallest."],
        remedies=[
            Remedy(
                says="Sum the losses, and divide by the number of targets of the whole step.",
                change=Change(criterion=_per_target(view, mean, ignored)),
                before="loss = criterion(logits, labels) / passes",
                after="loss = criterion_sum(logits, labels) / targets_of_the_step",
            )
        ],
    )


def _running(values: np.ndarray, num: int = 5) -> np.ndarray:
    """Returns means of so many values in a row."""
    return np.convolve(values, np.full(min(num, len(values)), 1 / min(num, len(values))), "valid")


def _per_target(view: View, mean: float, ignored: int) -> Criterion:
    criterion = view.replay.criterion()
    return lambda output, target: criterion(output, target) * ((target != ignored).sum() / mean)
