"""The lanes of a stack: members of equal structure that take one step together, in tensors of fixed shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from thalweg.optim import NUM_COEFFICIENTS, ElementwiseRule, clip_gradients, soft_threshold
from thalweg.population._cuda_graph import Replay

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A slice of each lane's batch.

    Args:
        x: (L, B, ...). y: (L, B) classes or (L, B, K) numbers. keys: (L,) of the random draws of the step.
        first: First row of the slice in its batch. total: Rows of the whole batch.
    """

    x: torch.Tensor
    y: torch.Tensor
    keys: torch.Tensor
    first: int
    total: int


@dataclass(kw_only=True)
class LaneState:
    """What a step changes, L first; and each lane's numbers that it reads.

    Args:
        params, buffers: Name -> (L, ...). slots: Slot -> name -> (L, ...).
        l1, l2, clip_norm, smoothing: (L,), read where the structure has them.
        rate: (2, L): the least draw that is kept, and 1 - dropout.
    """

    params: Tensors
    buffers: Tensors
    slots: dict[str, Tensors]
    l1: torch.Tensor
    l2: torch.Tensor
    clip_norm: torch.Tensor
    smoothing: torch.Tensor
    rate: torch.Tensor

    def everything(self) -> list[torch.Tensor]:
        """Returns the members' states and their numbers, in one order."""
        return [*self.tensors(), self.l1, self.l2, self.clip_norm, self.smoothing, self.rate]

    def tensors(self) -> list[torch.Tensor]:
        """Returns every tensor of the members' states, in one order."""
        return [*self.params.values(), *self.buffers.values(), *(t for s in self.slots.values() for t in s.values())]


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """What all members of a stack do alike.

    Args:
        rule: The update rule. weights: Names of the parameters that a penalty shrinks.
        l1, l2, clip: Whether the penalty's halves and clipping are on.
    """

    rule: ElementwiseRule
    weights: frozenset[str]
    l1: bool
    l2: bool
    clip: bool


#: steps whose rows and coefficients are sent to the device together
STRETCH = 32

#: state, batch -> the slice's parts of the mean losses (L,), of the gradients, and the buffers after it
Gradients = Callable[[LaneState, Batch], tuple[torch.Tensor, Tensors, Tensors]]


