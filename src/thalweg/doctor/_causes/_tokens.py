"""Causes in the targets of language models: prompts that are learnt, and answers that lose their first token."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import Change
from thalweg.doctor._record._batch import Batch
from thalweg.doctor._sequences import NONE, Tokens, targets_of, tokens_of
from thalweg.doctor._view import View

#: share of the rows in which what is told holds
_NEARLY_ALL, _SELDOM = 0.95, 0.6
_FEWEST_ROWS = 16
#: tokens of the mark that ends a prompt, at most
_MARK = 6


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
    def without_prompt(ids: np.ndarray, targets: np.ndarray) -> None:
        for place in range(len(ids) - len(mark)):
            if ids[place : place + len(mark)].tolist() == list(mark):
                targets[: max(0, place + len(mark) - rows.shift)] = NONE
                return

    return _remade(batch, rows, without_prompt)


def _earlier(batch: Batch, rows: Tokens) -> Batch:
    def one_more(ids: np.ndarray, targets: np.ndarray) -> None:
        used = targets != NONE
        first = int(used.argmax()) if used.any() else 0
        if first > 0:
            targets[first - 1] = ids[first - 1 + rows.shift]

    return _remade(batch, rows, one_more)


def _remade(batch: Batch, rows: Tokens, change: Callable[[np.ndarray, np.ndarray], None]) -> Batch:
    """Returns a batch with targets that are changed in place, row by row, by what is given ids and targets."""
    found = targets_of(batch, rows.argument)
    if found is None:
        return batch
    for ids, targets in zip(*found, strict=True):
        change(ids, targets)
    return rows.with_targets(batch, list(found[1]))
