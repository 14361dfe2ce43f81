"""Causes in the length of steps: rates, momentum, clipping, schedules."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import Change, setting
from thalweg.doctor._trials import Early, times
from thalweg.doctor._view import View

#: along its own direction a step is too long where the least loss lies before this share of it
_TOO_LONG = 0.4
#: a loss that rose to so many times the first one, or that of the best constant answer, was thrown back
_THROWN = 3.0
#: share of its size by which a step may change a weight matrix and still be a step
_LEAP = 0.3
#: share of the loss of what knows nothing below which training has come: steps then turn around the minimum
_LEARNT = 0.5
#: the same below which training has come so far that more of it is no matter of a fault; and from which it is stuck
_COME, _STUCK = 1 / 3, 0.7
#: and too short where it lies beyond so many steps, and a higher rate comes to this share of the loop's loss
_TOO_SHORT, _FASTER = 64.0, 0.85
#: clipping that leaves less than this of most gradients; the share of the loss that the first steps come to without it
_TIGHT, _FREE = 0.1, 0.9
#: a rate below this share of the largest makes no step worth the name
_SPENT = 0.01
#: share of the units of a layer that steps have killed
_DIED = 0.3
#: parts of the rate that are tried, and the share of the loop's loss that they come to where it is too high; and where
#: units have died
_LOWER, _BETTER, _BETTER_DEAD = (0.1, 0.3), 0.7, 0.8
#: share of the loss of what knows nothing from which they are tried
_DOUBTED = 0.2


@cause("lr_too_high", "a learning rate that is too high")
def _lr_too_high(view: View) -> Finding | None:
    losses = view.losses
    if len(losses) < 3:
        return None
    factors, lr = view.step_factors, max(map(max, view.recording.rates))
    broken = int(np.argmax(~np.isfinite(losses))) if not np.isfinite(losses).all() else None
    tail = losses[-max(3, len(losses) // 5) :]
    null = view.null_loss()
    ignorant = losses[0] if null is None else max(null, losses[0])
    risen = bool(np.median(tail) > times(1.5, ignorant))
    learns = np.isfinite(losses).all() and np.median(tail) < times(0.5, losses[0] if null is None else null)
    seen = [factors] if learns else [factors, view.first_factors]  # a start that went well did no harm
    middle, number = min(((float(np.median(each)), len(each)) for each in seen if each), default=(math.nan, 0))
    if view.unlearnt() < _LEARNT:
        middle = math.nan
    # weights that begin small may change by much and do no harm: it shows in the loss where they do
    thrown = bool(np.nanmax(losses) > times(_THROWN, ignorant))
    ratio = view.update_ratio() if thrown or view.unlearnt() >= _LEARNT else 0.0
    died = _died(view)
    trials = _lower(view) if broken is None and not risen and (died or view.unlearnt() > _DOUBTED) else []
    slower = next(((f, each) for f, each in trials if each.is_better(_BETTER_DEAD if died else _BETTER)), None)
    harmed = any(each.is_better(1.0) for _, each in trials) if trials else view.unlearnt() > _STUCK
    leaps = ratio >= _LEAP and (thrown or harmed)
    if broken is None and not risen and not middle < _TOO_LONG and not leaps and slower is None:
        return None
    evidence, weight = [], 0.6
    if broken is not None:
        evidence.append(f"The loss was not finite from step {broken:,} on.")
        weight = 0.9
    elif risen:
        evidence.append(f"The loss rose from {losses[0]:.3g} to {np.median(tail):.3g}.")
        weight = 0.85
    if middle < _TOO_LONG:
        evidence.append(
            f"On its own batch, the best step is {_factor(middle)} of that which was made (median of {number})."
        )
        weight = max(weight, min(0.9, 0.7 + 0.05 * -math.log2(middle)))
    if slower is not None:
        part, found = slower
        evidence.append(
            f"After {found.steps:,} steps from the start the loss was {found.own:.3g}; at {part:g} times the rate "
            f"{found.changed:.3g}."
        )
        weight = max(weight, 0.84)
    if leaps:
        evidence.append(f"One of the first steps changed the weights by {ratio:.0%} of their size.")
        weight = max(weight, 0.87)
    return Finding(
        cause="lr_too_high",
        says=f"The learning rate, {lr:g}, is too high: steps go beyond the point where the loss is least.",
        weight=weight,
        evidence=evidence,
        remedies=[
            Remedy(
                says=f"Try lr={f * lr:g}.",
                change=Change(rate=f),
                begins="healthy",
                before=f"lr={lr:g}",
                after=f"lr={f * lr:g}",
            )
            for f in (_lowered(middle) if slower is None or slower[0] == _LOWER[0] else (_LOWER[1], 0.1))
        ],
    )


def _lowered(factor: float) -> tuple[float, float]:
    """Returns factors on the rate to try, where one batch alone speaks for some factor: 0.1 and 0.01, or less.

    Example:
        >>> _lowered(1 / 8), _lowered(1 / 512)
        ((0.1, 0.01), (0.01, 0.001))
    """
    most = min(-1, math.ceil(math.log10(factor))) if 0 < factor < 1 else -1
    return 10.0**most, 10.0 ** (most - 1)


def _died(view: View) -> bool:
    """Whether many units of a layer were alive at first, and get no gradient in the end."""
    alive = {each.name: len(each.still) for each in view.layers(0)}
    return any(len(each.still) - alive.get(each.name, 0) > _DIED * each.units for each in view.layers())


def _lower(view: View) -> list[tuple[float, Early]]:
    """Returns parts of the rate, and what each comes to in the first steps.

    A lower rate is slower at first: where it is better even so, the rate is too high.
    """
    tried = ((part, view.early(Change(rate=part))) for part in _LOWER)
    return [(part, found) for part, found in tried if found is not None]


@cause("lr_too_low", "a learning rate that is too low")
def _lr_too_low(view: View) -> Finding | None:
    losses, factors = view.losses, view.step_factors
    if len(losses) < 10 or not factors or not np.isfinite(losses).all():
        return None
    lr, size = max(map(max, view.recording.rates)), max(1, len(losses) // 10)
    middle = float(np.median(factors)) * max(view.recording.rates[-1]) / lr if lr > 0 else 1.0  # of the highest rate
    start, end = float(np.mean(losses[:size])), float(np.mean(losses[-size:]))
    if middle < _TOO_SHORT or view.unlearnt() < _COME:
        return None
    # along its own direction a batch of few rows that say little would have its noise learnt by heart
    elsewhere = float(np.median(view.far_factors)) * max(view.recording.rates[-1]) / lr
    if elsewhere < _TOO_SHORT:
        return None
    tried = [(f, found) for f in _higher(middle) if (found := view.early(Change(rate=f))) is not None]
    faster = next(((f, found) for f, found in tried if found.is_better(_FASTER)), None)
    if tried and faster is None:  # as where what is left of the loss is noise
        return None
    evidence = []
    if faster is not None:
        factor, found = faster
        evidence.append(
            f"After {found.steps:,} steps from the start the loss was {found.own:.3g}; at {factor:g} times the rate "
            f"{found.changed:.3g}."
        )
    return Finding(
        cause="lr_too_low",
        says=f"The learning rate, {lr:g}, is too low: the loss would still fall {middle:,.0f} steps further in the "
        "same direction.",
        weight=min(0.85, 0.5 + 0.05 * math.log2(middle)),
        evidence=[
            f"On its own batch, the best step is {middle:,.0f} times that which was made (median of {len(factors)}).",
            f"In {len(losses):,} steps the loss went from {start:.4g} to {end:.4g}.",
            *evidence,
        ],
        remedies=[
            Remedy(says=f"Try lr={f * lr:g}.", change=Change(rate=f), before=f"lr={lr:g}", after=f"lr={f * lr:g}")
            for f in _higher(middle)
        ],
    )


def _higher(factor: float) -> tuple[float, float]:
    """Returns factors on the rate to try, where one batch alone speaks for some factor: 10 and 100 up to 10,000."""
    most = max(2, math.floor(math.log10(factor)) - 1)
    return 10.0 ** (most - 1), 10.0**most


@cause("momentum_too_high", "momentum that is too high")
def _momentum_too_high(view: View) -> Finding | None:
    group, steps = view.recording.optimizer.param_groups[0], view.recording.num_steps
    name = "momentum" if "momentum" in group else "betas"
    value = group.get("momentum", group.get("betas", (0.0,))[0] if "betas" in group else 0.0)
    if value < 0.98 or steps < 10:
        return None
    memory = 1 / (1 - value) if value < 1 else math.inf
    after = 0.9 if name == "momentum" else (0.9, group["betas"][1])
    usual = setting(name, after)
    less = view.early(Change(optimizer=usual))
    if less is not None and less.changed > less.own:  # as where the rate is as much lower
        return None
    return Finding(
        cause="momentum_too_high",
        says=f"Momentum is {value:g}: a step still holds gradients of the last {memory:,.0f} steps.",
        weight=0.8 if memory > 0.05 * steps else 0.6,
        evidence=[f"{name} of {group.get(name)} in a run of {steps:,} steps."],
        remedies=[
            Remedy(
                says="Try 0.9.",
                change=Change(optimizer=usual),
                before=f"{name}={group.get(name)}",
                after=f"{name}={after}",
            )
        ],
    )


@cause("clipping_too_tight", "gradients that are clipped to almost nothing")
def _clipping_too_tight(view: View) -> Finding | None:
    shares = [probe.clipped for probe in view.recording.probes if probe.clipped is not None]
    if not view.recording.clips or not shares or np.median(shares) > _TIGHT:
        return None
    free = view.early(Change(clip=False))
    if free is not None and free.changed > _FREE * free.own:  # as where Adam divides by the size of the gradients
        return None
    name, (args, kwargs) = next(iter(view.recording.clips.items()))
    given = ", ".join([*map(str, args), *(f"{key}={value}" for key, value in kwargs.items())])
    return Finding(
        cause="clipping_too_tight",
        says=f"Clipping leaves {np.median(shares):.2g} of the gradients: every step has the same small length.",
        weight=0.85,
        evidence=[f"{name} with {given}; {len(shares)} steps were measured."],
        remedies=[Remedy(says="Do not clip, or at the usual norm.", change=Change(clip=False), before=f"{name}(...)")],
    )


@cause("schedule_ends_early", "a schedule that ends long before training")
def _schedule_ends_early(view: View) -> Finding | None:
    rates = np.array([max(each) for each in view.recording.rates])
    if len(rates) < 20 or rates.max() == 0:
        return None
    spent = rates < _SPENT * rates.max()
    share = float(spent.mean())
    if share < 0.3 or not spent[-1]:
        return None
    first = int(np.argmax(spent))
    return Finding(
        cause="schedule_ends_early",
        says=f"The schedule has brought the learning rate to under 1% of its peak at step {first:,} of {len(rates):,}: "
        "what follows hardly trains.",
        weight=0.8,
        evidence=[f"Rates: {rates.max():g} at the most, {rates[-1]:.2g} in the end."],
        remedies=[
            Remedy(
                says="Let the schedule end with training.",
                change=Change(rates=_stretched(rates, first)),
            )
        ],
    )


def _factor(value: float) -> str:
    return f"1/{1 / value:.0f}" if value < 1 else f"{value:.0f} times"


def _stretched(rates: np.ndarray, spent: int) -> Callable[[int], float]:
    """The same rates, drawn out so that they are spent at the end."""
    return lambda step: float(rates[min(step * spent // len(rates), len(rates) - 1)])
