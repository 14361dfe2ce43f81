"""Learning-rate schedules: what `lr` is multiplied by in each step.

A schedule is a pure function of the step and of the recipe's full number of steps, so that a run that is
stopped, resumed or compared at a rung has the rates of the full run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A learning-rate schedule.

    Args:
        name: The recipe's `schedule`.
        doc: One line for the help, with the source.
        hyper: The recipe fields that it reads: `warmup`, `schedule_gamma`.
        shape: (step, total_steps, warmup, schedule_gamma) -> factor; `step` from 0, float64 array. None where
            the factor depends on the run (`needs` says on what).
        warmup: Default share of the steps that rise.
        schedule_gamma: Default factor of a drop.
        needs: `metric` for a schedule that reads a metric after each epoch.
    """

    name: str
    doc: str
    hyper: tuple[str, ...]
    shape: Callable[[np.ndarray, float, float, float], Any] | None
    warmup: float = 0.1
    schedule_gamma: float = 0.1
    needs: frozenset[str] = frozenset()

    def factor(
        self,
        step: Any,
        total_steps: int,
        *,
        steps_per_epoch: int | None = None,
        warmup: float | None = None,
        schedule_gamma: float | None = None,
    ) -> np.ndarray:
        """Returns what `lr` is multiplied by in `step`.

        Args:
            step: From 0: a number or an array.
            total_steps: Steps of the recipe's full length, never of a rung.
            steps_per_epoch: Not read by the schedules that are here: each is over the whole run.
            warmup: Share of the steps that rise, 0 to 1; None for the schedule's default.
            schedule_gamma: Factor of a drop, above 0; None for the schedule's default.
        Returns:
            factors, float64, shape of `step`.
        Raises:
            ValueError: for a schedule that reads a metric.
        Example:
            >>> SCHEDULES["cosine"].factor([0, 5, 10], 10).round(6).tolist()
            [1.0, 0.5, 0.0]
        """
        if self.shape is None:
            raise ValueError(f"schedule {self.name!r} reads a metric: use plateau_init and plateau_update.")
        # never 0-d: NumPy has other power and cosine for a scalar, which may differ in the last bit, and a
        # run must have the same rates whether it asks for one step or for many
        shape = np.shape(step)
        at = np.atleast_1d(np.asarray(step, dtype=np.float64))
        found = np.empty(at.shape)
        found[...] = self.shape(
            at,
            float(total_steps),
            self.warmup if warmup is None else warmup,
            self.schedule_gamma if schedule_gamma is None else schedule_gamma,
        )
        return found.reshape(shape)


def _constant(step, total, warmup, gamma):
    return 1.0


def _step(step, total, warmup, gamma):
    return gamma ** np.minimum(np.floor(3.0 * step / total), 2.0)


def _exponential(step, total, warmup, gamma):
    return gamma ** (step / total)


def _cosine(step, total, warmup, gamma):
    return 0.5 * (1.0 + np.cos(np.pi * np.minimum(step / total, 1.0)))


def _num_warmup(total: float, warmup: float) -> int:
    return round(warmup * total)


def _warmup(step, total, warmup, gamma):
    return np.minimum((step + 1.0) / max(_num_warmup(total, warmup), 1), 1.0)


def _warmup_cosine(step, total, warmup, gamma):
    rise = _num_warmup(total, warmup)
    fall = _cosine(np.maximum(step - rise, 0.0), max(total - rise, 1.0), warmup, gamma)
    return np.where(step < rise, _warmup(step, total, warmup, gamma), fall)


#: lr starts at 1/25 and ends at 1/25/10^4 of its peak, as torch has it
_FIRST, _LAST = 1.0 / 25.0, 1.0 / 25.0 / 1e4


def _one_cycle(step, total, warmup, gamma):
    peak = warmup * total - 1.0  # may be no whole number, as in torch

    def anneal(start, end, share):
        return end + (start - end) / 2.0 * (1.0 + np.cos(np.pi * share))

    rise = anneal(_FIRST, 1.0, step / peak if peak > 0 else 0.0)
    fall = anneal(1.0, _LAST, np.minimum((step - peak) / max(total - 1.0 - peak, 1e-12), 1.0))
    return np.where(step <= peak, rise, fall)


