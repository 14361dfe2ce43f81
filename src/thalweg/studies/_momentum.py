"""Where do step size and momentum put the modes of this network: monotone, oscillating or divergent?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core import Answer, Chart, Field, InputError, PairedDifference, Series, Table, known, paired_difference
from thalweg.curvature import Hessian, extreme_eigenvalues
from thalweg.population import Population
from thalweg.recipes import Member, Recipe
from thalweg.studies._around import surface_around
from thalweg.studies._compare import cross, difference_words, final_scores, metric_words
from thalweg.studies._stretches import even_marks, in_stretches
from thalweg.studies._study import Lab, Study
from thalweg.tasks import METRICS, Task

MOMENTA = (0.0, 0.5, 0.8, 0.9, 0.97)
_RATES = 7
#: stretches between looks at the members that are followed
_STRETCHES = 4
#: modes that are measured, and rows of the training data on which
_MODES, _ROWS = 8, 512
RULES = ("heavy_ball", "nesterov")


# ---- one mode of a quadratic -----------------------------------------------------------------------------------------


def roots(lr_curvature: np.ndarray, beta: np.ndarray, *, rule: str = "heavy_ball") -> np.ndarray:
    """Returns the two numbers by whose powers a mode evolves, (..., 2) complex.

    Along an eigenvector of curvature h, w(t+1) = w(t) - lr h w(t) + beta (w(t) - w(t-1)) is a linear recurrence with
    characteristic polynomial z^2 - (1 + beta - lr h) z + beta (Polyak, 1964, section 3). Nesterov's form takes the
    gradient at w(t) + beta (w(t) - w(t-1)): z^2 - (1 + beta)(1 - lr h) z + beta (1 - lr h).

    Args:
        lr_curvature: lr times h. beta: momentum; of shapes that broadcast.
        rule: heavy_ball or nesterov.
    """
    x, b = np.broadcast_arrays(np.asarray(lr_curvature, float), np.asarray(beta, float))
    middle, last = (1 + b - x, b) if rule == "heavy_ball" else ((1 + b) * (1 - x), b * (1 - x))
    root = np.sqrt((middle**2 - 4 * last).astype(complex))
    return np.stack([(middle + root) / 2, (middle - root) / 2], -1)


def region(lr_curvature: float, beta: float, *, rule: str = "heavy_ball") -> str:
    """Returns what a mode does: monotone, oscillating or divergent.

    Example:
        >>> [region(x, 0.9) for x in (0.001, 1.0, 3.9)]
        ['monotone', 'oscillating', 'divergent']
    """
    found: Any = roots(np.array(lr_curvature), np.array(beta), rule=rule)
    if np.abs(found).max() >= 1:
        return "divergent"
    return "monotone" if np.abs(found.imag).max() < 1e-12 and found.real.min() >= 0 else "oscillating"


def best_heavy_ball(smallest: float, largest: float) -> tuple[float, float, float]:
    """Returns the lr, the momentum and the factor a step of the fastest heavy ball between two curvatures.

    lr = (2 / (sqrt(L) + sqrt(m)))^2, beta = ((sqrt(L/m) - 1) / (sqrt(L/m) + 1))^2, and every mode between shrinks
    by sqrt(beta) a step (Polyak, 1964).

    Raises:
        InputError: where the curvatures are not 0 < smallest <= largest.

    Example:
        >>> [round(value, 4) for value in best_heavy_ball(1.0, 100.0)]
        [0.0331, 0.6694, 0.8182]
    """
    if not 0 < smallest <= largest:
        raise InputError("smallest", f"above 0 and at most the largest, {largest:g}", smallest)
    low, high = math.sqrt(smallest), math.sqrt(largest)
    lr = (2 / (high + low)) ** 2
    beta = ((high - low) / (high + low)) ** 2
    return lr, beta, math.sqrt(beta)


def stationary_variance(lr: float, beta: float, curvature: float, noise: float) -> float:
    """Returns the variance in which a mode of heavy ball settles under gradient noise; infinite where it diverges.

    lr noise (1 + beta) / (curvature (1 - beta) (2 (1 + beta) - lr curvature)), from the stationary covariance of
    the recurrence; for beta = 0 it is that of SGD, lr noise / (curvature (2 - lr curvature)) (Mandt, Hoffman and Blei,
    Stochastic gradient descent as approximate Bayesian inference, 2017, in continuous time).

    Args:
        lr: Step size. beta: momentum.
        curvature: Of the mode, above 0.
        noise: Variance of a minibatch gradient along it.
    """
    left = 2 * (1 + beta) - lr * curvature
    if left <= 0 or beta >= 1:
        return math.inf
    return lr * noise * (1 + beta) / (curvature * (1 - beta) * left)


# ---- the study -------------------------------------------------------------------------------------------------------


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe under heavy ball at a grid of step sizes and momenta.

    Raises:
        InputError: for a user's own optimizer state that has no momentum.
    """
    middle = recipe.lr if recipe.optimizer in ("sgd", "momentum", "heavy_ball", "nesterov") else 0.03
    rates = [float(f"{rate:.3g}") for rate in middle * np.logspace(-1.5, 1.5, _RATES)]
    return {
        f"lr {lr:g}, momentum {beta:g}": recipe.changed(optimizer="heavy_ball", lr=lr, momentum=beta)
        for beta in MOMENTA
        for lr in rates
    }


