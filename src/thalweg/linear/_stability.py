"""Which inputs are selected again on other rows, and how far their coefficients move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core import Purpose, check_number, derive_key
from thalweg.linear._check import check_penalty, check_rows, check_threads, check_tol
from thalweg.linear._engines import Engines, Setting
from thalweg.linear._rows import Rows, RowSet
from thalweg.linear._solution import Request

#: sets that one engine holds at a time
_TOGETHER = 20


@dataclass(frozen=True, kw_only=True)
class Stability:
    """Fits on random halves of the rows.

    Args:
        lambda_: Their strength.
        share: (p,), or (C, p) for multinomial: of the halves, in which the coefficient is not 0.
        low: Of the coefficients over the halves, the 5th percentile, likewise. high: the 95th. A half differs from
            all rows by as much as all rows differ from the population, so this is about what another sample would give.
        num_halves: How many.
        num_selected: Mean number of inputs that a half selects.
    """

    lambda_: float
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    num_halves: int
    num_selected: float

    def expected_false(self, threshold: float) -> float:
        """Returns a bound of the expected number of inputs without effect among those of a share above a threshold.

        It holds where inputs without effect are exchangeable, and no method selects them more often than at random.

        Args:
            threshold: Above 0.5, at most 1.

        Raises:
            InputError: for another threshold.

        References:
            Meinshausen and Buhlmann, Stability selection, 2010, theorem 1.
        """
        check_number("threshold", threshold, above=0.5, most=1)
        return self.num_selected**2 / ((2 * threshold - 1) * self.share.shape[-1])


def stability_selection(
    x: Any,
    y: Any,
    *,
    lambda_: float,
    family: str = "gaussian",
    alpha: float = 1.0,
    num_halves: int = 100,
    seed: int = 0,
    weights: Any = None,
    intercept: bool = True,
    standardize: bool = False,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    tol: float | str = 1e-6,
    max_rounds: int = 1000,
    threads: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Stability:
    """Returns how often each input is selected on random halves of the rows, in complementary pairs.

    Args:
        x: (n, p) inputs. y: (n,) target. family: as in `fit_path`.
        lambda_: The strength of all fits.
        alpha: As in `fit_path`.
        num_halves: An even number of fits.
        seed: Of the draw.
        weights: As in `fit_path`. intercept: as there. standardize: as there. penalty_factor: as there.
        lower: As there. upper: as there. tol: as there. max_rounds: as there. threads: as there.
        on_progress: Called with how many fits were made since the last call.

    Raises:
        InputError: where an argument cannot be.

    References:
        Shah and Samworth, Variable selection with error control: another look at stability selection, 2013.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> x, y = load_diabetes(return_X_y=True)
        >>> found = stability_selection(x, y, lambda_=1.0)
        >>> np.flatnonzero(found.share > 0.9)
        array([2, 8])
    """
    rows, classes = check_rows(x, y, weights, family)
    penalty = check_penalty(rows.shape[1], alpha, penalty_factor, lower, upper)
    check_number("lambda_", lambda_, above=0)
    check_number("num_halves", num_halves, least=2, integer=True)
    check_number("seed", seed, least=0, integer=True)
    setting = Setting(intercept=intercept, standardize=standardize, threads=check_threads(threads))
    request = Request(
        penalty=penalty,
        strengths=np.array([float(lambda_)]),
        tol=check_tol(tol),
        max_rounds=max_rounds,
        on_progress=on_progress,
    )
    sets, coefs = _halves(rows, num_halves, seed, classes is not None), []
    for first in range(0, len(sets), _TOGETHER):
        engine = Engines(rows, sets[first : first + _TOGETHER], setting, classes).of(penalty)
        coefs += [solution.dense_coef()[0] for solution in engine.solve(request)]
    found = np.array(coefs)
    used = found != 0
    selected = used.any(1) if used.ndim == 3 else used
    low, high = np.percentile(found, [5, 95], axis=0)
    return Stability(
        lambda_=float(lambda_),
        share=used.mean(0),
        low=low,
        high=high,
        num_halves=len(sets),
        num_selected=float(selected.sum(1).mean()),
    )


def _halves(rows: Rows, num: int, seed: int, classes: bool) -> list[RowSet]:
    """Returns random halves and their complements; each class is halved by itself."""
    rng = np.random.default_rng(derive_key(seed, Purpose.RESAMPLE))
    found = []
    for _ in range((num + 1) // 2):
        order = rng.permutation(len(rows.y))
        if classes:
            order = order[np.argsort(rows.y[order], kind="stable")]
            first = np.arange(len(order)) % 2 == rng.integers(2)
        else:
            first = np.arange(len(order)) < len(order) // 2
        half = np.zeros(len(order), bool)
        half[order[first]] = True
        found += [RowSet(train=half), RowSet(train=~half)]
    return found
