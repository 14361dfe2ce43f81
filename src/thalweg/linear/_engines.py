"""Which engine solves a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from thalweg.linear._dense_engine import DenseEngine
from thalweg.linear._gram_engine import GramEngine
from thalweg.linear._logistic_engine import LogisticEngine
from thalweg.linear._penalty import Penalty
from thalweg.linear._ridge_engine import RidgeEngine
from thalweg.linear._rows import Rows, RowSet
from thalweg.linear._solution import Request, Solution
from thalweg.linear._sparse_engine import SparseEngine

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


class Engines:
    """The engines for some sets of rows, each built when a penalty first needs it.

    Args:
        rows: What is fitted.
        sets: F of them.
        setting: What is the same for all paths.
        classes: Of a target of classes, or None.
    """

    def __init__(self, rows: Rows, sets: Sequence[RowSet], setting: Setting, classes: np.ndarray | None = None) -> None:
        self._rows, self._sets, self._setting, self._classes = rows, sets, setting, classes
        self._built: dict[type, Engine] = {}

    def of(self, penalty: Penalty) -> Engine:
        """Returns the engine for a penalty: by the kind of inputs, and by how many there are beside the rows."""
        kind = self._kind(penalty)
        if kind not in self._built:
            more = {} if self._classes is None else {"num_classes": len(self._classes)}
            self._built[kind] = kind(self._rows, self._sets, **vars(self._setting), **more)
        return self._built[kind]

    def _kind(self, penalty: Penalty) -> type:
        if self._classes is not None:
            return LogisticEngine
        if sparse.issparse(self._rows.x):
            return SparseEngine
        if penalty.alpha == 0 and not penalty.bounded:
            return RidgeEngine
        num, size = self._rows.shape
        return GramEngine if size <= min(_GRAM, num) else DenseEngine


def highest_strength(gradient: np.ndarray, scale: np.ndarray, penalty: Penalty) -> float:
    """Returns lambda_max, the least strength at which all penalised coefficients are 0.

    With alpha below 0.001 there is none, or it is far off: then it is that of alpha = 0.001, as glmnet has it. Where
    nothing has a gradient, any strength will do, and it is 1.

    Args:
        gradient: (p,) or (C, p) at b = 0. scale: (p,) of the inputs.
        penalty: On them.
    """
    up, down = np.where(penalty.upper > 0, gradient, 0.0), np.where(penalty.lower < 0, -gradient, 0.0)
    held = ~penalty.free
    reach = np.maximum(np.maximum(up, down), 0.0)[..., held] / (penalty.factors * scale)[held]
    most = float(reach.max(initial=0.0)) / max(penalty.alpha, 1e-3)
    return most if most > 0 else 1.0


def strengths_from(highest: float, num: int, ratio: float) -> np.ndarray:
    """Returns strengths that fall from the highest one to `ratio` of it, evenly by their logarithm."""
    return highest * np.geomspace(1.0, ratio, num) if num > 1 else np.array([highest])
