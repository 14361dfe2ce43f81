"""What causes ask of a recording: the kind of task, what the model answers, how far a step goes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from thalweg.doctor._proof._forks import Fork, run_forks
from thalweg.doctor._proof._replay import UNCHANGED, Change, Replay
from thalweg.doctor._proof._score import FITTED, Kind, to_labels
from thalweg.doctor._record._batch import Batch, Name, logits_of
from thalweg.doctor._record._head import SHAPING, apply_head
from thalweg.doctor._record._recording import LayerStats, LossCall, ParamStats, Pass, Probe, Recording
from thalweg.doctor._record._state import State
from thalweg.doctor._reference import Reference, constant_loss, least_loss, reference
from thalweg.doctor._rows import Rows, keys_of, rows_of, shared_parts
from thalweg.doctor._stretches import untrained
from thalweg.doctor._trials import Early, best_factor, gradient_norm, noise_scale

#: batches of the evaluation on which a course is judged, and steps of the first ones that a change is tried for
_HELD, EARLY = 4, 120
#: rows of recorded batches that are looked at together
_ROWS = 4096
#: labels of which most are seen more than once
_MANY = 100
#: rows that are compared with those of an evaluation
_KEYS = 200_000
#: batches that the noise is measured on
_NOISE_BATCHES = 32
#: steps over which a mean of the loss is taken, and the rise of that mean from its least with which a loop is broken
_WINDOW, _BROKEN = 10, 2.0
#: a share that is told as so many times and not in percent
_MANY_TIMES = 10.0


class View:
    """A recording, with what can be computed of it.

    Args:
        recording: Of a loop that is not watched any longer.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording, self.replay = recording, Replay(recording)

    # ---- the loop

    @cached_property
    def losses(self) -> np.ndarray:
        """(T,) losses of the steps, each the mean over its passes."""
        return np.array([float(loss) for loss in self.recording.losses]) / self.replay.mean_scale

    @cached_property
    def curve(self) -> list[tuple[int, float]]:
        """Steps before each evaluation, and its loss as a mean over rows."""
        return [(each.step, each.mean(of_sums=self.replay.per_row)) for each in self.recording.curve if each.rows]

    @cached_property
    def passes(self) -> list[Pass]:
        """Training passes that are held and intact."""
        return [each for each in self.recording.passes if each.intact and each.target is not None]

    @cached_property
    def batches(self) -> list[Batch]:
        """The batches of those passes."""
        return self.replay.batches_of(self.passes)

    @cached_property
    def call(self) -> LossCall | None:
        """The loss function that was seen last; None where it is none of torch's."""
        return next((each.call for each in reversed(self.passes) if each.call is not None), None)

    @property
    def operations(self) -> tuple[str, ...]:
        """Operations between the last weights and the loss, the last first; "unknown" where some are not known."""
        if self.call is None:
            return ()
        if self.call.head is None and not self.call.own:
            return ("unknown",)
        head = () if self.call.head is None else tuple(name for name, _ in self.call.head if name not in SHAPING)
        return head + self.call.inner

    @property
    def ends(self) -> tuple[str, ...]:
        """What the outputs stand for, as in `score`."""
        if self.call is None:
            return ()
        squashed = self.operations[:1] in (("softmax",), ("sigmoid",))
        fitted = self.call.name in ("mse_loss", "l1_loss") and not squashed
        return (FITTED,) if fitted else self.call.inner

    @property
    def first(self) -> Probe | None:
        """Statistics of the first step."""
        return self.recording.probes[0] if self.recording.probes else None

    @property
    def last(self) -> Probe | None:
        """Statistics of the last step that has any."""
        return self.recording.probes[-1] if self.recording.probes else None

    def layers(self, step: int = -1) -> Sequence[LayerStats]:
        """Layers at a probe."""
        return self.recording.probes[step].layers if self.recording.probes else ()

    def params(self, step: int = -1) -> Sequence[ParamStats]:
        """Parameters at a probe."""
        return self.recording.probes[step].params if self.recording.probes else ()

    # ---- the data

    @cached_property
    def inputs(self) -> torch.Tensor | None:
        """Rows of the first input, as many as are looked at together; None where it is no tensor of numbers."""
        return self.argument(next(iter(self.batches[0].named), 0)) if self.batches else None

    def argument(self, name: Name) -> torch.Tensor | None:
        """Returns rows of one argument of the model; None where it is no tensor of one shape."""
        found, rows = [], 0
        for each in self.batches:
            x = each.named.get(name)
            if not isinstance(x, torch.Tensor) or x.ndim < 1 or (found and x.shape[1:] != found[0].shape[1:]):
                return None
            found.append(x.detach())
            rows += len(x)
            if rows >= _ROWS:
                break
        return torch.cat(found) if found else None

    @cached_property
    def targets(self) -> torch.Tensor | None:
        """The targets of those rows."""
        found, rows = [], 0
        for each in self.passes:
            if not isinstance(each.target, torch.Tensor):
                return None
            found.append(each.target.detach())
            rows += len(each.target)
            if rows >= _ROWS:
                break
        return torch.cat(found) if found else None

    @cached_property
    def kind(self) -> Kind:
        """What the targets are: numbers of classes, 0 and 1 (alone, one-hot, several a row), quantities, or tokens."""
        y = self.targets
        if y is None:
            return "unknown"
        if not y.is_floating_point():
            first = self.batches[0]
            if y.ndim == 1 and len(y) >= _MANY and y.unique().numel() > len(y) / 2:
                return "unknown"  # places or ids
            alone = y.ndim == 1 and len(first) == len(first.target)
            return "classes" if alone else "tokens"
        if bool(((y == 0) | (y == 1)).all()) and y.unique().numel() == 2:
            if y.ndim == 1 or y.shape[1:].numel() == 1:
                return "binary"
            return "classes" if y.ndim == 2 and bool((y.sum(1) == 1).all()) else "labels"
        return "regression"

    @cached_property
    def labels(self) -> torch.Tensor | None:
        """(n,) numbers of the classes of those rows; None for regression."""
        if self.kind not in ("classes", "binary") or self.targets is None:
            return None
        return to_labels(self.targets)

    @cached_property
    def parts(self) -> list[int]:
        """Numbers of the inputs by which rows of training and of the last evaluation are told apart."""
        return shared_parts([*self.batches, *self.replay.batches_of(self._last_evaluation)])

    @cached_property
    def any_rows(self) -> Rows | None:
        """Distinct rows of training, of numbers or codes, as many as are held; None where inputs are neither."""
        found = rows_of(self.batches, self.parts)
        return None if found is None else found.distinct()

    @cached_property
    def trained(self) -> np.ndarray:
        """Distinct keys of the rows of training that are held: of more than `any_rows` has; none where that is None."""
        if self.any_rows is None:
            return np.zeros(0, np.int64)
        ends = np.cumsum([len(each) for each in self.batches])
        return np.unique(
            np.concatenate([keys_of(each, self.parts) for each in self.batches[: np.searchsorted(ends, _KEYS) + 1]])
        )

    @cached_property
    def rows(self) -> Rows | None:
        """The same where the first inputs are numbers, and every row has a target."""
        whole = all(isinstance(each.target, torch.Tensor) and len(each.target) == len(each) for each in self.batches)
        return _of_numbers(self.any_rows) if whole else None

    @cached_property
    def any_held_rows(self) -> Rows | None:
        """Rows of the last evaluation, of numbers or codes, in its order; None where there was none."""
        return rows_of(self.replay.batches_of(self.evaluated), self.parts)

    @cached_property
    def held_rows(self) -> Rows | None:
        """The same where the first inputs are numbers."""
        return _of_numbers(self.any_held_rows)

    @cached_property
    def _last_evaluation(self) -> list[Pass]:
        """Passes of the last evaluation, each input once.

        Where no loss was computed, it is what the loop did as often before: what comes after its end, as a picture of
        the model's answers, is no evaluation.
        """
        seen: list[Pass] = []
        for each in self.recording.evaluations:  # a sequence that is written word by word is given again and again
            if each.intact and not (seen and each.target is None and _same(each.args, seen[-1].args)):
                seen.append(each)
        if any(each.target is not None for each in seen):
            return [each for each in seen if each.target is not None]
        *_, before, _ = [b"", b"", *re.findall(rb"e+", bytes(self.recording.events))]
        return seen[: len(before)]

    @cached_property
    def evaluated(self) -> list[Pass]:
        """Passes of the last evaluation, without those by which the loop looks at its rows of training too."""
        passes, known = self._last_evaluation, self.trained
        if not len(known):
            return passes
        new = [~np.isin(keys_of(batch, self.parts), known) for batch in self.replay.batches_of(passes)]
        return [passes[k] for k in untrained([(int(each.sum()), len(each)) for each in new])]

    def labels_of(self, rows: Rows) -> np.ndarray | None:
        """Returns (n,) numbers of the classes of rows; None for quantities."""
        if self.kind not in ("classes", "binary"):
            return None
        return to_labels(torch.from_numpy(rows.y)).numpy()

    @cached_property
    def reference(self) -> Reference | None:
        """What a random forest makes of the rows of training; None where they are too few."""
        if self.rows is None or self.rows.coded or self.kind == "unknown":
            return None
        return reference(self.rows, self.labels_of(self.rows))

    @cached_property
    def held_out(self) -> list[Batch]:
        """Batches on which forks are compared: those of the last evaluation, or a quarter of the kept ones."""
        seen = [each for each in self.evaluated if each.target is not None]
        return self.replay.batches_of(seen) if seen else self.batches[3::4]

    @cached_property
    def training(self) -> list[Batch]:
        """Batches that forks train on, in the order in which they were seen."""
        if any(each.target is not None for each in self.recording.evaluations):
            return self.batches
        return [each for k, each in enumerate(self.batches) if k % 4 != 3]

    # ---- the model

    def null_loss(self) -> float | None:
        """Returns the loss of the best constant output, in the units of the loss; None where that is not known."""
        mean, unit = self._null_mean, self._per_mean
        return None if mean is None or unit is None or self.mixes_targets else unit * mean

    @cached_property
    def _null_mean(self) -> float | None:
        """The mean of the loss function for the best constant output; None where that is not known."""
        call, y = self.call, self.targets
        return None if call is None or y is None else constant_loss(call.name, call.options, y)

    @cached_property
    def _least_mean(self) -> float:
        """The mean of the loss function where every answer is right."""
        call, y = self.call, self.targets
        return 0.0 if call is None or y is None else least_loss(call.name, call.options, y)

    @property
    def _per_mean(self) -> float | None:
        """Losses of the loop over the mean of the loss function; None where that is not known."""
        call, y = self.call, self.targets
        if call is None or call.unit is None:
            return None
        if self.replay.per_row:  # a sum over the numbers of each row
            return 1.0 if y is None else y.numel() / len(y)
        return 1.0 if call.options.get("reduction", "mean") == "mean" else None

    @cached_property
    def seen_losses(self) -> np.ndarray:
        """(P,) values of the loss function itself, as means, of the passes that are held."""
        summed = self.call is not None and self.call.options.get("reduction") == "sum"
        found = [(each, float(each.seen)) for each in self.passes if each.seen is not None]
        return np.array([value / (each.target.numel() if summed else 1) for each, value in found])

    @cached_property
    def other_terms(self) -> np.ndarray:
        """(P,) what the loss function leaves of the loss, of the passes that are held."""
        triples = [(each.loss, each.weight, each.seen) for each in self.passes]
        return np.array(
            [float(a) - float(w) * float(b) for a, w, b in triples if not (a is None or w is None or b is None)]
        )

    @property
    def mixes_targets(self) -> bool:
        """Whether the loss function has another weight in every pass, as where rows are mixed with others (mixup)."""
        pairs = [(float(each.weight), each.rows) for each in self.passes if each.weight is not None]
        if self.replay.factor is not None or len(pairs) < 2:
            return False
        # one that is 1 over the rows of the batch is none of these
        kinds = [[weight for weight, _ in pairs], [weight * rows for weight, rows in pairs]]
        return all(max(each) > 1.01 * min(each) for each in kinds)

    def unlearnt(self) -> float:
        """Returns the loss in the end over that of the best constant answer (where unknown, the first loss).

        Where terms stand beside the loss function, it is the value of that alone. Where the least loss is not 0, as
        that of targets between 0 and 1 is not, it is subtracted from both.
        """
        beside = self.replay.factor is None
        losses = self.seen_losses if beside else self.losses
        if len(losses) == 0:
            return math.inf
        unit, null = 1.0 if beside else self._per_mean, self._null_mean
        end, first = float(np.median(losses[-max(3, len(losses) // 10) :])), float(losses[0])
        if unit is None or null is None:
            return end / first if first > 0 else math.inf
        least = self._least_mean
        return (end / unit - least) / (null - least) if null > least else math.inf

    @property
    def stays(self) -> str:
        """`unlearnt` in words."""
        beyond = ", beyond the least possible" if self._least_mean > 0 else ""
        share = self.unlearnt()
        much = f"{share:.0%} of" if share < _MANY_TIMES else f"{share:.3g} times"
        return f"{much} that of a constant answer{beyond}"

    @cached_property
    def healthy(self) -> State:
        """The last state that was kept before the loss broke away from the least it had come to.

        The start where it did not, or at once.
        """
        losses, states = self.losses, self.recording.states
        broken = np.flatnonzero(~np.isfinite(losses))
        losses = losses[: broken[0]] if len(broken) else losses
        if len(losses) < _WINDOW:
            return states[0]
        means = np.convolve(losses, np.full(_WINDOW, 1 / _WINDOW), "valid")
        least = int(means.argmin())
        if not len(broken) and means[-1] <= _BROKEN * means[least]:
            return states[0]
        return next(each for each in reversed(states) if each.step <= least)

    @cached_property
    def training_loss(self) -> float:
        """Loss of some rows of training in the end, in evaluation mode; NaN where it cannot be computed."""
        replay, batches = self.replay, self.training[-16:]
        if not replay.knows_loss or not batches:
            return math.nan
        return self.loss_of(replay.copies(self.recording.states[-1])[0], batches)

    def loss_of(self, model: nn.Module, batches: Sequence[Batch]) -> float:
        """Returns the loss of a copy on some batches, a mean over their rows, in evaluation mode."""
        model.eval()
        with torch.no_grad():
            losses = [float(self.replay.loss_of(model, batch)) for batch in batches]
        mean = float(np.average(losses, weights=[len(batch.target) for batch in batches]))
        return mean * self.replay.step_scale / self.replay.mean_scale

    @cached_property
    def batch_size(self) -> int | None:
        """Rows of a batch (median); None where inputs and targets are no tensors."""
        sizes = [len(each) for each in self.batches if len(each)]
        return int(np.median(sizes)) if sizes else None

    @cached_property
    def noise_scale(self) -> float:
        """Rows at which the noise of the gradient equals the gradient, at the start or halfway, where it is more."""
        states = self.recording.states
        return noise_scale(self.replay, [states[k] for k in {0, len(states) // 2}], self.training[:_NOISE_BATCHES])

    @cached_property
    def step_factors(self) -> list[float]:
        """For some recent passes: by what its own step must be multiplied for the least loss on its batch.

        As in `best_factor`, at the last state.
        """
        return self._factors(self.recording.states[-1], self.training[-8:])

    @cached_property
    def far_factors(self) -> list[float]:
        """The same, for the least loss on the batch after it: what one batch asks for and the next one agrees with."""
        batches = self.training[-9:]
        return self._factors(self.recording.states[-1], batches[:-1], batches[1:])

    @cached_property
    def first_factors(self) -> list[float]:
        """The same at the start."""
        return self._factors(self.recording.states[0], self.training[:8])

    def update_ratio(self) -> float:
        """Returns the largest share by which one of the first steps changed the weights; median over matrices.

        Those that begin at 0, as biases do, are left out.
        """
        start = self.recording.states[0].model
        matrices = {name for name, p in self.recording.params.items() if p.ndim > 1 and bool(start.get(name, p).any())}
        found = [
            float(np.median(ratios))
            for probe in self.recording.probes[:4]
            if (
                ratios := [
                    p.update / p.norm
                    for p in probe.params
                    if p.update is not None and p.norm > 0 and p.size > 64 and p.name in matrices
                ]
            )
        ]
        return max(found, default=0.0)

    @cached_property
    def gradient_norm(self) -> float:
        """2-norm of the gradient in the end, of the mean over some batches; NaN where that is not known."""
        return gradient_norm(self.replay, self.recording.states[-1], self.training[-16:])

    @cached_property
    def first_gradient_norm(self) -> float:
        """The same at the start."""
        return gradient_norm(self.replay, self.recording.states[0], self.training[:16])

    def course(self, change: Change, state: State, steps: int, *, judged: bool = False) -> Fork:
        """Returns what becomes of one copy of the loop from a state on, by the loss function alone, in its own units.

        Empty where the loop cannot be copied.

        Args:
            change: What is different. state: where it begins. steps: how many.
            judged: Whether it has scores: losses on batches that are held out.
        """
        if not self.replay.knows_function or self.replay.needs_closure or not self.training:
            return Fork()
        held = self.held_out[:_HELD]

        def score(model: nn.Module) -> float:
            return self.loss_of(model, held)

        change = replace(change, beside=0.0)
        found = run_forks(self.replay, state, [self.training], change, steps=steps, score=score if judged else None)[0]
        unit = self.replay.step_scale / self.replay.mean_scale
        return replace(found, losses=[unit * loss for loss in found.losses])

    def early(self, change: Change, steps: int = EARLY) -> Early | None:
        """Returns what a change from the start comes to in the first steps; None where the loop cannot be copied.

        Args:
            change: What is different. steps: of the loop, at most.
        """
        steps = min(self.recording.num_steps, steps, len(self.training))
        part = max(1, steps // 6)
        losses = self.course(change, self.recording.states[0], steps).losses
        own = self.losses if self.replay.knows_loss else self._own_course
        if len(losses) < steps or len(own) < steps or steps < 2 * part:
            return None
        return Early(
            steps=steps,
            own=float(np.mean(own[steps - part : steps])),
            changed=float(np.mean(losses[-max(1, len(losses) // 6) :])),
            end=float(np.median(own[-part:])),
        )

    @cached_property
    def _own_course(self) -> Sequence[float]:
        """The first losses by the loss function alone, where terms stand beside it."""
        return self.course(UNCHANGED, self.recording.states[0], min(EARLY, len(self.training))).losses

    @property
    def peak_rate(self) -> Change:
        """The highest rate of the loop at all steps: a schedule may have ended."""
        rates = max(map(max, self.recording.rates))
        return Change(rates=lambda step: rates)

    def _factors(self, state: State, batches: Sequence[Batch], judges: Sequence[Batch] | None = None) -> list[float]:
        known = self.replay.knows_loss and not self.replay.needs_closure
        rates = self.recording.rates[min(state.step, self.recording.num_steps - 1)]
        if not known or not any(rates) or not all(t.isfinite().all() for t in _floats(state.model)):
            return []
        pairs = zip(batches, judges or batches, strict=True)
        return [best_factor(self.replay, state, batch, judge) for batch, judge in pairs]

    def outputs(self, batches: Sequence[Batch]) -> torch.Tensor | None:
        """Returns what the model, as the loop left it, answers to some batches in evaluation mode; or None."""
        model, _ = self.replay.copies(self.recording.states[-1])
        model.eval()
        with torch.no_grad():
            found = [logits_of(batch.answer(model)) for batch in batches]
        if self.call is not None and not self.call.own:
            found = [each if each is None else apply_head(each, self.call, shaping=True) for each in found]
        return None if any(each is None for each in found) else torch.cat([each for each in found if each is not None])


def _of_numbers(rows: Rows | None) -> Rows | None:
    return rows if rows is not None and np.issubdtype(rows.x.dtype, np.floating) else None


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether two passes were given the very same first thing."""
    return bool(one and other) and one[0] is other[0]


def _floats(values: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    return [value for value in values.values() if value.is_floating_point()]
