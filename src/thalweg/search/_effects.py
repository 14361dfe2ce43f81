"""What mattered: how much the score changes when one axis is at its best, all else as screened.

The input is a study's first rung, where all members have seen equal examples. docs/statistics.md tells why
the method is what it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from thalweg.core import InputError, Interval, check_number, format_together, t_quantile
from thalweg.search._contrasts import Contrasts, hc3_contrasts
from thalweg.search._levels import (
    LEAST_MEMBERS,
    MOST_BINS,
    AxisColumn,
    Level,
    check_axes,
    column_of,
    find_levels,
    where_diverged,
)


@dataclass(frozen=True, kw_only=True)
class LevelEffect:
    """One choice, or one bin of a range, and how its members did."""

    label: str
    given: str | None
    """Value of the conditioning axis within which this level lies."""
    low: float | None
    """Lower end of the bin; None for a choice."""
    high: float | None
    num: int
    """Members here, diverged ones included."""
    diverged: int
    """Members here that diverged; they count here and nowhere else."""
    share_diverged: float
    mean: Interval | None
    """Mean score here, every other axis spread evenly over its levels; None with fewer than 3 members."""
    versus_rest: Interval | None
    """That, less the mean of the axis' other levels (within `given`); None where it cannot be told."""

    def to_json(self) -> dict[str, Any]:
        """Returns plain data."""
        intervals = {"mean": self.mean, "versus_rest": self.versus_rest}
        return asdict(self) | {key: part and part.to_json() for key, part in intervals.items()}


@dataclass(frozen=True, kw_only=True)
class AxisEffect:
    """How much one axis mattered, where it is best, and where it diverges."""

    axis: str
    effect: Interval | None
    """Score at the best level less the mean of the other levels; None where `sentence` says why."""
    best: str | tuple[float, float] | None
    """The best choice, or the ends of the best bin."""
    best_given: str | None
    """Value of the conditioning axis within which the best level lies."""
    levels: list[LevelEffect]
    diverges: str | None
    """Where members diverged ("above 0.3 with sgd: 12 of 14 diverged"), or None if nowhere in particular."""
    sentence: str
    """The answer in one plain sentence."""
    note: str | None = None
    """What a reader should know beside it, or None."""

    def to_json(self) -> dict[str, Any]:
        """Returns plain data; a bin is a list of its two ends."""
        return {
            "axis": self.axis,
            "effect": self.effect and self.effect.to_json(),
            "best": list(self.best) if isinstance(self.best, tuple) else self.best,
            "best_given": self.best_given,
            "levels": [level.to_json() for level in self.levels],
            "diverges": self.diverges,
            "sentence": self.sentence,
            "note": self.note,
        }


def axis_effects(
    axes: Sequence[AxisColumn],
    values: Sequence[Mapping[str, Any]],
    scores: Sequence[float | None],
    diverged_at: Sequence[int | None],
    *,
    higher_is_better: bool,
    level: float = 0.95,
    metric: str = "score",
) -> list[AxisEffect]:
    """Returns for every axis how the score changes when the axis is at its best, all else as screened.

    Ranges are cut into at most 5 bins with about equally many members (within each value of the conditioning
    axis); the scores of the members that did not diverge are fitted by an additive model with one
    coefficient a level:

        score = constant + sum over axes of beta[axis, level of the member] + rest.

    The adjusted mean of a level is the fit there, with every other axis spread evenly over its levels; its
    effect is that less the mean of the axis' other levels (of a conditional axis: within the same
    value of the conditioning one). Errors are HC3, degrees of freedom Bell and McCaffrey's, and the
    intervals of an axis hold for all its levels at once (Bonferroni), as the best of them is picked by
    looking. They hold for one axis at a time, not for all axes at once.

    Diverged members have no score. They are counted where they were, and never filled in; effects are
    those among members that ran through. A level with fewer than 3 of these gets no interval and cannot be
    the best. Scores with a far tail stay fair, but intervals get wide; where one member brings more than
    half of the squared error, `note` says so.

    Args:
        axes: The axes that were varied.
        values: For every member its value of each axis; a conditional axis may be absent or None.
        scores: Validation metric of every member; not read where the member diverged.
        diverged_at: Step at which the member diverged, or None.
        higher_is_better: Whether a large score is good.
        level: Between 0 and 1.
        metric: What the score is called in the sentences.

    Raises:
        InputError: if lengths differ, a value is missing or out of its scale, or a member that did not
            diverge has no finite score.

    Example:
        >>> members = [{"width": w} for w in (16, 64)] * 10
        >>> noise = [0.001 * (i // 2) for i in range(20)]
        >>> scores = [0.9 + 0.05 * (m["width"] == 64) + e for m, e in zip(members, noise)]
        >>> axis = AxisColumn("width", "choice")
        >>> print(axis_effects([axis], members, scores, [None] * 20, higher_is_better=True)[0].sentence)
        width 64: score 0.0500 higher than at the other values (95% interval 0.0465 to 0.0535; 20 members).

    References:
        MacKinnon and White, 1985 (HC3); Hsu, Constrained simultaneous confidence intervals for multiple
        comparisons with the best, 1984 (why the best level needs an interval that holds for all levels; we
        take the wider Bonferroni one, which needs no equal spread).
    """
    check_axes(axes)
    check_number("level", level, above=0, below=1)
    if len(values) == 0:
        raise InputError("values", "given for one member at least", values)
    for name, given in (("scores", scores), ("diverged_at", diverged_at)):
        if len(given) != len(values):
            raise InputError(name, f"one for each of the {len(values)} members", len(given))
    diverged = np.array([step is not None for step in diverged_at], dtype=bool)
    known = [not bad and score is not None for score, bad in zip(scores, diverged, strict=True)]
    y = np.array(
        [math.nan if score is None or not good else float(score) for score, good in zip(scores, known, strict=True)]
    )
    for at in np.flatnonzero(~diverged & ~np.isfinite(y)):
        remedy = "Give its step in diverged_at if it diverged."
        raise InputError(f"score of member {at}", "finite", float(y[at]), remedy)

    alive = ~diverged
    groups = _cut_axes(axes, values, int(alive.sum()))
    design = _Design(axes, groups, alive)
    fit = design.fit(y)
    context = _Context(y, diverged, higher_is_better, level, metric)
    return [_judge_axis(axis, column_of(axis, values), groups[axis.name], design, fit, context) for axis in axes]