class Lanes:
    """One step of all lanes, from tensors that hold a stretch of steps, without a look at the host.

    Args:
        state: Of the lanes; changed by steps.
        pieces: What the lanes do alike.
        x, y: The training rows.
        gradients: The model: losses and gradients on a slice of a batch.
        batch_size: Rows of a step.
        slices: (first row, rows) of each slice of a batch.
        fixed: Whether tensors are written in place, as a CUDA graph needs it; where not, the host may look.
    """

    def __init__(
        self,
        state: LaneState,
        pieces: Pieces,
        x: torch.Tensor,
        y: torch.Tensor,
        gradients: Gradients,
        *,
        batch_size: int,
        slices: list[tuple[int, int]],
        fixed: bool,
    ) -> None:
        self.state, self.pieces, self._x, self._y, self._gradients = state, pieces, x, y, gradients
        self._slices, self._batch_size, self._fixed = slices, batch_size, fixed
        num, device = len(state.l1), x.device
        self.rows = torch.zeros(STRETCH, num, batch_size, dtype=torch.int64, device=device)
        self.coefficients = torch.zeros(STRETCH, NUM_COEFFICIENTS, num, dtype=x.dtype, device=device)
        self.active = torch.zeros(STRETCH, num, dtype=torch.bool, device=device)
        self.keys = torch.zeros(STRETCH, num, dtype=torch.int64, device=device)
        self.losses = torch.zeros(STRETCH, num, dtype=x.dtype, device=device)
        self.alive = torch.ones(num, dtype=torch.bool, device=device)
        self._place = torch.zeros(1, dtype=torch.int64, device=device)
        # nothing is active yet, so warming up changes no member
        self._replay = Replay(self.step) if device.type == "cuda" else self.step

    def takes(self, slices: list[tuple[int, int]]) -> bool:
        """Returns whether the step, once captured, cuts batches like this."""
        return slices == self._slices

    def load(self, state: LaneState) -> None:
        """Takes over the state and the numbers of other members, in place."""
        for held, given in zip(self.state.everything(), state.everything(), strict=True):
            held.copy_(given)
        self.alive.fill_(True)

    def run(
        self,
        num_steps: int,
        rows: torch.Tensor,
        coefficients: torch.Tensor,
        active: torch.Tensor,
        keys: torch.Tensor,
    ) -> torch.Tensor:
        """Does at most `STRETCH` steps and returns their losses, (num_steps, L), still on the device."""
        for held, given in (
            (self.rows, rows),
            (self.coefficients, coefficients),
            (self.active, active),
            (self.keys, keys),
        ):
            held[:num_steps].copy_(given, non_blocking=True)
        self._place.zero_()
        for _ in range(num_steps):
            self._replay()
        return self.losses[:num_steps].clone()

    def step(self) -> None:
        """Does the step at the current place, and moves the place on."""
        place, pieces, state = self._place, self.pieces, self.state
        active = self.active.index_select(0, place)[0]
        loss, grads, buffers = self._batch_gradients(place)
        finite = loss.isfinite()
        moved = self.alive & active & finite
        if pieces.l2:
            grads = {
                k: g + _along(state.l2, g) * state.params[k] if k in pieces.weights else g for k, g in grads.items()
            }
        if pieces.clip:
            grads, _ = clip_gradients(grads, state.clip_norm, stacked=True)
        c = tuple(self.coefficients.index_select(0, place)[0])
        params: Tensors = {}
        slots: dict[str, Tensors] = {slot: {} for slot in state.slots}
        for name, w in state.params.items():
            params[name], found = self._update(name, w, grads[name], c)
            for slot, value in zip(slots, found, strict=True):
                slots[slot][name] = value
        self._write(moved, params, buffers, slots)
        self.alive &= finite | ~active
        self.losses.index_copy_(0, place, loss.unsqueeze(0))
        place += 1

    def _batch_gradients(self, place: torch.Tensor) -> tuple[torch.Tensor, Tensors, Tensors]:
        rows = self.rows.index_select(0, place)[0]
        keys = self.keys.index_select(0, place)[0]
        loss: Any = None
        grads: Tensors = {}
        buffers = self.state.buffers
        for first, size in self._slices:
            part = rows[:, first : first + size]
            batch = Batch(
                x=_rows_of(self._x, part), y=_rows_of(self._y, part), keys=keys, first=first, total=self._batch_size
            )
            own, found, buffers = self._gradients(self.state, batch)
            loss = own if loss is None else loss + own
            grads = {name: grads[name] + g for name, g in found.items()} if grads else found
        return loss, grads, buffers

    def _update(
        self, name: str, w: torch.Tensor, g: torch.Tensor, c: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        rule = self.pieces.rule
        c = tuple(_along(value, w) for value in c)
        w, slots = rule.update(w, g, tuple(tree[name] for tree in self.state.slots.values()), c)
        if self.pieces.l1 and name in self.pieces.weights:
            w = soft_threshold(w, rule.step_size(slots, c) * _along(self.state.l1, w))
        return w, slots

    def _write(self, moved: torch.Tensor, params: Tensors, buffers: Tensors, slots: dict[str, Tensors]) -> None:
        """Takes over the new state of the lanes that moved; the others stay frozen."""
        state = self.state
        trees = [(state.params, params), (state.buffers, buffers), *((state.slots[s], slots[s]) for s in slots)]
        everyone = not self._fixed and bool(moved.all())
        for held, new in trees:
            for name, value in new.items():
                if value is held[name]:
                    continue
                chosen = value if everyone else torch.where(_along(moved, value), value, held[name])
                if self._fixed:
                    held[name].copy_(chosen)
                else:
                    held[name] = chosen


def _along(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Returns (L,) numbers in a shape that broadcasts against (L, ...)."""
    return values.reshape(-1, *(1,) * (like.dim() - 1))


def _rows_of(table: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return table.index_select(0, rows.reshape(-1)).reshape(*rows.shape, *table.shape[1:])
