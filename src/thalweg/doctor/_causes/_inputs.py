"""Causes in the inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy import ndimage, sparse

from thalweg.doctor._causes._hidden import steepest
from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import Change
from thalweg.doctor._record._batch import Batch, Name
from thalweg.doctor._rows import Rows
from thalweg.doctor._view import View

#: a standard deviation of the inputs beyond this, or standard deviations of columns so far apart
_LARGE, _APART = 5.0, 30.0
#: means of so many standard deviations, and a gradient whose steepest direction is so much steeper for it
_OFF, _STEEPER = 2.0, 10.0
#: share of columns that are constant; of rows that hold the usual number of a column, where these are sparse
_CONSTANT, _SPARSE = 0.1, 0.9
#: shift between training and evaluation in standard deviations, and ratio of these
_SHIFT, _RATIO = 0.5, 1.5
#: distance of the frequencies of ids beyond chance, and how many sets tell what that explains
_OTHER_CODES, _DRAWN = 0.25, 100
#: share of the pixels that never change which lie at the border of a picture; or are joined to it by others of them
_AT_BORDER, _REACHING = 0.8, 0.9
#: rows of ids in an evaluation, and ids in a row, below which nothing is said
_FEWEST_CODED, _FEWEST_CODES = 20, 4
_ROWS = 2_000


@cause("unscaled_inputs", "inputs that are not scaled")
def _unscaled_inputs(view: View) -> Finding | None:
    names = view.batches[0].named if view.batches else ()
    found = [each for name in names if (each := _unscaled(view, name)) is not None]
    return max(found, key=lambda each: each.weight, default=None)


def _unscaled(view: View, name: Name) -> Finding | None:
    """Looks at one argument of the model."""
    x = view.argument(name)
    if x is None or not x.is_floating_point() or x.ndim < 2:
        return None
    flat = x.flatten(1).double() if x.ndim == 2 else x.transpose(0, 1).flatten(1).T.double()
    flat = flat[:, flat.isfinite().all(0)]
    spread, middle = flat.std(0), flat.mean(0)
    varying = spread > 0
    if not bool(varying.any()):
        return None
    rms = float(flat.std())
    # columns that are small beside the others do no harm: they hardly count
    apart = float(torch.quantile(spread[varying], 0.95) / spread[varying].median().clamp_min(1e-12))
    first = name == next(iter(view.batches[0].named))
    small = first and 0 < float(spread.max()) < 0.02  # what comes beside may be weights, as those of a graph
    if rms <= _LARGE and apart <= _APART and not small:
        return None
    which = "the inputs" if first else f"the argument {name!r} of the model"
    evidence = [f"Standard deviation of {which} {rms:.3g}; the first layer expects about 1."]
    if apart > _APART:
        evidence.append(f"The largest columns have {apart:.0f} times the standard deviation of the median one.")
    scale, shift = spread.clamp_min(1e-8), middle
    if x.ndim > 2 or flat.shape[1] > 64:
        scale, shift = flat.std().expand_as(scale), flat.mean().expand_as(middle)
    change = _scaling(shift.to(x.dtype), scale.to(x.dtype), images=x.ndim > 2)
    return Finding(
        cause="unscaled_inputs",
        says="Inputs are far from mean 0 and variance 1: one learning rate cannot fit all weights.",
        weight=min(0.92, 0.7 + 0.1 * math.log10(max(rms, apart / 6, 1.0))) if not small else 0.7,
        evidence=evidence,
        remedies=[
            Remedy(
                says="Subtract the mean of the training inputs and divide by their standard deviation.",
                change=_inputs(change, name),
                before="output = model(x)",
                after="output = model((x - mean) / std)",
            )
        ],
    )


@cause("off_centre_inputs", "inputs that are not centred")
def _off_centre_inputs(view: View) -> Finding | None:
    x = _varying(view.rows)
    if x is None:
        return None
    middle, spread = x.mean(0), x.std(0)
    off = float(np.median(np.abs(middle) / spread))
    if off < _OFF:
        return None
    steeper = steepest(x) / steepest(x - middle)
    if steeper < _STEEPER:
        return None
    shift = torch.from_numpy(view.rows.x.mean(0)) if view.rows is not None else torch.zeros(1)

    def centred(inputs: torch.Tensor) -> torch.Tensor:
        return inputs - shift.to(inputs.dtype).view(inputs.shape[1:])

    return Finding(
        cause="off_centre_inputs",
        says="Inputs are not centred: all weights of a unit are pushed the same way, and steps must be short for it.",
        weight=min(0.9, 0.75 + 0.05 * math.log10(steeper)),
        evidence=[
            f"Means are {off:.1f} standard deviations from 0 (median of the columns).",
            f"The steepest direction of the first layer is {steeper:.0f} times as steep as with centred inputs, so the "
            "longest stable step is as much shorter.",
        ],
        remedies=[
            Remedy(
                says="Subtract the mean of the training inputs.",
                change=_inputs(centred),
                before="output = model(x)",
                after="output = model(x - mean)",
            )
        ],
    )


@cause("broken_features", "inputs that are broken")
def _broken_features(view: View) -> Finding | None:
    rows, held = view.rows, view.held_rows
    if rows is None or len(rows) < 20 or rows.x.shape[1] < 2:
        return None
    x = rows.some(_ROWS).x
    known = np.isfinite(x).all(0)
    still = known & (np.ptp(np.where(known, x, 0.0), axis=0) == 0)
    evidence, weight, remedies = [], 0.0, []
    if held is not None and held.x.shape[1] == x.shape[1] and len(held) >= 20:
        moves = np.ptp(held.x, axis=0) > 0
        apart = np.flatnonzero(known & np.isfinite(held.x).all(0) & (still == moves))
        apart = apart[_often(x, held.x, apart)]
        odd = np.zeros(len(still), bool)
        odd[apart] = True
        if len(apart) > 0 and not _is_border(odd):  # pictures that are moved have another one
            evidence.append(
                f"Columns that are constant in training but not in evaluation, or the reverse: {_first(apart)}."
            )
            weight = 0.93
    if still.mean() >= _CONSTANT and not _is_border(still) and not _is_sparse(x[:, ~still & known]):
        evidence.append(f"{int(still.sum())} of {len(still)} columns are constant: {_first(np.flatnonzero(still))}.")
        weight = max(weight, min(0.9, 0.7 + float(still.mean())))
    marks = _marks(x)
    if marks:
        named = ", ".join(f"column {j} ({value:g} in {share:.0%} of the rows)" for j, value, share in marks[:3])
        evidence.append(f"A number far from all others comes again and again: {named}.")
        weight = max(weight, 0.92)
        remedies.append(
            Remedy(
                says="Replace this number, which stands for a missing one, by the mean of the others.",
                change=_inputs(_filled(x, marks)),
                after="x = torch.where(x == mark, mean, x)",
            )
        )
    if not evidence:
        return None
    remedies.append(
        Remedy(says="Look at where these columns come from; leave out those that hold nothing.", change=Change())
    )
    return Finding(
        cause="broken_features",
        says="Some columns of the inputs hold nothing, or a mark in place of a number.",
        weight=weight,
        evidence=evidence,
        remedies=remedies,
    )


@cause("preprocessing_differs", "an evaluation whose inputs are prepared in another way")
def _preprocessing_differs(view: View) -> Finding | None:
    return _other_numbers(view) or _other_codes(view)


def _other_numbers(view: View) -> Finding | None:
    rows, held = view.rows, view.held_rows
    if rows is None or held is None or len(held) < 20 or held.x.shape[1] != rows.x.shape[1]:
        return None
    x, other = rows.some(_ROWS).x.astype(np.float64), held.some(_ROWS).x.astype(np.float64)
    known = np.isfinite(x).all(0) & np.isfinite(other).all(0)
    a, b = x.std(0), other.std(0)
    both = np.sqrt((a**2 + b**2) / 2)
    used = known & (both > 1e-6 * (both[known].max() if known.any() else 1.0))
    if not used.any():
        return None
    apart = (x.mean(0) - other.mean(0))[used] / both[used]
    chance = 1 / len(x) + 1 / len(other)
    shift = math.sqrt(max(float(np.mean(apart**2)) - 4 * chance, 0.0))
    same = used & (a > 0) & (b > 0)
    ratio = math.exp(float(np.median(np.log(b[same] / a[same])))) if same.any() else 1.0
    if shift < _SHIFT and 1 / _RATIO < ratio < _RATIO:
        return None
    scale = np.where(same, a / np.where(b > 0, b, 1.0), 1.0)
    mean_a, mean_b = x.mean(0), other.mean(0)

    def as_trained(batch: Batch) -> Batch:
        inputs = batch.inputs
        shape = inputs.shape[1:]
        m, s, o = (torch.from_numpy(v).to(inputs.dtype).view(shape) for v in (mean_a, scale, mean_b))
        return batch.with_inputs((inputs - o) * s + m)

    return Finding(
        cause="preprocessing_differs",
        says="Inputs of the evaluation are not distributed as those of training: they were prepared in another way.",
        weight=0.95,
        evidence=[
            f"Means differ by {shift:.2g} standard deviations (root mean square over the columns, beyond chance); "
            f"standard deviations in evaluation are {ratio:.2g} times those in training (median).",
            f"Training: mean {mean_a[used].mean():.3g}, standard deviation {x[:, used].std():.3g}. "
            f"Evaluation: {mean_b[used].mean():.3g} and {other[:, used].std():.3g}.",
        ],
        remedies=[
            Remedy(
                says="Prepare both alike, with the numbers of the training rows.",
                change=Change(held_out=as_trained),
                before="x_valid = (x_valid - x_valid.mean()) / x_valid.std()",
                after="x_valid = (x_valid - x_train.mean()) / x_train.std()",
            )
        ],
    )


def _other_codes(view: View) -> Finding | None:
    rows, held = view.any_rows, view.any_held_rows
    if rows is None or held is None or np.issubdtype(rows.x.dtype, np.floating):
        return None
    x, other = rows.some(_ROWS).x, held.some(_ROWS).x
    if len(other) < _FEWEST_CODED or x.shape[1] < _FEWEST_CODES:
        return None
    apart, chance = _apart(x, other)
    if apart - chance < _OTHER_CODES:
        return None
    return Finding(
        cause="preprocessing_differs",
        says="Ids are not as frequent in the evaluation as in training: they seem to stand for other things there.",
        weight=0.93,
        evidence=[
            f"Of the ids in the evaluation, {apart:.0%} would have to be others to be as frequent as in training "
            f"(the most frequent one aside); chance explains {chance:.0%}."
        ],
        remedies=[
            Remedy(
                says="Make the vocabulary from the rows of training alone, and use it for all rows.",
                change=Change(),
                before="x_valid = encode(valid, make_vocab(valid))",
                after="x_valid = encode(valid, make_vocab(train))",
            )
        ],
    )


def _apart(x: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Returns the total variation distance of the ids in two sets of rows, and what of it chance explains.

    The id that is most frequent in training is left out, as it may fill rows up. If both sets were drawn alike, rows
    could change places between them: chance explains the largest distance of many sets that are drawn so. Ids within a
    row need not be independent for it, only the rows.
    """
    ids, codes = np.unique(np.concatenate([x, other]), return_inverse=True)
    codes = codes.reshape(-1, x.shape[1])
    most = np.bincount(codes[: len(x)].ravel(), minlength=len(ids)).argmax()
    row, place = np.nonzero(codes != most)
    counts = sparse.csr_array((np.ones(len(row)), (row, codes[row, place])), shape=(len(codes), len(ids)))
    draw, own = np.random.default_rng(0), np.arange(len(codes)) < len(x)
    sets = np.array([own, *(draw.permutation(own) for _ in range(_DRAWN))], float)
    one, rest = sets @ counts, (1 - sets) @ counts
    sizes = [each.sum(1, keepdims=True) for each in (one, rest)]
    if not all(each.all() for each in sizes):
        return 0.0, 1.0
    apart = 0.5 * np.abs(one / sizes[0] - rest / sizes[1]).sum(1)
    return float(apart[0]), float(apart[1:].max())


