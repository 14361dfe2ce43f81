"""Remedies tried in whole runs of a script: for loops that cannot be replayed."""

from __future__ import annotations

import contextlib
import io
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from thalweg.core import RunError, check_number
from thalweg.doctor._diagnosis import Diagnosis, Watch
from thalweg.doctor._finding import Remedy, Verdict
from thalweg.doctor._proof._prove import score_name, scored, verdict_of, worst_score
from thalweg.doctor._proof._replay import UNCHANGED, Change
from thalweg.doctor._proof._score import Measure
from thalweg.doctor._record._batch import Batch
from thalweg.doctor._record._calls import intercept
from thalweg.doctor._record._device import kept_random
from thalweg.doctor._script import watch_script
from thalweg.doctor._view import View

#: findings of which a remedy is tried
_FINDINGS = 3
#: a loss of training counts as so many times the largest that was seen where a run diverged
_WORST = 10.0


def rerun_script(
    watched: Watch,
    path: str | Path,
    arguments: Sequence[str] = (),
    *,
    seeds: int = 8,
    told: Callable[[str], None] = lambda line: None,
) -> Diagnosis:
    """Returns the diagnosis of a script with verdicts of whole runs of it, unchanged and with one change.

    Runs of a pair draw the same random numbers: seeds that the script sets are moved by the same number in both. They
    are compared by the score of the model in the end, on the rows of the script's own evaluation; where that is not
    known, by the loss of training, a mean over the last quarter of the steps. What a run prints is not shown. What
    else it does, it does in every run.

    Args:
        watched: The script's loop. path: of the script. arguments: what it reads from the command line.
        seeds: Pairs of runs for each remedy, at least 2.
        told: Is given a line before every run.

    Raises:
        InputError: for fewer than 2 seeds.
        RunError: where the script does not train any longer when it is run again.
    """
    check_number("seeds", seeds, least=2, integer=True)
    plain = watched.diagnosis()
    if not plain.findings:
        return plain
    view = watched.view()
    call = view.replay.call
    loss = None if call is None or call.by_hand else call.name
    evaluated = _evaluated(watched)

    def outcome(change: Change, measure: Measure, says: str, seed: int) -> float:
        told(f"Run {seed + 1} of {seeds}: {says}")
        return _outcome(path, arguments, change, measure, loss, seed, watched.number)

    @cache
    def unchanged(measure: Measure) -> list[float]:
        return _unchanged(partial(outcome, UNCHANGED, measure, "unchanged"), seeds)

    findings, notes = list(plain.findings), []
    for place, finding in enumerate(findings[:_FINDINGS]):
        beyond = {each.says: _beyond(each.change, loss is not None, evaluated) for each in finding.remedies}
        remedy = next((each for each in finding.remedies if beyond[each.says] is None), None)
        if remedy is None:
            notes += [f"Not tried in runs, as {reason}: {says}" for says, reason in beyond.items()]
            continue
        before = unchanged(remedy.measure)
        try:
            change = partial(outcome, remedy.change, remedy.measure, remedy.says)
            after = [change(seed) for seed in range(len(before))]
        except RunError as error:  # a loop may be of a kind that a remedy does not know
            notes.append(f"A remedy could not be tried ({error}): {remedy.says}")
            continue
        if len(before) == 1:
            notes.append("The script draws the same numbers in every run, so one pair is all there is")
        verdict = _verdict(view, remedy, before, after, evaluated)
        findings[place] = replace(finding, verdicts=(verdict,))
        if verdict.proven:
            break
    return replace(plain, findings=findings, refused=None, notes=(*plain.notes, *notes))


def _unchanged(outcome: Callable[[int], float], seeds: int) -> list[float]:
    """Returns the outcomes of unchanged runs; one where the second is the first again."""
    found = [outcome(0), outcome(1)]
    return found[:1] if found[0] == found[1] else found + [outcome(seed) for seed in range(2, seeds)]


def _beyond(change: Change, known: bool, evaluated: bool) -> str | None:
    """Returns why a change cannot be made while a script runs; None where it can."""
    if change == UNCHANGED:
        return "it is yours to make"
    if change.batches is not None or change.length is not None or change.held_out is not None:
        return "the script makes its batches itself"
    if change.criterion is not None or change.scale != 1.0 or change.beside != 1.0:
        if not known:
            return "its loss is none of torch's functions"
        if not evaluated:
            return "it changes the loss, and the script evaluates nothing that runs could be compared by"
    return None


def _outcome(
    path: str | Path,
    arguments: Sequence[str],
    change: Change,
    measure: Measure,
    loss: str | None,
    seed: int,
    loop: int = 0,
) -> float:
    """Returns the score that a run of the script ends with, NaN where it is not finite."""
    with _seeds_moved(seed), contextlib.redirect_stdout(io.StringIO()):
        watched = watch_script(path, arguments, found=partial(_make, change, loss), loop=loop)
    recording = watched.recording
    if recording.failed:
        return math.nan
    if _evaluated(watched):
        return scored(watched.view(), change, measure, recording.model)
    return float(np.mean([float(each) for each in recording.losses[int(0.75 * recording.num_steps) :]]))


def _evaluated(watched: Watch) -> bool:
    """Whether the rows of an evaluation are known, so that a model can be scored on them."""
    return any(each.target is not None and each.intact for each in watched.recording.evaluations)


