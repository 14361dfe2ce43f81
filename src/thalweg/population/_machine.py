"""What the programs of torch share about the machine: threads, precision, memory, and the rows of a task on it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import TypeVar

import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from thalweg.core import RunError
from thalweg.models import load_module
from thalweg.population._contract import Settings
from thalweg.recipes import Recipe
from thalweg.tasks import Task

T = TypeVar("T")


def refuse_machine(task: Task, recipe: Recipe, settings: Settings) -> str | None:
    """Returns why no program of torch runs a recipe under the settings, in a clause, or None."""
    if settings.device == "cuda" and not torch.cuda.is_available():
        return "this torch finds no CUDA device"
    if settings.precision == "tf32" and settings.device != "cuda":
        return "tf32 is a mode of CUDA's matrix units"
    if settings.micro_batch is not None and has_batch_norm(task, recipe):
        return "batch norm would take its statistics from a micro-batch in place of the batch"
    return None


def has_batch_norm(task: Task, recipe: Recipe) -> bool:
    """Returns whether a recipe's model has batch statistics."""
    if ":" not in recipe.model:
        return recipe.norm == "batch" and recipe.model != "linear"
    return _module_has_batch_norm(recipe.model, tuple(task.input_shape), task.output_size)


@cache
def _module_has_batch_norm(model: str, input_shape: tuple[int, ...], output_size: int) -> bool:
    with torch.random.fork_rng(devices=[]):
        module = load_module(model, input_shape, output_size)
    return any(isinstance(part, _BatchNorm) for part in module.modules())


@contextlib.contextmanager
def machine(settings: Settings, *, threads: int | None = None) -> Iterator[None]:
    """Sets torch's threads, and on CUDA the precision of float32 products, and sets them back.

    Args:
        settings: What the program was told.
        threads: Inside each operation; None for those of the settings.
    """
    before = torch.get_num_threads()
    matmul, convolution = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_num_threads(threads or settings.threads)
    if settings.device == "cuda":
        torch.set_float32_matmul_precision("high" if settings.precision == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = settings.precision == "tf32"
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if settings.device == "cuda":
            torch.set_float32_matmul_precision(matmul)
            torch.backends.cudnn.allow_tf32 = convolution


def half_precision(settings: Settings) -> contextlib.AbstractContextManager[object]:
    """Returns the context of a training forward pass: products in bfloat16 where the settings ask for it.

    Weights stay float32, and so does evaluation.
    """
    return torch.autocast(settings.device, torch.bfloat16, enabled=settings.precision == "bfloat16")


class TrainingRows:
    """The training rows on the device of the settings: inputs in the precision of the weights, targets.

    Args:
        x: (N, ...). y: (N,) classes or (N, K) numbers.
    """

    def __init__(self, task: Task, settings: Settings) -> None:
        self.device = torch.device(settings.device)
        self.real = torch.float64 if settings.dtype == np.float64 else torch.float32
        self.x = self.inputs(task.train.x)
        y = torch.from_numpy(np.ascontiguousarray(task.train.y)).to(self.device)
        self.y = y if y.dtype == torch.int64 else y.to(self.real)

    def inputs(self, x: np.ndarray) -> torch.Tensor:
        """Returns rows as a tensor of the device."""
        return torch.from_numpy(np.ascontiguousarray(x)).to(self.device, self.real)

    def tensors(self, arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
        """Returns copies of arrays as tensors of the device, in the precision of the weights."""
        copies = {name: torch.from_numpy(np.array(a)).to(self.device) for name, a in arrays.items()}
        return {name: t.to(self.real) if t.is_floating_point() else t for name, t in copies.items()}


class MicroBatch:
    """The most rows of a batch in memory at once; halved when memory runs out.

    Args:
        size: Rows, or None for whole batches.
        notes: Where a line about each halving goes.
    """

    def __init__(self, size: int | None, notes: list[str]) -> None:
        self.size, self.notes = size, notes

    def slices(self, batch_size: int) -> list[tuple[int, int]]:
        """Returns (first row, number of rows) of each slice of a batch.

        Example:
            >>> MicroBatch(4, []).slices(10)
            [(0, 4), (4, 4), (8, 2)]
        """
        size = batch_size if self.size is None else min(self.size, batch_size)
        return [(first, min(size, batch_size - first)) for first in range(0, batch_size, size)]

    def attempt(self, work: Callable[[], T], *, batch_size: int, batch_norm: bool) -> T:
        """Returns what `work` returns; where memory runs out, halves the micro-batch and repeats it.

        Raises:
            RunError: where one row does not fit, or batch norm needs the whole batch.
        """
        while True:
            try:
                return work()
            except torch.OutOfMemoryError as error:
                rows = min(self.size or batch_size, batch_size)
                if rows == 1 or batch_norm:
                    reason = "batch norm needs the whole batch" if batch_norm else "one row at a time does not fit"
                    raise RunError(f"The device is out of memory, and {reason}. Take fewer members or rows.") from error
                self.size = rows // 2
            # outside the handler, where the failed step's tensors are gone
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self.notes.append(f"The device was out of memory: batches are taken {self.size} rows at a time.")
