"""Which engine solves a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from thalweg.linear._dense_engine import DenseEngine
from thalweg.linear._gram_engine import GramEngine
from thalweg.linear._penalty import Penalty
from thalweg.linear._rows import Rows, RowSet
from thalweg.linear._solution import Request, Solution

#: inputs whose Gram matrix is taken whole, at most
_GRAM = 1024


class Engine(Protocol):
    """What solves paths on several sets of rows."""

    def null_gradient(self, penalty: Penalty) -> tuple[np.ndarray, np.ndarray]:
        """Returns the gradient of the first set at b = 0, with what is unpenalised fitted, and the inputs' scales."""
        ...

    def solve(self, request: Request) -> list[Solution]:
        """Returns the path of every set."""
        ...


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is the same for every path on some rows.

    Args:
        intercept: Whether there is one.
        standardize: Whether the penalty is on coefficients of inputs of variance 1.
        threads: Cores to use.
    """

    intercept: bool
    standardize: bool
    threads: int


def find_engine(rows: Rows, sets: Sequence[RowSet], setting: Setting, classes: np.ndarray | None = None) -> Engine:
    """Returns the engine for some rows: by their kind, and by how many there are beside the inputs."""
    if sparse.issparse(rows.x):
        raise NotImplementedError
    num, size = rows.shape
    kind = GramEngine if size <= min(_GRAM, num) else DenseEngine
    return kind(rows, sets, **vars(setting))


def highest_strength(engine: Engine, penalty: Penalty) -> float:
    """Returns lambda_max, the least strength at which all penalised coefficients are 0.

    With alpha below 0.001 there is none, or it is far off: then it is that of alpha = 0.001, as glmnet has it. Where
    nothing has a gradient, any strength will do, and it is 1.
    """
    gradient, scale = engine.null_gradient(penalty)
    up, down = np.where(penalty.upper > 0, gradient, 0.0), np.where(penalty.lower < 0, -gradient, 0.0)
    held = ~penalty.free
    reach = np.maximum(np.maximum(up, down), 0.0)[..., held] / (penalty.factors * scale)[held]
    most = float(reach.max(initial=0.0)) / max(penalty.alpha, 1e-3)
    return most if most > 0 else 1.0


def strengths_from(highest: float, num: int, ratio: float) -> np.ndarray:
    """Returns strengths that fall from the highest one to `ratio` of it, evenly by their logarithm."""
    return highest * np.geomspace(1.0, ratio, num) if num > 1 else np.array([highest])
