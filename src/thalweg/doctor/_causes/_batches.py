"""Causes in how rows come in batches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import Change
from thalweg.doctor._record._batch import Batch
from thalweg.doctor._view import EARLY, View

#: share of what is to be known of labels that the place of the batch tells
_TOLD = 0.5
#: rows of a batch over those at which the noise of its gradient is as large as the gradient
_LARGE, _SMALL = 8.0, 1 / 16
_FEW_ROWS, _MANY_ROWS = 4, 64
#: share of the loss of the best constant answer at which there still is something to learn
_UNLEARNT = 0.3
#: steps whose losses are compared by quarters, and how much of the whole fall the last of these must bring
_QUARTERED, _FALLS = 40, 0.1
#: so many batches become one, or one so many; share of the loss that smaller ones come to with the same rows
_FACTOR, _BETTER = 8, 0.8


@cause("sorted_batches", "batches that follow the labels")
def _sorted_batches(view: View) -> Finding | None:
    y = view.labels
    sizes = [len(each.target) for each in view.passes]
    if y is None or len(sizes) < 3:
        return None
    starts = np.cumsum([0, *sizes])
    starts = starts[starts <= len(y)]
    labels = y.numpy()
    whole = _entropy(labels)
    parts = [(labels[a:b], b - a) for a, b in pairwise(starts)]
    if whole < 0.1 or len(parts) < 3 or min(size for _, size in parts) < 2:
        return None
    # by chance a batch of B rows with C classes shows (C - 1) / (2 B) less entropy than there is (Miller, 1955)
    kinds = len(np.unique(labels))
    inside = sum(size * min(whole, _entropy(part) + (kinds - 1) / (2 * size)) for part, size in parts) / starts[-1]
    told = 1 - inside / whole
    if told < _TOLD:
        return None
    return Finding(
        cause="sorted_batches",
        says="Batches follow the labels: each holds few classes, and the next ones others.",
        weight=min(0.97, 0.7 + 0.3 * told),
        evidence=[
            f"The place of a batch tells {told:.0%} of what is to be known of its labels; of shuffled rows it tells 0."
        ],
        remedies=[
            Remedy(
                says="Shuffle the rows in every epoch.",
                change=Change(batches=_shuffled),
                before="DataLoader(data, shuffle=False)",
                after="DataLoader(data, shuffle=True)",
            )
        ],
    )


@cause("batch_too_large", "batches that are uselessly large")
def _batch_too_large(view: View) -> Finding | None:
    size, noise = view.batch_size, view.noise_scale
    if size is None or size < _MANY_ROWS or not size > _LARGE * noise or view.unlearnt() < _UNLEARNT:
        return None
    if _has_come(view.losses) or view.losses[-1] > view.losses[0]:  # more of such steps would not help
        return None
    change = Change(batches=_split, length=lambda steps: _FACTOR * steps)
    tried = view.early(change, EARLY // 2)
    if tried is not None and not tried.is_better(_BETTER):
        return None
    evidence = [
        f"The noise of the gradient equals the gradient at {max(1.0, noise):.3g} rows: beyond that, rows say the same. "
        f"To one loss {1 + size / max(1.0, noise):,.0f} times as many rows are needed as with small batches.",
        f"In {view.recording.num_steps:,} steps the loss came to {view.stays}.",
    ]
    if tried is not None:
        evidence.append(
            f"With the rows of the first {tried.steps:,} batches, the loss came to {tried.own:.3g}; in batches of an "
            f"eighth, to {tried.changed:.3g}."
        )
    return Finding(
        cause="batch_too_large",
        says=f"Batches of {size:,} rows are larger than is of use: smaller ones give more steps for the same work.",
        weight=0.8,
        evidence=evidence,
        remedies=[
            Remedy(
                says=f"Use batches of {max(1, size // _FACTOR):,} rows; forks see the same rows.",
                change=change,
                before=f"batch_size={size}",
                after=f"batch_size={max(1, size // _FACTOR)}",
            )
        ],
    )


def _has_come(losses: np.ndarray) -> bool:
    """Whether the loss hardly falls any longer: then it is not steps that are missing."""
    quarters = [float(part.mean()) for part in np.array_split(losses, 4)] if len(losses) >= _QUARTERED else []
    return bool(quarters) and quarters[2] - quarters[3] < _FALLS * (quarters[0] - quarters[3])


@cause("batch_too_small", "batches that are too small")
def _batch_too_small(view: View) -> Finding | None:
    size, noise = view.batch_size, view.noise_scale
    if size is None or size > _FEW_ROWS or not size < _SMALL * noise or view.unlearnt() < _UNLEARNT:
        return None
    return Finding(
        cause="batch_too_small",
        says=f"Batches of {size} rows are so small that their gradients are mostly noise.",
        weight=0.8,
        evidence=[
            f"The noise of the gradient equals the gradient at {noise:.3g} rows (McCandlish et al., 2018).",
            f"The loss stays at {view.stays}.",
        ],
        remedies=[
            Remedy(
                says=f"Use batches of {_FACTOR * size} rows; forks see the same rows.",
                change=Change(batches=merged, length=lambda steps: max(1, steps // _FACTOR)),
                before=f"batch_size={size}",
                after=f"batch_size={_FACTOR * size}",
            )
        ],
    )


def merged(batches: Sequence[Batch]) -> Sequence[Batch]:
    """Makes one batch of eight; as it was where there are fewer."""
    size = _FACTOR * len(batches[0])
    return [each for each in _parts(Batch.joined(batches), size) if len(each) == size] or batches


def _split(batches: Sequence[Batch]) -> Sequence[Batch]:
    return [part for each in batches for part in _parts(each, max(1, -(-len(each) // _FACTOR)))]


def _parts(batch: Batch, size: int) -> list[Batch]:
    return [batch.take(slice(k, k + size)) for k in range(0, len(batch), size)]


def _entropy(labels: np.ndarray) -> float:
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(shares * np.log(shares)).sum())


def _shuffled(batches: Sequence[Batch]) -> Sequence[Batch]:
    whole = Batch.joined(batches)
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(len(whole)))
    size = len(batches[0])
    return [whole.take(rows) for rows in order.split(size) if len(rows) == size] or batches
