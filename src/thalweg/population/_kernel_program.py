"""The `kernel` program: our own models on a CPU, member by member, one core each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, cast

import numpy as np
from threadpoolctl import ThreadpoolController

from thalweg.core import Purpose, derive_key
from thalweg.models import ACTIVATIONS, Architecture, ConvLayer
from thalweg.optim import NUM_COEFFICIENTS, RULES, ElementwiseRule
from thalweg.population import _kernel, _kernel_layers, _kernel_pieces
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
from thalweg.population._modules import architecture_of, initial_parameters
from thalweg.recipes import Member, Recipe
from thalweg.tasks import LOSSES, Task

_NORMS = {"none": _kernel_layers.NORM_NONE, "batch": _kernel_layers.NORM_BATCH, "layer": _kernel_layers.NORM_LAYER}
#: rows that are predicted at a time, so that what layers keep of them fits into the cache
_CHUNK, _CONV_CHUNK = 256, 16
#: segments start on a boundary of 16 numbers, so that the same shapes have the same alignment
_ALIGN = 16


class _Packing:
    """Where each parameter of an architecture lies in a member's flat vector."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.places, self.size = _lay_out(architecture.parameters)
        self.buffer_places, self.buffer_size = _lay_out(architecture.buffers)
        self.layers = _layer_table(architecture, self.places, self.buffer_places)
        self.num_parameters = architecture.num_params
        is_cnn = any(isinstance(layer, ConvLayer) for layer in architecture.hidden)
        self.chunk = _CONV_CHUNK if is_cnn else _CHUNK

    def unpack(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Returns views of a flat vector by parameter name, in torch's layout; matrices lie there as (in, out)."""
        views = {name: flat[at : at + math.prod(shape)] for name, (at, shape) in self.places.items()}
        return {
            name: views[name].reshape(shape[::-1]).T if len(shape) == 2 else views[name].reshape(shape)
            for name, (_, shape) in self.places.items()
        }

    def unpack_buffers(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Returns views of a flat vector by buffer name."""
        return {
            name: flat[at : at + math.prod(shape)].reshape(shape) for name, (at, shape) in self.buffer_places.items()
        }


def _lay_out(specs: Sequence[Any]) -> tuple[dict[str, tuple[int, tuple[int, ...]]], int]:
    places: dict[str, tuple[int, tuple[int, ...]]] = {}
    top = 0
    for spec in specs:
        places[spec.name] = (top, spec.shape)
        top += -(-math.prod(spec.shape) // _ALIGN) * _ALIGN
    return places, top


def _layer_table(architecture: Architecture, places: dict[str, Any], buffer_places: dict[str, Any]) -> np.ndarray:
    """Returns the (L, 15) rows that the kernel reads, in the order of the layers."""
    k = _kernel_layers
    by_role: dict[tuple[int, str], int] = {}
    for spec in architecture.parameters:
        by_role[spec.layer, spec.role] = places[spec.name][0]
    for spec in architecture.buffers:
        by_role[spec.layer, "running_var" if spec.start else "running_mean"] = buffer_places[spec.name][0]
    num_layers = len(architecture.hidden) + 1
    table = np.full((num_layers, k.NUM_COLUMNS), -1, np.int64)
    table[:, k.HEIGHT] = table[:, k.WIDTH] = 0
    for index in range(num_layers):
        row = table[index]
        row[k.WEIGHT], row[k.BIAS] = by_role[index, "weight"], by_role[index, "bias"]
        if index == len(architecture.hidden):
            row[k.IN] = architecture.hidden[-1].out_dim if architecture.hidden else architecture.in_dim
            row[k.OUT], row[k.PIECES], row[k.NORM] = architecture.output_size, 1, k.NORM_NONE
            continue
        layer = architecture.hidden[index]
        if isinstance(layer, ConvLayer):
            row[k.IN], row[k.OUT], row[k.HEIGHT], row[k.WIDTH] = (
                layer.in_channels,
                layer.channels,
                layer.height,
                layer.width,
            )
            dropout = 0  # the only one of a CNN
        else:
            row[k.IN], row[k.OUT] = layer.in_dim, layer.out_dim
            dropout = index
        row[k.PIECES], row[k.NORM] = layer.pieces, _NORMS[layer.norm]
        row[k.DROPOUT] = dropout if layer.dropout else -1
        row[k.ACTIVATION] = _kernel_pieces.KERNEL_ACTIVATIONS.index(layer.activation)
        for column, role in (
            (k.SCALE, "norm_scale"),
            (k.SHIFT, "norm_shift"),
            (k.SLOPE, "activation"),
            (k.MEAN, "running_mean"),
            (k.VAR, "running_var"),
        ):
            row[column] = by_role.get((index, role), -1)
    return table


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
        self._x = _flat_rows(task.train.x, self.dtype)
        self._y_real, self._y_class = _targets(task.train.y, self.dtype)
        self._packings: dict[Any, _Packing] = {}
        self._starts: dict[Any, dict[str, np.ndarray]] = {}
        self._packing: list[_Packing] = []
        self._rules: list[ElementwiseRule] = []
        self._states: list[_State | None] = []
        for index, member in enumerate(self.members):
            self._add(index, member)
        self._starts.clear()

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
        packing = _Packing(architecture_of(recipe, task.input_shape, task.output_size))
        slots = len(cast(ElementwiseRule, RULES[recipe.optimizer]).slots)
        state = packing.size * (1 + slots) + packing.buffer_size
        batch = Pace.of(recipe, len(task.train.rows)).batch_size
        lay_out = _kernel_layers.lay_out_scratch.py_func  # called once: not worth a compilation
        train, predict = (int(lay_out(packing.layers, rows)[1]) for rows in (batch, packing.chunk))
        training = packing.size + train + batch * math.prod(task.input_shape)
        outputs = len(task.validation.rows) * task.output_size
        real = settings.dtype.itemsize
        return Memory(
            shared=shared_bytes(task, settings),
            member=real * (state + outputs),
            working=real * max(training, predict),
            saving=real * state,
        )

    def _add(self, index: int, member: Member) -> None:
        recipe = member.recipe
        architecture = architecture_of(recipe, self.task.input_shape, self.task.output_size)
        packing = self._packings.setdefault(architecture, _Packing(architecture))
        rule = RULES[recipe.optimizer]
        assert isinstance(rule, ElementwiseRule)
        self._packing.append(packing)
        self._rules.append(rule)
        state = _State(
            theta=np.zeros(packing.size, self.dtype),
            slots=np.zeros((len(rule.slots), packing.size), self.dtype),
            buffers=np.zeros(packing.buffer_size, self.dtype),
        )
        self._states.append(state)
        if member.start is not None:
            self.restore(index, member.start)
            return
        start = self._start(architecture, member)
        for name, view in packing.unpack(state.theta).items():
            view[...] = start[name]
        buffers = packing.unpack_buffers(state.buffers)
        for spec in architecture.buffers:
            buffers[spec.name][...] = spec.start
        self._reset_slots(index)

    def _start(self, architecture: Architecture, member: Member) -> dict[str, np.ndarray]:
        """Returns the initial parameters; members of one seed, init and shape share one draw."""
        recipe = member.recipe
        key = (architecture, recipe.init, recipe.init_scale, recipe.activation_parameter, member.seed)
        if key not in self._starts:
            start = initial_parameters(self.task, recipe, member.seed)
            self._starts[key] = {name: value.numpy() for name, value in start.items()}
        return self._starts[key]

    def _state(self, index: int) -> _State:
        state = self._states[index]
        assert state is not None, "the member was released"
        return state

    def _reset_slots(self, index: int) -> None:
        rule, state = self._rules[index], self._state(index)
        for number, slot in enumerate(rule.slots):
            state.slots[number] = state.theta if slot in (rule.start or {}) else 0

    def advance(self, num_steps: np.ndarray, lr_scale: np.ndarray) -> list[np.ndarray]:
        """Trains each member for its number of steps, the longest first, one core each."""
        losses: list[np.ndarray] = [np.empty(0)] * len(self.members)

        def work(index: int) -> None:
            losses[index] = self._train(index, int(num_steps[index]), float(lr_scale[index]))

        active = [i for i in range(len(self.members)) if num_steps[i] > 0 and self.diverged_at[i] < 0]
        active.sort(key=lambda i: -self.cost(i) * float(num_steps[i]))
        self._each(work, active)
        return losses

    def _each(self, work: Callable[[int], None], which: Sequence[int]) -> None:
        # one BLAS thread: the cores are shared out over members
        with _blas().limit(limits=1, user_api="blas"):
            if self.settings.threads == 1 or len(which) < 2:
                for index in which:
                    work(index)
            else:
                waiting = iter(which)  # each thread takes the next one, which costs less than a future for each

                def drain(thread: int) -> None:
                    for index in waiting:
                        work(index)

                with ThreadPoolExecutor(self.settings.threads) as pool:
                    list(pool.map(drain, range(self.settings.threads)))

    def _train(self, index: int, num_steps: int, lr_scale: float) -> np.ndarray:
        member, pace, packing = self.members[index], self.paces[index], self._packing[index]
        recipe, state = member.recipe, self._state(index)
        first = int(self.step[index])
        real = self.dtype.type
        coefficients = self._coefficients(index, np.arange(first + 1, first + num_steps + 1), lr_scale)
        first_epoch = first // pace.steps_per_epoch
        last_epoch = (first + num_steps - 1) // pace.steps_per_epoch
        orders = [self.epoch_rows(member.seed, e) for e in range(first_epoch, last_epoch + 1)]
        order = np.stack(orders) if len(orders) > 1 else orders[0][None]
        l1, l2 = penalty_strengths(recipe)
        losses = np.empty(num_steps)
        done = _kernel.train(
            packing.layers,
            state.theta,
            state.slots,
            state.buffers,
            self._x,
            self._y_real,
            self._y_class,
            order,
            first_epoch,
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
            real(_activation_parameter(recipe)),
            real(l1) if l1 > 0 else None,
            real(l2),
            float(recipe.clip_norm or 0),
            losses,
        )
        self.step[index] = first + done
        if done < num_steps:
            self.diverged_at[index] = first + done
        return losses[:done]

    def _coefficients(self, index: int, t: np.ndarray, lr_scale: float) -> np.ndarray:
        """Returns the coefficients of the update rule at steps t, (len(t), 8)."""
        found = np.empty((len(t), NUM_COEFFICIENTS), self.dtype)
        values = self._rules[index].padded_coefficients(self.hyper(index, t, lr_scale), t)
        for column, value in enumerate(values):
            found[:, column] = value
        return found

    def outputs(self, which: Sequence[int], x: np.ndarray) -> list[np.ndarray]:
        """Returns per member the outputs (before the link) for rows x, (n, K), in evaluation mode."""
        rows = self._x if x is self.task.train.x else _flat_rows(x, self.dtype)
        found: dict[int, np.ndarray] = {}

        def work(index: int) -> None:
            recipe = self.members[index].recipe
            out = np.empty((len(rows), self.task.output_size), self.dtype)
            slope = self.dtype.type(_activation_parameter(recipe))
            packing, theta = self._packing[index], self._eval_theta(index)
            buffers = self._state(index).buffers
            _kernel.predict(packing.layers, theta, buffers, rows, slope, out, packing.chunk)
            found[index] = out

        self._each(work, list(dict.fromkeys(which)))
        return [found[index] for index in which]

    def _eval_theta(self, index: int) -> np.ndarray:
        rule, state = self._rules[index], self._state(index)
        if rule.average is None:
            return state.theta
        t = np.arange(max(int(self.step[index]), 1), max(int(self.step[index]), 1) + 1)
        c = tuple(np.asarray(value, dtype=self.dtype) for value in self._coefficients(index, t, 1.0)[0])
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
        packing, rule, state = self._packing[index], self._rules[index], self._state(index)
        for name, view in packing.unpack(state.theta).items():
            view[...] = snapshot.params[name]
        for name, view in packing.unpack_buffers(state.buffers).items():
            view[...] = snapshot.buffers[name]
        self._reset_slots(index)
        if snapshot.optimizer == rule.name:
            for k, slot in enumerate(rule.slots):
                for name, view in packing.unpack(state.slots[k]).items():
                    view[...] = snapshot.slots[slot][name]
        self.step[index] = snapshot.step
        self.diverged_at[index] = -1

    def num_parameters(self, index: int) -> int:
        """Returns the number of trained parameters of a member."""
        return self._packing[index].num_parameters

    def release(self, index: int) -> None:
        """Lets a member's memory go; it can only be asked for its counters afterwards."""
        self._states[index] = None


@cache
def _blas() -> ThreadpoolController:
    # looks through the libraries that are loaded, which takes milliseconds: once a process, after SciPy's BLAS, which
    # numba calls, is there
    import scipy.linalg.cython_blas  # noqa: F401

    return ThreadpoolController()


def kernel_losses(loss: str, outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns (M,) mean losses of outputs (M, n, K) against targets, without label smoothing; one core, no torch."""
    y_real, y_class = _targets(y, outputs.dtype)
    parameter = outputs.dtype.type(LOSSES[loss].parameter or 0)
    return _kernel.mean_losses(_kernel_pieces.KERNEL_LOSSES.index(loss), outputs, y_real, y_class, parameter)


def _copied(views: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: view.copy() for name, view in views.items()}


def _activation_parameter(recipe: Recipe) -> float:
    if recipe.activation_parameter is not None:
        return recipe.activation_parameter
    return ACTIVATIONS[recipe.activation].parameter or 0.0


def _flat_rows(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return np.ascontiguousarray(x.reshape(len(x), -1), dtype=dtype)


def _targets(y: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    if y.ndim == 1:
        return np.empty((0, 0), dtype), np.ascontiguousarray(y, dtype=np.int64)
    return np.ascontiguousarray(y, dtype=dtype), np.empty(0, np.int64)
