"""Which penalty? The question that `thalweg path` asks of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core import Answer, InputError, nearest
from thalweg.linear._collinearity import collinearity
from thalweg.linear._cross_validation import cross_validate
from thalweg.linear._options import Columns, PathOptions
from thalweg.linear._stability import stability_selection
from thalweg.linear._telling import Telling

#: more inputs than this are not looked at for collinearity
_MOST = 2000


@dataclass(frozen=True, kw_only=True)
class Found:
    """The chosen solution, and the answer about it.

    Args:
        coef: (p,) or (C, p). intercept: a number, or (C,).
        answer: What was found.
    """

    coef: np.ndarray
    intercept: np.ndarray
    answer: Answer


def ask_path(
    x: np.ndarray,
    y: np.ndarray,
    columns: Columns,
    options: PathOptions,
    *,
    family: str,
    classes: Sequence[str] = (),
    groups: np.ndarray | None = None,
    seed: int = 0,
    threads: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Found:
    """Returns the solution that cross-validation chooses, with what its inputs rest on.

    Args:
        x: (n, p) inputs of mean 0 and variance 1 where they are numbers. y: (n,) target, classes by number.
        columns: Of x.
        options: What is asked.
        family: gaussian, binomial or multinomial.
        classes: Names, in the order of their numbers.
        groups: (n,) rows of one group are held out together.
        seed: Of folds and halves.
        threads: Cores to use.
        on_progress: Called with how many fits were made since the last call; `options.num_fits` are made in all.

    Raises:
        InputError: where an option does not fit the data.
    """
    factors = np.ones(len(columns.names))
    for name in options.unpenalised:
        held = [k for k, source in enumerate(columns.sources) if source == name]
        if not held:
            raise InputError("unpenalised", "a column that is an input", name, nearest(name, set(columns.sources)))
        factors[held] = 0.0
    if options.nonnegative and options.unpenalised:
        raise InputError("nonnegative", "left out beside unpenalised columns, which have no bounds")
    common: dict[str, Any] = {
        "family": family,
        "penalty_factor": factors,
        "lower": 0.0 if options.nonnegative else None,
        "tol": options.tol,
        "threads": threads,
        "seed": seed,
        "on_progress": on_progress,
    }
    lambdas = options.lambda_ if isinstance(options.lambda_, int) else list(options.lambda_)
    found = cross_validate(x, y, alpha=options.alpha, lambda_=lambdas, folds=options.folds, groups=groups, **common)
    curve = found.curve
    place = curve.best if options.choose == "min" else curve.one_standard_error
    strength = float(curve.path.lambda_[place])
    stability = None
    if options.halves:
        stability = stability_selection(
            x, y, lambda_=strength, alpha=curve.path.penalty.alpha, num_halves=options.halves, **common
        )
    independent = columns.independent()
    told = Telling(
        found=found,
        place=place,
        stability=stability,
        independent=independent,
        related=collinearity(x[:, independent]) if 0 < len(independent) <= _MOST else None,
        columns=columns,
        classes=classes,
        options=options,
    )
    return Found(coef=curve.path.coef[place], intercept=curve.path.intercept[place], answer=told.answer())
