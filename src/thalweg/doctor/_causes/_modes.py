"""Causes in the modes of the model: training or evaluation, and the statistics of batch norm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from thalweg.doctor._causes._batches import merged
from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import UNCHANGED, Change, ModelChange
from thalweg.doctor._record._joint import mode_dependent
from thalweg.doctor._view import View

_SMALL_BATCH = 4
#: share of the steps, the last ones, that a mode rules
_LONG = 0.25
#: statistics of a frozen layer that moved by so many of its standard deviations
_DRIFT = 0.1


@cause("missing_eval", "an evaluation in training mode")
def _evaluation_in_training_mode(view: View) -> Finding | None:
    parts = _kinds(view)
    seen = view.recording.evaluations
    if not parts or not seen or not all(each.training for each in seen):
        return None
    return Finding(
        cause="missing_eval",
        says=f"The model is evaluated in training mode: {parts[0]} acts there as in training.",
        weight=0.97,
        evidence=[f"{len(seen)} evaluation passes without gradient, none after model.eval()."],
        remedies=[
            Remedy(
                says="Call model.eval() before evaluation and model.train() after it.",
                change=Change(),
                before="with torch.no_grad():",
                after="model.eval()\nwith torch.no_grad():",
            )
        ],
    )


@cause("missing_train", "training in evaluation mode")
def _training_in_evaluation_mode(view: View) -> Finding | None:
    parts, steps = _kinds(view), view.recording.num_steps
    passes = list(view.recording.passes)
    since = max((each.step + 1 for each in passes if each.training), default=0)
    if not parts or not passes or since > (1 - _LONG) * steps:
        return None
    always = since == 0
    until = min((each.step for each in passes if each.step >= since), default=since)  # not all are held
    evaluated = next((step for step, _ in view.curve if since <= step <= until), None)
    when = f"{since:,}" if evaluated is None else f"{evaluated:,} and its evaluation"
    return Finding(
        cause="missing_train",
        says=f"The model is trained in evaluation mode: {parts[0]} does nothing, or uses old statistics.",
        weight=0.8,
        evidence=[
            "No training pass was made after model.train()."
            if always
            else f"Since step {when} no pass was made after model.train()."
        ],
        remedies=[
            Remedy(
                says="Call model.train() before training." if always else "Call model.train() after each evaluation.",
                change=Change(training=True) if always else Change(),
                after="model.train()",
            )
        ],
    )


@cause("batch_norm_on_tiny_batches", "batch norm on tiny batches")
def _batch_norm_on_tiny_batches(view: View) -> Finding | None:
    norms = [name for name, m in view.recording.model.named_modules() if isinstance(m, _BatchNorm)]
    sizes = [len(each.target) for each in view.passes if isinstance(each.target, torch.Tensor)]
    if not norms or not sizes or np.median(sizes) > _SMALL_BATCH:
        return None
    return Finding(
        cause="batch_norm_on_tiny_batches",
        says=f"Batch norm takes its statistics from {int(np.median(sizes))} rows at a time: they are mostly noise.",
        weight=0.9,
        evidence=[f"{len(norms)} layers of batch norm."],
        remedies=[
            Remedy(
                says="Use larger batches.",
                change=Change(batches=merged),
                before=f"batch_size={int(np.median(sizes))}",
                after=f"batch_size={8 * int(np.median(sizes))}",
            )
        ],
    )


@cause("frozen_batch_norm_drifts", "statistics of frozen batch norm that drift")
def _frozen_batch_norm_drifts(view: View) -> Finding | None:
    first, last = view.recording.states[0].model, view.recording.states[-1].model
    moved: dict[str, float] = {}
    for name, part in view.recording.model.named_modules():
        if not isinstance(part, _BatchNorm) or part.running_mean is None or not _is_frozen(view, name):
            continue
        mean, var = (first[f"{name}.{key}"] for key in ("running_mean", "running_var"))
        moved[name] = _moved(mean, var, last[f"{name}.running_mean"], part.eps)
    for number, (part, before) in enumerate(view.recording.norms.values(), start=1):
        assert isinstance(part, _BatchNorm)
        assert isinstance(before, _BatchNorm)
        found = _moved(before.running_mean, before.running_var, part.running_mean, part.eps)
        moved[f"batch norm {number} of a model that is called before"] = found
    drifted = {name: by for name, by in moved.items() if by > _DRIFT}
    if not drifted:
        return None
    worst = max(drifted, key=lambda name: drifted[name])
    return Finding(
        cause="frozen_batch_norm_drifts",
        says="Layers of batch norm are frozen, but their statistics still follow the batches.",
        weight=0.92,
        evidence=[
            f"{worst}: its running mean moved by {drifted[worst]:.2g} standard deviations, though it is not trained; "
            f"so do {len(drifted)} of {len(moved)} frozen layers of batch norm."
        ],
        remedies=[
            Remedy(
                says="Keep frozen batch norm in evaluation mode.",
                change=UNCHANGED if view.recording.norms else Change(model=_kept_in_evaluation(list(drifted))),
                before="model.train()",
                after="model.train()\nfor part in frozen_batch_norms:\n    part.eval()",
            )
        ],
    )


def _moved(mean: torch.Tensor | None, var: torch.Tensor | None, now: torch.Tensor | None, eps: float) -> float:
    """Returns by how many standard deviations running means moved, root mean square over the units."""
    assert mean is not None
    assert var is not None
    assert now is not None
    return float(((now - mean) / (var + eps).sqrt()).square().mean().sqrt())


def _is_frozen(view: View, layer: str) -> bool:
    """Whether a layer has weights, and none of them is trained."""
    trained = {id(p) for group in view.recording.optimizer.param_groups for p in group["params"]}
    own = dict(view.recording.model.get_submodule(layer).named_parameters(prefix=layer))
    return bool(own) and not any(id(p) in trained and name not in view.recording.frozen for name, p in own.items())


def _kept_in_evaluation(names: list[str]) -> ModelChange:
    def stay(part: nn.Module) -> Callable[[bool], nn.Module]:
        return lambda mode=True: part

    def change(model: nn.Module, given: object) -> None:
        for name in names:
            part = model.get_submodule(name).eval()
            part.train = stay(part)  # type: ignore[method-assign]

    return change


def _kinds(view: View) -> list[str]:
    """Returns the layers that do something else in evaluation, each with its kind."""
    return [f"{name} ({type(part).__name__})" for name, part in mode_dependent(view.recording.model).items()]
