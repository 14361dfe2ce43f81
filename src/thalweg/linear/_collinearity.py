"""How far inputs say the same, and what ridge does about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.linear._check import check_inputs


@dataclass(frozen=True, kw_only=True)
class Collinearity:
    """Correlations of inputs, and what they cost.

    Args:
        condition_number: Largest over least singular value of the standardised inputs; infinite where one is a
            combination of others.
        inflation: (p,) variance inflation factors: by how much the variance of a least-squares coefficient is larger
            than it would be without correlations; infinite likewise, NaN for inputs that do not vary.
        correlations: (p, p) of the inputs.
    """

    condition_number: float
    inflation: np.ndarray
    correlations: np.ndarray

    def with_ridge(self, strength: float) -> Collinearity:
        """Returns what a ridge penalty of a strength on standardised inputs makes of it.

        The condition number is that of the matrix which is inverted, by its root, so that both compare; the factors are
        diag((R + k I)^-1 R (R + k I)^-1).

        Args:
            strength: lambda of `fit_path` with alpha = 0 and `standardize`.

        References:
            Hoerl and Kennard, Ridge regression: biased estimation for nonorthogonal problems, 1970.
            Marquardt, Generalized inverses, ridge regression, biased linear estimation, 1970.
        """
        values, vectors = np.linalg.eigh(self.correlations)
        values = np.maximum(values, 0.0)
        inflation = (vectors**2) @ (values / (values + strength) ** 2)
        return Collinearity(
            condition_number=float(np.sqrt((values[-1] + strength) / (values[0] + strength))),
            inflation=np.where(np.diag(self.correlations) == 0, np.nan, inflation),
            correlations=self.correlations,
        )


def collinearity(x: Any) -> Collinearity:
    """Returns the correlations of inputs with their condition number and variance inflation factors.

    Args:
        x: (n, p) inputs.

    Raises:
        InputError: where they are no finite numbers.

    References:
        Belsley, Kuh and Welsch, Regression diagnostics, 1980, chapter 3.

    Example:
        >>> found = collinearity([[1.0, 1.0], [2.0, 1.0], [3.0, 2.0], [4.0, 2.0]])
        >>> found.inflation.round(2)
        array([5., 5.])
    """
    given: Any = check_inputs(x)
    rows = np.asarray(given.toarray() if hasattr(given, "toarray") else given)
    centred = rows - rows.mean(0)
    size = np.sqrt((centred**2).sum(0))
    varies = size > 1e-13 * np.sqrt(len(rows)) * np.abs(rows).max(0)
    unit = centred[:, varies] / size[varies]
    _, singular, right = np.linalg.svd(unit, full_matrices=False)
    full = len(singular) == unit.shape[1] and bool((singular > _rounding(unit)).all())
    inflation = np.full(rows.shape[1], np.nan)
    if full:
        inflation[varies] = ((right.T / singular) ** 2).sum(1)
    else:  # an input that has a share in a direction without variance is a combination of others
        kept = singular > _rounding(unit)
        inside = (right[kept] ** 2).sum(0)
        alone = ((right[kept].T / singular[kept]) ** 2).sum(1)
        inflation[varies] = np.where(inside < 1 - 1e-8, np.inf, alone)
    correlations = np.zeros((rows.shape[1], rows.shape[1]))
    correlations[np.ix_(varies, varies)] = unit.T @ unit
    least = singular[-1] if full else 0.0
    return Collinearity(
        condition_number=float(singular[0] / least) if least > 0 else (np.inf if varies.any() else 1.0),
        inflation=inflation,
        correlations=correlations,
    )


def _rounding(unit: np.ndarray) -> float:
    return max(unit.shape) * 1e-14
