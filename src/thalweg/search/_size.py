"""How large a search is: what its budget buys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.core import InputError
from thalweg.population import Budget
from thalweg.recipes import Axis, Recipe
from thalweg.search._forecast import SearchForecast
from thalweg.search._stages import LEAST_FINALISTS, SAMPLE, bracket_finalists, search_stages
from thalweg.tasks import Task

#: recipes of the smallest search
_LEAST_SCREENED = LEAST_FINALISTS


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a search is: what the budget bought.

    Args:
        screened: Recipes that start.
        seeds: Fresh seeds of the confirmation.
        steps: Member-steps that are predicted, all stages together.
    """

    screened: int
    seeds: int
    steps: int


def size_search(
    task: Task,
    axes: Sequence[Axis],
    draw: Callable[[int], list[Recipe]],
    *,
    budget: Budget,
    seeds: int,
    default: int,
    forecast: Callable[[], SearchForecast],
    most: Callable[[], int],
) -> Size:
    """Returns how many recipes the budget can screen, next to the cost of choosing and confirming.

    Args:
        task: What is optimised.
        axes: What varies.
        draw: Returns so many recipes of the search space.
        budget: What may be spent.
        seeds: Fresh seeds of the confirmation.
        default: Recipes that are screened where there is no budget.
        forecast: Gives the forecast of the search, for a budget in seconds.
        most: Gives how many recipes fit into the memory.

    Raises:
        InputError: where the budget does not reach for the smallest search, with what would.
    """
    num_rows = len(task.train.rows)
    sample = draw(SAMPLE)
    per_epoch = float(np.mean([num_rows // (r.batch_size or num_rows) for r in sample]))
    epochs = max(recipe.epochs for recipe in sample)

    def size_of(num: int) -> Size:
        stages = search_stages(axes, num, epochs, seeds)
        steps = round(per_epoch * sum(stage.recipes * stage.seeds * (stage.last - stage.first) for stage in stages))
        return Size(screened=num, seeds=seeds, steps=steps)

    if budget.seconds is None and budget.steps is None:
        if bracket_finalists(axes, list(range(default))) == default:
            default //= 4  # at about the same cost
        return size_of(len(draw(default)))
    limit = budget.seconds or budget.steps or 0.0
    predicted = forecast() if budget.seconds is not None else None

    def cost_of(num: int) -> float:
        return size_of(num).steps if predicted is None else predicted.of(num, epochs).seconds

    least = cost_of(_LEAST_SCREENED)
    if least > limit:
        unit = "member-steps" if predicted is None else "seconds"
        raise InputError(
            "--budget",
            f"at least {_show(least)} {unit} for {epochs} epochs and {seeds} seeds",
            f"{_show(limit)} {unit}",
            "Give more, or fewer epochs (--set epochs=10) or --seeds.",
        )
    fitting = max(_LEAST_SCREENED, most())
    low, high = _LEAST_SCREENED, min(2 * _LEAST_SCREENED, fitting)
    while high < fitting and cost_of(high) <= limit:
        low, high = high, min(2 * high, fitting)
    while low < high:  # the largest search that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost_of(middle) <= limit else (low, middle - 1)
    return size_of(len(draw(low)))


def _show(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 10 else f"{amount:.2g}"
