"""The rows of batches: each once, with what they are compared by."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from thalweg.doctor._record._batch import Batch, tensors_of

#: arguments that hold the answer, for models that compute their loss themselves
_ANSWERS = frozenset({"label", "labels", "target", "targets"})


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of a table, of images, or of token ids.

    Args:
        x: (n, D) the first inputs, flattened: float32, or int64 where they are codes. y: (n,) or (n, K) targets as they
            were given; (n, 0) where a row has none.
        beside: (n, E) numbers of the other inputs that have rows, flattened.
        coded: Whether any input is a code, such as a token id: its size means nothing.
        keys: (n,) hashes of all inputs: rows of equal numbers have equal keys.
    """

    x: np.ndarray
    y: np.ndarray
    beside: np.ndarray
    coded: bool
    keys: np.ndarray

    def __len__(self) -> int:
        """Returns how many."""
        return len(self.keys)

    def at(self, places: np.ndarray) -> Rows:
        """Returns the rows at some places, or of a mask."""
        return Rows(
            x=self.x[places],
            y=self.y[places],
            beside=self.beside[places],
            coded=self.coded,
            keys=self.keys[places],
        )

    def distinct(self) -> Rows:
        """Returns each row once, the first of those with one key."""
        return self.at(np.sort(np.unique(self.keys, return_index=True)[1]))

    def some(self, most: int) -> Rows:
        """Returns at most so many, evenly spread."""
        return self if len(self) <= most else self.at(np.linspace(0, len(self) - 1, most).astype(int))

    @property
    def columns(self) -> np.ndarray:
        """(n, D + E) numbers of all inputs."""
        return np.concatenate([self.x, self.beside], axis=1) if self.beside.shape[1] else self.x


def shared_parts(batches: Iterable[Batch]) -> list[int]:
    """Returns the numbers of the inputs with rows, in order, whose rows have one shape in all batches.

    Example:
        >>> one = Batch(args=(torch.zeros(4, 2), torch.zeros(4, 3)), kwargs={}, target=None)
        >>> two = Batch(args=(torch.zeros(4, 2), torch.zeros(4, 5)), kwargs={}, target=None)
        >>> shared_parts([one, two])
        [0]
    """
    kinds = [[(t.shape[1:], t.is_floating_point()) for t in _parts(batch)] for batch in batches]
    least = min(map(len, kinds), default=0)
    return [k for k in range(least) if len({each[k] for each in kinds}) == 1]


def rows_of(batches: Iterable[Batch], parts: Collection[int], most: int = 20_000) -> Rows | None:
    """Returns the rows of batches; None where the first inputs are no tensors of one shape with columns.

    Args:
        batches: In order. parts: inputs by which rows are told apart, as `shared_parts` numbers them. most: rows.
    """
    inputs: list[list[np.ndarray]] = []
    targets: list[np.ndarray] = []
    num, coded = 0, False
    for batch in batches:
        own = [t for k, t in enumerate(_parts(batch)) if k in parts]
        if 0 not in parts or not own or own[0].ndim < 2:
            return None
        inputs.append([_flat(t) for t in own])
        targets.append(_targets(batch))
        coded = coded or any(map(_is_code, own))
        num += len(batch)
        if num >= most:
            break
    if num == 0:
        return None
    if len({each.shape[1:] for each in targets}) > 1:
        targets = [np.zeros((len(each), 0)) for each in targets]
    first, *beside = (np.ascontiguousarray(np.concatenate(each)) for each in zip(*inputs, strict=True))
    return Rows(
        x=first,
        y=np.concatenate(targets),
        beside=np.concatenate([np.zeros((num, 0), np.float32), *(each.astype(np.float32) for each in beside)], axis=1),
        coded=coded,
        keys=_keys_of([first, *beside]),
    )


def keys_of(batch: Batch, parts: Collection[int]) -> np.ndarray:
    """Returns (n,) hashes of the rows of a batch, as `Rows` has them.

    Example:
        >>> batch = Batch(args=(torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]),), kwargs={}, target=None)
        >>> keys = keys_of(batch, [0])
        >>> bool(keys[0] == keys[2]), bool(keys[0] == keys[1])
        (True, False)
    """
    return _keys_of([_flat(t) for k, t in enumerate(_parts(batch)) if k in parts])


def _keys_of(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([hash(b"".join(row.tobytes() for row in rows)) for rows in zip(*parts, strict=True)], np.int64)


def _parts(batch: Batch) -> list[torch.Tensor]:
    """Returns the inputs that have a row for each of the batch: not the targets, where the model is given these."""
    if not isinstance(batch.inputs, torch.Tensor) or len(batch) == 0:
        return []
    named = {name: value for name, value in batch.kwargs.items() if name not in _ANSWERS}
    found = [t for t in tensors_of(batch.args, named) if t.ndim > 0 and len(t) == len(batch)]
    return [t for k, t in enumerate(found) if k == 0 or not _is_target(t, batch.target)]


def _is_target(value: torch.Tensor, target: Any) -> bool:
    if not isinstance(target, torch.Tensor) or value.numel() != target.numel():
        return False
    return bool((value.flatten() == target.flatten()).all())


def _is_code(value: torch.Tensor) -> bool:
    return not (value.is_floating_point() or value.is_complex() or value.dtype == torch.bool)


def _flat(value: torch.Tensor) -> np.ndarray:
    """Returns (n, D) numbers of a tensor: of float32, or int64 where they are codes."""
    value = value.detach().cpu()
    value = value.long() if _is_code(value) else value.float()
    return np.ascontiguousarray(value.reshape(len(value), -1).numpy())


def _targets(batch: Batch) -> np.ndarray:
    """Returns (n,) or (n, K) targets of the rows; (n, 0) where they have none, or not each as many."""
    target, num = batch.target, len(batch)
    if not isinstance(target, torch.Tensor) or target.ndim < 1 or len(target) % num:
        return np.zeros((num, 0))
    target = target.detach().cpu()
    return (target if len(target) == num else target.reshape(num, -1)).numpy()