@cause("not_finite_inputs", "inputs that are not finite")
def _not_finite_inputs(view: View) -> Finding | None:
    bad = 0
    for each in view.batches:
        values = [v for v in each.tensors if v.is_floating_point()]
        bad += any(not bool(v.isfinite().all()) for v in values)
    if not bad:
        return None
    return Finding(
        cause="not_finite_inputs",
        says="Batches hold numbers that are not finite: one step on them spoils all weights.",
        weight=1.0,
        evidence=[f"{bad} of {len(view.passes)} batches that were kept."],
        remedies=[
            Remedy(
                says="Leave these rows out, or fill them in.",
                change=Change(batches=_finite_rows),
                after="x = torch.nan_to_num(x)",
            )
        ],
    )


def _varying(rows: Rows | None) -> np.ndarray | None:
    """Returns the columns of some rows that are finite and vary, in float64."""
    if rows is None or len(rows) < 8:
        return None
    x = rows.some(_ROWS).x.astype(np.float64)
    x = x[:, np.isfinite(x).all(0)]
    x = x[:, x.std(0) > 1e-8 * max(1e-30, float(np.abs(x).max(initial=0.0)))]
    return x if x.shape[1] > 0 else None


def _is_border(still: np.ndarray) -> bool:
    """Whether columns are pixels of a square image, and those that never change lie at its border, or reach to it."""
    side = math.isqrt(len(still))
    if side < 6 or side * side != len(still):
        return False
    rows, columns = np.divmod(np.flatnonzero(still), side)
    depth = np.minimum(np.minimum(rows, columns), side - 1 - np.maximum(rows, columns))
    if float(np.mean(depth < side / 4)) > _AT_BORDER:
        return True
    areas = np.zeros((side, side), np.int32)
    ndimage.label(still.reshape(side, side), output=areas)
    reaching = np.unique(np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]]))
    return float(np.isin(areas[rows, columns], reaching).mean()) > _REACHING