@dataclass(frozen=True)
class _Context:
    y: np.ndarray
    diverged: np.ndarray
    higher_is_better: bool
    level: float
    metric: str

    @property
    def alive(self) -> int:
        return int((~self.diverged).sum())


def _cut_axes(
    axes: Sequence[AxisColumn], values: Sequence[Mapping[str, Any]], alive: int
) -> dict[str, list[list[Level]]]:
    """Cuts ranges as finely as the members allow: at least three of them for every coefficient."""
    columns = {axis.name: column_of(axis, values) for axis in axes}
    groups: dict[str, list[list[Level]]] = {}
    for bins in range(MOST_BINS, 1, -1):
        for axis in axes:
            parents = None if axis.given is None else [str(value) for value in columns[axis.given]]
            groups[axis.name] = find_levels(axis, columns[axis.name], parents, bins)
        coefficients = 1 + sum(len(levels) - 1 for found in groups.values() for levels in found)
        if 3 * coefficients <= alive:
            break
    return groups


class _Design:
    """The additive model: one column a level, and the combinations of coefficients that are asked for."""

    def __init__(self, axes: Sequence[AxisColumn], groups: Mapping[str, list[list[Level]]], alive: np.ndarray) -> None:
        self.alive, self.axes, self.groups = alive, axes, groups
        self.levels = [level for found in groups.values() for levels in found for level in levels]
        self.at = {id(level): 1 + at for at, level in enumerate(self.levels)}
        self.num_alive = {id(level): int((level.inside & alive).sum()) for level in self.levels}
        columns = [np.ones(len(alive)), *(level.inside for level in self.levels)]
        self.X = np.stack(columns, axis=1)[alive].astype(np.float64)
        # The combination that stands for each unconditional axis while another one is looked at.
        self.spread = {axis.name: self._spread(groups[axis.name][0]) for axis in axes if axis.given is None}

    def judged(self, levels: Sequence[Level]) -> list[Level]:
        """The levels that have enough members for an interval."""
        return [level for level in levels if self.num_alive[id(level)] >= LEAST_MEMBERS]

    def _unit(self, at: int) -> np.ndarray:
        unit = np.zeros(1 + len(self.levels))
        unit[at] = 1
        return unit

    def _spread(self, levels: Sequence[Level]) -> np.ndarray:
        """Evenly over the levels that are judged; over those with any member if none is."""
        used = self.judged(levels) or [level for level in levels if self.num_alive[id(level)]]
        parts = [self._part(level) for level in used]
        return np.mean(parts, axis=0) if parts else np.zeros(1 + len(self.levels))

    def _part(self, level: Level, leave_out: str | None = None) -> np.ndarray:
        """The coefficient of a level, with the axes that are conditional on it spread evenly."""
        part = self._unit(self.at[id(level)])
        if level.given is None:
            for axis in self.axes:
                if axis.given == level.axis and axis.name != leave_out:
                    inner = [found for found in self.groups[axis.name] if found[0].given == level.label]
                    part = part + sum(self._spread(found) for found in inner)
        return part

    def mean(self, axis: AxisColumn, level: Level) -> np.ndarray:
        """The combination that is the adjusted mean of a level."""
        top, part = axis.name, self._part(level)
        if axis.given is not None:
            top = axis.given
            outer = [other for found in self.groups[top] for other in found if other.label == level.given]
            part = part + self._part(outer[0], leave_out=axis.name)
        rest = [spread for name, spread in self.spread.items() if name != top]
        return self._unit(0) + part + sum(rest)

    def fit(self, y: np.ndarray) -> dict[str, dict[int, tuple[Contrasts, int]]]:
        """Returns for "mean" and "rest" where each level's estimate stands: id(level) -> (contrasts, row)."""
        means: list[tuple[int, np.ndarray]] = []
        rests: list[tuple[int, np.ndarray]] = []
        for axis in self.axes:
            for levels in self.groups[axis.name]:
                judged = self.judged(levels)
                found = {id(level): self.mean(axis, level) for level in judged}
                means += found.items()
                if len(found) > 1:
                    total = sum(found.values())
                    rests += [(at, mean - (total - mean) / (len(found) - 1)) for at, mean in found.items()]
        rows = [*means, *rests]
        if not rows:
            return {"mean": {}, "rest": {}}
        contrasts = hc3_contrasts(self.X, y[self.alive], np.stack([row for _, row in rows]))
        known = [(at, (contrasts, row)) for row, (at, _) in enumerate(rows)]
        return {"mean": dict(known[: len(means)]), "rest": dict(known[len(means) :])}