def _make(
    change: Change,
    loss: str | None,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Callable[[], object]:
    """Makes a change in a loop that is about to begin, and returns what ends it.

    Args:
        change: That `_beyond` says nothing against. loss: the function that the loop calls.
        model: Of the loop. optimizer: of the loop. args: of the first call of the model. kwargs: likewise.
    """
    undo = contextlib.ExitStack()
    if change.model is not None:
        change.model(model, Batch(args=args, kwargs=kwargs, target=None))
    if change.optimizer is not None:
        other = change.optimizer(optimizer, model)
        if other is not optimizer:
            undo.callback(optimizer.register_step_pre_hook(partial(_step_of, other)).remove)
    if change.training is not None:
        mode = change.training
        before = model.register_forward_pre_hook(lambda *_: _set_mode(model, mode))
        undo.callback(before.remove)
    if change.rate != 1.0 or change.rates is not None:
        _change_rates(change, optimizer, undo)
    if change.zero:
        after = optimizer.register_step_post_hook(lambda *_: model.zero_grad())
        undo.callback(after.remove)
    if not change.clip:
        undo.callback(intercept(nn.utils.clip_grad_norm_, _unclipped))
        undo.callback(intercept(nn.utils.clip_grad_value_, lambda *_: None))
    if loss is not None and (change.criterion is not None or change.scale != 1.0):
        undo.callback(intercept(getattr(F, loss), _OtherLoss(change)))
    if loss is not None and change.beside != 1.0:
        _change_terms(change.beside, loss, undo)
    return undo.close


class _OtherLoss:
    """Answers for the loss function of a loop, while it trains."""

    def __init__(self, change: Change) -> None:
        self._change, self._inside = change, False

    def __call__(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._inside or not torch.is_grad_enabled():
            return original(*args, **kwargs)
        self._inside = True
        try:
            if self._change.criterion is None:
                return original(*args, **kwargs) * self._change.scale
            given = dict(zip(("input", "target"), args, strict=False)) | kwargs
            return self._change.criterion(given["input"], given["target"]) * self._change.scale
        finally:
            self._inside = False


def _change_terms(factor: float, loss: str, undo: contextlib.ExitStack) -> None:
    """Multiplies what a loop adds to its loss function: backward is called on another sum.

    Args:
        factor: Of these terms. loss: the function that the loop calls. undo: of the change.
    """
    seen: list[torch.Tensor] = []
    backward = torch.Tensor.backward

    def noted(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value = original(*args, **kwargs)
        if torch.is_grad_enabled():
            seen[:] = [value]
        return value

    def called(whole: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        if seen and seen[0].ndim == 0 and seen[0] is not whole:
            weight = torch.autograd.grad(whole, seen[0], retain_graph=True, allow_unused=True)[0]
            if weight is not None:
                whole = factor * whole + (1 - factor) * weight * seen[0]
        backward(whole, *args, **kwargs)

    undo.callback(intercept(getattr(F, loss), noted))
    undo.callback(partial(setattr, torch.Tensor, "backward", backward))
    torch.Tensor.backward = called  # type: ignore[method-assign]


def _change_rates(change: Change, optimizer: torch.optim.Optimizer, undo: contextlib.ExitStack) -> None:
    """Sets the rates of a step for that step alone: schedules compute theirs from what they set."""
    steps, own = [0], list[float]()

    def before(*_: Any) -> None:
        own[:] = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] = change.rate * (group["lr"] if change.rates is None else change.rates(steps[0]))
        steps[0] += 1

    def after(*_: Any) -> None:
        for group, rate in zip(optimizer.param_groups, own, strict=True):
            group["lr"] = rate

    undo.callback(optimizer.register_step_pre_hook(before).remove)
    undo.callback(optimizer.register_step_post_hook(after).remove)


def _step_of(other: torch.optim.Optimizer, optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Lets another optimizer make the step, at the rate of the first, and leaves that one nothing to do."""
    for group in other.param_groups:
        group["lr"] = optimizer.param_groups[0]["lr"]
    other.step()
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = None


def _set_mode(model: nn.Module, mode: bool) -> None:
    if torch.is_grad_enabled():
        model.train(mode)


def _unclipped(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Returns the norm, and clips nothing."""
    given = dict(zip(("parameters", "max_norm"), args, strict=False)) | kwargs
    rest = {name: value for name, value in given.items() if name not in ("parameters", "max_norm")}
    return original(given["parameters"], math.inf, *args[2:], **rest)


@contextlib.contextmanager
def _seeds_moved(by: int) -> Iterator[None]:
    """Moves every seed that is set inside by a number, and begins with it."""
    kept = torch.manual_seed, np.random.seed, random.seed

    def moved(original: Callable[..., Any]) -> Callable[..., Any]:
        return lambda seed=None, *rest: original(seed + by if isinstance(seed, int) else seed, *rest)

    with kept_random():
        states = np.random.get_state(), random.getstate()
        torch.manual_seed(by)
        np.random.seed(by)
        random.seed(by)
        torch.manual_seed, np.random.seed, random.seed = map(moved, kept)
        try:
            yield
        finally:
            torch.manual_seed, np.random.seed, random.seed = kept
            np.random.set_state(states[0])
            random.setstate(states[1])


def _verdict(
    view: View, remedy: Remedy, unchanged: Sequence[float], changed: Sequence[float], evaluated: bool
) -> Verdict:
    if evaluated:
        measure, worst = f"{score_name(view, remedy.measure)} of your validation", worst_score(view, remedy.measure)
    else:
        finite = [abs(each) for each in (*unchanged, *changed) if math.isfinite(each)]
        measure, worst = "loss of training", _WORST * max(finite, default=1.0)
    steps, batches = view.recording.num_steps, len(view.held_out)
    return verdict_of(remedy, unchanged, changed, measure=measure, worst=worst, begins=0, steps=steps, batches=batches)