def _is_sparse(x: np.ndarray) -> bool:
    """Whether most columns hold one number in most rows, as counts of words do: some happen to hold it in all."""
    return x.shape[1] > 0 and float(np.median((x == np.median(x, axis=0)).mean(0))) > _SPARSE


def _often(x: np.ndarray, held: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Whether the constant of a column in one set is so rare in the other that chance does not explain it."""
    found = []
    for j in columns:
        still, moving = (x, held) if np.ptp(x[:, j]) == 0 else (held, x)
        other = float(np.mean(moving[:, j] != still[0, j]))
        found.append(other > 1 - _SPARSE and other * len(still) > 10)
    return np.array(found, bool)


def _marks(x: np.ndarray) -> list[tuple[int, float, float]]:
    """Returns (column, value, share of rows) of values at one end, far from the rest, that come again and again."""
    found, usual = [], float(np.median(np.nanstd(x, axis=0)))
    for j in range(x.shape[1]):
        column = x[:, j][np.isfinite(x[:, j])]
        values, counts = np.unique(column, return_counts=True)
        if len(values) < 2:
            continue
        for end, inner, outer in ((0, 1, -1), (-1, -2, 0)):
            share, rest = counts[end] / len(column), abs(values[inner] - values[outer])
            gap = abs(values[end] - values[inner])
            if counts[end] >= 3 and 0.01 <= share <= 0.5 and gap > 5 * rest and (len(values) >= 12 or gap > 20 * usual):
                found.append((j, float(values[end]), float(share)))
    return found


def _filled(x: np.ndarray, marks: Sequence[tuple[int, float, float]]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Puts the mean of the other values in the place of marks, and spreads these to a standard deviation of 1."""
    parts = []
    for j, mark, _ in marks:
        rest = x[x[:, j] != mark, j]
        parts.append((j, mark, float(rest.mean()), float(rest.std()) or 1.0))

    def change(inputs: torch.Tensor) -> torch.Tensor:
        flat = inputs.flatten(1).clone()
        for j, mark, middle, spread in parts:
            column = flat[:, j]
            flat[:, j] = torch.where(column == mark, torch.zeros_like(column), (column - middle) / spread)
        return flat.view(inputs.shape)

    return change


def _first(places: np.ndarray) -> str:
    more = f" and {len(places) - 8} more" if len(places) > 8 else ""
    return ", ".join(map(str, places[:8].tolist())) + more


def _inputs(change: Callable[[torch.Tensor], torch.Tensor], name: Name | None = None) -> Change:
    """Returns what changes the inputs of training and of evaluation alike: the first, or those of a name."""

    def changed(batch: Batch) -> Batch:
        place = next(iter(batch.named)) if name is None else name
        return batch.with_argument(place, change(batch.named[place]))

    return Change(batches=lambda batches: list(map(changed, batches)), held_out=changed)


def _scaling(shift: torch.Tensor, scale: torch.Tensor, *, images: bool) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(x: torch.Tensor) -> torch.Tensor:
        if images:
            view = (1, -1, *([1] * (x.ndim - 2)))
            return (x - shift.view(view)) / scale.view(view)
        return (x - shift) / scale

    return change


def _finite_rows(batches: Sequence[Batch]) -> Sequence[Batch]:
    found = []
    for batch in batches:
        fine = torch.ones(len(batch), dtype=torch.bool)
        for value in (batch.inputs, batch.target):
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                fine &= value.isfinite().flatten(1).all(1) if value.ndim > 1 else value.isfinite()
        if bool(fine.any()):
            found.append(batch.take(fine))
    return found
