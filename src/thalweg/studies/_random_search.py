"""How far does random search get, against gradient descent at equal evaluations, as the number of parameters grows?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from thalweg.core import Answer, Chart, Interval, Series, Table, format_together, interval_of_mean
from thalweg.population import Population, architecture_of
from thalweg.recipes import Recipe
from thalweg.studies._compare import cross
from thalweg.studies._study import Lab, Study
from thalweg.tasks import Task, per_example

#: units of the one hidden layer
_WIDTHS = (1, 2, 4, 8, 16, 32)
#: a step of random search takes proposals + 1 evaluations; a gradient costs about two more than its own (backward twice
#: the arithmetic of forward), so a step of gradient descent takes three
_PROPOSALS = 8
_PER_GRADIENT = 3
_RATIO = (_PROPOSALS + 1) // _PER_GRADIENT
_RATES = {"random search": (0.03, 0.1, 0.3), "gradient descent": (0.03, 0.1, 0.3)}


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns random search and gradient descent at several widths and step sizes, at equal evaluations.

    Epochs are those of random search; gradient descent makes three steps for each of its steps.
    """
    common = {
        "model": "mlp",
        "norm": "none",
        "dropout": 0.0,
        "schedule": "constant",
        "weight_decay": 0.0,
        "alpha": 0.0,
        "clip_norm": None,
        "patience": None,
        "label_smoothing": 0.0,
    }
    found = {}
    for width in _WIDTHS:
        for lr in _RATES["random search"]:
            searching = recipe.changed(
                **common, widths=(width,), optimizer="random_search", lr=lr, proposals=_PROPOSALS
            )
            found[f"random search, {width} units, {lr:g}"] = searching
        for lr in _RATES["gradient descent"]:
            descending = recipe.changed(
                **common, widths=(width,), optimizer="sgd", lr=lr, epochs=_RATIO * recipe.epochs
            )
            found[f"gradient descent, {width} units, {lr:g}"] = descending
    return found


@dataclass(frozen=True, kw_only=True)
class _Side:
    """What one method made of one width: its best step size, by the mean over seeds.

    Args:
        lr: The step size. falls: (S,) how far the training loss fell below its start, per seed.
    """

    lr: float
    falls: np.ndarray


