"""The contract between a population and the programs that advance it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from thalweg.core import check_choice, check_number, epoch_order
from thalweg.optim import RULES, SCHEDULES
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The state of one member in canonical form: any program of an equal structure can go on from it.

    Args:
        params: `state_dict` name -> array.
        slots: Optimizer slot -> name -> array.
        buffers: Name -> array (running statistics).
        step: Steps done.
        optimizer: The rule to which the slots belong.
    """

    params: dict[str, np.ndarray]
    slots: dict[str, dict[str, np.ndarray]]
    buffers: dict[str, np.ndarray]
    step: int
    optimizer: str


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The steps of one member: batches, epochs and the horizon of its schedule."""

    batch_size: int
    steps_per_epoch: int
    total_steps: int

    @classmethod
    def of(cls, recipe: Recipe, num_rows: int) -> Pace:
        """Returns the pace of a recipe on so many training rows; the remainder of an epoch is left out."""
        batch_size = num_rows if recipe.batch_size is None else recipe.batch_size
        steps_per_epoch = num_rows // batch_size
        return cls(batch_size=batch_size, steps_per_epoch=steps_per_epoch, total_steps=steps_per_epoch * recipe.epochs)


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """How large a model is.

    Args:
        parameters: Numbers that are trained.
        buffers: Numbers that are not: running statistics, frozen parameters.
        flops: Floating-point operations of one row forward.
        activations: Numbers that one row leaves for the backward pass.
    """

    parameters: int
    buffers: int
    flops: float
    activations: int


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What members take of the memory, in bytes.

    Args:
        shared: Once, whatever the members: the data in the form that the program reads, the row orders.
        member: What a member keeps between its steps.
        working: What a member needs while it trains, beside that; as often as members train side by side.
        saving: What a member needs on the host while a checkpoint is written.
    """

    shared: int
    member: int
    working: int
    saving: int

    def total(self, num_members: int, lanes: int, *, on_host: bool = True) -> int:
        """Returns the bytes of so many members that train `lanes` at a time."""
        training = min(num_members, lanes) * self.working
        saving = num_members * self.saving if on_host else 0
        return self.shared + num_members * self.member + max(training, saving)


#: row orders that a program keeps for the members that share them
_MOST_ORDERS = 64

PRECISIONS = ("float32", "float64", "bfloat16", "tf32")
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every program of a run is told about the machine. Under equal settings a member gives equal bits.

    Args:
        precision: Of the matrix products. Weights and optimizer state are float64 for float64, else float32.
        threads: Cores that work side by side.
        device: Where the members train.
        micro_batch: Most rows of a batch in memory at once; None for whole batches. The gradient is of the batch.

    Raises:
        InputError: for a precision or device that there is not, no threads, an empty micro-batch.
    """

    precision: str = "float32"
    threads: int = 1
    device: str = "cpu"
    micro_batch: int | None = None

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("device", self.device, DEVICES)
        check_number("threads", self.threads, least=1, integer=True)
        if self.micro_batch is not None:
            check_number("micro_batch", self.micro_batch, least=1, integer=True)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of weights and optimizer state."""
        return np.dtype(np.float64 if self.precision == "float64" else np.float32)


