"""Causes in the targets of language models: prompts that are learnt, and answers that lose their first token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import Change
from thalweg.doctor._record._batch import Batch
from thalweg.doctor._view import View

#: share of the rows in which what is told holds
_NEARLY_ALL, _SELDOM = 0.95, 0.6
_FEWEST_ROWS = 16
#: tokens of the mark that ends a prompt, at most
_MARK = 6


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Rows of token ids with their targets.

    Args:
        ids: Rows of the inputs. learnt: for each row, which of its tokens are targets.
        shift: 1 where the target at a place is the token after it, 0 where it is the token itself.
        ignored: The target that is left out of the loss.
    """

    ids: list[np.ndarray]
    learnt: list[np.ndarray]
    shift: int
    ignored: int


def tokens_of(view: View, most: int = 512) -> Tokens | None:
    """Returns the token rows of a loop; None where inputs are no rows of token ids that are also the targets."""
    call = view.call
    if call is None or call.name not in ("cross_entropy", "nll_loss"):
        return None
    ignored = int(call.options.get("ignore_index", -100))
    ids: list[np.ndarray] = []
    learnt: list[np.ndarray] = []
    agree = np.zeros(2)
    for each in view.batches:
        x, y = each.inputs, each.target
        if not (isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor) and x.ndim == 2):
            return None
        if x.is_floating_point() or y.is_floating_point() or y.numel() % len(x) or y.numel() // len(x) > x.shape[1]:
            return None
        inputs, targets = x.cpu().numpy(), y.reshape(len(x), -1).cpu().numpy()
        width = targets.shape[1]
        used = targets != ignored
        agree[0] += (used & (targets == inputs[:, :width])).sum()
        agree[1] += (used[:, : x.shape[1] - 1] & (targets[:, : x.shape[1] - 1] == inputs[:, 1 : width + 1])).sum()
        ids += list(inputs)
        learnt += list(used)
        if len(ids) >= most:
            break
    if len(ids) < _FEWEST_ROWS or agree.max() == 0:
        return None
    shift = int(agree.argmax())
    total = sum(int(used.sum()) for used in learnt)
    if agree[shift] < 0.5 * total:
        return None
    moved = []
    for row, used in zip(ids, learnt, strict=True):
        own = np.zeros(len(row) + 1, bool)
        own[shift : shift + len(used)] = used
        moved.append(own[: len(row)])
    return Tokens(ids=ids, learnt=moved, shift=shift, ignored=ignored)


@cause("prompt_not_masked", "prompts that are learnt as if they were answers")
def _prompt_not_masked(view: View) -> Finding | None:
    rows = tokens_of(view)
    if rows is None:
        return None
    ends = _mark_ends(rows.ids)
    if ends is None:
        return None
    mark, places = ends
    prompt = [own[1:end] for own, end in zip(rows.learnt, places, strict=True) if end > 1]
    share = float(np.mean([part.mean() for part in prompt])) if prompt else 0.0
    if share < 0.5:
        return None
    tokens = sum(int(part.sum()) for part in prompt) / max(1, sum(int(own.sum()) for own in rows.learnt))
    return Finding(
        cause="prompt_not_masked",
        says="Prompts are not masked: the model learns to write questions, not only answers.",
        weight=0.9,
        evidence=[
            f"Every row holds the tokens {mark} once, as a template does between prompt and answer; what stands before "
            f"them makes up {tokens:.0%} of the targets.",
        ],
        remedies=[
            Remedy(
                says=f"Set the targets of the prompt to {rows.ignored}.",
                change=Change(
                    batches=lambda batches: [_masked(each, mark, rows) for each in batches],
                    held_out=lambda batch: _masked(batch, mark, rows),
                ),
                after=f"labels[:, :answer_start] = {rows.ignored}",
            )
        ],
    )


@cause("first_answer_token_lost", "answers whose first token is not learnt")
def _first_answer_token_lost(view: View) -> Finding | None:
    rows = tokens_of(view)
    if rows is None:
        return None
    firsts = [int(own.argmax()) if own.any() else -1 for own in rows.learnt]
    known = [(row, first) for row, first in zip(rows.ids, firsts, strict=True) if first >= 2]
    if len(known) < max(_FEWEST_ROWS, 0.9 * len(rows.ids)):
        return None
    before, two = (np.array([row[first - k] for row, first in known]) for k in (1, 2))
    if not (_share(two) >= _NEARLY_ALL and _share(before) < _SELDOM):
        return None
    return Finding(
        cause="first_answer_token_lost",
        says="The first token of every answer is masked with the prompt: the model never learns to begin.",
        weight=0.92,
        evidence=[
            f"The template ends with token {int(np.bincount(two).argmax())} in {_share(two):.0%} of the rows; targets "
            "begin two tokens after it, not one."
        ],
        remedies=[
            Remedy(
                says="Mask one token less.",
                change=Change(
                    batches=lambda batches: [_earlier(each, rows) for each in batches],
                    held_out=lambda batch: _earlier(batch, rows),
                ),
                before="labels[:, :answer_start + 1] = -100",
                after="labels[:, :answer_start] = -100",
            )
        ],
    )


def _share(values: np.ndarray) -> float:
    return float(np.bincount(values).max()) / len(values)


def _mark_ends(ids: list[np.ndarray]) -> tuple[list[int], list[int]] | None:
    """Returns the longest run of tokens that stands in every row exactly once, and where it ends in each.

    Runs at the beginning of all rows are left out, as these end no prompt.
    """
    for length in range(_MARK, 0, -1):
        counts: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for k, row in enumerate(ids):
            for place in range(1, len(row) - length):
                counts.setdefault(tuple(row[place : place + length].tolist()), []).append((k, place))
        for run, seen in counts.items():
            rows = {k for k, _ in seen}
            places = [place for _, place in seen]
            if len(rows) < _NEARLY_ALL * len(ids) or len(seen) > 1.05 * len(rows) or len(set(run)) == 1 < length:
                continue
            if min(places) < 2 or np.median(places) + length > 0.95 * np.median([len(row) for row in ids]):
                continue
            first = dict(reversed(seen))
            return list(run), [first.get(k, 0) + length if k in first else 0 for k in range(len(ids))]
    return None


def _masked(batch: Batch, mark: Sequence[int], rows: Tokens) -> Batch:
    def prompt(ids: np.ndarray) -> int:
        for place in range(len(ids) - len(mark)):
            if ids[place : place + len(mark)].tolist() == list(mark):
                return place + len(mark)
        return 0

    return _remade(batch, rows, lambda ids, targets: [(0, max(0, prompt(ids) - rows.shift), rows.ignored)])


def _earlier(batch: Batch, rows: Tokens) -> Batch:
    def one_more(ids: np.ndarray, targets: np.ndarray) -> list[tuple[int, int, int]]:
        used = targets != rows.ignored
        first = int(used.argmax()) if used.any() else 0
        return [(first - 1, first, int(ids[first - 1 + rows.shift]))] if first > 0 else []

    return _remade(batch, rows, one_more)


def _remade(
    batch: Batch, rows: Tokens, change: Callable[[np.ndarray, np.ndarray], list[tuple[int, int, int]]]
) -> Batch:
    """Returns a batch with other targets: `change` tells from where to where they are set to what, row by row."""
    target, inputs = batch.target, batch.inputs.cpu().numpy()
    flat = target.reshape(len(inputs), -1).clone()
    for k, ids in enumerate(inputs):
        for start, end, value in change(ids, flat[k].cpu().numpy()):
            flat[k, start:end] = value
    return batch.with_target(flat.reshape(target.shape))