@dataclass(frozen=True, kw_only=True)
class _Modes:
    """Curvatures of a network, from the largest, and the variance of a minibatch gradient along each."""

    values: np.ndarray
    noise: np.ndarray


def run(lab: Lab) -> Answer:
    """Places the measured curvatures of the network on the plane of step size and momentum, beside real members.

    Along an eigenvector of the Hessian with curvature h, heavy ball w(t+1) = w(t) - lr g + beta (w(t) - w(t-1)) does
    one of three things (Polyak, Some methods of speeding up the convergence of iteration methods, 1964): it shrinks
    without changing sign where lr h <= (1 - sqrt(beta))^2, oscillates while it shrinks above that, and diverges above 2
    (1 + beta). Momentum so raises the largest stable step up to twofold and speeds up the flat modes, at the price of
    oscillation in the steep ones; for curvatures between m and L the best pair is lr = (2 / (sqrt L + sqrt m))^2, beta
    = ((sqrt L - sqrt m) / (sqrt L + sqrt m))^2. Under minibatch noise a mode settles in a cloud whose variance grows
    like lr / (1 - beta), so the best pair of theory, which knows no noise, is too bold near the end. A network's
    curvature changes as it trains; so the steepest mode is followed along one member at each momentum. Nesterov's form
    takes the gradient a step ahead: it damps oscillation, and diverges earlier, above 2 (1 + beta) / (1 + 2 beta).
    """
    task, recipes = lab.task, list(lab.levels.values())
    metric = METRICS[task.metric]
    sign = 1 if metric.higher_is_better else -1
    seeds = len(lab.seeds)
    population = lab.train("grid", cross(lab.levels, lab.seeds), keep=False)
    scores = final_scores(population, len(recipes))
    whole = np.array([np.isfinite(row).all() for row in scores])
    means = np.where(whole, scores.mean(1), math.nan)
    if not whole.any():
        return Answer(
            headline="Every pair of step size and momentum diverged on some seed; start from a smaller lr.",
            charts=[_plane_field(lab, means)],
            data={"best": None},
            notes=lab.notes,
        )
    by_momentum = {
        beta: max(own, key=lambda k: sign * means[k])
        for beta in MOMENTA
        if (own := [k for k, recipe in enumerate(recipes) if recipe.momentum == beta and whole[k]])
    }
    place = max(by_momentum.values(), key=lambda k: sign * means[k])
    best = recipes[place]
    chosen = [recipes[k] for k in by_momentum.values()]
    paths, modes = _follow(lab, chosen, chosen.index(best))
    nesterov = _against_nesterov(lab, {beta: recipes[k] for beta, k in by_momentum.items()}, scores, by_momentum)
    largest = float(modes.values[0])
    positive = modes.values[modes.values > 1e-3 * largest]
    lr, beta, _ = best_heavy_ball(float(positive[-1]), largest)
    name = metric_words(task.metric)
    where = region(best.lr * largest, best.momentum)
    return Answer(
        headline=(
            f"The best of {len(recipes)} pairs is lr {best.lr:g} with momentum {best.momentum:g}: mean validation "
            f"{name} {means[place]:.4g} over {seeds} seeds. There the steepest mode is {where}: lr times curvature is "
            f"{best.lr * largest:.2g}, of {2 * (1 + best.momentum):.3g} at which it would diverge."
        ),
        findings=[
            (
                f"Its largest curvature goes from {paths[best.momentum][0]:.3g} at the start to {largest:.3g} at the "
                "end."
            ),
            (
                f"For the {len(positive)} measured curvatures from {positive[-1]:.3g} to {largest:.3g} a noiseless "
                f"quadratic would be fastest at lr {lr:.3g} with momentum {beta:.2g}."
            ),
            (
                f"Minibatch noise holds the steepest mode in a cloud that costs "
                f"{_cloud(best.lr, best.momentum, modes):.2g} of loss at this pair, and "
                f"{_cloud(lr, beta, modes):.2g} at the pair of theory."
            ),
            f"{int((~whole).sum()) or 'None'} of the {len(recipes)} pairs diverged on some seed.",
        ],
        tables=[_nesterov_table(chosen, nesterov, name), _mode_table(best, modes)],
        charts=[_plane_field(lab, means), _phase_chart(best, modes, chosen, paths)],
        data={
            "best": {"lr": best.lr, "momentum": best.momentum, "score": float(means[place])},
            "theory": {"lr": lr, "momentum": beta},
            "curvature": {"modes_at_end": modes.values.tolist(), "largest_along_the_run": paths},
            "noise": modes.noise.tolist(),
            "nesterov": {beta: None if d is None else d.to_json() for beta, d in nesterov.items()},
            "pairs": [
                {"lr": r.lr, "momentum": r.momentum, "score": float(m)} for r, m in zip(recipes, means, strict=True)
            ],
        },
        notes=lab.notes,
    )


