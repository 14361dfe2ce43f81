"""Causes in the labels, and in what rows of training and evaluation share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from thalweg.doctor._causes._shifts import answer_in_inputs, sees_ahead
from thalweg.doctor._finding import Finding, Remedy, cause
from thalweg.doctor._proof._replay import Change, Criterion
from thalweg.doctor._proof._score import to_labels
from thalweg.doctor._record._batch import Batch
from thalweg.doctor._reference import FEWEST, rank_correlation, reference
from thalweg.doctor._rows import Rows, keys_of, rows_of
from thalweg.doctor._view import View

#: a relation of inputs and targets that is surely below this is none
_NO_RELATION = 0.1
#: rows of which the reference is surest; the share of them whose label it denies, at least; the surest of all, and how
#: much of that share it denies of these
_SUREST, _DENIED, _TOP, _FLAT = 0.4, 0.1, 0.05, 0.4
#: share of evaluation rows that training saw, and rows of an evaluation of which that is said, at least
_SHARED, _FEWEST_HELD = 0.05, 20
#: rows that are all of training are these themselves where they are more than this share of them
_ITSELF = 0.5
#: share of evaluation rows up to which they may be rows that the data hold twice, as this share of training is
_FEW, _TWICE = 0.2, 0.01
#: share of distinct rows that training saw, where rows of the evaluation are copies of one another too
_MANY = 0.2
#: copies have the target of their rows; data repeat themselves, or are seen, for the most part
_AGREE, _MOST = 0.95, 0.5
#: a single input that tells the labels, and what the next best one may tell at most
_TELLS, _NEXT = 0.995, 0.97
#: or one that tells most of them, where a forest is wrong so many times as often by all the others, in so many rows
_MOSTLY, _WORSE, _WRONG = 0.95, 5.0, 30
#: or one that tells so much in training, more by so much than the commonest class, of which this share is left in the
#: evaluation at most
_TOLD, _MORE, _GONE = 0.9, 0.1, 0.25
_COLUMNS = 200
#: share of the rows in one class from which answers are looked at; so many others are answered, as a share of those
#: that there are; and from which answering with it alone is a fault of its own
_LEAST_MAJORITY, _HARDLY, _UNEQUAL = 0.7, 0.05, 0.85


@cause("shuffled_labels", "labels that do not belong to their rows")
def _shuffled_labels(view: View) -> Finding | None:
    known = view.reference
    if known is None or view.mixes_targets:
        return None
    relation, error = known.relation()
    if relation + 2 * error > _NO_RELATION:
        return None
    return Finding(
        cause="shuffled_labels",
        says="Targets have nothing to do with their inputs: rows and labels have lost one another.",
        weight=0.94,
        evidence=[
            f"A random forest, asked about {len(known.rows):,} rows that it did not see, does as well as chance "
            f"(area under the curve {0.5 + relation:.2f}, chance {0.5:g} +- {2 * error:.2f})."
            if known.labels is not None
            else f"A random forest, asked about {len(known.rows):,} rows that it did not see, has a rank correlation "
            f"of {2 * relation:.2f} with the targets (chance 0 +- {4 * error:.2f})."
        ],
        remedies=[
            Remedy(
                says="Look for the place where inputs and labels are ordered apart, and order both alike.",
                change=Change(),
                after="order = torch.randperm(len(x))\nx, y = x[order], y[order]",
            )
        ],
    )


@cause("label_noise", "wrong labels")
def _label_noise(view: View) -> Finding | None:
    known = view.reference
    if known is None or known.labels is None or view.mixes_targets:
        return None
    labels, wrong, sure = known.labels, known.answers.argmax(1) != known.labels, known.answers.max(1)
    order = np.argsort(-sure, kind="stable")
    most = order[: max(20, int(_SUREST * len(order)))]
    denied = float(wrong[most].mean())
    surest = float(wrong[order[: max(20, int(_TOP * len(order)))]].mean())
    least = _wilson_low(int(wrong[most].sum()), len(most))
    guess = 1 - float(np.bincount(labels).max()) / len(labels)  # error of the most frequent class
    # where classes overlap, the surest answers are right; where labels were changed, sureness does not help
    if least < _DENIED or surest < _FLAT * denied or denied > 0.75 * guess:
        return None
    own = known.answers[np.arange(len(labels)), labels]
    suspects = np.flatnonzero(wrong)[np.argsort((own - sure)[wrong], kind="stable")]
    keys = set(known.rows.keys[suspects].tolist())
    return Finding(
        cause="label_noise",
        says=f"About {denied:.0%} of the labels are wrong.",
        weight=0.9,
        evidence=[
            f"Of the {len(most)} rows of which a random forest is surest, asked about rows that it did not see, "
            f"it denies the label of {denied:.0%}.",
            f"{len(suspects)} of {len(labels):,} rows are suspect; `Finding.rows` lists them, the worst first.",
        ],
        remedies=[
            Remedy(
                says="Look at these rows, and leave them out or label them anew.",
                change=Change(batches=_without(keys, view.parts)),
                after="keep = [i for i in range(len(data)) if i not in suspects]",
            )
        ],
        rows=tuple(known.places[suspects].tolist()),
    )


@cause("rows_in_both_splits", "rows of the evaluation that training saw")
def _rows_in_both_splits(view: View) -> Finding | None:
    rows, held = view.any_rows, view.any_held_rows
    if rows is None or held is None or len(held) < _FEWEST_HELD:
        return None
    seen = np.isin(held.keys, view.trained)
    if seen.all() and np.isin(view.trained, held.keys).mean() > _ITSELF:
        return None  # the loop looks at its training rows, and says so
    if not _are_copies(rows, held.at(seen), held):
        return None
    if seen.mean() < _FEW and _repeated(view) > _TWICE:
        return None  # the data hold some rows twice, in training as well
    return Finding(
        cause="rows_in_both_splits",
        says=f"{seen.mean():.0%} of the rows that you evaluate on were trained on: the evaluation flatters.",
        weight=0.96,
        evidence=[f"{int(seen.sum()):,} of {len(held):,} evaluation rows equal a training row, number by number."],
        remedies=[
            Remedy(
                says="Remove duplicates before the data are split.",
                change=Change(),
                after="data = data.drop_duplicates()",
            )
        ],
    )


def _repeated(view: View) -> float:
    """Returns the share of the rows of the first epoch that had been seen in it before.

    From the end of that epoch on no row is new any more.
    """
    rows = rows_of(view.batches, view.parts)
    if rows is None:
        return 0.0
    first = np.sort(np.unique(rows.keys, return_index=True)[1])
    return 1 - len(first) / (int(first[-1]) + 1)


def _are_copies(rows: Rows, seen: Rows, held: Rows) -> bool:
    """Whether evaluation rows that training saw are copies, and not others that happen to be equal.

    Args:
        rows: Distinct ones of training. seen: of the evaluation, that training saw. held: all of the evaluation.
    """
    if len(seen) < _SHARED * len(held):
        return False
    pairs = _same_targets(rows, seen)
    if len(pairs) and pairs.mean() < _AGREE:
        return False  # rows of other individuals, which are described alike
    single = len(np.unique(held.keys))
    # data that repeat themselves do so in every split
    inside = 1 - single / len(held)
    if rows.coded and len(seen) < _MOST * len(held):
        return inside < _MOST and _is_far_apart(rows)
    if len(seen) >= 3 * inside * len(held):
        return True
    once = len(np.unique(seen.keys))
    return single >= _FEWEST_HELD and inside < _MOST and once >= _MANY * single and _is_far_apart(rows)


def _same_targets(rows: Rows, seen: Rows) -> np.ndarray:
    """Returns whether each row of the evaluation has the target of the training row that it equals; none if unknown."""
    if rows.y.shape[1:] != seen.y.shape[1:] or rows.y.size == 0 or rows.y.dtype != seen.y.dtype:
        return np.zeros(0, bool)
    order = np.argsort(rows.keys)
    places = np.minimum(np.searchsorted(rows.keys, seen.keys, sorter=order), len(rows) - 1)
    found = order[places]
    known = rows.keys[found] == seen.keys
    same = (rows.y[found] == seen.y).reshape(len(seen), -1).all(1)
    return same[known]


def _is_far_apart(rows: Rows) -> bool:
    """Whether distinct rows of training that agree in every other column are rare.

    Then rows do not come to be equal by chance: those that do so are few among those that nearly do.
    """
    x = rows.columns
    if x.shape[1] < 2:
        return False
    halves = [len(np.unique(np.ascontiguousarray(x[:, k::2]), axis=0)) for k in (0, 1)]
    return min(halves) > (1 - _SHARED) * len(rows)


@cause("leaking_feature", "an input that tells the target")
def _leaking_feature(view: View) -> Finding | None:
    return _telling_column(view) or answer_in_inputs(view) or sees_ahead(view)


def _telling_column(view: View) -> Finding | None:
    rows = view.rows
    if rows is None or len(rows) < FEWEST or not 2 <= rows.columns.shape[1] <= _COLUMNS:
        return None
    rows = rows.some(2_000)
    labels, columns = view.labels_of(rows), rows.columns
    told = np.array([_tells(columns[:, j], labels, rows.y) for j in range(columns.shape[1])])
    first, second = np.argsort(-told)[:2]
    rest = f"the next best column {told[second]:.3f}"
    left = None if labels is None else _left_in_evaluation(view, int(first), float(told[first]), labels)
    if left is not None:
        rest = f"in the evaluation {left:.3f}"
    elif not (told[first] >= _TELLS and told[second] <= _NEXT):
        others = _told_by_others(rows, labels, int(first)) if labels is not None and told[first] >= _MOSTLY else 1.0
        if 1 - others < max(_WORSE * (1 - told[first]), _WRONG / len(rows)):
            return None
        rest = f"a forest has {others:.3f} of all other columns"
    beside = int(first) - rows.x.shape[1]
    named = f"Column {first} of the inputs" if beside < 0 else f"Column {beside} of the inputs beside the first ones"
    what = "accuracy" if labels is not None else "rank correlation"
    return Finding(
        cause="leaking_feature",
        says=f"{named} tells the target by itself: it may not be known when you predict.",
        weight=0.93,
        evidence=[f"Alone it reaches {what} {told[first]:.3f}; {rest}."],
        remedies=[
            Remedy(
                says="Ask where this column comes from; leave it out if it follows from the target.",
                change=Change(),
                after=f"x = np.delete(x, {first if beside < 0 else beside}, axis=1)",
            )
        ],
    )


def _left_in_evaluation(view: View, column: int, told: float, labels: np.ndarray) -> float | None:
    """Returns what a column that tells the class in training tells in the evaluation, where little is left of it.

    Quantities may drift with time, so that a rank correlation of later rows is another one.
    """
    held = view.held_rows
    if told < _TOLD or held is None or len(held) < FEWEST or column >= held.columns.shape[1]:
        return None
    values, known = held.columns[:, column], view.labels_of(held)
    if known is None or len(known) != len(values) or np.ptp(values) == 0:
        return None  # the loop does not show its labels there, or the column is broken there
    left = _tells(values, known, held.y)
    more, rest = told - _commonest(labels), left - _commonest(known)
    return left if more > _MORE and rest < _GONE * more else None


def _commonest(labels: np.ndarray) -> float:
    """Returns the share of the commonest class."""
    return float(np.unique(labels, return_counts=True)[1].max()) / len(labels)


@cause("class_collapse", "one class for every row")
def _class_collapse(view: View) -> Finding | None:
    y = view.labels
    if y is None or not view.training or not np.isfinite(view.losses).all():
        return None
    output = view.outputs(view.training[-16:])
    if output is None:
        return None
    labels = torch.cat([to_labels(batch.target) for batch in view.training[-16:]])
    if output.ndim == 2 and output.shape[1] > 1:
        answers = output.argmax(1)
    else:
        answers = (output.flatten() > (0.5 if view.operations[:1] == ("sigmoid",) else 0.0)).long()
    counts = torch.bincount(labels)
    majority, told = float(counts.max()) / len(labels), int(counts.argmax())
    given, others = int((answers == told).sum()), len(labels) - int(counts.max())
    if len(answers) - given > _HARDLY * others or others == 0 or majority < _LEAST_MAJORITY:
        return None
    weights = len(labels) / (len(counts) * counts.clamp_min(1).double())
    return Finding(
        cause="class_collapse",
        says=f"{'Every row is' if given == len(answers) else f'{given:,} of {len(answers):,} rows are'} answered by "
        f"class {told}, which holds {majority:.0%} of the rows.",
        # where classes are less unequal, what has hardly learned answers so too
        weight=0.75 if majority > _UNEQUAL else 0.6,
        evidence=[f"Rows of the classes in the last batches: {', '.join(map(str, counts.tolist()[:10]))}."],
        remedies=[
            Remedy(
                says="Weight the classes by the inverse of their shares.",
                change=Change(criterion=_weighted(weights)),
                measure="classes",
                before="nn.CrossEntropyLoss()",
                after="nn.CrossEntropyLoss(weight=weights)",
            )
        ],
    )


def _tells(column: np.ndarray, labels: np.ndarray | None, y: np.ndarray) -> float:
    """Returns how well a tree with a leaf for each class answers from one column; or |rank correlation|."""
    from sklearn.tree import DecisionTreeClassifier

    if not np.isfinite(column).all() or np.ptp(column) == 0:
        return 0.0
    if labels is None:
        return abs(rank_correlation(column, y.ravel())) if y.size == len(column) else 0.0
    classes = len(np.unique(labels))
    if classes < 2:
        return 0.0
    tree = DecisionTreeClassifier(max_leaf_nodes=max(classes, 2), random_state=0).fit(column[:, None], labels)
    return float(tree.score(column[:, None], labels))


def _told_by_others(rows: Rows, labels: np.ndarray, column: int) -> float:
    """Returns the out-of-bag accuracy of a forest that does not see a column."""
    known = reference(replace(rows, x=np.delete(rows.columns, column, axis=1), beside=rows.beside[:, :0]), labels)
    return 1.0 if known is None else float((known.answers.argmax(1) == known.labels).mean())


def _wilson_low(hits: int, num: int, z: float = 1.645) -> float:
    """Returns the lower end of the interval of a share (Wilson, 1927)."""
    share = hits / num
    middle, half = share + z * z / (2 * num), z * math.sqrt(share * (1 - share) / num + z * z / (4 * num * num))
    return (middle - half) / (1 + z * z / num)


def _without(keys: set[int], parts: Sequence[int]) -> Callable[[Sequence[Batch]], Sequence[Batch]]:
    """Leaves rows with these keys out."""

    def change(batches: Sequence[Batch]) -> Sequence[Batch]:
        found = []
        for batch in batches:
            kept = torch.tensor([k not in keys for k in keys_of(batch, parts).tolist()])
            if bool(kept.any()):
                found.append(batch.take(kept))
        return found or batches

    return change


def _weighted(weights: torch.Tensor) -> Criterion:
    def criterion(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if output.ndim == 2 and output.shape[1] > 1:
            return nn.functional.cross_entropy(output, target.long(), weight=weights.to(output.dtype))
        flat, labels = output.flatten(), target.flatten().to(output.dtype)
        each = torch.where(labels > 0, weights[1], weights[0]).to(output.dtype)
        return nn.functional.binary_cross_entropy_with_logits(flat, labels, weight=each)

    return criterion