class Program(ABC):
    """How a cohort advances. One conformance suite holds every program to this contract.

    A member's result depends on its recipe, its seed and its start, never on its company, its place or how its steps
    were cut into calls of `advance`.

    Attributes:
        members: The cohort, in order.
        step: (P,) steps done.
        diverged_at: (P,) the step at which the loss stopped being finite, -1 while it is. Such a member stays frozen.
        notes: Lines for the user about what the machine made necessary.
    """

    name: ClassVar[str]

    def __init__(self, task: Task, members: Sequence[Member], settings: Settings) -> None:
        self.task = task
        self.members = list(members)
        self.settings = settings
        self.dtype = settings.dtype
        num_rows = len(task.train.rows)
        self.paces = [Pace.of(member.recipe, num_rows) for member in members]
        self.step = np.zeros(len(self.members), np.int64)
        self.diverged_at = np.full(len(self.members), -1, np.int64)
        self.notes: list[str] = []
        self._orders: dict[tuple[int, int], np.ndarray] = {}
        self._orders_lock = threading.Lock()

    @classmethod
    @abstractmethod
    def refuses(cls, task: Task, recipe: Recipe, settings: Settings) -> str | None:
        """Returns why this program cannot run the recipe under the settings, in a clause, or None where it can."""

    @classmethod
    def side_by_side(cls, recipe: Recipe, settings: Settings) -> int:
        """Returns how many members of a recipe train side by side: a step of fewer takes as long."""
        return 1

    @classmethod
    def structure(cls, recipe: Recipe) -> Hashable:
        """Returns what members must have in common to train side by side; None where they need nothing."""
        return None

    @classmethod
    def memory(cls, task: Task, recipe: Recipe, settings: Settings, size: ModelSize) -> Memory:
        """Returns what members of a recipe take of the memory under the settings.

        Args:
            task: What is optimised.
            recipe: Of the members.
            settings: Of the run.
            size: Of the recipe's model.
        """
        real = settings.dtype.itemsize
        batch = Pace.of(recipe, len(task.train.rows)).batch_size
        rows = min(batch, settings.micro_batch or batch)
        state = real * (size.parameters * (1 + num_slots(recipe)) + size.buffers)
        outputs = real * len(task.validation.rows) * task.output_size
        return Memory(
            shared=shared_bytes(task, settings),
            member=state + outputs,
            working=state + real * (2 * size.parameters + rows * size.activations),
            saving=state,
        )

    @abstractmethod
    def advance(self, num_steps: np.ndarray, lr_scale: np.ndarray) -> list[np.ndarray]:
        """Trains each member for its number of steps.

        Args:
            num_steps: (P,) steps, 0 for members that rest.
            lr_scale: (P,) factor on the scheduled step size (reduce-on-plateau).

        Returns:
            losses: per member (steps done,), the mean loss of every batch; shorter than asked where it diverged.
        """

    @abstractmethod
    def outputs(self, which: Sequence[int], x: np.ndarray) -> list[np.ndarray]:
        """Returns per member the outputs (before the link) for rows x, (n, K), in evaluation mode."""

    @abstractmethod
    def snapshot(self, index: int) -> Snapshot:
        """Returns a copy of a member's state."""

    def snapshots(self, which: Sequence[int]) -> list[Snapshot]:
        """Returns a copy of the state of members."""
        return [self.snapshot(index) for index in which]

    @abstractmethod
    def restore(self, index: int, snapshot: Snapshot) -> None:
        """Sets a member's state; the slots are dropped where they belong to another rule."""

    @abstractmethod
    def eval_params(self, index: int) -> dict[str, np.ndarray]:
        """Returns a copy of the parameters that the member predicts with."""

    @abstractmethod
    def num_parameters(self, index: int) -> int:
        """Returns the number of trained parameters of a member."""

    @abstractmethod
    def release(self, index: int) -> None:
        """Lets a member's memory go; it can only be asked for its counters afterwards."""

    @property
    def cores(self) -> int:
        """Cores over which the members are spread."""
        return self.settings.threads

    def cost(self, index: int) -> float:
        """Returns the arithmetic of one step of a member, in floating-point operations."""
        n = self.num_parameters(index)
        return 6.0 * n * self.paces[index].batch_size + 12.0 * n + 1e4

    def hyper(self, index: int, t: np.ndarray | int, lr_scale: float) -> dict[str, Any]:
        """Returns the hyper-parameters of a member at steps t (from 1), with the scheduled step size."""
        member = self.members[index]
        recipe = member.recipe
        values = {name: getattr(recipe, name) for name in RULES[recipe.optimizer].hyper if name != "seed"}
        values["lr"] = self.lr(index, t, lr_scale)
        values["seed"] = member.seed
        return values

    def lr(self, index: int, t: np.ndarray | int, lr_scale: float) -> Any:
        """Returns the scheduled step size of a member at steps t (from 1), of the shape of t."""
        found = self.members[index].recipe.lr * lr_scale * self.schedule_factor(index, t)
        return found if np.ndim(t) else float(found)

    def schedule_factor(self, index: int, t: np.ndarray | int) -> Any:
        """Returns what the schedule of a member multiplies its step size by at steps t (from 1), of the shape of t."""
        recipe = self.members[index].recipe
        schedule = SCHEDULES[recipe.schedule]
        if schedule.shape is None:
            return np.ones(np.shape(t))
        return schedule.factor(
            np.asarray(t) - 1,
            self.paces[index].total_steps,
            warmup=recipe.warmup,
            schedule_gamma=recipe.schedule_gamma,
        )

    def epoch_rows(self, seed: int, epoch: int) -> np.ndarray:
        """Returns the row order of an epoch, kept for the members that share the stream."""
        key = (seed, epoch)
        with self._orders_lock:  # members of one program ask from several threads
            if key not in self._orders:
                if len(self._orders) >= _MOST_ORDERS:
                    self._orders.pop(next(iter(self._orders)))
                self._orders[key] = epoch_order(seed, epoch, len(self.task.train.rows))
            return self._orders[key]


def penalty_strengths(recipe: Recipe) -> tuple[float, float]:
    """Returns (l1, l2): the proximal L1 strength and the factor of w in the gradient of the squared part."""
    return recipe.alpha * recipe.l1_ratio, recipe.alpha * (1 - recipe.l1_ratio)


def num_slots(recipe: Recipe) -> int:
    """Returns how many numbers the update rule keeps for each parameter."""
    state = RULES[recipe.optimizer].init({"weight": torch.zeros(1, 1)})
    return sum(len(tree) for tree in state.values() if isinstance(tree, dict))


def shared_bytes(task: Task, settings: Settings) -> int:
    """Returns the bytes of the training rows in the form that a program reads, where that is a copy, and row orders."""
    real, split = settings.dtype.itemsize, task.train
    copied = settings.dtype != split.x.dtype or settings.device != "cpu"
    data = real * (split.x.size + task.validation.x.size) + real * split.y.size
    return (data if copied else 0) + 8 * _MOST_ORDERS * len(split.rows)
