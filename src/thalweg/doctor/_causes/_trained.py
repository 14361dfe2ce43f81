"""Causes in what reaches the parameters: none of the steps, no gradient, or gradients of earlier batches."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import Change, ModelChange
from thalweg.doctor._view import View

#: matrices of which the spectrum is looked at, and the largest singular value over that of drawn numbers
_SIDE, _BEYOND = 16, 1.25


@cause("missing_zero_grad", "gradients that are never set to zero")
def _missing_zero_grad(view: View) -> Finding | None:
    kept = view.recording.kept[1:]
    if len(kept) < 3 or np.mean(kept) < 0.5:
        return None
    return Finding(
        cause="missing_zero_grad",
        says="Gradients are not set to zero between steps: every step adds those of all earlier batches.",
        weight=1.0,
        evidence=[f"At {sum(kept):,} of {len(kept):,} steps gradients of the step before were still there."],
        remedies=[
            Remedy(
                says="Call optimizer.zero_grad() before loss.backward().",
                change=Change(zero=True),
                before="loss.backward()",
                after="optimizer.zero_grad()\nloss.backward()",
            )
        ],
    )


@cause("parameters_not_in_optimizer", "parameters that are not trained")
def _parameters_not_in_optimizer(view: View) -> Finding | None:
    recording = view.recording
    trained = {id(p) for group in recording.optimizer.param_groups for p in group["params"]} | recording.elsewhere
    named = recording.params
    meant = [name for name, p in named.items() if name not in recording.frozen or p.requires_grad]
    outside = [name for name in meant if id(named[name]) not in trained]
    got = {each.name for probe in recording.probes for each in probe.params if each.gradient}
    forgotten = [name for name in outside if name in got or not recording.probes]
    if not forgotten:
        return _modules_outside(view)
    strangers = len(trained - {id(p) for p in named.values()})
    swapped = f" It holds {strangers} that the model does not have: a layer was replaced after it." if strangers else ""
    return Finding(
        cause="parameters_not_in_optimizer",
        says=f"The optimizer does not know {_some(forgotten)}: they get gradients and stay as they are.{swapped}",
        weight=1.0,
        evidence=[f"{len(forgotten)} of {len(named)} parameters are in no group of the optimizer."],
        remedies=[
            Remedy(
                says="Make the optimizer after the model is complete.",
                change=Change(optimizer=_with_all),
                after=f"optimizer = {type(recording.optimizer).__name__}(model.parameters(), ...)",
            )
        ],
    )


def _modules_outside(view: View) -> Finding | None:
    """Looks at modules that the loop calls and that are no part of its model, such as layers in a plain list."""
    recording = view.recording
    trained = {id(p) for group in recording.optimizer.param_groups for p in group["params"]} | recording.elsewhere
    left = [(kind, p) for kind, p in recording.outside if id(p) not in trained and p.grad is not None]
    drawn = [kind for kind, p in left if p.ndim > 1 and not trained_before({"": p})]
    if not drawn:
        return None
    return Finding(
        cause="parameters_not_in_optimizer",
        says=f"The loop calls layers that its optimizer does not know ({_some(list(dict.fromkeys(drawn)))}): they get "
        "gradients and stay as they are.",
        weight=1.0,
        evidence=[f"{len(left)} of their parameters are in no group of an optimizer, nor in model.parameters()."],
        remedies=[
            Remedy(
                says="Hold layers in an nn.ModuleList, and give all that is trained to the optimizer.",
                change=Change(),
                before="self.layers = [...]",
                after="self.layers = nn.ModuleList([...])",
            )
        ],
    )


@cause("parameters_frozen", "parameters that are frozen as they were drawn")
def _parameters_frozen(view: View) -> Finding | None:
    recording = view.recording
    named = recording.params
    frozen = [name for name in named if name in recording.frozen]
    if not frozen:
        return None
    share = sum(named[name].numel() for name in frozen) / sum(p.numel() for p in named.values())
    # what was trained before may well be frozen; weights as they were drawn may not
    first = {each.name: each for each in view.params(0)}
    drawn = [name for name in frozen if name in first and _as_drawn(recording.states[-1].model[name])]
    if not drawn:
        return None
    return Finding(
        cause="parameters_frozen",
        says=f"{_some(drawn)}: frozen, and with values that look as they were drawn, so that nothing was ever learnt.",
        weight=0.8,
        evidence=[f"requires_grad is False for {len(frozen)} of {len(named)} parameters, {share:.0%} of all numbers."],
        remedies=[
            Remedy(
                says="Train them too.",
                change=Change(optimizer=_with_all),
                before="p.requires_grad = False",
                after="p.requires_grad = True",
            )
        ],
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _as_drawn(value: torch.Tensor) -> bool:
    """Whether values look uniform between two bounds, as layers of torch are drawn."""
    if value.ndim < 2 or value.numel() < 100:
        return False
    flat = value.detach().flatten().double()
    bound = float(flat.abs().max())
    # the standard deviation of n such values is off by 0.45 / sqrt(n) of itself
    return bound > 0 and abs(float(flat.std()) * math.sqrt(3) / bound - 1) < max(0.05, 1.35 / math.sqrt(len(flat)))


def _with_all(optimizer: torch.optim.Optimizer, model: nn.Module) -> torch.optim.Optimizer:
    """Trains every parameter; those that the optimizer does not know get the settings of its first group."""
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for p in model.parameters():
        p.requires_grad_(True)
    missing = [p for p in model.parameters() if id(p) not in known]
    if missing:
        optimizer.add_param_group({**optimizer.param_groups[0], "params": missing})
    return optimizer


@cause("parameters_without_gradient", "parameters that get no gradient")
def _parameters_without_gradient(view: View) -> Finding | None:
    recording, probes = view.recording, view.recording.probes
    trained = {id(p) for group in recording.optimizer.param_groups for p in group["params"]}
    own = {
        name: p
        for name, p in recording.params.items()
        if id(p) in trained and p.ndim > 1 and (name not in recording.frozen or is_adapter(name))
    }
    got = {p.name for probe in probes for p in probe.params if p.gradient}
    without = [name for name, p in own.items() if name not in got]
    if len(probes) < 2 or not without or not np.isfinite(view.losses).all():
        return None
    if all(any(len(each.still) == each.units > 0 for each in probe.layers) for probe in probes):
        return None  # a layer whose units are all dead passes nothing on: it is told as that
    start = recording.states[0].model
    zero = [name for name in without if not bool(start[name].any())]
    frozen = [name for name in without if name in recording.frozen]
    adapters = [name for name in without if is_adapter(name)]
    what = "Adapters get" if adapters else "Parameters get"
    evidence = [
        f"{len(without)} of {len(own)} matrices of the optimizer, at all {len(probes)} steps that were measured."
    ]
    remedies = []
    if zero:
        evidence.append(f"{len(zero)} of them hold zeros only, so that what stands before and after them gets nothing.")
        remedies.append(
            Remedy(
                says="Draw the first matrix of each adapter; begin only the second at zero.",
                change=Change(model=_drawn(zero[:1] if len(zero) == 1 else zero[::2])),
                before="nn.init.zeros_(adapter.a)",
                after="nn.init.kaiming_uniform_(adapter.a)",
            )
        )
    elif frozen:
        evidence.append(f"{len(frozen)} of them have requires_grad=False.")
        remedies.append(
            Remedy(
                says="Let them be trained.",
                change=Change(model=_unfrozen(frozen)),
                before="p.requires_grad = False",
                after="p.requires_grad = True",
            )
        )
    else:
        remedies.append(
            Remedy(
                says="Look for a detach(), a no_grad() or a branch that is never taken on their way to the loss.",
                change=Change(),
            )
        )
    return Finding(
        cause="parameters_without_gradient",
        says=f"{what} no gradient: {', '.join(without[:3])}{' and others' if len(without) > 3 else ''} never train.",
        weight=0.93,
        evidence=evidence,
        remedies=remedies,
    )


def is_adapter(name: str) -> bool:
    """Whether a parameter is called as those of adapters are."""
    return any(word in name.lower() for word in ("lora", "adapter"))


def trained_before(values: dict[str, torch.Tensor]) -> list[str]:
    """Returns the names of matrices that no common way of drawing gives.

    Of (m, n) independent numbers of variance s^2, the largest singular value is near s (sqrt(m) + sqrt(n)); training
    adds directions beyond it.

    References:
        Marchenko and Pastur, Distribution of eigenvalues for some sets of random matrices, 1967.
        Martin and Mahoney, Implicit self-regularization in deep neural networks, 2021.
    """
    found = []
    for name, value in values.items():
        if not value.is_floating_point() or value.ndim < 2:
            continue
        flat = value.detach().float().flatten(1)
        if min(flat.shape) < _SIDE or not bool(flat.isfinite().all()):
            continue
        spread = float(flat.std())
        largest = float(torch.linalg.matrix_norm(flat, 2))
        if spread > 0 and largest > _BEYOND * spread * (flat.shape[0] ** 0.5 + flat.shape[1] ** 0.5):
            found.append(name)
    return found


def _drawn(names: list[str]) -> ModelChange:
    def change(model: nn.Module, given: object) -> None:
        params = dict(model.named_parameters())
        for name in names:
            nn.init.kaiming_uniform_(params[name], a=math.sqrt(5))

    return change


def _unfrozen(names: list[str]) -> ModelChange:
    def change(model: nn.Module, given: object) -> None:
        params = dict(model.named_parameters())
        for name in names:
            params[name].requires_grad_(True)

    return change
