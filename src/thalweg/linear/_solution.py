"""What a solver is asked for, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from thalweg.linear._penalty import Penalty

#: gaps that are looser are not sought
_LOOSEST = 1e-6


@dataclass(frozen=True, kw_only=True)
class Request:
    """A path.

    Args:
        penalty: At strength 1.
        strengths: (L,) lambda, falling.
        tol: Gap to reach, as a share of the objective at b = 0.
        max_rounds: Of work at every strength.
        start: (p,) or (C, p) coefficients to start from, or None.
        on_progress: Called with how many strengths of how many sets were solved since the last call.
    """

    penalty: Penalty
    strengths: np.ndarray
    tol: float = 1e-6
    max_rounds: int = 1000
    start: np.ndarray | None = None
    on_progress: Callable[[int], None] | None = None

    @property
    def sought(self) -> float:
        """The gap that strengths are solved to: extrapolation from looser solutions misleads, which costs more."""
        return min(self.tol, _LOOSEST)

    def solved(self, num: int) -> None:
        """Tells that so many strengths, over all sets, are solved."""
        if self.on_progress is not None:
            self.on_progress(num)


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The path of one set of rows, in the units of the inputs.

    Args:
        coef: (L, p), or (L, C, p) of a multinomial; a sparse matrix where the inputs are. intercept: (L,), or (L, C).
        gap: (L,) duality gap, as a share of the objective at b = 0.
        kkt: (L,) distance of 0 from the subgradient, in the units of lambda.
        error: (L,) mean loss on the rows held out: squared error, or twice the negative log-likelihood; or None.
        mistakes: (L,) share of these rows that are taken for another class; None where there are no classes.
    """

    coef: np.ndarray | sparse.csr_array
    intercept: np.ndarray
    gap: np.ndarray
    kkt: np.ndarray
    error: np.ndarray | None = None
    mistakes: np.ndarray | None = None

    def dense_coef(self) -> np.ndarray:
        """Returns the coefficients in an array."""
        return self.coef if isinstance(self.coef, np.ndarray) else self.coef.toarray()
