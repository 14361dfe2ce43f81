"""Causes in the places of a language model's targets: not the next token, or one that the model sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from thalweg.doctor._finding import Finding, Remedy
from thalweg.doctor._proof._replay import Change
from thalweg.doctor._record._batch import Batch, logits_of
from thalweg.doctor._record._device import kept_random
from thalweg.doctor._sequences import NONE, Argument, Tokens, targets_of, tokens_of
from thalweg.doctor._view import View

#: share of the targets that stand where is told, and of those that may stand at the next place by chance
_ALL, _BY_CHANCE = 0.98, 0.9
#: share of targets that are what the model is given, where nothing is predicted
_EVERY = 0.999
#: rows whose tokens are changed, and places from which on
_ROWS, _PLACES = 8, 3
#: an answer moves where it changes by more than this share of its standard deviation
_MOVES = 1e-3
#: share of the places whose answers move, at least
_SEEN = 0.2


def shifted_twice(view: View) -> Finding | None:
    """Returns that targets are several places later than the answers, where that is so.

    Args:
        view: Of the loop.
    """
    tokens = tokens_of(view)
    if tokens is None or tokens.shift < 2 or tokens.agree < _ALL or not tokens.share(1) < _BY_CHANCE:
        return None
    return Finding(
        cause="labels_off_by_one",
        says=f"Targets are moved by {tokens.shift} places, not one: the model learns to leave out the next token.",
        weight=0.95,
        evidence=[
            f"{tokens.agree:.0%} of the targets are the token {tokens.shift} places after the one at which the model "
            f"answers; {tokens.share(1):.0%} are the next one."
        ],
        remedies=[
            Remedy(
                says="Move the targets once: in the data or before the loss, not in both.",
                change=_next_token(tokens),
                before="loss = criterion(output[:, :-1], y[:, 1:])",
                after="loss = criterion(output, y)",
            )
        ],
    )


def answer_in_inputs(view: View) -> Finding | None:
    """Returns that the target at a place is the token at that place, where that is so in a causal model.

    A model that sees all tokens may well have to repeat them, as an autoencoder does.

    Args:
        view: Of the loop.
    """
    tokens = tokens_of(view)
    if tokens is None or tokens.shift != 0 or tokens.agree < _EVERY or _moved_by_later(view, tokens) != 0.0:
        return None
    if (_moved_by_later(view, tokens, own=True) or 0.0) < _SEEN:
        return None  # the model moves its input by one place itself
    first = tokens.argument.name == 0
    return Finding(
        cause="leaking_feature",
        says="The answer stands in the input: the target at a place is the token that the model is given there.",
        weight=0.95,
        evidence=[
            f"{tokens.agree:.1%} of the targets are the token at their own place; tokens after a place do not change "
            "the model's answer there, so there is nothing to predict."
        ],
        remedies=[
            Remedy(
                says="Move the targets by one place, so that the model has to tell the next token."
                if first
                else "Give the decoder a mark that begins the sequence, and the target without its last token.",
                change=_next_token(tokens) if first else Change(),
                before="output = model(x)\nloss = criterion(output, x)" if first else "output = model(src, tgt)",
                after="output = model(x[:, :-1])\nloss = criterion(output, x[:, 1:])"
                if first
                else "output = model(src, torch.cat([bos, tgt[:, :-1]], 1))",
            )
        ],
    )


def sees_ahead(view: View) -> Finding | None:
    """Returns that a model that is to tell the next token sees it, where that is so.

    Args:
        view: Of the loop.
    """
    tokens = tokens_of(view)
    if tokens is None or tokens.shift != 1 or tokens.agree < _ALL or _turns_around(tokens):
        return None
    share = _moved_by_later(view, tokens)
    if share is None or share < _SEEN:
        return None
    return Finding(
        cause="leaking_feature",
        says="The model sees the token that it is to tell: nothing keeps it from looking ahead.",
        weight=0.96,
        evidence=[
            f"{tokens.agree:.0%} of the targets are the next token of the input. Other tokens after a place change the "
            f"model's answers at {share:.0%} of the places up to it, in evaluation mode."
        ],
        remedies=[
            Remedy(
                says="Give the attention a causal mask; pad convolutions on the left, and let no layer run backwards.",
                change=Change(),
                before="x = encoder(x)",
                after="mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])\n"
                "x = encoder(x, mask=mask, is_causal=True)",
            )
        ],
    )


def _turns_around(tokens: Tokens) -> bool:
    """Whether the target of the last place is the first token: rows are to be turned, and nothing is told ahead."""
    ends = [(row[0], target[-1]) for row, target in zip(tokens.ids, tokens.targets, strict=True)]
    known = [first == last for first, last in ends if last != NONE]
    return len(known) > 0 and float(np.mean(known)) > _ALL


def _moved_by_later(view: View, tokens: Tokens, *, own: bool = False) -> float | None:
    """Returns the share of places at which other tokens after them change the model's answer; None if unknown.

    With `own`, of places at which other tokens from the place itself on do.

    Only places that are learnt count: prompts may be read in both directions. One row is changed at a time, so that
    what rows of a batch have to do with one another does not count.
    """
    replay, argument = view.replay, tokens.argument
    if not replay.knows_loss or not view.batches:
        return None
    batch, draw = view.batches[-1], np.random.default_rng(0)
    found = targets_of(batch, argument)
    ids = argument.ids(batch)
    if found is None or ids is None or ids.shape[1] < 2:
        return None
    learnt, width = found[1] != NONE, ids.shape[1]
    pool = np.unique(found[0])
    moved: list[np.ndarray] = []
    with kept_random(), torch.no_grad():
        model, _ = replay.copies(view.recording.states[-1])
        model.eval()

        def answers(changed: torch.Tensor) -> torch.Tensor | None:
            output = logits_of(argument.with_ids(batch, changed).answer(model))
            return None if output is None else _by_place(output, changed, argument)

        first, again = answers(ids), answers(ids)
        if first is None or again is None or not bool(first.isfinite().all()) or not torch.equal(first, again):
            return None
        least = _MOVES * float(first.std())
        for row in np.unique(np.linspace(0, len(ids) - 1, _ROWS).astype(int)):
            for place in np.unique(np.linspace(0, width - 2, _PLACES + 2).astype(int))[1:]:
                changed = ids.clone()
                begin, first_place = (place, place) if own else (place + 1, 0)
                changed[row, begin:] = torch.from_numpy(_others(found[0][row, begin:], pool, draw)).to(ids)
                output = answers(changed)
                assert output is not None
                places = slice(first_place, place + 1)
                apart = (output[row, places] - first[row, places]).abs().amax(1) > least
                moved.append(apart.cpu().numpy()[learnt[row, places]])
    every = np.concatenate(moved) if moved else np.zeros(0)
    return float(every.mean()) if len(every) else None


def _others(ids: np.ndarray, pool: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Returns ids of a pool, each another than before."""
    if len(pool) < 2:
        return ids
    steps = draw.integers(1, len(pool), len(ids))
    return pool[(np.searchsorted(pool, ids) + steps) % len(pool)]


