"""Causes in the decay of weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import Change, setting
from thalweg.doctor._record._state import State
from thalweg.doctor._trials import times
from thalweg.doctor._view import View

#: a pull of the decay beside that of the loss, whose noise makes it look larger than it is; one that rules; and a loss
#: that is this share of what knows nothing
_BALANCE, _RULES, _UNLEARNT = 0.1, 0.6, 0.4
#: or this one, where the held-out loss is below a share of that of the loop when both go on for so many steps
_LITTLE, _FREED, _STEPS = 0.1, 0.9, 60
#: a pull below which it does not matter where the decay is added
_SLIGHT = 0.05


@cause("decay_too_strong", "weight decay that is too strong")
def _decay_too_strong(view: View) -> Finding | None:
    optimizer, last = view.recording.optimizer, view.last
    decay = max(float(group.get("weight_decay", 0.0)) for group in optimizer.param_groups)
    if decay == 0 or last is None:
        return None
    weights = [p for p in last.params if p.gradient is not None]
    norm, pull = _norm(p.norm for p in weights), 0.0
    if type(optimizer).__name__ == "AdamW":
        step = _norm(p.update or 0.0 for p in weights)
        pull = max(view.recording.rates[last.step]) * decay * norm / step if step > 0 else 0.0
    elif view.gradient_norm > 0:
        pull = decay * norm / view.gradient_norm
    # at the minimum of loss and penalty they balance, be the penalty ever so small; it harms where the loss stays high
    if not (pull > _BALANCE and view.unlearnt() > _LITTLE):
        return None
    evidence = []
    if view.unlearnt() <= _UNLEARNT or pull < _RULES:
        # a schedule may have ended, so both copies go on at the peak rate, which may raise the loss of both
        end, without = view.recording.states[-1], replace(view.peak_rate, optimizer=setting("weight_decay", 0.0))
        before = view.loss_of(view.replay.copies(end)[0], view.held_out)
        kept, freed = (_median_score(view, change, end) for change in (view.peak_rate, without))
        if not (freed < times(_FREED, kept) and freed < before):
            return None
        evidence.append(
            f"Where copies go on for {_STEPS} steps, the loss of held-out rows is {kept:.3g} with it and {freed:.3g} "
            f"without it."
        )
    start = _norm(p.norm for p in view.params(0) if p.gradient is not None)
    return Finding(
        cause="decay_too_strong",
        says=f"Weight decay of {decay:g} holds the weights down, and the loss up.",
        weight=0.88,
        evidence=[
            f"Its pull is {pull:.2g} times that of the loss; weights went from a norm of {start:.3g} to {norm:.3g}.",
            f"The loss stays at {view.stays}.",
            *evidence,
        ],
        remedies=[
            Remedy(
                says=f"Try weight_decay={decay / 100:g}.",
                change=Change(optimizer=setting("weight_decay", decay / 100)),
                before=f"weight_decay={decay:g}",
                after=f"weight_decay={decay / 100:g}",
            )
        ],
    )


@cause("coupled_decay_with_adam", "an L2 penalty inside Adam")
def _coupled_decay_with_adam(view: View) -> Finding | None:
    optimizer = view.recording.optimizer
    decay = max(float(group.get("weight_decay", 0.0)) for group in optimizer.param_groups)
    if type(optimizer).__name__ != "Adam" or decay == 0 or optimizer.param_groups[0].get("decoupled_weight_decay"):
        return None
    # in the end, where hardly a gradient is left, any decay is a large part of it
    norm, slope = _norm(p.norm for p in view.params(0) if p.gradient is not None), view.first_gradient_norm
    pull = decay * norm / slope if slope > 0 else 0.0
    if not pull > _SLIGHT:
        return None
    return Finding(
        cause="coupled_decay_with_adam",
        says=f"Adam adds the decay of {decay:g} to the gradient and divides both by its size: weights with large "
        "gradients hardly decay, those with small ones are driven to 0.",
        weight=0.7,
        evidence=[
            "The optimizer is Adam with weight_decay; AdamW decays the weights themselves.",
            f"The decay is {pull:.2g} of the gradient of the loss at the start.",
        ],
        remedies=[
            Remedy(
                says="Use AdamW.",
                change=Change(optimizer=_as_adamw),
                before="torch.optim.Adam(",
                after="torch.optim.AdamW(",
            )
        ],
    )


def _median_score(view: View, change: Change, state: State) -> float:
    """Returns the median loss of held-out rows on the way of a copy; NaN where the loop cannot be copied."""
    scores = view.course(change, state, _STEPS, judged=True).scores
    return float(np.median(scores)) if scores else math.nan


def _norm(values: Iterable[float]) -> float:
    return math.sqrt(sum(v * v for v in values))


def _as_adamw(optimizer: torch.optim.Optimizer, model: nn.Module) -> torch.optim.Optimizer:
    group = optimizer.param_groups[0]
    given = {name: group[name] for name in ("lr", "betas", "eps", "weight_decay")}
    return torch.optim.AdamW(model.parameters(), **given)
