"""Forks: copies of a loop that go on from one state over batches that were kept, as one program or each by itself."""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from thalweg.doctor._proof._beside import run_beside
from thalweg.doctor._proof._replay import Change, Criterion, Replay
from thalweg.doctor._record._batch import Batch
from thalweg.doctor._record._device import device_of, draw_from, kept_random
from thalweg.doctor._record._state import State, copy_loop

Loop = tuple[nn.Module, torch.optim.Optimizer]
Score = Callable[[nn.Module], float]

#: scores that are taken in the last quarter of a fork
_SCORES = 5
#: copies and steps with which a program is tried; how far its losses may be from those of copies alone, and the change
#: of a number, as a share of that of its parameter; and share of the numbers that may be further off. A rule that mixes
#: the copies, as by one norm for all, is off by a third in nearly all. Rounding alone changes the few whose gradient is
#: 0 but for that, as of a bias before batch norm: Adam makes whole steps of it.
_COPIES, _STEPS, _LOSSES, _WEIGHTS, _OFF = 2, 2, 1e-3, 0.05, 0.25
#: times as long as forks would take one after another, and a second, is waited for those that run side by side
_PATIENCE = 10.0


@dataclass(frozen=True, kw_only=True)
class Way:
    """How forks run.

    Args:
        stacked: Whether they are one program, if that comes to the same.
        workers: Else, how many run side by side.
        seconds: That a step of one of them takes, about.
    """

    stacked: bool = False
    workers: int = 1
    seconds: float = 1.0


ALONE = Way()


@dataclass(frozen=True, kw_only=True)
class Fork:
    """What became of a copy.

    Args:
        losses: Of its steps; they end where one is not finite. scores: that were taken.
    """

    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


def run_forks(
    replay: Replay,
    state: State,
    orders: Sequence[Sequence[Batch]],
    change: Change,
    *,
    steps: int,
    score: Score | None = None,
    way: Way = ALONE,
) -> list[Fork]:
    """Returns what becomes of copies of a loop, one for each order of its batches.

    Weights that a change draws depend on the place of the copy alone, and what copies draw then on the step: forks of
    two changes can be compared in pairs, and the same forks end the same.

    Args:
        replay: Of the loop. state: where they start.
        orders: The batches of each; they begin again at their end.
        change: What is different from the loop.
        steps: How many. score: of a model, taken a few times in the last quarter; it may change the mode of the model.
        way: How they run, which changes no more of them than rounding.
    """
    steps = steps if change.length is None else change.length(steps)

    def begin(number: int) -> tuple[Loop, Sequence[Batch]]:
        draw_from(state.random.device, number)
        model, optimizer, order = replay.begin(state, orders[number], change)
        return (model, optimizer), order

    with kept_random():
        if way.stacked and len(orders) > 1:
            loops, own = zip(*map(begin, range(len(orders))), strict=True)
            if _comes_to_the_same(replay, state, loops, own, change):
                with contextlib.suppress(Exception):  # as where a later batch is one that vmap cannot take
                    return _run(_Stack(replay, loops), state, own, change, steps, score)

        def alone(number: int) -> Fork:
            loop, order = begin(number)
            return _run(_Alone(replay, loop), state, [order], change, steps, score)[0]

        if way.workers > 1:
            limit = _PATIENCE * (1 + way.seconds * steps * len(orders))
            found = run_beside(alone, len(orders), workers=way.workers, seconds=limit)
            if found is not None:
                return found
        return [alone(number) for number in range(len(orders))]


class _Alone:
    """A copy of the loop by itself.

    Args:
        replay: Of the loop. loop: the copy.
    """

    def __init__(self, replay: Replay, loop: Loop) -> None:
        self.replay = replay
        self.model, self.optimizer = loop
        self.holder = self.model

    def losses(self, batches: Sequence[Batch], criterion: Criterion | None, seed: int) -> torch.Tensor:
        """Returns (1,) the loss of the batch, as `Replay.loss_of`; of what is drawn, the seed."""
        draw_from(device_of(self.model), seed)
        return self.replay.loss_of(self.model, batches[0], criterion)[None]

    def backward_of(self, losses: torch.Tensor, change: Change) -> torch.Tensor:
        """Returns (1,) what backward is called on, of the loss."""
        return self.replay.backward_of(losses[0], dict(self.model.named_parameters()), change)[None]

    def params(self) -> Iterator[list[torch.Tensor]]:
        """Yields the parameters of the copy, with their gradients."""
        yield list(self.model.parameters())

    def one(self, number: int) -> nn.Module:
        """Returns the model of the copy."""
        return self.model