def _by_place(output: torch.Tensor, ids: torch.Tensor, argument: Argument) -> torch.Tensor | None:
    """Returns (R, W, V) answers; None where it is not known which belongs to which place."""
    laid = ids.T.shape if argument.upright else ids.shape
    if output.ndim == 2 and len(output) == ids.numel():
        output = output.reshape(*laid, -1)
    elif output.ndim == 3 and output.shape[:2] != laid and (output.shape[0], output.shape[2]) == laid:
        output = output.movedim(1, 2)
    if output.ndim != 3 or output.shape[:2] != laid:
        return None
    return output.transpose(0, 1) if argument.upright else output


def _next_token(tokens: Tokens) -> Change:
    """Returns what makes each target the token after the place where it is answered."""

    def changed(batch: Batch) -> Batch:
        found = targets_of(batch, tokens.argument)
        if found is None:
            return batch
        ids, targets = found
        known = targets[:, : ids.shape[1] - tokens.shift]
        used = known != NONE
        if not (known == ids[:, tokens.shift :])[used].mean() >= _ALL:  # an evaluation may have the right ones
            return batch
        return tokens.with_targets(batch, _moved(ids, targets, tokens.shift - 1))

    def alike(batches: Sequence[Batch]) -> Sequence[Batch]:
        return [changed(batch) for batch in batches]

    return Change(batches=alike, held_out=changed)


def _moved(ids: np.ndarray, targets: np.ndarray, by: int) -> list[np.ndarray]:
    """Returns targets that are moved to later places, the first ones filled in from the ids; or to earlier ones."""
    moved = np.full_like(targets, NONE)
    if by < 0:
        moved[:, :by] = targets[:, -by:]
        return list(moved)
    moved[:, by:] = targets[:, : targets.shape[1] - by]
    for place in range(by):
        moved[:, place] = np.where(targets[:, 0] != NONE, ids[:, place + 1], NONE)
    return list(moved)