def _follow(lab: Lab, chosen: list[Recipe], best: int) -> tuple[dict[float, list[float]], _Modes]:
    """Returns momentum -> largest curvature along the run of one member, and the modes where the best one ends."""
    paths: dict[float, list[float]] = {recipe.momentum: [] for recipe in chosen}
    members = [Member(recipe=recipe, seed=lab.seeds[0]) for recipe in chosen]
    marks = even_marks(lab.recipe.epochs, _STRETCHES)
    modes = None
    for mark, population in in_stretches(lab, "path", members, marks):
        for number, recipe in enumerate(chosen):
            if mark == marks[-1] and number == best:
                modes = _modes(population, number)
                paths[recipe.momentum].append(float(modes.values[0]))
            elif population.diverged_at(number) is None:
                surface = surface_around(population, number, rows=_ROWS)
                paths[recipe.momentum].append(float(extreme_eigenvalues(Hessian(surface), 1, tol=1e-3).values[0]))
    assert modes is not None
    return paths, modes


def _against_nesterov(
    lab: Lab, chosen: dict[float, Recipe], scores: np.ndarray, places: dict[float, int]
) -> dict[float, PairedDifference | None]:
    """Returns momentum -> Nesterov minus heavy ball in score, at the same pair on the same seeds."""
    levels = {f"momentum {beta:g}": recipe.changed(optimizer="nesterov") for beta, recipe in chosen.items()}
    theirs = final_scores(lab.train("nesterov", cross(levels, lab.seeds), keep=False), len(levels))
    found: dict[float, PairedDifference | None] = {}
    for row, (beta, place) in zip(theirs, places.items(), strict=True):
        whole = bool(np.isfinite(row).all())
        found[beta] = paired_difference(row, scores[place], comparisons=len(places)) if whole else None
    return found


def _nesterov_table(chosen: list[Recipe], nesterov: dict[float, PairedDifference | None], name: str) -> Table:
    rows = []
    for recipe in chosen:
        difference = nesterov[recipe.momentum]
        shown = "diverged on some seed" if difference is None else difference_words(difference)
        rows.append([f"{recipe.momentum:g}", f"{recipe.lr:g}", shown])
    head = ["momentum", "its best lr", f"Nesterov minus heavy ball, validation {name}"]
    return Table(title="Nesterov's form at the same pairs", head=head, rows=rows)


