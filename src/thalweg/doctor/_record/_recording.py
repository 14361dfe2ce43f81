"""What is kept of a training loop: the facts that findings are read from, and what a replay needs."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from thalweg.doctor._record._batch import tensors_of
from thalweg.doctor._record._device import RandomState
from thalweg.doctor._record._state import State
from thalweg.doctor._record._tape import Whole

#: of the passes after the first ones, those of every such step are held
_EVERY = 16


#: operations with their numbers, the last first
Head = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class LossCall:
    """A call of a loss function of torch.

    Args:
        name: As in `torch.nn.functional`.
        options: What it was called with beside input and target.
        head: What was applied to the model's output before it, as `head_between` names it; empty where nothing was.
            None where operations were that are not known.
        inner: Operations at the end of the model itself, the last one first, before the first that has weights.
        shape: Of its input. dtype: of its numbers.
        own: Whether the model itself called it, and answered with the loss.
        unit: That loss over the value of the function, taken as a mean; None where the model called several functions.
        by_hand: Whether the loop computes what the function would, and does not call it.
    """

    name: str
    options: Mapping[str, Any]
    head: Head | None
    inner: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: torch.dtype
    own: bool = False
    unit: float | None = 1.0
    by_hand: bool = False


@dataclass(kw_only=True, slots=True)  # one is made in every step: a frozen one takes four times as long
class Pass:
    """One batch on its way forward and backward.

    Args:
        step: Steps of the optimizer made before it.
        args: What the model was called with. kwargs: by name.
        target: What the loss was called with beside the output; None where no loss was seen.
        loss: What backward was called on, (); None for passes without.
        seen: Value of the loss function itself, or of the model's own loss.
        call: The loss function; None where it is none of torch's.
        zeroed: Whether gradients were set to zero since the pass before.
        random: Where the random numbers stood before it; None where the model draws none.
        versions: Of the tensors above: a change tells that they were written to afterwards.
        training: Mode of the model.
        num_bytes: Size of the tensors above.
        weight: Derivative of `loss` with respect to `seen`, (); None where they are the same.
    """

    step: int
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    target: Any
    loss: torch.Tensor | None
    seen: torch.Tensor | None
    call: LossCall | None
    zeroed: bool
    random: RandomState | None
    versions: tuple[int, ...]
    training: bool
    num_bytes: int = 0
    weight: torch.Tensor | None = None

    @property
    def intact(self) -> bool:
        """Whether nothing was written to its tensors since."""
        return self.versions == versions_of(tensors_of(self.args, self.kwargs, self.target))

    @property
    def rows(self) -> int:
        """Rows of its target; 1 where it has none."""
        return len(self.target) if isinstance(self.target, torch.Tensor) and self.target.ndim else 1


@dataclass(frozen=True, kw_only=True)
class LayerStats:
    """A layer at one step; means are over units, places, and the first rows (65,536 numbers, or 8 rows).

    Args:
        name: Of the module; of a function that is called as an activation, "relu after fc1". kind: class of the module.
        follows: The layer whose output it was given as it is; None where something lies between.
        units: Of its output.
        mean_in: Of its input. rms_in: root of its mean square. off_centre: mean over the units below of
            |mean| / RMS of their values: near 1 where each has one sign and size.
        mean_out: Of its output. rms_out: root of its mean square. std_out: standard deviation over rows, averaged.
        gradient: Norm of the gradient with respect to its output, over places; RMS of that over units and rows, times
            the number of rows.
        still: Units of its output that get no gradient on any row, though others of the layer do.
        slope: Mean size of gradient in over gradient out, of activations; None for others.
    """

    name: str
    kind: str
    follows: str | None
    units: int
    mean_in: float
    rms_in: float
    off_centre: float
    mean_out: float
    rms_out: float
    std_out: float
    gradient: float | None = None
    still: tuple[int, ...] = ()
    slope: float | None = None


@dataclass(frozen=True, kw_only=True)
class ParamStats:
    """A parameter at one step.

    Args:
        name: Of the parameter.
        norm: 2-norm of its values. gradient: of its gradient; None where it has none.
        update: Of the step that it made; None where no step was made.
        spread: Standard deviation of its values. size: how many.
    """

    name: str
    norm: float
    gradient: float | None
    update: float | None
    spread: float
    size: int


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Statistics of one step.

    Args:
        step: Which. layers: In the order in which they were called. params: In the model's order.
        clipped: Norm of all gradients after clipping over that before; None where nothing clipped.
    """

    step: int
    layers: tuple[LayerStats, ...]
    params: tuple[ParamStats, ...]
    clipped: float | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The losses of one evaluation.

    Args:
        step: Steps made before it. losses: of its batches, (). rows: of each.
    """

    step: int
    losses: list[torch.Tensor] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def mean(self, *, of_sums: bool = False) -> float:
        """Returns the mean over all rows; NaN where no loss was seen.

        Args:
            of_sums: Whether a loss is the sum over the rows of its batch.
        """
        pairs = zip(self.losses, self.rows, strict=True)
        total = sum(float(loss) * (1 if of_sums else rows) for loss, rows in pairs)
        return total / sum(self.rows) if self.rows else math.nan


class Passes:
    """Passes in order, of bounded size: the first ones, some of those between, and some of the last ones.

    A batch that is held costs its loop new memory for the next one, more than all else that the recorder does: so
    only the first passes are held one after another. Of the others, those of every sixteenth step are: the last ones in
    a ring that fits into a cache, and of those before ever fewer.

    Args:
        memory: Bytes; a quarter of them is for the first passes, a sixteenth for the last ones.
    """

    def __init__(self, memory: int) -> None:
        self.first: list[Pass] = []
        self._between: list[Pass] = []
        self._last: deque[Pass] = deque()
        self._room, self._room_last = memory // 4, memory // 16
        self._room_between = memory - self._room - self._room_last
        self._size_between, self._size_last = 0, 0
        self._every = _EVERY

    def next_taken(self, step: int) -> int:
        """Returns the first step, from one on, of which it would hold a pass."""
        return step if self._room > 0 or not self._last else -(-step // _EVERY) * _EVERY

    def takes(self, step: int) -> bool:
        """Whether it would hold a pass of a step."""
        return self.next_taken(step) == step

    def add(self, new: Pass) -> None:
        """Adds a pass, and drops others where there is no room left; leaves it out where it would not hold it."""
        size = new.num_bytes
        if size <= self._room:
            self.first.append(new)
            self._room -= size
            return
        self._room = 0
        if not self.takes(new.step):
            return
        self._last.append(new)
        self._size_last += size
        while self._size_last > self._room_last and len(self._last) > 1:
            old = self._last.popleft()
            size = old.num_bytes
            self._size_last -= size
            if old.step > 0 and old.step % self._every == 0:
                self._between.append(old)
                self._size_between += size
        while self._size_between > self._room_between:
            self._every *= 2
            self._between = [each for each in self._between if each.step % self._every == 0]
            self._size_between = sum([each.num_bytes for each in self._between])

    def __iter__(self) -> Iterator[Pass]:
        """Yields all that are held."""
        yield from self.first
        yield from self._between
        yield from self._last


@dataclass(kw_only=True)
class Recording:
    """What was seen of a loop.

    Args:
        model: As the loop left it. optimizer: likewise.
        criterion: The loss, called with output and target: what the user said that it is, or what the loop was seen to
            compute by hand; or None.
        whole: What backward was called on, of the value of the loss function and the weights, where terms of these are
            added; or None.
        passes: Of training. evaluations: passes without gradient since training last went on, of the last time.
        curve: Losses of all evaluations.
        states: The start, and some later ones.
        probes: Statistics, at rare steps.
        losses: Of every step, summed over its passes where there are several; on the model's device.
        rates: Learning rates of the groups, of every step.
        kept: For every step, whether gradients of the step before were still there when it began.
        events: In order, by their first letters: zero_grad, forward, evaluation, backward, clip, step.
        clips: Other arguments of the calls that clip gradients, by name of the function.
        autocast: Type of numbers to which `torch.autocast` cast what the model computes; None without it.
        loss_autocast: Whether it was at work where the loss was computed.
        mean_over: Where the loss is none of torch's: shapes of the model's output, and of what the loss is a mean over.
        elsewhere: Ids of parameters that other optimizers train.
        params: Of the model, by name, at first: it may be given other parts when the loop is over.
        frozen: Names of parameters that needed no gradient at first.
        outside: Parameters of modules that the loop calls beside the model, each with the class of its module.
        norms: Layers of frozen batch norm in training mode that the loop calls beside the model, by id, each with a
            copy of what it was.
        notes: What the reader of a diagnosis should know.
        unsupported: Why it cannot be replayed; empty where it can, as far as is known.
        failed: Whether it ended with an error.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    criterion: Any
    passes: Passes
    whole: Whole | None = None
    evaluations: list[Pass] = field(default_factory=list)
    curve: list[Evaluation] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    losses: list[torch.Tensor] = field(default_factory=list)
    rates: list[tuple[float, ...]] = field(default_factory=list)
    kept: list[bool] = field(default_factory=list)
    events: bytearray = field(default_factory=bytearray)
    clips: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=dict)
    autocast: torch.dtype | None = None
    loss_autocast: bool = False
    mean_over: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    elsewhere: set[int] = field(default_factory=set)
    params: dict[str, nn.Parameter] = field(default_factory=dict)
    frozen: frozenset[str] = frozenset()
    outside: list[tuple[str, nn.Parameter]] = field(default_factory=list)
    norms: dict[int, tuple[nn.Module, nn.Module]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    failed: bool = False

    @property
    def num_steps(self) -> int:
        """Steps that the optimizer made."""
        return len(self.rates)

    def note(self, line: str) -> None:
        """Adds to the notes."""
        if line not in self.notes:
            self.notes.append(line)

    def refuse(self, reason: str) -> None:
        """Adds to the reasons why it cannot be replayed."""
        if reason not in self.unsupported:
            self.unsupported.append(reason)


def versions_of(tensors: Sequence[torch.Tensor]) -> tuple[int, ...]:
    """Returns how often each tensor was written to, as far as torch counts that."""
    return tuple([0 if t.is_inference() else t._version for t in tensors])
