"""The `kernel` program: our own models on a CPU, member by member, one core each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np

from thalweg.core import Purpose, derive_key, share_out
from thalweg.models import ACTIVATIONS
from thalweg.optim import NUM_COEFFICIENTS, RULES, ElementwiseRule
from thalweg.population import _kernel, _kernel_pieces
from thalweg.population._contract import (
    Memory,
    ModelSize,
    Pace,
    Program,
    Settings,
    Snapshot,
    penalty_strengths,
    shared_bytes,
)
from thalweg.population._kernel_table import Packing, lay_out_scratch
from thalweg.population._modules import architecture_of, initial_parameters
from thalweg.recipes import Member, Recipe
from thalweg.tasks import LOSSES, Task

#: seed, first epoch, last epoch
_Epochs = tuple[int, int, int]
#: inputs, real targets, classes, order of every epoch
_Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

#: members whose coefficients are computed together, at most
_BLOCK = 16
#: rows are copied in the order in which they are read where each is read so often, into so many bytes at most
_READ_AGAIN, _MOST_COPIED = 4, 1 << 25


@dataclass(kw_only=True)
class _State:
    """What a member's core works on: flat vectors, changed in place.

    Args:
        theta: (N,) parameters. slots: (S, N) optimizer state. buffers: (M,) running statistics.
    """

    theta: np.ndarray
    slots: np.ndarray
    buffers: np.ndarray


class KernelProgram(Program):
    """Linear models, MLPs and CNNs on a CPU, member by member (see `_kernel`)."""

    name: ClassVar[str] = "kernel"

    def __init__(self, task: Task, members: Sequence[Member], settings: Settings) -> None:
        super().__init__(task, members, settings)
        self._x = flat_rows(task.train.x, self.dtype)
        self._y_real, self._y_class = split_targets(task.train.y, self.dtype)
        self._packings: dict[Any, Packing] = {}
        self._packing: list[Packing] = []
        self._rules: list[ElementwiseRule] = []
        self._shared: list[Hashable] = []
        self._states: dict[int, _State] = {}
        self._released: set[int] = set()
        self._copied: dict[_Epochs, _Rows] = {}
        for index, member in enumerate(self.members):
            self._add(index, member)

    @classmethod
    def refuses(cls, task: Task, recipe: Recipe, settings: Settings) -> str | None:
        """Returns why the kernel cannot run a recipe, or None where it can."""
        if settings.device != "cpu" or settings.precision not in ("float32", "float64"):
            return f"the kernel runs on a CPU in float32 or float64, not on {settings.device} in {settings.precision}"
        if ":" in recipe.model:
            return f"the kernel trains models of our own, not {recipe.model}"
        if recipe.optimizer not in _kernel_pieces.KERNEL_RULES:
            return f"{recipe.optimizer} is not an elementwise rule of the kernel"
        if recipe.activation not in _kernel_pieces.KERNEL_ACTIVATIONS:
            return f"the activation {recipe.activation} is not built in"
        return None

    @classmethod
    def side_by_side(cls, recipe: Recipe, settings: Settings) -> int:
        """Returns one member a core."""
        return settings.threads

    @classmethod
    def memory(cls, task: Task, recipe: Recipe, settings: Settings, size: ModelSize) -> Memory:
        """Returns what members take of the memory: flat vectors, and the scratch of those that are in training."""
        packing = Packing(architecture_of(recipe, task.input_shape, task.output_size))
        slots = len(cast(ElementwiseRule, RULES[recipe.optimizer]).slots)
        state = packing.size * (1 + slots) + packing.buffer_size
        batch = Pace.of(recipe, len(task.train.rows)).batch_size
        lay_out = lay_out_scratch.py_func  # called once: not worth a compilation
        train, predict = (int(lay_out(packing.layers, rows)[1]) for rows in (batch, packing.chunk))
        training = packing.size + train + batch * math.prod(task.input_shape)
        outputs = len(task.validation.rows) * task.output_size
        real = settings.dtype.itemsize
        copied = min(_MOST_COPIED, recipe.epochs * real * (task.train.x.size + task.train.y.size))
        return Memory(
            shared=shared_bytes(task, settings) + copied,
            member=real * (state + outputs),
            working=real * max(training, predict),
            saving=real * state,
        )

    def _add(self, index: int, member: Member) -> None:
        recipe = member.recipe
        architecture = architecture_of(recipe, self.task.input_shape, self.task.output_size)
        if architecture not in self._packings:
            self._packings[architecture] = Packing(architecture)
        rule = RULES[recipe.optimizer]
        assert isinstance(rule, ElementwiseRule)
        self._packing.append(self._packings[architecture])
        self._rules.append(rule)
        own = tuple(getattr(recipe, name) for name in rule.hyper if name not in ("lr", "weight_decay"))
        schedule = (recipe.schedule, recipe.warmup, recipe.schedule_gamma, self.paces[index].total_steps)
        self._shared.append((rule.name, own, schedule))
        if member.start is not None:
            self.step[index] = member.start.step

    def _begin(self, which: Iterable[int]) -> None:
        """Gives members their state where they have none yet: one that waits for its turn takes no memory."""
        drawn: dict[Any, dict[str, np.ndarray]] = {}
        for index in which:
            assert index not in self._released, "the member was released"
            if index not in self._states:
                self._states[index] = self._initial_state(index, drawn)

    def _initial_state(self, index: int, drawn: dict[Any, dict[str, np.ndarray]]) -> _State:
        """Returns the state at a member's start; members of one seed, init and shape share what is in `drawn`."""
        member, packing, state = self.members[index], self._packing[index], self._zeros(index)
        if member.start is not None:
            self._load(index, state, member.start)
            return state
        recipe = member.recipe
        key = (packing.architecture, recipe.init, recipe.init_scale, recipe.activation_parameter, member.seed)
        if key not in drawn:
            drawn[key] = {
                name: value.numpy() for name, value in initial_parameters(self.task, recipe, member.seed).items()
            }
        for name, view in packing.unpack(state.theta).items():
            view[...] = drawn[key][name]
        buffers = packing.unpack_buffers(state.buffers)
        for spec in packing.architecture.buffers:
            buffers[spec.name][...] = spec.start
        self._start_slots(index, state)
        return state

    def _zeros(self, index: int) -> _State:
        packing, rule = self._packing[index], self._rules[index]
        return _State(
            theta=np.zeros(packing.size, self.dtype),
            slots=np.zeros((len(rule.slots), packing.size), self.dtype),
            buffers=np.zeros(packing.buffer_size, self.dtype),
        )

    def _start_slots(self, index: int, state: _State) -> None:
        """Fills the slots, which are zeros, where the rule starts them at the parameters."""
        rule = self._rules[index]
        for number, slot in enumerate(rule.slots):
            if slot in (rule.start or {}):
                state.slots[number] = state.theta

    def _state(self, index: int) -> _State:
        self._begin([index])
        return self._states[index]

    def advance(self, num_steps: np.ndarray, lr_scale: np.ndarray) -> list[np.ndarray]:
        """Trains each member for its number of steps, the longest first, one core each."""
        losses: list[np.ndarray] = [np.empty(0)] * len(self.members)

        def work(block: list[int]) -> None:
            first, num = int(self.step[block[0]]), int(num_steps[block[0]])
            t = np.arange(first + 1, first + num + 1)
            for index, coefficients in zip(block, self._coefficients(block, t, lr_scale[block]), strict=True):
                losses[index] = self._train(index, coefficients)

        active = [i for i in range(len(self.members)) if num_steps[i] > 0 and self.diverged_at[i] < 0]
        self._begin(active)  # in one thread, in order
        self._copy_rows(active, num_steps)
        active.sort(key=lambda i: -self.cost(i) * float(num_steps[i]))
        share_out(work, self._blocks(active, num_steps), self.settings.threads)
        return losses

    def _epochs(self, index: int, num_steps: int) -> _Epochs:
        """Returns the seed and the epochs of a member's next steps."""
        per_epoch, first = self.paces[index].steps_per_epoch, int(self.step[index])
        return self.members[index].seed, first // per_epoch, (first + num_steps - 1) // per_epoch

    def _copy_rows(self, active: Sequence[int], num_steps: np.ndarray) -> None:
        """Copies the rows of epochs that several members share in their order, where that is small.

        Read one after another they come from memory before they are needed; picked from a large table they do not.
        """
        read: Counter[_Epochs] = Counter()
        for index in active:
            read[self._epochs(index, int(num_steps[index]))] += int(num_steps[index]) * self.paces[index].batch_size
        for gone in self._copied.keys() - read.keys():
            del self._copied[gone]
        copied: dict[_Epochs, _Rows] = {}
        left = _MOST_COPIED
        for epochs, num_read in read.items():
            num_epochs = epochs[2] - epochs[1] + 1
            size = num_epochs * (self._x.nbytes + self._y_real.nbytes + self._y_class.nbytes)
            if num_read >= _READ_AGAIN * num_epochs * len(self._x) and size <= left:
                copied[epochs] = self._copied.get(epochs) or self._in_order(*epochs)
                left -= size
        self._copied = copied

    def _in_order(self, seed: int, first: int, last: int) -> _Rows:
        order = np.concatenate([self.epoch_rows(seed, epoch) for epoch in range(first, last + 1)])
        x, y_real, y_class = (rows[order] if len(rows) else rows for rows in (self._x, self._y_real, self._y_class))
        return x, y_real, y_class, np.arange(len(order)).reshape(last - first + 1, -1)

    def _rows(self, epochs: _Epochs) -> _Rows:
        if epochs in self._copied:
            return self._copied[epochs]
        seed, first, last = epochs
        orders = [self.epoch_rows(seed, epoch) for epoch in range(first, last + 1)]
        return self._x, self._y_real, self._y_class, np.stack(orders) if len(orders) > 1 else orders[0][None]

    def _blocks(self, active: Sequence[int], num_steps: np.ndarray) -> list[list[int]]:
        """Returns the members in the same order, in blocks of a few that need the same coefficients but for lr."""
        most = max(1, min(_BLOCK, len(active) // (8 * self.settings.threads)))
        blocks: list[list[int]] = []
        last: Any = None
        for index in active:
            key = (self._shared[index], int(self.step[index]), int(num_steps[index]))
            if key != last or len(blocks[-1]) == most:
                blocks.append([])
                last = key
            blocks[-1].append(index)
        return blocks

    def _train(self, index: int, coefficients: np.ndarray) -> np.ndarray:
        num_steps = len(coefficients)
        member, pace, packing = self.members[index], self.paces[index], self._packing[index]
        recipe, state = member.recipe, self._states[index]
        first = int(self.step[index])
        real = self.dtype.type
        epochs = self._epochs(index, num_steps)
        x, y_real, y_class, order = self._rows(epochs)
        l1, l2 = penalty_strengths(recipe)
        losses = np.empty(num_steps)
        done = _kernel.train(
            packing.layers,
            state.theta,
            state.slots,
            state.buffers,
            x,
            y_real,
            y_class,
            order,
            epochs[1],
            first,
            num_steps,
            pace.batch_size,
            pace.steps_per_epoch,
            coefficients,
            _kernel_pieces.KERNEL_RULES.index(recipe.optimizer),
            _kernel_pieces.KERNEL_LOSSES.index(self.task.loss),
            real(LOSSES[self.task.loss].parameter or 0),
            real(recipe.label_smoothing),
            float(recipe.dropout),  # compared in float64, as the loop does
            np.uint64(derive_key(member.seed, Purpose.DROPOUT)),
            real(activation_parameter(recipe)),
            real(l1) if l1 > 0 else None,
            real(l2),
            float(recipe.clip_norm or 0),
            losses,
        )
        self.step[index] = first + done
        if done < num_steps:
            self.diverged_at[index] = first + done
        return losses[:done]

    def _coefficients(self, block: Sequence[int], t: np.ndarray, lr_scale: np.ndarray) -> np.ndarray:
        """Returns the coefficients of the update rule of members of a block at steps t, (members, len(t), 8).

        Powers are taken once for a block. What differs within it is only multiplied and added, which rounds alike in
        any company.
        """
        recipes = [self.members[index].recipe for index in block]
        scaled = lr_scale * [recipe.lr for recipe in recipes]
        hyper = {name: getattr(recipes[0], name) for name in self._rules[block[0]].hyper}
        hyper["lr"] = scaled[:, None] * self.schedule_factor(block[0], t)
        if "weight_decay" in hyper:
            hyper["weight_decay"] = np.array([recipe.weight_decay for recipe in recipes])[:, None]
        found = np.empty((len(block), len(t), NUM_COEFFICIENTS), self.dtype)
        for column, value in enumerate(self._rules[block[0]].padded_coefficients(hyper, t)):
            found[:, :, column] = value
        return found

    def outputs(self, which: Sequence[int], x: np.ndarray) -> list[np.ndarray]:
        """Returns per member the outputs (before the link) for rows x, (n, K), in evaluation mode."""
        rows = self._x if x is self.task.train.x else flat_rows(x, self.dtype)
        found: dict[int, np.ndarray] = {}

        def work(index: int) -> None:
            recipe = self.members[index].recipe
            out = np.empty((len(rows), self.task.output_size), self.dtype)
            slope = self.dtype.type(activation_parameter(recipe))
            packing, theta = self._packing[index], self._eval_theta(index)
            buffers = self._state(index).buffers
            _kernel.predict(packing.layers, theta, buffers, rows, slope, out, packing.chunk)
            found[index] = out

        once = list(dict.fromkeys(which))
        self._begin(once)
        share_out(work, once, self.settings.threads)
        return [found[index] for index in which]

    def _eval_theta(self, index: int) -> np.ndarray:
        rule, state = self._rules[index], self._state(index)
        if rule.average is None:
            return state.theta
        t = np.array([max(int(self.step[index]), 1)])
        c = tuple(np.asarray(value, dtype=self.dtype) for value in self._coefficients([index], t, np.ones(1))[0, 0])
        return np.asarray(rule.average(state.theta, tuple(state.slots), c), dtype=self.dtype)

    def eval_params(self, index: int) -> dict[str, np.ndarray]:
        """Returns a copy of the parameters that the member predicts with."""
        return _copied(self._packing[index].unpack(self._eval_theta(index)))

    def snapshot(self, index: int) -> Snapshot:
        """Returns a copy of a member's state."""
        packing, rule, state = self._packing[index], self._rules[index], self._state(index)
        return Snapshot(
            params=_copied(packing.unpack(state.theta)),
            slots={slot: _copied(packing.unpack(state.slots[k])) for k, slot in enumerate(rule.slots)},
            buffers=_copied(packing.unpack_buffers(state.buffers)),
            step=int(self.step[index]),
            optimizer=rule.name,
        )

    def restore(self, index: int, snapshot: Snapshot) -> None:
        """Sets a member's state; the slots are dropped where they belong to another rule."""
        assert index not in self._released, "the member was released"
        if index not in self._states:
            self._states[index] = self._zeros(index)
        self._load(index, self._states[index], snapshot)
        self.step[index] = snapshot.step
        self.diverged_at[index] = -1

    def _load(self, index: int, state: _State, snapshot: Snapshot) -> None:
        packing, rule = self._packing[index], self._rules[index]
        for name, view in packing.unpack(state.theta).items():
            view[...] = snapshot.params[name]
        for name, view in packing.unpack_buffers(state.buffers).items():
            view[...] = snapshot.buffers[name]
        state.slots[...] = 0
        if snapshot.optimizer != rule.name:
            self._start_slots(index, state)
            return
        for k, slot in enumerate(rule.slots):
            for name, view in packing.unpack(state.slots[k]).items():
                view[...] = snapshot.slots[slot][name]

    def num_parameters(self, index: int) -> int:
        """Returns the number of trained parameters of a member."""
        return self._packing[index].num_parameters

    def release(self, index: int) -> None:
        """Lets a member's memory go; it can only be asked for its counters afterwards."""
        self._states.pop(index, None)
        self._released.add(index)


def kernel_losses(loss: str, outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns (M,) mean losses of outputs (M, n, K) against targets, without label smoothing; one core, no torch."""
    y_real, y_class = split_targets(y, outputs.dtype)
    parameter = outputs.dtype.type(LOSSES[loss].parameter or 0)
    return _kernel.mean_losses(_kernel_pieces.KERNEL_LOSSES.index(loss), outputs, y_real, y_class, parameter)


def _copied(views: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: view.copy() for name, view in views.items()}


def activation_parameter(recipe: Recipe) -> float:
    """Returns the number that the activation of a recipe reads, 0 where it reads none."""
    if recipe.activation_parameter is not None:
        return recipe.activation_parameter
    return ACTIVATIONS[recipe.activation].parameter or 0.0


def flat_rows(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Returns rows (n, ...) as (n, D), contiguous."""
    return np.ascontiguousarray(x.reshape(len(x), -1), dtype=dtype)


def split_targets(y: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Returns targets as the kernel reads them: (n, K) numbers or nothing, and (n,) classes or nothing."""
    if y.ndim == 1:
        return np.empty((0, 0), dtype), np.ascontiguousarray(y, dtype=np.int64)
    return np.ascontiguousarray(y, dtype=dtype), np.empty(0, np.int64)