def run(lab: Lab) -> Answer:
    """Compares random search with gradient descent at equal evaluations of the network, by the number of parameters.

    A random direction makes an angle with the gradient whose cosine is about 1 / sqrt(N) in N dimensions, so the gain
    of a step along it falls with N: for gradient-free steps on smooth functions the number of iterations grows in
    proportion to N against that of gradient descent (Nesterov and Spokoiny, Random gradient-free minimization of convex
    functions, 2017). The gradient gives all N slopes for the price of about two more evaluations (Griewank and Walther,
    Evaluating derivatives, 2008, chapter 3). So random search keeps up with a handful of parameters, needs no slope,
    and falls behind as the network grows. Here a step of random search tries eight directions and keeps the best if it
    is better, at a scale that adapts (Rechenberg, 1973); gradient descent makes three steps for the same evaluations.
    Both get the best of three step sizes.
    """
    task, seeds = lab.task, len(lab.seeds)
    population = lab.train("levels", cross(lab.levels, lab.seeds))
    sides: dict[str, dict[int, _Side]] = {name: {} for name in _RATES}
    falls = _falls(lab, population)
    for place, (label, recipe) in enumerate(lab.levels.items()):
        name, width = label.split(",")[0], recipe.widths[0]
        found = falls[place * seeds : (place + 1) * seeds]
        before = sides[name].get(width)
        if np.isfinite(found).all() and (before is None or found.mean() > before.falls.mean()):
            sides[name][width] = _Side(lr=recipe.lr, falls=found)
    both = [width for width in _WIDTHS if all(width in side for side in sides.values())]
    sizes = {
        width: architecture_of(_recipe_of(lab, width), task.input_shape, task.output_size).num_params for width in both
    }
    shares: dict[int, Interval] = {
        width: interval_of_mean(sides["random search"][width].falls / sides["gradient descent"][width].falls)
        for width in both
        if (sides["gradient descent"][width].falls > 0).all()
    }
    if len(shares) < 2:
        return Answer(
            headline="Gradient descent lowered the training loss at fewer than two widths, so there is no trend.",
            charts=[_chart(lab, sides, sizes)],
            data={"shares": {}},
            notes=lab.notes,
        )
    first, last = min(shares), max(shares)
    ends = [format_together(100 * shares[w].mean, 100 * shares[w].low, 100 * shares[w].high) for w in (first, last)]
    slope = _slope({sizes[w]: shares[w].mean for w in shares})
    return Answer(
        headline=(
            f"At equal evaluations random search lowers the training loss by {ends[0][0]}% (95% interval {ends[0][1]} "
            f"to {ends[0][2]}) of what gradient descent does with {sizes[first]:,} parameters, and by {ends[1][0]}% "
            f"({ends[1][1]} to {ends[1][2]}) with {sizes[last]:,}; {seeds} seeds."
        ),
        findings=[
            f"That share moves with the number of parameters to the power {slope:.2f}, by least squares."
            if slope is not None
            else "At some width random search gained nothing, so no power is fitted to the shares."
        ],
        tables=[
            Table(
                title="How far the training loss fell below its start",
                head=["parameters", "random search", "its first scale", "gradient descent", "its lr", "share"],
                rows=[
                    [
                        f"{sizes[w]:,}",
                        f"{sides['random search'][w].falls.mean():.4g}",
                        f"{sides['random search'][w].lr:g}",
                        f"{sides['gradient descent'][w].falls.mean():.4g}",
                        f"{sides['gradient descent'][w].lr:g}",
                        f"{share.mean:.0%} ({share.low:.0%} to {share.high:.0%})",
                    ]
                    for w, share in shares.items()
                ],
            )
        ],
        charts=[_chart(lab, sides, sizes)],
        data={
            "parameters": sizes,
            "falls": {name: {w: side.falls.tolist() for w, side in found.items()} for name, found in sides.items()},
            "shares": {w: share.to_json() for w, share in shares.items()},
            "power": slope,
        },
        notes=lab.notes,
    )


def _recipe_of(lab: Lab, width: int) -> Recipe:
    return next(recipe for recipe in lab.levels.values() if recipe.widths == (width,))


def _falls(lab: Lab, population: Population) -> np.ndarray:
    """Returns per member the mean training loss at its start less that at its end, NaN where it diverged."""
    import torch

    split, loss = lab.task.train, lab.task.loss
    y = torch.from_numpy(split.y)

    def mean_loss(outputs: np.ndarray) -> float:
        return float(per_example(loss, torch.from_numpy(np.asarray(outputs)), y).mean())

    starts = Population(lab.task, population.members, lab.session.plan)
    found = []
    for number in range(len(population)):
        if population.diverged_at(number) is not None:
            found.append(math.nan)
            continue
        before, after = (mean_loss(each.outputs([number], split.x)[0]) for each in (starts, population))
        found.append(before - after)
    return np.array(found)


def _slope(shares: dict[int, float]) -> float | None:
    """Returns the slope of log share over log parameters, None where a share is not above 0."""
    if min(shares.values()) <= 0:
        return None
    return float(np.polyfit(np.log(list(shares)), np.log(list(shares.values())), 1)[0])


def _chart(lab: Lab, sides: dict[str, dict[int, _Side]], sizes: dict[int, int]) -> Chart:
    series = []
    for (name, found), role in zip(sides.items(), ("second", "main"), strict=True):
        means = {w: interval_of_mean(side.falls) for w, side in found.items() if w in sizes}
        series.append(
            Series(
                name=name,
                x=[float(sizes[w]) for w in means],
                y=[mean.mean for mean in means.values()],
                low=[mean.low for mean in means.values()],
                high=[mean.high for mean in means.values()],
                role=role,
            )
        )
    return Chart(
        name="falls",
        title="How far the training loss fell, at equal evaluations",
        caption=f"Means over {len(lab.seeds)} seeds with their 95% intervals, each at the best of three step sizes.",
        x="parameters",
        y="fall of the training loss",
        series=series,
        log_x=True,
    )


STUDY = Study(name="random-search", levels=levels, run=run, seeds=4)
