"""Forks of the loop that prove a remedy: each beside an unchanged one, on the same batches in the same order."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np
import torch
from torch import nn

from thalweg.core import check_number, sign_flip_difference
from thalweg.doctor._finding import Finding, Remedy, Verdict
from thalweg.doctor._proof._beside import most_beside
from thalweg.doctor._proof._forks import ALONE, Fork, Way, run_forks
from thalweg.doctor._proof._replay import UNCHANGED, Change
from thalweg.doctor._proof._score import Measure, score
from thalweg.doctor._record._batch import Batch
from thalweg.doctor._record._state import State
from thalweg.doctor._view import View

#: findings that are proved, and remedies of each that are tried
_FINDINGS, _REMEDIES = 3, 2
#: kinds of forks among which the time is divided: unchanged ones, and those of two remedies
_KINDS = 3
#: a loss is worth at most so many times that of the best constant answer: forks that diverge can be compared too
_WORST = 10.0
_FEWEST_STEPS, _FEWEST_SEEDS = 10, 6
#: steps of forks, at least, of a loop that was cut short: what mends it needs the steps that the loop did not come to
_CUT_SHORT = 100
#: steps that are timed, at least, and how often; seconds of one from which its arithmetic is what takes the time
_TRIED, _TIMES, _SHORT = 5, 3, 0.02
#: seconds of steps, one after another, with which ways are compared whose forks take some 0.03 s to begin
_COMPARED = 0.2


def prove(view: View, findings: Sequence[Finding], *, seeds: int, seconds: float) -> tuple[list[Finding], list[str]]:
    """Returns the findings with verdicts of the first ones, and which remedies could not be tried.

    Seeds differ in where the kept batches begin. What an unchanged fork reaches is measured once for all remedies.
    Forks make as many steps as were recorded; more where the loop was cut short, by an error or as it diverged. Where
    there is no time for that, there are fewer of them, and then they are shorter. The next finding is tried where none
    before it was proven, while there is time.

    Args:
        view: Of a recording that can be replayed.
        findings: The likeliest first.
        seeds: Forks of each kind, at least 2 and at most so many. seconds: for all of them, about.

    Raises:
        InputError: for fewer than 2 seeds, or no time.
    """
    check_number("seeds", seeds, least=2, integer=True)
    check_number("seconds", seconds, above=0)
    with _fastest(view, seeds) as way:
        return _prove(view, findings, way, seeds, seconds)


def _prove(
    view: View, findings: Sequence[Finding], way: Way, seeds: int, seconds: float
) -> tuple[list[Finding], list[str]]:
    begun, batches, steps, each = time.perf_counter(), view.training, view.recording.num_steps, way.seconds
    if view.recording.failed or not np.isfinite(view.losses[-1:]).all():
        steps = max(steps, _CUT_SHORT)
    seeds = min(seeds, max(_FEWEST_SEEDS, int(seconds / (_KINDS * each * steps))))
    steps = max(min(_FEWEST_STEPS, steps), min(steps, int(seconds / (_KINDS * each * seeds))))
    found, notes = list(findings), []
    orders = _orders(batches, seeds)

    def forks(change: Change, state: State, measure: Measure) -> list[float]:
        score = partial(scored, view, change, measure)
        ran = run_forks(view.replay, state, orders, change, steps=steps, score=score, way=way)
        return [_standing(fork) for fork in ran]

    @cache
    def unchanged(begins: int, measure: Measure) -> list[float]:
        return forks(UNCHANGED, next(each for each in view.recording.states if each.step == begins), measure)

    for place, finding in enumerate(findings[:_FINDINGS]):
        tried: list[Verdict] = []
        for remedy in finding.remedies[:_REMEDIES]:
            if remedy.change == UNCHANGED or time.perf_counter() - begun > seconds:
                continue
            state = view.healthy if remedy.begins == "healthy" else view.recording.states[0]
            try:
                changed = forks(remedy.change, state, remedy.measure)
            except Exception as error:  # a loop may be of a kind that a remedy does not know
                notes.append(f"A remedy could not be tried ({type(error).__name__}: {error}): {remedy.says}")
                continue
            scores = unchanged(state.step, remedy.measure)
            tried.append(_verdict(view, remedy, scores, changed, begins=state.step, steps=steps))
            if tried[-1].proven:
                break
        found[place] = replace(finding, verdicts=tuple(tried))
        if tried and tried[-1].proven:
            break
    return found, notes


@contextlib.contextmanager
def _fastest(view: View, seeds: int) -> Iterator[Way]:
    """Sets the number of threads, one or as many as there were; yields the way to run forks.

    Several threads that wait for one another take many times as long for a small model on a busy machine. What is taken
    is what was measured to be faster; a program of all forks is not tried where a step is long, since it saves what is
    beside the arithmetic.
    """
    threads = torch.get_num_threads()
    try:
        alone: dict[int, float] = {}
        for number in {1, threads}:
            torch.set_num_threads(number)
            alone[number] = _seconds_of_a_step(view, 1, ALONE)
        workers = most_beside(view.recording.model, min(threads, seeds))
        fastest = min(alone, key=alone.__getitem__)
        torch.set_num_threads(fastest)
        each = alone[fastest]
        ways, copies = [Way(seconds=each)], seeds if each < _SHORT else workers
        others = [Way(stacked=True, seconds=each)] if each < _SHORT else []
        others += [Way(workers=workers, seconds=alone[1])] if workers > 1 else []
        for way in others:
            steps = max(_TRIED, math.ceil(_COMPARED / (each * copies)))
            ways.append(replace(way, seconds=_seconds_of_a_step(view, copies, way, steps=steps)))
        yield min(ways, key=lambda way: way.seconds)
    finally:
        torch.set_num_threads(threads)


def _seconds_of_a_step(view: View, copies: int, way: Way, *, steps: int = _TRIED) -> float:
    """Returns those of a fork among so many; the first steps of a process, which are slow, do not count."""
    seconds, orders = [], _orders(view.training, copies)
    for _ in range(_TIMES):
        begun = time.perf_counter()
        run_forks(view.replay, view.recording.states[0], orders, UNCHANGED, steps=steps, way=way)
        seconds.append((time.perf_counter() - begun) / (steps * copies))
    return max(min(seconds), 1e-6)


def _orders(batches: Sequence[Batch], seeds: int) -> list[list[Batch]]:
    """Returns the batches in the order of each seed: it begins elsewhere."""
    starts = [seed * len(batches) // seeds for seed in range(seeds)]
    return [[*batches[start:], *batches[:start]] for start in starts]


def _standing(fork: Fork) -> float:
    """Returns the held-out score of a fork, a mean over its last quarter; NaN where it ended early or nowhere.

    The score at the end alone varies more from seed to seed than a remedy may change it.
    """
    whole = bool(fork.scores) and math.isfinite(fork.losses[-1]) and all(map(math.isfinite, fork.scores))
    return float(np.mean(fork.scores)) if whole else math.nan


def scored(view: View, change: Change, measure: Measure, model: nn.Module) -> float:
    """Returns the score of a model on the rows that are held out.

    Args:
        view: Of the loop. change: with which the model was trained. measure: as in `Remedy`.
        model: That is compared.
    """
    held = view.held_out if change.held_out is None else [change.held_out(batch) for batch in view.held_out]
    if measure == "loss":
        return view.loss_of(model, held)
    ends = view.ends if change.ends is None else change.ends
    return score(model, held, view.kind, ends, view.call, by_class=measure == "classes")


def _verdict(
    view: View, remedy: Remedy, unchanged: Sequence[float], changed: Sequence[float], *, begins: int, steps: int
) -> Verdict:
    own = any(each.target is not None for each in view.recording.evaluations)
    rows = "of your validation" if own else "on batches that were held out"
    return verdict_of(
        remedy,
        unchanged,
        changed,
        measure=f"{score_name(view, remedy.measure)} {rows}",
        worst=worst_score(view, remedy.measure),
        begins=begins,
        steps=steps,
        batches=len(view.held_out),
    )


def verdict_of(
    remedy: Remedy,
    unchanged: Sequence[float],
    changed: Sequence[float],
    *,
    measure: str,
    worst: float,
    begins: int,
    steps: int,
    batches: int,
) -> Verdict:
    """Returns the verdict of scores in pairs.

    Args:
        remedy: That was tried.
        unchanged: Scores, lower is better; NaN of what ended early or nowhere. changed: likewise, in the same order.
        measure: What the score is, and of which rows.
        worst: What no score is worse than, so that those which diverged can be compared too.
        begins: Steps of the loop before them. steps: of each. batches: that the score was taken on.
    """
    a, b = (np.array([min(each, worst) if math.isfinite(each) else worst for each in s]) for s in (unchanged, changed))
    return Verdict(
        remedy=remedy,
        effect=sign_flip_difference(a, b),
        measure=measure,
        unchanged=float(a.mean()),
        changed=float(b.mean()),
        steps=steps,
        batches=batches,
        begins=begins,
        diverged=(sum(map(math.isnan, unchanged)), sum(map(math.isnan, changed))),
    )


def score_name(view: View, measure: Measure) -> str:
    """Returns what a score is called."""
    squares = view.kind in ("regression", "unknown")
    return {
        "score": "squared error" if squares else "Brier score",
        "classes": "balanced Brier score",
        "loss": "loss",
    }[measure]


def worst_score(view: View, measure: Measure) -> float:
    """Returns what no score is worse than: some times that of the best constant answer."""
    y, null = view.targets, view.null_loss()
    if measure == "loss" and null is not None:
        return _WORST * null
    if y is None:
        return _WORST
    if view.kind in ("classes", "binary", "labels", "tokens"):
        return _WORST * 0.2  # no Brier score is more
    return _WORST * max(float(y.double().var(0, correction=0).mean()), 1e-12)
