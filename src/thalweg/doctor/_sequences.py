"""Rows of token ids with their targets, and at which places of a model's answers these stand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from thalweg.doctor._record._batch import Batch, Name
from thalweg.doctor._record._head import SHAPING, apply_head
from thalweg.doctor._record._recording import LossCall
from thalweg.doctor._view import View

#: what stands where no token is known
NONE = -1
#: places by which targets may be moved
_FAR = 8
#: rows and tokens below which nothing is said
_FEWEST, _FEWEST_TOKENS = 16, 64


@dataclass(frozen=True, kw_only=True)
class Argument:
    """A way to read token ids and targets in batches.

    Args:
        name: Of the argument that holds the ids, by place or by name.
        upright: Whether its columns are rows of ids, as where time comes first.
        call: Of the loss. ignored: the target that it leaves out.
    """

    name: Name
    upright: bool
    call: LossCall
    ignored: int

    def ids(self, batch: Batch) -> torch.Tensor | None:
        """Returns (R, W) ids; None where the argument holds none."""
        value = batch.named[self.name]
        if not isinstance(value, torch.Tensor) or value.ndim != 2 or value.is_floating_point() or value.numel() == 0:
            return None
        return value.T if self.upright else value

    def with_ids(self, batch: Batch, ids: torch.Tensor) -> Batch:
        """Returns the batch with other ids."""
        return batch.with_argument(self.name, ids.T if self.upright else ids)

    def places(self, batch: Batch) -> np.ndarray | None:
        """Returns, for each target, the place in (R * W) of the ids where the model answers it; None if unknown."""
        ids, target = self.ids(batch), batch.target
        if ids is None or not isinstance(target, torch.Tensor) or target.is_floating_point():
            return None
        rows, width = ids.shape
        all_places = torch.arange(rows * width).reshape(rows, width)
        laid = all_places.T if self.upright else all_places
        found = self._given(laid)
        if found is not None and len(found) == target.numel():
            return found
        if target.numel() == rows * width:
            return laid.flatten().numpy()
        if target.numel() % rows == 0 and target.numel() < rows * width:  # the last places have no target
            cut = all_places[:, : target.numel() // rows]
            return (cut.T if self.upright else cut).flatten().numpy()
        return None

    def _given(self, places: torch.Tensor) -> np.ndarray | None:
        """Returns the places of answers that the loss function was given, as the loop chose and ordered them."""
        call = self.call
        if call.own or call.head is None or any(name not in SHAPING for name, _ in call.head) or len(call.shape) < 2:
            return None
        # two classes are enough to see where they go, if a change of shape is told of these
        call = replace(call, shape=(call.shape[0], 2, *call.shape[2:]), dtype=torch.float64)
        for answer in (places[..., None].expand(*places.shape, 2), places[:, None].expand(-1, 2, places.shape[1])):
            try:
                given = apply_head(answer.double(), call)
            except (RuntimeError, IndexError):
                continue
            if given.ndim >= 2 and given.shape[1] == 2 and bool((given[:, 0] == given[:, 1]).all()):
                return given[:, 0].flatten().long().numpy()
        return None


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Rows of token ids with their targets.

    Args:
        ids: Rows of the inputs. targets: of each row, at the places where the model answers them; `NONE` where there
            is none that counts.
        shift: How many places later than the answer its target stands in the inputs: 1 where it is the next token.
        agree: Share of the targets for which that is so, of those that it can be known of.
        argument: How they are read.
    """

    ids: list[np.ndarray]
    targets: list[np.ndarray]
    shift: int
    agree: float
    argument: Argument

    @property
    def ignored(self) -> int:
        """The target that is left out of the loss."""
        return self.argument.ignored

    @property
    def learnt(self) -> list[np.ndarray]:
        """For each row, which of its tokens are targets."""
        found = []
        for row, target in zip(self.ids, self.targets, strict=True):
            own = np.zeros(len(row) + self.shift, bool)
            own[self.shift :] = target != NONE
            found.append(own[: len(row)])
        return found

    def share(self, shift: int) -> float:
        """Returns the share of the targets that stand so many places later in the inputs; NaN where most cannot."""
        same = num = every = 0
        for row, target in zip(self.ids, self.targets, strict=True):
            there = target[: len(row) - shift]
            same += int((there == row[shift:])[there != NONE].sum())
            num += int((there != NONE).sum())
            every += int((target != NONE).sum())
        return same / num if num >= max(_FEWEST_TOKENS, every / 2) else math.nan

    def with_targets(self, batch: Batch, rows: Sequence[np.ndarray]) -> Batch:
        """Returns a batch with other targets.

        Args:
            batch: Like those that were read. rows: its targets, as in `targets`.
        """
        places = self.argument.places(batch)
        assert places is not None
        flat = np.concatenate([np.where(row == NONE, self.ignored, row) for row in rows])[places]
        return batch.with_target(torch.from_numpy(flat).to(batch.target).reshape(batch.target.shape))


def targets_of(batch: Batch, argument: Argument) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns (R, W) ids of a batch, and targets at the places where they are answered; None where it has none."""
    ids, places = argument.ids(batch), argument.places(batch)
    if ids is None or places is None:
        return None
    found = np.full(ids.numel(), NONE, np.int64)
    target = batch.target.detach().flatten().cpu().numpy()
    found[places] = np.where(target == argument.ignored, NONE, target)
    return ids.detach().cpu().numpy().astype(np.int64), found.reshape(tuple(ids.shape))


def tokens_of(view: View, most: int = 512) -> Tokens | None:
    """Returns the token rows of a loop; None where inputs are no rows of token ids that are also the targets.

    Args:
        view: Of the loop. most: rows.
    """
    call = view.call
    if call is None or call.name not in ("cross_entropy", "nll_loss") or not view.batches:
        return None
    found = [tokens for each in _arguments(view.batches[0], call) if (tokens := _read(view, each, most)) is not None]
    return max(found, key=lambda each: (each.agree, each.shift == 1), default=None)


def _arguments(batch: Batch, call: LossCall) -> Iterator[Argument]:
    ignored = int(call.options.get("ignore_index", -100))
    for name, value in batch.named.items():
        if not isinstance(value, torch.Tensor) or value.ndim != 2 or value is batch.target:
            continue
        for upright in (False, True):
            yield Argument(name=name, upright=upright, call=call, ignored=ignored)


def _read(view: View, argument: Argument, most: int) -> Tokens | None:
    ids: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    for batch in view.batches:
        found = targets_of(batch, argument)
        if found is None:
            return None
        ids += list(found[0])
        targets += list(found[1])
        if len(ids) >= most:
            break
    if len(ids) < _FEWEST:
        return None
    tokens = Tokens(ids=ids, targets=targets, shift=1, agree=0.0, argument=argument)
    # the first of the best: where the text repeats itself, targets stand at several places
    shares = {shift: tokens.share(shift) for shift in (1, 0, *range(2, _FAR + 1)) if shift < min(map(len, ids))}
    shift = max(shares, key=lambda each: np.nan_to_num(shares[each]), default=1)
    if not shares or not shares[shift] >= 0.5:
        return None
    return replace(tokens, shift=shift, agree=shares[shift])
