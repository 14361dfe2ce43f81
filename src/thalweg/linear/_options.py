"""What `thalweg path` can be asked, and what it is told about the inputs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from thalweg.core import InputError, check_choice, check_number
from thalweg.linear._check import check_strengths, check_tol

CHOICES = ("min", "1se")


@dataclass(frozen=True, kw_only=True)
class PathOptions:
    """What `thalweg path` can be asked.

    Args:
        alpha: Shares of the absolute part that are tried: 1 is the lasso, 0 ridge.
        lambda_: How many strengths, or strengths from the largest to the smallest.
        folds: Of the cross-validation.
        choose: min takes the strength of least error; 1se the largest within one standard error of it.
        unpenalised: Names of columns whose coefficients are not penalised.
        nonnegative: Whether coefficients are at least 0.
        halves: Random halves of the rows on which the chosen fit is repeated, an even number; 0 for none.
        tol: Duality gap to reach.

    Raises:
        InputError: where one of them cannot be.
    """

    alpha: tuple[float, ...] = (1.0,)
    lambda_: int | tuple[float, ...] = 100
    folds: int = 10
    choose: str = "min"
    unpenalised: tuple[str, ...] = ()
    nonnegative: bool = False
    halves: int = 100
    tol: float | str = 1e-6

    def __post_init__(self) -> None:
        for alpha in self.alpha:
            check_number("alpha", alpha, least=0, most=1)
        check_strengths(self.lambda_)
        check_tol(self.tol)
        check_number("folds", self.folds, least=2, integer=True)
        check_choice("choose", self.choose, CHOICES)
        check_number("halves", self.halves, least=0, integer=True)
        if self.halves % 2:
            raise InputError("halves", "an even number: they are drawn in pairs", self.halves)

    @property
    def num_fits(self) -> int:
        """How many fits it takes to answer."""
        num = self.lambda_ if isinstance(self.lambda_, int) else len(self.lambda_)
        return num * len(self.alpha) * (self.folds + 1) + self.halves

    def to_json(self) -> dict[str, Any]:
        """Returns the options as plain data."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The inputs of a table.

    Args:
        names: (p,) of each input.
        sources: (p,) the column that each came from.
        deviations: (p,) by which each was divided; NaN where it was not, as for the inputs of a category.
    """

    names: list[str]
    sources: list[str]
    deviations: np.ndarray

    def independent(self) -> np.ndarray:
        """Returns the inputs without the first one of each category, which the others of its column determine."""
        category = np.isnan(self.deviations)
        first = [k for k, source in enumerate(self.sources) if category[k] and self.sources.index(source) == k]
        whole = [k for k in first if self.sources.count(self.sources[k]) > 1]
        return np.setdiff1d(np.arange(len(self.names)), whole)