def _judge_axis(
    axis: AxisColumn,
    column: Sequence[Any],
    groups: Sequence[Sequence[Level]],
    design: _Design,
    fit: Mapping[str, Mapping[int, tuple[Contrasts, int]]],
    context: _Context,
) -> AxisEffect:
    flat = [level for levels in groups for level in levels]
    # The correction runs over the levels that get an interval.
    told = {kind: [level for level in flat if _told(found.get(id(level)))] for kind, found in fit.items()}
    levels = [
        LevelEffect(
            label=level.label,
            given=level.given,
            low=level.low,
            high=level.high,
            num=(num := int(level.inside.sum())),
            diverged=(bad := int((level.inside & context.diverged).sum())),
            share_diverged=bad / num,
            mean=_interval(fit["mean"].get(id(level)), len(told["mean"]), context, f"{level.title}"),
            versus_rest=_interval(
                fit["rest"].get(id(level)), len(told["rest"]), context, f"{level.title} less the other levels"
            ),
        )
        for level in flat
    ]
    diverges = where_diverged(axis, column, groups, context.diverged) if context.alive else None
    varied = [at for at, level in enumerate(levels) if level.versus_rest is not None]
    if context.alive == 0 or np.ptp(context.y[~context.diverged]) == 0 or not varied:
        sentence = _why_nothing(axis, groups, design, context)
        return AxisEffect(
            axis=axis.name,
            effect=None,
            best=None,
            best_given=None,
            levels=levels,
            diverges=diverges,
            sentence=sentence,
        )
    best = _pick(levels, varied, context)
    chosen = levels[best]
    assert chosen.versus_rest is not None
    return AxisEffect(
        axis=axis.name,
        effect=chosen.versus_rest,
        best=chosen.label if chosen.low is None or chosen.high is None else (chosen.low, chosen.high),
        best_given=chosen.given,
        levels=levels,
        diverges=diverges,
        sentence=_sentence(axis, chosen, chosen.versus_rest, levels, context),
        note=_note(axis, flat[best], groups, fit["rest"][id(flat[best])], chosen.versus_rest, context),
    )


def _pick(levels: Sequence[LevelEffect], varied: Sequence[int], context: _Context) -> int:
    sign = 1 if context.higher_is_better else -1
    means = [levels[at].mean for at in varied]
    # Where other axes cannot be separated there are no adjusted means, but differences may still be known.
    ranks = means if all(means) else [levels[at].versus_rest for at in varied]
    return max(zip(varied, ranks, strict=True), key=lambda pair: sign * pair[1].mean if pair[1] else -math.inf)[0]


def _told(entry: tuple[Contrasts, int] | None) -> bool:
    return entry is not None and math.isfinite(entry[0].errors[entry[1]])