class _Stack:
    """Copies of a loop as one program: every parameter and buffer holds those of all copies, P first.

    The optimizer steps all of them at once, which is right for rules that take each number by itself.

    Args:
        replay: Of the loop. loops: the copies, with state and changes; the first of them is used up.
    """

    def __init__(self, replay: Replay, loops: Sequence[Loop]) -> None:
        self.replay, self._size = replay, len(loops)
        (self.holder, self.optimizer), models = loops[0], [model for model, _ in loops]
        # one is scored, the other called under vmap, which may leave a module of the user's with what it was lent
        self.model, self._lent = copy.deepcopy(self.holder), copy.deepcopy(self.holder)
        every = [dict(model.named_parameters()) for model in models]
        self._params = dict(self.holder.named_parameters())
        own = [
            {name: optimizer.state.get(each[name], {}) for name in each}
            for each, (_, optimizer) in zip(every, loops, strict=True)
        ]
        for name, p in self._params.items():
            for key, value in own[0][name].items():
                if isinstance(value, torch.Tensor) and value.shape == p.shape and value.ndim > 0:
                    own[0][name][key] = torch.stack([states[name][key] for states in own])
            p.data = torch.stack([params[name].data for params in every])
        self._buffers = {
            name: torch.stack([dict(model.named_buffers())[name] for model in models])
            for name, _ in self.holder.named_buffers()
        }

    def losses(self, batches: Sequence[Batch], criterion: Criterion | None, seed: int) -> torch.Tensor:
        """Returns (P,) the losses of the copies, each on its batch, as `Replay.loss_of`; of what is drawn, the seed."""
        parts: dict[object, list[int]] = {}
        for number, batch in enumerate(batches):
            parts.setdefault(_form(batch), []).append(number)
        found: list[torch.Tensor] = []
        for numbers in parts.values():
            draw_from(device_of(self.model), seed)
            found.append(self._losses(numbers, [batches[n] for n in numbers], criterion))
        order = [number for numbers in parts.values() for number in numbers]
        return torch.cat(found)[torch.tensor(order).argsort()] if len(found) > 1 else found[0]

    def _losses(self, numbers: list[int], batches: Sequence[Batch], criterion: Criterion | None) -> torch.Tensor:
        """Returns the losses of copies whose batches are of one form: the last one of an epoch may be smaller."""
        some = len(numbers) < self._size
        params = {name: p[numbers] if some else p for name, p in self._params.items()}
        buffers = {name: b[numbers] if some else b for name, b in self._buffers.items()}
        tensors = [torch.stack(each) for each in zip(*(batch.tensors for batch in batches), strict=True)]

        def loss(own: dict[str, torch.Tensor], given: list[torch.Tensor]) -> torch.Tensor:
            def model(*args: Any, **kwargs: Any) -> Any:
                return functional_call(self._lent, own, args, kwargs)

            return self.replay.loss_of(model, batches[0].with_tensors(given), criterion)

        with sdpa_kernel(SDPBackend.MATH):  # vmap has no rule for the fused ones
            losses = vmap(loss, randomness="same")({**params, **buffers}, tensors)  # copies draw what they would alone
        if some:
            for name, b in buffers.items():
                self._buffers[name][numbers] = b
        return losses

    def backward_of(self, losses: torch.Tensor, change: Change) -> torch.Tensor:
        """Returns (P,) what backward is called on, of the losses of the copies."""
        return vmap(lambda loss, weights: self.replay.backward_of(loss, weights, change))(losses, self._params)

    def params(self) -> Iterator[list[torch.Tensor]]:
        """Yields the parameters of each copy, with their gradients: views, which may be written to."""
        for number in range(self._size):
            views = []
            for p in self._params.values():
                view = p.detach()[number]
                view.grad = None if p.grad is None else p.grad[number]
                views.append(view)
            yield views

    def one(self, number: int) -> nn.Module:
        """Returns the model of a copy; it is the same one, with other numbers, for every copy."""
        with torch.no_grad():
            for name, p in self.model.named_parameters():
                p.copy_(self._params[name][number])
            for name, b in self.model.named_buffers():
                b.copy_(self._buffers[name][number])
        return self.model


