"""Trials on copies of the loop: how far a step should go, how noisy gradients are, and how large."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from thalweg.doctor._proof._replay import Replay
from thalweg.doctor._record._batch import Batch
from thalweg.doctor._record._device import kept_random
from thalweg.doctor._record._state import State

#: factors of a step at which the loss is measured: powers of 2; the last while it falls
_LEAST_FACTOR, _FACTOR, _MOST_FACTOR = -10, 10, 40
#: so many times as long is a step that the rounding of the weights swallows
_LONGER = 2.0**20
#: a difference of losses that rounding may make, in units of the last place
_ROUNDING = 8
#: parts into which the rows of batches are divided for their noise: at least, and at most
_PARTS, _MOST_PARTS = 16, 64


class Early(NamedTuple):
    """The loss of the loop and of a changed copy after the first steps, each a mean over some of them.

    Args:
        steps: How many were made. own: loss of the loop. changed: of the copy. end: of the loop in the end.
    """

    steps: int
    own: float
    changed: float
    end: float

    def is_better(self, share: float) -> bool:
        """Whether the copy has less than a share of the loss of the loop, then and in the end."""
        return self.changed < times(share, self.own) and self.changed < times(share, self.end)


def times(share: float, loss: float) -> float:
    """Returns the loss that is a share of another: that much smaller or larger, also where losses are negative.

    Example:
        >>> times(0.5, 4.0), times(1.5, -4.0)
        (2.0, -2.0)
    """
    return loss + (share - 1) * abs(loss)


def best_factor(replay: Replay, state: State, batch: Batch, judge: Batch) -> float:
    """Returns the factor of the step that a batch asks for with which the loss of another, or its own, is least.

    A power of 2. Where none lowers the loss by more than rounding may, it is the longest that does not raise it; 1
    where none does that.

    Args:
        state: From which the step is made. batch: whose gradient it follows. judge: whose loss is measured.
    """

    def loss_of(batch: Batch) -> torch.Tensor:
        state.random.restore()  # the same units are dropped each time
        return replay.loss_of(model, batch)

    def after(factor: float) -> float:
        with torch.no_grad():
            for p, b, u in zip(model.parameters(), before, steps, strict=True):
                p.copy_(b + factor * u)
            try:
                loss = float(loss_of(judge))
            except RuntimeError:  # a loss may refuse what is not finite
                return math.inf
            return loss if math.isfinite(loss) else math.inf

    # a schedule may have ended: the state after the last step holds the rate of one that never came
    rates = replay.recording.rates[min(state.step, replay.recording.num_steps - 1)]
    with kept_random():
        for longer in (1.0, _LONGER):
            model, optimizer = replay.copies(state)
            for group, rate in zip(optimizer.param_groups, rates, strict=False):
                group["lr"] = longer * rate
            model.train(replay.training)
            before = [p.detach().clone() for p in model.parameters()]
            first = loss_of(batch)
            (first * replay.step_scale).backward()
            optimizer.step()
            steps = [p.detach() - b for p, b in zip(model.parameters(), before, strict=True)]
            if any(bool(u.any()) for u in steps):
                break
        return longer * _best_factor(after, torch.finfo(first.dtype).eps)


def _best_factor(after: Callable[[float], float], eps: float) -> float:
    """Returns the factor of a step after which the loss is least, as `best_factor`.

    Args:
        after: The loss after a step that is multiplied by a factor. eps: relative rounding of a loss.
    """
    start = after(0.0)
    rounding = _ROUNDING * eps * abs(start)
    losses = {2.0**k: after(2.0**k) for k in range(_LEAST_FACTOR, _FACTOR + 1)}
    last = 2.0**_FACTOR
    while last < 2.0**_MOST_FACTOR:
        flat = all(abs(each - start) <= rounding for each in losses.values())
        if not flat and (losses[last] > min(losses.values()) or losses[last] == losses[last / 2]):
            break
        last *= 2
        losses[last] = after(last)
    least = min(losses.values())
    if least < start - rounding:
        return min(factor for factor, loss in losses.items() if loss <= least + rounding)
    harmless = [factor for factor, loss in losses.items() if loss <= start + rounding]
    if len(harmless) == len(losses):
        return 1.0
    return max(harmless, default=2.0**_LEAST_FACTOR)


def noise_scale(replay: Replay, states: Sequence[State], batches: Sequence[Batch]) -> float:
    """Returns the rows at which the noise of the gradient equals the gradient, at the state where it is most.

    NaN where it is not known. Dropout and batch norm are as in evaluation.

    References:
        McCandlish, Kaplan, Amodei et al., An empirical model of large-batch training, 2018 (appendix A.1).
    """
    if not replay.knows_function or not batches or not all(batch.divisible for batch in batches):
        return math.nan
    size = max(1, min(len(batches[0]), sum(map(len, batches)) // _PARTS))
    places = [(batch, k) for batch in batches for k in range(0, len(batch) - size + 1, size)]
    parts = [batch.take(slice(k, k + size)) for batch, k in places[:_MOST_PARTS]]
    if len(parts) < 4 or (replay.call is not None and replay.call.head is None and not parts[0].own):
        return math.nan
    found = [_noise_at(replay, state, parts, size) for state in states]
    return max((each for each in found if not math.isnan(each)), default=math.nan)


def _noise_at(replay: Replay, state: State, parts: Sequence[Batch], size: int) -> float:
    """Returns the noise over the squared gradient of one row, from the gradients of parts of so many rows."""
    model, _ = replay.copies(state)
    model.eval()
    params = [p for p in model.parameters() if p.requires_grad]
    total, squares = [torch.zeros_like(p) for p in params], 0.0
    for part in parts:
        grads = torch.autograd.grad(replay.loss_of(model, part), params, allow_unused=True)
        for sums, grad in zip(total, grads, strict=True):
            if grad is not None:
                sums += grad
                squares += float(grad.square().sum())
    num = len(parts)
    small, large = squares / num, sum(float(sums.square().sum()) for sums in total) / num**2
    if not small > 0:
        return math.nan
    noise, signal = (small - large) * size / (1 - 1 / num), (num * large - small) / (num - 1)
    return noise / signal if signal > 0 else math.inf


def gradient_norm(replay: Replay, state: State, batches: Sequence[Batch]) -> float:
    """Returns the 2-norm of the gradient at a state, mean over batches before the norm is taken; NaN without any."""
    if not replay.knows_loss or not batches:
        return math.nan
    model, _ = replay.copies(state)
    model.train(replay.training)
    with kept_random():
        for batch in batches:
            (replay.loss_of(model, batch) * (replay.step_scale / len(batches))).backward()
    return math.sqrt(sum(float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None))