SCHEDULES: dict[str, Schedule] = {
    schedule.name: schedule
    for schedule in (
        Schedule(name="constant", doc="lr as it is", hyper=(), shape=_constant),
        Schedule(
            name="step",
            doc="times `schedule_gamma` after each third of the run (torch MultiStepLR)",
            hyper=("schedule_gamma",),
            shape=_step,
        ),
        Schedule(
            name="exponential",
            doc="falls smoothly to `schedule_gamma` at the end: gamma^(step / total) (torch ExponentialLR "
            "has its gamma for each step; ours is for the run)",
            hyper=("schedule_gamma",),
            shape=_exponential,
        ),
        Schedule(
            name="cosine",
            doc="(1 + cos(pi step / total)) / 2 (Loshchilov and Hutter, 2017, without restarts; torch "
            "CosineAnnealingLR)",
            hyper=(),
            shape=_cosine,
        ),
        Schedule(
            name="warmup",
            doc="rises linearly over the share `warmup` of the run, then constant (Goyal et al., 2017; torch LinearLR)",
            hyper=("warmup",),
            shape=_warmup,
        ),
        Schedule(
            name="warmup_cosine",
            doc="rises linearly over the share `warmup` of the run, then a cosine to 0 (torch SequentialLR "
            "of LinearLR and CosineAnnealingLR)",
            hyper=("warmup",),
            shape=_warmup_cosine,
        ),
        Schedule(
            name="one_cycle",
            doc="lr/25 up to lr over the share `warmup` (0.3 unless given), then down to lr/250000, by "
            "cosines (Smith and Topin, 2018; torch OneCycleLR, whose momentum cycle we leave out)",
            hyper=("warmup",),
            shape=_one_cycle,
            warmup=0.3,
        ),
        Schedule(
            name="plateau",
            doc="times `schedule_gamma` when the validation loss has not fallen for 10 epochs (torch "
            "ReduceLROnPlateau)",
            hyper=("schedule_gamma",),
            shape=None,
            needs=frozenset({"metric"}),
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class PlateauState:
    """What reduce-on-plateau remembers: plain numbers, so that it can be stored.

    Args:
        best: Smallest metric that counted as an improvement.
        num_bad: Epochs since then.
        cooldown: Epochs for which bad ones are not counted yet.
        factor: What `lr` is multiplied by.
    """

    best: float = float("inf")
    num_bad: int = 0
    cooldown: int = 0
    factor: float = 1.0


def plateau_init() -> PlateauState:
    """Returns the state before the first epoch."""
    return PlateauState()


def plateau_update(
    state: PlateauState,
    metric: float,
    *,
    schedule_gamma: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    cooldown: int = 0,
    min_factor: float = 0.0,
) -> tuple[PlateauState, float]:
    """Returns the state after an epoch and what `lr` is multiplied by from then on.

    It is torch's ReduceLROnPlateau in mode `min` with a relative threshold, but for torch's `eps`, which
    skips a reduction of lr by less than 1e-8.

    Args:
        state: Of the epochs before.
        metric: Of this epoch; smaller is better. A NaN is no improvement.
        schedule_gamma: Factor of a reduction, below 1.
        patience: Bad epochs that are let pass.
        threshold: A metric improves below best * (1 - threshold).
        cooldown: Epochs after a reduction in which bad ones are not counted.
        min_factor: The least factor.
    Example:
        >>> state = plateau_init()
        >>> for loss in [1.0, 0.5, 0.5, 0.5]:
        ...     state, factor = plateau_update(state, loss, patience=1)
        >>> factor
        0.1
    """
    metric = float(metric)
    better = metric < state.best * (1.0 - threshold)
    best = metric if better else state.best
    num_bad = 0 if better else state.num_bad + 1
    waiting, factor = state.cooldown, state.factor
    if waiting > 0:
        waiting, num_bad = waiting - 1, 0
    if num_bad > patience:
        factor, waiting, num_bad = max(factor * schedule_gamma, min_factor), cooldown, 0
    return PlateauState(best=best, num_bad=num_bad, cooldown=waiting, factor=factor), factor
