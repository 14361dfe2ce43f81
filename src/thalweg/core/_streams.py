"""Counter-based random bits: every draw is a pure function of (seed, purpose, step, index).

SplitMix64 with random access: the i-th output of the stream with key k is mix(k + (i + 1) * GAMMA). No state is
carried from draw to draw, so a member draws the same numbers alone, in company and after a resume, and a
plain script can repeat them with six lines of NumPy.

References:
    Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014, section 5 (SplitMix64).
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

GAMMA = 0x9E3779B97F4A7C15
_M1 = 0xBF58476D1CE4E5B9
_M2 = 0x94D049BB133111EB
_MASK = (1 << 64) - 1


class Purpose(IntEnum):
    """What a draw is for; part of its key, so that two purposes never share numbers."""

    ORDER = 1
    INIT = 2
    DROPOUT = 3
    PROPOSAL = 4
    SPLIT = 5
    SPACE = 6
    MODULE = 7
    RESAMPLE = 8


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * _M1) & _MASK
    z = ((z ^ (z >> 27)) * _M2) & _MASK
    return z ^ (z >> 31)


def derive_key(seed: int, *words: int) -> int:
    """Returns the 64-bit key of the stream (seed, words...); a chain of SplitMix64 mixes.

    Args:
        seed: Any integer.
        words: Purpose, step, layer, ...: integers.

    Example:
        >>> derive_key(0, Purpose.ORDER, 3) == derive_key(0, Purpose.ORDER, 3)
        True
        >>> derive_key(0, Purpose.ORDER, 3) == derive_key(0, Purpose.INIT, 3)
        False
    """
    key = _mix((int(seed) + GAMMA) & _MASK)
    for word in words:
        key = chain_key(key, word)
    return key


def chain_key(key: int, word: int) -> int:
    """Returns the key of a stream with one word more.

    Example:
        >>> chain_key(derive_key(0, Purpose.DROPOUT), 5) == derive_key(0, Purpose.DROPOUT, 5)
        True
    """
    return _mix((key + (int(word) + 1) * GAMMA) & _MASK)


def draw_bits(key: int, num: int) -> np.ndarray:
    """Returns the first `num` outputs of the stream, (num,) uint64."""
    z = np.uint64(key) + np.arange(1, num + 1, dtype=np.uint64) * np.uint64(GAMMA)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_M1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_M2)
    return z ^ (z >> np.uint64(31))


def draw_uniform(key: int, num: int) -> np.ndarray:
    """Returns the first `num` uniform draws in [0, 1) with 24 bits each, (num,) float64.

    24 bits, so that the same draw is exact in float32 and a comparison with a rate has one answer in
    every precision.

    Example:
        >>> bool((draw_uniform(derive_key(7), 1000) < 1).all())
        True
    """
    return (draw_bits(key, num) >> np.uint64(40)).astype(np.float64) * 2.0**-24


def draw_permutation(key: int, num: int) -> np.ndarray:
    """Returns a permutation of range(num), (num,) int64: the stable order of the stream's bits.

    Example:
        >>> sorted(draw_permutation(derive_key(1, Purpose.ORDER, 0), 5).tolist())
        [0, 1, 2, 3, 4]
    """
    return np.argsort(draw_bits(key, num)).astype(np.int64, copy=False)  # no two of 64 bits are the same


def epoch_order(seed: int, epoch: int, num_rows: int) -> np.ndarray:
    """Returns the row order of one epoch of the stream of `seed`, (num_rows,) int64.

    The order does not depend on the batch size; a batch is a slice of it, so members of different batch
    size are paired by epoch.
    """
    return draw_permutation(derive_key(seed, Purpose.ORDER, epoch), num_rows)