def _run(
    copies: _Alone | _Stack,
    state: State,
    orders: Sequence[Sequence[Batch]],
    change: Change,
    steps: int,
    score: Score | None,
) -> list[Fork]:
    """Returns what becomes of copies that make so many steps; of one that diverged, its numbers are not looked at."""
    replay, optimizer, mode = copies.replay, copies.optimizer, copies.model.training
    recording, per = replay.recording, replay.passes_per_step
    forks, going = [Fork() for _ in orders], set(range(len(orders)))
    marks = {math.ceil(steps * (0.75 + 0.25 * (k + 1) / _SCORES)) - 1 for k in range(_SCORES)}
    for k in range(steps):
        total = torch.zeros(())
        for part in range(k * per, (k + 1) * per):
            losses = copies.losses([order[part % len(order)] for order in orders], change.criterion, part)
            copies.backward_of(losses, change).sum().backward()
            total = total + losses.detach().cpu()
        for number in sorted(going):
            forks[number].losses.append(float(total[number]) / per)
        step = min(state.step + k, recording.num_steps - 1)
        replay.step(copies.params(), optimizer, step, change)
        if change.zero or not (step + 1 < len(recording.kept) and recording.kept[step + 1]):
            copies.holder.zero_grad()
        going = {number for number in going if math.isfinite(forks[number].losses[-1])}
        if not going:
            break
        if score is not None and k in marks:
            for number in sorted(going):
                forks[number].scores.append(score(copies.one(number)))
            copies.model.train(mode)
    return forks


def _comes_to_the_same(
    replay: Replay, state: State, loops: Sequence[Loop], orders: Sequence[Sequence[Batch]], change: Change
) -> bool:
    """Whether a few copies as one program make the steps that they make alone."""
    alone = [copy_loop(*loop) for loop in loops[:_COPIES]]
    before = [[p.detach().clone() for p in model.parameters()] for model, _ in alone]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # torch warns of what vmap takes one by one
            stack = _Stack(replay, [copy_loop(*loop) for loop in loops[:_COPIES]])
            together = _run(stack, state, orders[:_COPIES], change, _STEPS, None)
            reached = [[p.detach().clone() for p in stack.one(k).parameters()] for k in range(_COPIES)]
    except Exception:  # a model of the user's own may do what vmap cannot
        return False
    for number, (loop, params) in enumerate(zip(alone, reached, strict=True)):
        (fork,) = _run(_Alone(replay, loop), state, [orders[number]], change, _STEPS, None)
        if not torch.allclose(_numbers(together[number]), _numbers(fork), rtol=_LOSSES, atol=0, equal_nan=True):
            return False
        if len(fork.losses) == _STEPS and not _close(before[number], list(loop[0].parameters()), params):
            return False
    return True


def _form(batch: Batch) -> object:
    """Returns what batches must have in common to go through vmap together: shapes, and all that is no tensor."""
    rest = batch.with_tensors(itertools.repeat(None))
    return tuple((t.shape, t.dtype) for t in batch.tensors), repr((rest.args, rest.kwargs, rest.target))


def _numbers(fork: Fork) -> torch.Tensor:
    """Returns the losses, NaN where there were none any more."""
    return torch.tensor([*fork.losses, *[math.nan] * (_STEPS - len(fork.losses))], dtype=torch.float64)


def _close(before: list[torch.Tensor], alone: list[torch.Tensor], together: list[torch.Tensor]) -> bool:
    """Whether most numbers changed alike."""
    off = 0
    for b, a, t in zip(before, alone, together, strict=True):
        change, apart = (a.detach() - b).double(), (a.detach() - t).double()
        off += int((apart.abs() > _WEIGHTS * change.square().mean().sqrt()).sum())
    return off <= _OFF * sum(b.numel() for b in before)