def _interval(entry: tuple[Contrasts, int] | None, comparisons: int, context: _Context, what: str) -> Interval | None:
    if entry is None or not _told(entry):
        return None
    contrasts, row = entry
    mean, df = float(contrasts.estimates[row]), float(contrasts.dfs[row])
    half = t_quantile(context.level, df, comparisons) * float(contrasts.errors[row])
    # An exact fit leaves rounding errors as its only spread, which must not pass for an effect.
    half += 1e-12 * float(np.abs(context.y[~context.diverged]).max())
    return Interval(
        mean=mean,
        low=mean - half,
        high=mean + half,
        level=context.level,
        method=(
            f"additive least squares over {context.alive} members, HC3 errors, t with {df:.1f} degrees of "
            f"freedom, Bonferroni over {comparisons} levels"
        ),
        label=f"the mean {context.metric} at {what}",
    )


def _phrase(axis: AxisColumn, level: LevelEffect) -> str:
    bounds = level.label
    if level.low is not None and level.low != level.high:
        bounds = f"from {level.label}"
    return f"{bounds}{'' if level.given is None else f' with {level.given}'}"


def _sentence(
    axis: AxisColumn, best: LevelEffect, effect: Interval, levels: Sequence[LevelEffect], context: _Context
) -> str:
    low, high = sorted((abs(effect.low), abs(effect.high)))
    word = "higher" if context.higher_is_better else "lower"
    others = "the other values" if best.given is None else f"the other values with {best.given}"
    if effect.excludes(0):
        size, low, high = format_together(abs(effect.mean), low, high)
        text = f"{axis.name} {_phrase(axis, best)}: {context.metric} {size} {word} than at {others}"
    else:
        sign = 1 if context.higher_is_better else -1
        size, low, high = format_together(abs(effect.mean), *sorted((sign * effect.low, sign * effect.high)))
        text = (
            f"No value of {axis.name} stands out: at the best, {_phrase(axis, best)}, "
            f"{context.metric} is {size} {word} than at {others}"
        )
    text += f" ({100 * context.level:g}% interval {low} to {high}; {context.alive} members"
    bad = int(context.diverged.sum())
    text += f", {bad} diverged and left out)" if bad else ")"
    small = [level for level in levels if level.num - level.diverged < LEAST_MEMBERS]
    few = [f"{_title(level)} ({level.num - level.diverged})" for level in small]
    return f"{text}; too few members to judge {', '.join(few)}." if few else f"{text}."


def _title(level: LevelEffect) -> str:
    return level.label if level.given is None else f"{level.label} with {level.given}"


def _why_nothing(axis: AxisColumn, groups: Sequence[Sequence[Level]], design: _Design, context: _Context) -> str:
    num, alive = len(context.y), context.alive
    if alive == 0:
        return f"All {num} members diverged, so nothing can be said about {axis.name}."
    flat = [level for levels in groups for level in levels]
    if len(flat) == len(groups) and all(level.low == level.high for level in flat):
        values = ", ".join(level.title for level in flat) or "none"
        return f"{axis.name} was not varied ({values}), so there is nothing to compare."
    if np.ptp(context.y[~context.diverged]) == 0:
        same = f"All {alive} members that ran through have the same {context.metric}"
        return f"{same}: {axis.name} made no difference."
    if all(len(design.judged(levels)) < 2 for levels in groups):
        return (
            f"Too few members ran through to compare values of {axis.name}: "
            f"at least two values need {LEAST_MEMBERS} each."
        )
    if alive <= np.linalg.matrix_rank(design.X):
        return f"{alive} members are too few to separate {axis.name} from the other axes; run more."
    return f"{axis.name} cannot be separated from the other axes: they changed together."


def _note(
    axis: AxisColumn,
    best: Level,
    groups: Sequence[Sequence[Level]],
    entry: tuple[Contrasts, int],
    effect: Interval,
    context: _Context,
) -> str | None:
    notes = []
    levels = next(levels for levels in groups if best in levels)
    if axis.scale != "choice" and effect.excludes(0) and best.low != best.high and len(levels) > 1:
        for end, edge in (("lower", levels[0]), ("upper", levels[-1])):
            if best is edge:
                notes.append(f"The best range is at the {end} end of what was tried; a wider one may be better.")
    contrasts, row = entry
    share, member = float(contrasts.shares[row]), int(contrasts.members[row])
    if share > 0.5 and context.alive >= 10:
        at = int(np.flatnonzero(~context.diverged)[member])
        notes.append(
            f"Member {at} ({context.metric} {context.y[at]:.4g}) alone brings {100 * share:.0f}% of the "
            "squared error of this effect."
        )
    return " ".join(notes) or None
