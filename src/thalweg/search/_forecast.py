"""How long a search will take: stages whose members are known, and stages whose members will have won."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.core import Purpose, derive_key
from thalweg.population import Forecast, Plan
from thalweg.recipes import Axis, Recipe
from thalweg.search._stages import Stage, search_stages
from thalweg.tasks import Task

#: draws of who may win
_DRAWS = 24
#: recipes that compute more in as many epochs (smaller batches, wider layers) lead more often: their weight is the
#: time that they take alone to this power (docs/log.md)
_LEAD = 0.5


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """A predicted time.

    Args:
        seconds: The mean over which recipes may win.
        low: The tenth part of these times lie below. high: above.
        stages: Stage -> its part of the mean.
    """

    seconds: float
    low: float
    high: float
    stages: dict[str, float]


class SearchForecast:
    """Predicts the time of searches of one space.

    Args:
        axes: What varies.
        sample: Recipes of the space.
        screening: Forecast of the members of the screening.
        finals: Of the members of choice and confirmation.
        saved: Of the saved model.
        seeds: Fresh seeds of the confirmation.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        sample: Sequence[Recipe],
        *,
        screening: Forecast,
        finals: Forecast,
        saved: Forecast,
        seeds: int,
    ) -> None:
        self.axes, self.sample, self.seeds = list(axes), list(sample), seeds
        self.screening, self.finals, self.saved = screening, finals, saved
        self._known: dict[Stage, np.ndarray] = {}
        alone = np.array([finals.seconds([recipe]) for recipe in self.sample])
        self._lead = _LEAD * np.log(np.maximum(alone, 1e-12))

    def of(self, screened: int, epochs: int) -> Seconds:
        """Returns the time of a search that screens so many recipes for so many epochs at most."""
        stages = search_stages(self.axes, screened, epochs, self.seeds)
        stages.append(Stage(name="saved model", recipes=1, seeds=1, first=0, last=epochs))
        parts: dict[str, np.ndarray] = {}
        for stage in stages:
            seconds = self._mean_of_screening(stage) if stage.name == "screening" else self._of_leaders(stage)
            parts[stage.name] = parts.get(stage.name, np.zeros(_DRAWS)) + seconds
        totals = np.sum(list(parts.values()), axis=0)
        low, high = np.quantile(totals, [0.1, 0.9])
        return Seconds(
            seconds=float(totals.mean()),
            low=float(low),
            high=float(high),
            stages={name: float(seconds.mean()) for name, seconds in parts.items()},
        )

    def _mean_of_screening(self, stage: Stage) -> np.ndarray:
        """Returns the mean time of so many members of the sample, which is that of every draw of the leaders."""
        size = len(self.sample)
        if stage not in self._known:
            if stage.recipes >= size:
                times = [self._screening(stage, range(size)) * stage.recipes / size]
            else:
                rng = np.random.default_rng(derive_key(0, Purpose.SPACE))
                draws = [rng.choice(size, stage.recipes, replace=False) for _ in range(_DRAWS)]
                times = [self._screening(stage, draw) for draw in draws]
            self._known[stage] = np.full(_DRAWS, np.mean(times))
        return self._known[stage]

    def _screening(self, stage: Stage, places: Iterable[int]) -> float:
        return self.screening.seconds([self.sample[k] for k in places], first=stage.first, last=stage.last)

    def _of_leaders(self, stage: Stage) -> np.ndarray:
        """Returns the time of a late stage for each draw of who leads; the first of a draw leads longest."""
        if stage not in self._known:
            forecast = self.saved if stage.name == "saved model" else self.finals
            times = []
            for draw in range(_DRAWS):
                # Gumbel's trick: an order drawn with these weights
                noise = np.random.default_rng(derive_key(0, Purpose.SPACE, draw)).gumbel(size=len(self.sample))
                order = np.argsort(-(self._lead + noise))
                members = [self.sample[k] for k in order[: stage.recipes] for _ in range(stage.seeds)]
                times.append(forecast.seconds(members, last=stage.last))
            self._known[stage] = np.array(times)
        return self._known[stage]


def forecast_search(
    task: Task, axes: Sequence[Axis], sample: Sequence[Recipe], plan: Plan, *, seeds: int
) -> SearchForecast:
    """Returns the forecast of searches of a space, from measurements under the plans that its stages run.

    Args:
        task: What is optimised.
        axes: What varies.
        sample: Recipes of the space.
        plan: How members run.
        seeds: Fresh seeds of the confirmation.
    """
    screening = Forecast(task, sample, plan)
    exact = plan.in_full_precision()
    return SearchForecast(
        axes,
        sample,
        screening=screening,
        finals=screening if exact == plan else Forecast(task, sample, exact),
        saved=Forecast(task, sample, plan.of_saved_model(sample[0])),
        seeds=seeds,
    )
