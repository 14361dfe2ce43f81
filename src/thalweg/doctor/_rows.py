"""The rows of batches: each once, with what they are compared by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from thalweg.doctor._record._batch import Batch


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of a table or of images.

    Args:
        x: (n, D) inputs, flattened. y: (n,) or (n, K) targets as they were given.
        keys: (n,) hashes of the inputs: rows of equal numbers have equal keys.
    """

    x: np.ndarray
    y: np.ndarray
    keys: np.ndarray

    def __len__(self) -> int:
        """Returns how many."""
        return len(self.keys)

    def distinct(self) -> Rows:
        """Returns each row once, the first of those with one key."""
        first = np.sort(np.unique(self.keys, return_index=True)[1])
        return Rows(x=self.x[first], y=self.y[first], keys=self.keys[first])

    def some(self, most: int) -> Rows:
        """Returns at most so many, evenly spread."""
        if len(self) <= most:
            return self
        places = np.linspace(0, len(self) - 1, most).astype(int)
        return Rows(x=self.x[places], y=self.y[places], keys=self.keys[places])


def rows_of(batches: Iterable[Batch], most: int = 20_000) -> Rows | None:
    """Returns the rows of batches; None where inputs are no tensors of numbers, of one shape, with a target each.

    Args:
        batches: In order. most: rows.
    """
    inputs: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    num = 0
    for batch in batches:
        x, target = batch.inputs, batch.target
        if not (isinstance(x, torch.Tensor) and isinstance(target, torch.Tensor) and x.is_floating_point()):
            return None
        if x.ndim < 2 or target.ndim < 1 or len(x) != len(target) or (inputs and x[0].numel() != inputs[0].shape[1]):
            return None
        inputs.append(x.detach().float().cpu().flatten(1).numpy())
        targets.append(target.detach().cpu().numpy())
        num += len(x)
        if num >= most:
            break
    if num == 0:
        return None
    x = np.ascontiguousarray(np.concatenate(inputs))
    return Rows(x=x, y=np.concatenate(targets), keys=keys_of(x))


def keys_of(x: np.ndarray) -> np.ndarray:
    """Returns (n,) hashes of the rows of x.

    Example:
        >>> keys = keys_of(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))
        >>> bool(keys[0] == keys[2]), bool(keys[0] == keys[1])
        (True, False)
    """
    return np.array([hash(row.tobytes()) for row in x], np.int64)
