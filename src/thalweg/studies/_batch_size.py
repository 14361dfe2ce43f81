"""Which batch size fits, which is useful, which is fastest, and how must lr move with it?"""

from __future__ import annotations

import math

import numpy as np

from thalweg.core import Answer, Chart, Series, Table, known
from thalweg.curvature import gradient_noise_scale
from thalweg.population import Forecast, Pace, Population, has_batch_norm, largest_micro_batch
from thalweg.recipes import Recipe
from thalweg.studies._around import surface_around
from thalweg.studies._compare import cross
from thalweg.studies._study import Lab, Study
from thalweg.tasks import Task

#: factors on the scaled step size that are tried at each batch size
_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
_LEAST, _MOST_SIZES = 8, 8
#: rows on which gradients are compared
_NOISE_ROWS = 1024


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe at batch sizes from 8 to a quarter of the rows, each at five step sizes.

    The middle one follows the recipe's: with the batch size for plain gradient methods, with its square root for
    adaptive ones.
    """
    largest = max(_LEAST, len(task.train) // 4)
    sizes = [_LEAST * 2**k for k in range(40) if _LEAST * 2**k <= largest]
    if len(sizes) > _MOST_SIZES:
        sizes = [sizes[round(k)] for k in np.linspace(0, len(sizes) - 1, _MOST_SIZES)]
    own = recipe.batch_size or len(task.train)
    power = _power(recipe)
    found = {}
    for size in sizes:
        for factor in _FACTORS:
            lr = float(f"{recipe.lr * (size / own) ** power * factor:.4g}")
            found[f"{size}, lr {lr:.3g}"] = recipe.changed(batch_size=size, lr=lr)
    return found


def _power(recipe: Recipe) -> float:
    """Returns the power of the batch size by which lr moves in theory."""
    return 1.0 if recipe.optimizer in ("sgd", "momentum", "heavy_ball", "nesterov") else 0.5


def run(lab: Lab) -> Answer:
    """Finds the batch sizes that fit, that are useful and that are fastest, and how lr moves with them.

    A minibatch gradient is the true one plus noise of variance tr(S) / B. Below the noise scale tr(S) / |G|^2 a batch
    of twice the size allows about twice the step and halves the number of steps; far above it, steps hardly get better
    and rows are wasted (McCandlish et al., An empirical model of large-batch training, 2018: steps = least steps x (1 +
    scale / B)). For SGD lr so moves in proportion to B up to the edge of stability (Goyal et al., Accurate, large
    minibatch SGD, 2017), for Adam about with its root (Malladi et al., On the SDEs and scaling rules for adaptive
    gradient algorithms, 2022). The scale grows as the gradient shrinks in training. Which size is fastest in seconds
    depends on the machine: a small batch leaves cores idle, a large one wastes rows. Here every batch size is trained
    at five step sizes, each gets its best, and steps, epochs and seconds to one common loss are read off.
    """
    task, recipes, seeds = lab.task, list(lab.levels.values()), len(lab.seeds)
    population = lab.train("sizes", cross(lab.levels, lab.seeds))
    sizes = list(dict.fromkeys(recipe.batch_size for recipe in recipes))
    # of the worst seed: the common loss is one that every seed can reach
    least = [max(_least_loss(population, k * seeds + s) for s in range(seeds)) for k in range(len(recipes))]
    best: dict[int, int] = {}
    for size in sizes:
        own = [k for k, recipe in enumerate(recipes) if recipe.batch_size == size]
        best[size or 0] = min(own, key=lambda k: least[k])
    target = float(np.median([least[k] for k in best.values()])) * 1.02
    reached = {size: _steps_to(population, k, seeds, target) for size, k in best.items()}
    steps = {size: found for size, found in reached.items() if len(found) == seeds}
    forecast = Forecast(task, [recipes[k] for k in best.values()], lab.session.plan)
    seconds = {size: forecast.speed(recipes[k])[0] for size, k in best.items()}
    bounce = {
        size: float(np.mean([_bounce(population, k * seeds + s) for s in range(seeds)])) for size, k in best.items()
    }
    middle = best[_nearest(lab, list(best))] * seeds
    noise = gradient_noise_scale(surface_around(population, middle, rows=_NOISE_ROWS))
    fits = _most_rows(lab)
    times = {size: float(np.median(found)) * seconds[size] for size, found in steps.items()}
    fastest = min(times, key=times.get, default=None)  # type: ignore[arg-type]
    scale = noise.scale
    useful = (
        f"{scale.mean:,.0f} (95% interval {scale.low:,.0f} to {scale.high:,.0f})"
        if scale.bounded
        else f"at least {scale.low:,.0f}"
    )
    rates = {size: recipes[k].lr for size, k in best.items()}
    power, error = _measured_power(rates)
    chosen = f"{fastest:,} is fastest here" if fastest is not None else "no size reached the common loss on every seed"
    return Answer(
        headline=f"{_fits_in_words(fits, len(task.train))}; {useful} is useful; {chosen}.",
        findings=[
            "Too few batch sizes train to say how lr moves with them."
            if power is None
            else f"The best lr moves with the batch size to the power {power:.2f} (standard error {error:.2f}); theory "
            f"says {_power(lab.recipe):g} for {lab.recipe.optimizer}.",
            f"The common validation loss is {target:.4g}; {len(times)} of {len(sizes)} sizes reach it on every seed.",
        ],
        tables=[_table(lab, best, recipes, steps, seconds, least, bounce)],
        charts=[
            _chart(
                "steps",
                "Steps to the common loss",
                "steps",
                {s: float(np.median(v)) for s, v in steps.items()},
                scale.mean,
            ),
            _chart(
                "epochs", "Epochs to the common loss", "epochs", {s: _epochs(lab, s, v) for s, v in steps.items()}, None
            ),
            _chart("seconds", "Seconds to the common loss, one member", "seconds", dict(times), None),
            *_curves(population, best, seeds, seconds, fastest),
        ],
        data={
            "fits": fits,
            "noise_scale": scale.to_json(),
            "fastest": fastest,
            "target": target,
            "lr": rates,
            "lr_power": {"measured": power, "standard_error": error, "theory": _power(lab.recipe)},
            "steps": reached,
            "step_seconds": seconds,
            "bounce": bounce,
        },
        notes=lab.notes,
    )


def _most_rows(lab: Lab) -> int | None:
    """Returns how many rows of a step fit into the memory, tried in a child process on a CPU; None with batch norm."""
    recipe = lab.recipe.changed(batch_size=None)
    if has_batch_norm(lab.task, recipe):
        lab.notes.append("With batch norm a batch is not cut into parts, so the largest that fits was not looked for.")
        return None
    found = largest_micro_batch(lab.task, recipe, lab.session.plan)
    return found.predicted if found.probed is None else found.probed


def _fits_in_words(fits: int | None, num_rows: int) -> str:
    if fits is None:
        return "The largest batch in memory is not known"
    return f"All {num_rows:,} training rows fit at once" if fits >= num_rows else f"{fits:,} rows fit"


def _least_loss(population: Population, number: int) -> float:
    """Returns the least validation loss of a member, infinite where it diverged."""
    if population.diverged_at(number) is not None:
        return math.inf
    return min((r.validation_loss for r in population.history if r.member == number), default=math.inf)


def _steps_to(population: Population, level: int, seeds: int, target: float) -> list[float]:
    """Returns per seed the steps until the validation loss was at the target, between evaluations by interpolation."""
    found = []
    for s in range(seeds):
        records = [r for r in population.history if r.member == level * seeds + s]
        before = None
        for record in sorted(records, key=lambda r: r.step):
            if record.validation_loss <= target:
                share = 1.0
                if before is not None and before.validation_loss > record.validation_loss:
                    share = (before.validation_loss - target) / (before.validation_loss - record.validation_loss)
                start = 0 if before is None else before.step
                found.append(start + share * (record.step - start))
                break
            before = record
    return found


def _bounce(population: Population, number: int) -> float:
    """Returns how much the training loss moves from look to look over the last half of a run, as a share of its mean.

    It is the root mean square of the second differences over sqrt(6), so that a steady fall counts as none; 0 for
    fewer than 3 looks.
    """
    losses = [r.train_loss for r in population.history if r.member == number]
    last = np.array(losses[len(losses) // 2 :])
    if len(last) < 3 or not np.isfinite(last).all():
        return 0.0
    return float(np.sqrt((np.diff(last, 2) ** 2).mean() / 6) / max(abs(last.mean()), 1e-300))


def _curves(
    population: Population, best: dict[int, int], seeds: int, seconds: dict[int, float], fastest: int | None
) -> list[Chart]:
    """Returns the validation loss of the smallest, the fastest and the largest batch over steps, epochs and seconds."""
    sizes = sorted(best)
    shown = list(dict.fromkeys([sizes[0], fastest or sizes[len(sizes) // 2], sizes[-1]]))
    axes = {
        "steps": lambda record, size: float(record.step),
        "epochs": lambda record, size: float(record.epoch),
        "seconds": lambda record, size: record.step * seconds[size],
    }
    charts = []
    for axis, place in axes.items():
        series = []
        for size, role in zip(shown, ("bad", "main", "second"), strict=False):
            records = [r for r in population.history if r.member == best[size] * seeds]
            records.sort(key=lambda r: r.step)
            series.append(
                Series(
                    name=f"batches of {size:,}",
                    x=[place(r, size) for r in records],
                    y=known(r.validation_loss for r in records),
                    style="line",
                    role=role,
                )
            )
        charts.append(
            Chart(
                name=f"curves-{axis}",
                title=f"Too small and too large, over {axis}",
                caption="Validation loss of the first seed at the best step size of each: the smallest batch, the one "
                "that is fastest to the common loss, the largest.",
                x=axis,
                y="validation loss",
                series=series,
                log_x=axis != "epochs",
                log_y=True,
            )
        )
    return charts


def _nearest(lab: Lab, sizes: list[int]) -> int:
    own = lab.recipe.batch_size or len(lab.task.train)
    return min(sizes, key=lambda size: abs(math.log(size / own)))


def _measured_power(rates: dict[int, float]) -> tuple[float | None, float | None]:
    """Returns the slope of log lr over log batch size, with its standard error by least squares; None below 3 sizes."""
    x, y = np.log(list(rates)), np.log(list(rates.values()))
    if len(x) < 3:
        return None, None
    spread = ((x - x.mean()) ** 2).sum()
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / spread)
    left = y - y.mean() - slope * (x - x.mean())
    return slope, float(math.sqrt((left**2).sum() / (len(x) - 2) / spread))


def _epochs(lab: Lab, size: int, values: list[float]) -> float:
    pace = Pace.of(lab.recipe.changed(batch_size=size), len(lab.task.train))
    return float(np.median(values)) / pace.steps_per_epoch


def _table(
    lab: Lab,
    best: dict[int, int],
    recipes: list[Recipe],
    steps: dict[int, list[float]],
    seconds: dict[int, float],
    least: list[float],
    bounce: dict[int, float],
) -> Table:
    rows = []
    for size, k in best.items():
        shown = ["not on every seed", "", ""]
        if size in steps:
            middle = float(np.median(steps[size]))
            shown = [f"{middle:,.0f}", f"{_epochs(lab, size, steps[size]):.1f}", f"{middle * seconds[size]:.2g}"]
        rows.append(
            [
                f"{size:,}",
                f"{recipes[k].lr:.3g}",
                f"{least[k]:.4g}",
                *shown,
                f"{bounce[size]:.1%}",
            ]
        )
    head = [
        "batch size",
        "best lr",
        "least validation loss, worst seed",
        "steps to the common loss",
        "epochs",
        "seconds",
        "bounce",
    ]
    return Table(title="Every batch size at its best step size", head=head, rows=rows)


def _chart(name: str, title: str, y: str, values: dict[int, float], scale: float | None) -> Chart:
    series = [Series(name=y, x=list(values), y=list(values.values()))]
    if scale is not None and values:
        ends = [min(values.values()), max(values.values())]
        series.append(Series(name="noise scale", x=[scale, scale], y=ends, style="line", role="second"))
    return Chart(
        name=name,
        title=title,
        caption="Median of the seeds, each batch size at its best step size.",
        x="batch size",
        y=y,
        series=series,
        log_x=True,
        log_y=True,
    )


STUDY = Study(name="batch-size", levels=levels, run=run, seeds=3)