def _cloud(lr: float, beta: float, modes: _Modes) -> float:
    """Returns half of curvature times variance of the steepest mode: its part of the expected loss."""
    curvature, noise = float(modes.values[0]), float(modes.noise[0])
    return 0.5 * curvature * stationary_variance(lr, beta, curvature, noise)


def _modes(population: Population, number: int) -> _Modes:
    surface = surface_around(population, number, rows=_ROWS)
    pairs = extreme_eigenvalues(Hessian(surface), min(_MODES, surface.size), tol=1e-4)
    # the variance of a minibatch gradient is that of one row over the batch size
    slopes = surface.row_slopes(surface.centre, pairs.vectors)
    batch = population.members[number].recipe.batch_size or len(population.task.train)
    return _Modes(values=pairs.values, noise=slopes.var(0) / batch)


def _mode_table(recipe: Recipe, modes: _Modes) -> Table:
    rows = []
    for k, (curvature, noise) in enumerate(zip(modes.values, modes.noise, strict=True)):
        x = recipe.lr * curvature
        factor = float(np.abs(roots(np.array(x), np.array(recipe.momentum))).max())
        life = f"{math.log(0.5) / math.log(factor):.3g}" if 0 < factor < 1 else "never"
        rows.append([str(k + 1), f"{curvature:.3g}", f"{x:.3g}", region(x, recipe.momentum), life, f"{noise:.2g}"])
    head = ["mode", "curvature", "lr x curvature", "does", "steps to halve", "gradient noise"]
    return Table(title="The steepest modes at the end of the best member", head=head, rows=rows)


def _plane_field(lab: Lab, means: np.ndarray) -> Field:
    rates = list(dict.fromkeys(recipe.lr for recipe in lab.levels.values()))
    values = means.reshape(len(MOMENTA), len(rates))
    name = metric_words(lab.task.metric)
    return Field(
        name="grid",
        title=f"Validation {name} of real members",
        caption=f"Mean of {len(lab.seeds)} seeds; empty where one diverged.",
        x="lr",
        y="momentum",
        z=name,
        xs=rates,
        ys=list(MOMENTA),
        values=[known(row) for row in values],
        log_x=True,
    )


def _phase_chart(recipe: Recipe, modes: _Modes, chosen: list[Recipe], paths: dict[float, list[float]]) -> Chart:
    betas = np.linspace(0, 0.99, 100)
    positive = modes.values[modes.values > 0]
    return Chart(
        name="phase",
        title="The phase plane of a mode",
        caption=(
            "Left of the first line a mode shrinks without changing sign, between the lines it oscillates while it "
            "shrinks, right of the last it diverges (grey curve: in Nesterov's form). Dots: the measured modes at the "
            "end of the best pair. Grey paths: the steepest mode of one member at each momentum, from start to end."
        ),
        x="lr x curvature",
        y="momentum",
        series=[
            Series(
                name="monotone | oscillating",
                x=[float(v) for v in np.maximum((1 - np.sqrt(betas)) ** 2, 1e-6)],
                y=betas.tolist(),
                style="line",
                role="third",
            ),
            Series(
                name="oscillating | divergent", x=(2 * (1 + betas)).tolist(), y=betas.tolist(), style="line", role="bad"
            ),
            Series(
                name="divergent in Nesterov's form",
                x=(2 * (1 + betas) / (1 + 2 * betas)).tolist(),
                y=betas.tolist(),
                style="line",
                role="quiet",
            ),
            *(
                Series(
                    name=f"steepest mode, momentum {each.momentum:g}",
                    x=[max(each.lr * value, 1e-6) for value in paths[each.momentum]],
                    y=[each.momentum] * len(paths[each.momentum]),
                    role="quiet",
                )
                for each in chosen
            ),
            Series(
                name="measured modes",
                x=[float(v) for v in recipe.lr * positive],
                y=[recipe.momentum] * len(positive),
                style="points",
            ),
        ],
        log_x=True,
    )


STUDY = Study(name="momentum", levels=levels, run=run, seeds=4, part=0.5)
