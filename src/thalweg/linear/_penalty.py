"""The elastic-net penalty with a factor and bounds for every coefficient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.optim import penalty_value


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """lambda * sum_j factor_j (alpha |b_j| + (1 - alpha) / 2 b_j^2), and lower_j <= b_j <= upper_j.

    Args:
        alpha: Share of the absolute part, 0 (ridge) to 1 (lasso).
        factors: (p,) at least 0; 0 leaves a coefficient unpenalised.
        lower: (p,) at most 0. upper: (p,) at least 0.
    """

    alpha: float
    factors: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @property
    def l1(self) -> np.ndarray:
        """(p,) strength of the absolute part at lambda = 1."""
        return self.alpha * self.factors

    @property
    def l2(self) -> np.ndarray:
        """(p,) strength of the squared part at lambda = 1."""
        return (1 - self.alpha) * self.factors

    @property
    def free(self) -> np.ndarray:
        """(p,) bool: what is not penalised."""
        return self.factors == 0

    @property
    def bounded(self) -> bool:
        """Whether any coefficient has a bound."""
        return bool(np.isfinite(self.lower).any() or np.isfinite(self.upper).any())

    def value(self, coef: np.ndarray, strength: float) -> float:
        """Returns the penalty of coefficients, (p,) or (C, p)."""
        return float((self.factors * penalty_value(coef, strength, self.alpha)).sum())
