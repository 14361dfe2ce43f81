"""What the loop is compared with: the best constant answer, and a learner that shares nothing with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from scipy import stats

from thalweg.doctor._rows import Rows

#: rows that the reference learns from, and its trees
_ROWS, _TREES = 2_000, 100
#: rows below which nothing is said
FEWEST = 80


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Out-of-bag answers of a random forest: every row is answered by trees that did not see it.

    Args:
        rows: That were answered. places: (n,) their numbers among all that were given.
        labels: (n,) their classes, counted from 0; None for quantities.
        answers: (n, C) shares of trees, or (n,) quantities.

    References:
        Breiman, Random forests, 2001, section 3.1 (out-of-bag).
    """

    rows: Rows
    places: np.ndarray
    labels: np.ndarray | None
    answers: np.ndarray

    def relation(self) -> tuple[float, float]:
        """Returns how far the answers follow the targets, and its standard error if they do not follow them at all.

        Classes: mean over them of the area under the curve of one against the rest, minus 1/2. Quantities: half the
        rank correlation. 0 is no relation, 1/2 a perfect one.

        References:
            Hanley and McNeil, The meaning and use of the area under a ROC curve, 1982 (the error at 1/2).
        """
        if self.labels is None:
            return 0.5 * rank_correlation(self.answers, self.rows.y.ravel()), 0.5 / len(self.rows) ** 0.5
        areas, errors = [], []
        for c in range(self.answers.shape[1]):
            inside = self.labels == c
            ones, rest = int(inside.sum()), int((~inside).sum())
            if min(ones, rest) < 5:
                continue
            ranks = stats.rankdata(self.answers[:, c])
            areas.append((ranks[inside].sum() - ones * (ones + 1) / 2) / (ones * rest) - 0.5)
            errors.append(((ones + rest + 1) / (12 * ones * rest)) ** 0.5)
        if not areas:
            return 0.5, 0.0  # nothing can be said against a relation
        return float(np.mean(areas)), float(np.sqrt(np.mean(np.square(errors)) / len(errors)))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Returns that of two series; 0 where one does not vary."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1])


def reference(rows: Rows, labels: np.ndarray | None) -> Reference | None:
    """Returns the answers of a random forest; None where rows are too few, or all of one target.

    Args:
        rows: Distinct ones. labels: (n,) of their classes; None for quantities.
    """
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    finite = np.isfinite(rows.columns).all(1)
    if labels is None:
        finite &= np.isfinite(rows.y.reshape(len(rows), -1)).all(1)
    places = np.flatnonzero(finite)
    if len(places) > _ROWS:
        places = places[np.linspace(0, len(places) - 1, _ROWS).astype(int)]
    if len(places) < FEWEST:
        return None
    rows = rows.at(places)
    if labels is None:
        if rows.y.reshape(len(rows), -1).shape[1] != 1 or np.ptp(rows.y) == 0:
            return None
        forest = RandomForestRegressor(_TREES, max_features=1 / 3, oob_score=True, random_state=0)
        forest.fit(rows.columns, rows.y.ravel())
        return Reference(rows=rows, places=places, labels=None, answers=forest.oob_prediction_)
    known, labels = np.unique(labels[places], return_inverse=True)
    if len(known) < 2:
        return None
    forest = RandomForestClassifier(_TREES, oob_score=True, random_state=0)
    forest.fit(rows.columns, labels)
    answers = np.nan_to_num(forest.oob_decision_function_)
    return Reference(rows=rows, places=places, labels=labels, answers=answers)


def constant_loss(name: str, options: Mapping[str, Any], y: torch.Tensor) -> float | None:
    """Returns the mean of a loss function for the best constant output; None where that is not known.

    Args:
        name: Of the function in `torch.nn.functional`. options: it was called with. y: the targets.
    """
    if name in ("cross_entropy", "nll_loss") and not y.is_floating_point():
        counts = torch.bincount(y[(y != options.get("ignore_index", -100)) & (y >= 0)]).double()
        return _entropy(_smoothed(counts / counts.sum(), options))
    if name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        return _binary_entropy(y.double().mean(0))
    if name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        best = y.double().mean(0) if name == "mse_loss" else y.double().median(0).values
        given = {key: value for key, value in options.items() if key in ("beta", "delta")}
        return float(getattr(F, name)(best.expand_as(y), y.double(), **given))
    return None


def least_loss(name: str, options: Mapping[str, Any], y: torch.Tensor) -> float:
    """Returns the mean of a loss function where every output is the target; 0 where that is not known.

    Args:
        name: Of the function in `torch.nn.functional`. options: it was called with. y: the targets.

    Example:
        >>> round(least_loss("binary_cross_entropy", {}, torch.full((4,), 0.5)), 4)
        0.6931
    """
    if name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        return _binary_entropy(y.double())
    if name == "cross_entropy" and options.get("label_smoothing") and not y.is_floating_point():
        return _entropy(_smoothed(F.one_hot(y.max()).double(), options))
    return 0.0


def _smoothed(shares: torch.Tensor, options: Mapping[str, Any]) -> torch.Tensor:
    smoothing = float(options.get("label_smoothing") or 0.0)
    return (1 - smoothing) * shares + smoothing / len(shares)


def _entropy(shares: torch.Tensor) -> float:
    return float(-(shares * shares.clamp_min(1e-30).log()).sum())


def _binary_entropy(p: torch.Tensor) -> float:
    return float(-(torch.special.xlogy(p, p) + torch.special.xlogy(1 - p, 1 - p)).mean())
