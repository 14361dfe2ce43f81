"""Causes in how closely the model fits: too closely, or held back."""

from __future__ import annotations

import math

import numpy as np
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import UNCHANGED, Change, ModelChange
from thalweg.doctor._view import View

#: by how much the loss of the evaluation rose since it was least, and the share of steps since then
_ROSE, _SINCE = 1.25, 0.25
#: that rise as a share of the loss of the best constant answer, at least
_WORTH = 0.2
#: loss of training over that of evaluation, at most
_BELOW = 0.5
#: the same of rows that are known by heart, and the share of a constant answer's loss at which the evaluation then is
_BY_HEART, _UNLEARNT_HELD = 0.05, 0.3
#: a share of units that is dropped, and a share of what knows nothing at which the loss stays
_DROPPED, _UNLEARNT = 0.6, 0.5
#: or at this one, where with little dropout the held-out loss falls below a share of itself
_HARDLY, _LESS = 0.15, 0.85
#: terms beside the loss rule where they fell below this share, and it stays at this one of what knows nothing
_FELL, _STAYS = 0.5, 0.8
#: or at this one, and without them falls below a share of that within so many steps
_HELD, _FREED, _STEPS = 0.4, 0.7, 60


@cause("overfitting", "overfitting")
def _overfitting(view: View) -> Finding | None:
    curve, null = view.curve, view.null_loss()
    if len(curve) < 4 or null is None:
        return None
    steps, losses = np.array([step for step, _ in curve]), np.array([loss for _, loss in curve])
    if not np.isfinite(losses).all():
        return None
    best, end = int(losses.argmin()), float(np.median(losses[-max(1, len(losses) // 10) :]))
    training = view.training_loss
    since = 1 - steps[best] / view.recording.num_steps
    rose = end > max(_ROSE * losses[best], losses[best] + _WORTH * null) and training < _BELOW * end
    by_heart = training < _BY_HEART * end and end > _UNLEARNT_HELD * null and end > losses[best]
    if since < _SINCE or not (rose or by_heart):
        return None
    numbers = sum(p.numel() for p in view.recording.model.parameters())
    rows = 0 if view.rows is None else len(view.rows)
    evidence = [
        f"Loss of your evaluation: {losses[best]:.3g} at step {steps[best]:,}, {end:.3g} in the end; of the training "
        f"rows {training:.3g}."
    ]
    if rows:
        evidence.append(f"{numbers:,} parameters learn from {rows:,} distinct rows.")
    return Finding(
        cause="overfitting",
        says=f"The model overfits: since step {steps[best]:,} it learns its rows by heart.",
        weight=0.75,  # other faults make a model overfit too
        evidence=evidence,
        remedies=[
            Remedy(
                says=f"Stop at step {steps[best]:,}, where the loss of the evaluation was least.",
                change=Change(length=lambda num: min(num, int(steps[best]))),
                measure="loss",
                after="if valid_loss < best: best, kept = valid_loss, copy.deepcopy(model.state_dict())",
            )
        ],
    )


@cause("other_terms_too_strong", "terms beside the loss that are too strong")
def _other_terms_too_strong(view: View) -> Finding | None:
    call, rest = view.call, view.other_terms
    if call is None or view.replay.factor is not None or view.mixes_targets:
        return None
    if len(rest) < 10 or not view.unlearnt() > _HELD:
        return None
    size = max(3, len(rest) // 10)
    start, end = float(np.median(rest[:3])), float(np.median(rest[-size:]))
    if not (rest.min() >= 0 and end < _FELL * start):
        return None
    factor = 10.0 ** math.floor(math.log10(min(1.0, max(1e-6, float(np.median(view.seen_losses[:3])) / start)) / 10))
    alone, part = view.course(view.peak_rate, view.recording.states[-1], _STEPS).losses, _STEPS // 6
    before, after = (float(np.mean(each)) if alone else math.nan for each in (alone[:part], alone[-part:]))
    freed = after < _FREED * before
    if not (freed or view.unlearnt() > _STAYS):
        return None
    evidence = [f"They fell from {start:.3g} to {end:.3g}, while {call.name} stays at {view.stays}."]
    if freed:
        evidence.append(
            f"Where a copy goes on without them, {call.name} falls from {before:.3g} to {after:.3g} in {_STEPS} steps."
        )
    return Finding(
        cause="other_terms_too_strong",
        says=f"Terms that are added to {call.name} rule the training: it lowers these, and learns little of the data.",
        weight=0.85,
        evidence=evidence,
        remedies=[
            Remedy(
                says=f"Multiply these terms by {factor:g}: they then begin below a tenth of {call.name}.",
                change=Change(beside=factor),
            )
        ],
    )


@cause("dropout_too_strong", "dropout that is too strong")
def _dropout_too_strong(view: View) -> Finding | None:
    parts = {
        name: part.p
        for name, part in view.recording.model.named_modules()
        if isinstance(part, _DropoutNd) and part.p >= _DROPPED
    }
    if not parts or not view.passes or not view.passes[-1].training or view.unlearnt() < _HARDLY:
        return None
    name = max(parts, key=lambda key: parts[key])
    evidence = []
    if view.unlearnt() < _UNLEARNT:
        start, steps = view.recording.states[0], 2 * _STEPS
        before, after = (
            next(reversed(view.course(change, start, steps, judged=True).scores), math.nan)
            for change in (UNCHANGED, Change(model=_dropout(0.1)))
        )
        if not after < _LESS * before:
            return None
        evidence.append(
            f"After {steps} steps held-out rows have a loss of {before:.3g}, and of {after:.3g} with a dropout of 0.1."
        )
    return Finding(
        cause="dropout_too_strong",
        says=f"Dropout of {parts[name]:g} leaves too little of {name} to learn from.",
        weight=0.88,
        evidence=[
            f"The loss of training stays at {view.stays}; the same rows without "
            f"dropout have a loss of {view.training_loss:.3g}, with it {float(np.median(view.losses[-20:])):.3g}.",
            *evidence,
        ],
        remedies=[
            Remedy(
                says="Try a dropout of 0.1.",
                change=Change(model=_dropout(0.1)),
                before=f"nn.Dropout({parts[name]:g})",
                after="nn.Dropout(0.1)",
            )
        ],
    )


def _dropout(share: float) -> ModelChange:
    def change(model: nn.Module, given: object) -> None:
        for part in model.modules():
            if isinstance(part, _DropoutNd):
                part.p = min(part.p, share)

    return change
