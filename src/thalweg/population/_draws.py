"""Counter-based uniform draws as tensors: the bits of `core.draw_uniform`, on the device and under vmap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba import njit

from thalweg.core import GAMMA, chain_key
from thalweg.population._kernel_cache import kept_in_cache

_MASK = (1 << 64) - 1
_M1, _M2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_U1, _U2, _UG = np.uint64(_M1), np.uint64(_M2), np.uint64(GAMMA)
_S30, _S27, _S31, _S40 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(40)


def signed(bits: int) -> int:
    """Returns the int64 with the bits of a uint64: torch counts in int64, which wraps alike.

    Example:
        >>> signed(2**64 - 1)
        -1
    """
    return bits - (1 << 64) if bits >= 1 << 63 else bits


@torch.library.custom_op("thalweg::uniform", mutates_args=())
def uniform(keys: torch.Tensor, word: int, start: int, num: int) -> torch.Tensor:
    """Returns draws start, ..., start + num - 1 of the streams derive_key(key, word), (..., num) float32.

    It is an operator of torch so that vmap sees one call for all members, and each stream is drawn once.

    Args:
        keys: (...) int64, the bits of the keys.
        word: Last word of the key: a layer, or the number of a call.
        start: First index.
        num: Draws of each stream.

    Example:
        >>> from thalweg.core import derive_key, draw_uniform
        >>> key = torch.tensor(signed(derive_key(7, 1)))
        >>> uniform(key, 2, 0, 3).tolist() == draw_uniform(derive_key(7, 1, 2), 3).tolist()
        True
    """
    if keys.device.type != "cpu":
        return torch_uniform(keys, word, start, num)
    found = torch.empty((*keys.shape, num), dtype=torch.float32)
    drawn: dict[int, np.ndarray] = {}
    for key, row in zip(keys.reshape(-1).tolist(), found.reshape(-1, num).numpy(), strict=True):
        if key in drawn:
            row[...] = drawn[key]
        else:
            _draw_into(row, key, word, start)
            drawn[key] = row
    return found


def _draw_into(row: np.ndarray, key: int, word: int, start: int) -> np.ndarray:
    _fill(np.uint64((chain_key(key, word) + (start + 1) * GAMMA) & _MASK), row)
    return row


def _fill_one(key: Any, row: Any) -> None:
    for i in range(row.size):  # over one row: with two dims the loop is not vectorised
        z = key + np.uint64(i) * _UG
        z = (z ^ (z >> _S30)) * _U1
        z = (z ^ (z >> _S27)) * _U2
        row[i] = np.float32((z ^ (z >> _S31)) >> _S40) * np.float32(2.0**-24)


with kept_in_cache():
    _fill = njit(nogil=True, cache=True)(_fill_one)


def torch_uniform(keys: torch.Tensor, word: int, start: int, num: int) -> torch.Tensor:
    """Returns what `uniform` returns, in torch's own arithmetic: for devices without numba."""
    key = _mix(keys + signed((word + 1) * GAMMA & _MASK))
    index = torch.arange(start + 1, start + num + 1, dtype=torch.int64, device=keys.device)
    z = _mix(key.unsqueeze(-1) + index * signed(GAMMA))
    return _shifted(z, 40).to(torch.float32) * 2.0**-24


def _mix(z: torch.Tensor) -> torch.Tensor:
    z = (z ^ _shifted(z, 30)) * signed(_M1)
    z = (z ^ _shifted(z, 27)) * signed(_M2)
    return z ^ _shifted(z, 31)


def _shifted(z: torch.Tensor, places: int) -> torch.Tensor:
    # torch shifts int64 with its sign: the mask takes the copies of the sign away
    return (z >> places) & ((1 << (64 - places)) - 1)


@uniform.register_fake
def _(keys: torch.Tensor, word: int, start: int, num: int) -> torch.Tensor:
    return keys.new_empty((*keys.shape, num), dtype=torch.float32)


def _over_members(info: Any, in_dims: tuple[Any, ...], keys: torch.Tensor, word: int, start: int, num: int) -> Any:
    return uniform(keys.movedim(in_dims[0], 0), word, start, num), 0


uniform.register_vmap(_over_members)


class Draws:
    """The random draws of one forward pass of one member, or of each lane under vmap.

    Args:
        key: Of (seed, purpose, step): the number itself for a member alone on a CPU, else its bits in int64, () or,
            for lanes that are not under vmap, (L,).
        first: First row of the slice of the batch that is run; 0 for a whole batch.
        num_rows: Rows of the slice. Draws of a tensor whose leading dim follows the batch are those of its rows.
    """

    def __init__(self, key: torch.Tensor | int, *, first: int = 0, num_rows: int = 1) -> None:
        self.key, self.first, self.num_rows = key, first, num_rows

    def uniform(self, word: int, shape: Sequence[int]) -> torch.Tensor:
        """Returns draws in [0, 1) of 24 bits, of `shape` for each key, float32."""
        num = math.prod(shape)
        per_row = num // self.num_rows if num % self.num_rows == 0 else 0
        start = self.first * per_row
        if isinstance(self.key, int):  # without the operator of torch, which costs more than a small draw
            return torch.from_numpy(_draw_into(np.empty(num, np.float32), self.key, word, start)).reshape(*shape)
        return uniform(self.key, word, start, num).reshape(*self.key.shape, *shape)
