"""Which step sizes train, which is best, and where does training break?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from thalweg.core import Answer, Chart, Series, Table, interval_of_mean, known, paired_difference
from thalweg.curvature import Hessian, extreme_eigenvalues, largest_stable, preconditioned, preconditioner
from thalweg.optim import RULES
from thalweg.population import Population, has_batch_norm
from thalweg.recipes import Recipe
from thalweg.studies._around import surface_around
from thalweg.studies._compare import (
    constant_score,
    cross,
    difference_words,
    final_scores,
    interval_words,
    metric_words,
    stretch_around,
)
from thalweg.studies._study import Lab, Study
from thalweg.tasks import METRICS, Task

#: rates to the decade
_DENSITY = 8
#: of the best gain over a constant prediction: scores that are lower by it count 1 / e
_COUNTS = 0.02
#: a rate trains where every seed reaches this share of the best gain
_TRAINS = 0.3
#: the first stretch is this share of the length; rates that do not train by then are left
_FIRST_SHARE = 1 / 8
#: a loss has fallen where it is lower by this share of its start
_FALLEN = 0.02
#: scores are smoothed over the logarithm of the rate with a Gaussian of so many decades
_WIDTH = 0.12
#: seeds of the verification, from the study's own
_VERIFY_FROM = 500
#: rates are tried up to so many times what the curvature at the start allows: networks move to where it is smaller
_CAP = 30.0
#: rows on which curvature is measured
_CURVATURE_ROWS = 512


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe at rates from a tenth of its rule's range to ten times it, evenly by their logarithm."""
    low, high = RULES[recipe.optimizer].lr_range
    num = round(math.log10(high / low) + 2) * _DENSITY + 1
    rates = [float(f"{rate:.4g}") for rate in np.geomspace(low / 10, high * 10, num)]
    return {f"{rate:.3g}": recipe.changed(lr=rate) for rate in rates}


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """The rate to use, and what surrounds it.

    Args:
        lr: The middle of the rates that score about as well as the best.
        low: Least rate that is as good, as far as the seeds can say. high: the largest.
        trains: (R,) whether every seed gains enough.
        smoothed: (R,) score of each rate, smoothed; NaN where the rate does not train.
    """

    lr: float
    low: float
    high: float
    trains: np.ndarray
    smoothed: np.ndarray


def suggest(rates: np.ndarray, scores: np.ndarray, base: float, *, higher_is_better: bool) -> Suggestion | None:
    """Returns the middle of the rates that score about as well as the best, or None where none trained.

    A rate trains where every seed reaches three tenths of the best gain over a constant prediction: one on which some
    seed fails is not a rate to use. The scores of the others are averaged over seeds and smoothed over log lr. The
    middle is the mean of log lr with weights that fall by e for every fiftieth of the best gain, beside what noise
    does. It moves little from seed to seed; the place of the best score moves far along a flat top. The plateau
    is the stretch around the best within one standard error of the difference of two rates.

    Args:
        rates: (R,) ascending.
        scores: (R, S), NaN where a member diverged or was left.
        base: Score of a constant prediction.
        higher_is_better: Of the metric.
    """
    sign = 1.0 if higher_is_better else -1.0
    finished = np.isfinite(scores).all(axis=1, keepdims=True)
    gains = np.where(finished, sign * (scores - base), -math.inf)
    best = float(gains.mean(1).max(initial=-math.inf))
    whole = gains.min(1) > _TRAINS * best
    if best <= 0 or not whole.any():
        return None
    means = sign * scores[whole].mean(1)
    logs = np.log10(rates[whole])
    window = np.exp(-0.5 * ((logs[:, None] - logs[None]) / _WIDTH) ** 2)
    smooth = window @ means / window.sum(1)
    seeds = scores.shape[1]
    noise = float(np.sqrt(scores[whole].var(1, ddof=1).mean())) if seeds > 1 else 0.0
    # averaging over neighbours lowers the error further: by the effective number of rates in the window
    effective = float(np.median(window.sum(1) ** 2 / (window**2).sum(1)))
    tolerance = noise * math.sqrt(2 / (seeds * effective))
    top = int(smooth.argmax())
    scale = _COUNTS * best + tolerance
    weights = np.exp(-(smooth[top] - smooth) / scale)
    first, last = stretch_around(top, smooth >= smooth[top] - tolerance)
    middle = float(weights @ logs / weights.sum())
    shown = np.full(len(rates), math.nan)
    shown[whole] = sign * smooth
    return Suggestion(
        lr=float(f"{10**middle:.3g}"),
        low=float(10 ** min(logs[first], middle)),
        high=float(10 ** max(logs[last], middle)),
        trains=whole,
        smoothed=shown,
    )


def run(lab: Lab) -> Answer:
    """Finds the range of step sizes that trains, the best of it, and the edge of divergence.

    On a quadratic with largest curvature lambda, gradient descent with momentum beta is stable for lr < 2 (1 + beta) /
    lambda (Polyak, Some methods of speeding up the convergence of iteration methods, 1964); a method that divides by D
    has the largest eigenvalue of D^-1/2 H D^-1/2 in place of lambda (Cohen et al., Adaptive gradient methods at the
    edge of stability, 2022, section 2). Networks are no quadratics: with larger steps they move to where the curvature
    is smaller, so this marks where the start becomes unstable, not where training ends. Short range tests on one seed
    (Smith, Cyclical learning rates, 2017) differ by an order of magnitude from seed to seed. So here many rates train
    as one population on several seeds: all for a short stretch, those that train to the end. The suggestion is the
    middle of the rates that score about as well as the best, and it is trained again on fresh seeds, beside half and
    twice of it.
    """
    task, cap = lab.task, _cap(lab)
    tried = {label: recipe for label, recipe in lab.levels.items() if recipe.lr <= cap}
    rates = np.array([recipe.lr for recipe in tried.values()])
    if len(tried) < len(lab.levels):
        lab.notes.append(
            f"Rates above {rates[-1]:.3g} were not tried: they are over {_CAP:g} times what is stable at the start."
        )
    scores, diverged = _screen(lab, tried)
    higher = METRICS[task.metric].higher_is_better
    found = suggest(rates, scores, constant_score(task), higher_is_better=higher)
    name = metric_words(task.metric)
    if found is None:
        return Answer(
            headline=f"No rate from {rates[0]:.3g} to {rates[-1]:.3g} trained on all {len(lab.seeds)} seeds.",
            charts=[_chart(rates, scores, None, None, name)],
            data={"rates": rates.tolist(), "suggested": None},
            notes=lab.notes,
        )
    edge = _edge(rates, ~found.trains)
    verified, at_end = _verify(lab, found.lr)
    fresh = verified[found.lr][np.isfinite(verified[found.lr])]
    if len(fresh) < len(verified[found.lr]):
        lab.notes.append(f"At the suggestion {len(verified[found.lr]) - len(fresh)} of the fresh seeds diverged.")
    mean = interval_of_mean(fresh) if len(fresh) >= 2 else None
    shown = "unknown" if mean is None else interval_words(mean)
    trains = [float(end) for end in rates[found.trains][[0, -1]]]
    findings = [
        f"Rates from {found.low:.3g} to {found.high:.3g} score as well as the best, as far as {len(lab.seeds)} seeds "
        "can say.",
        f"Rates from {trains[0]:.3g} to {trains[1]:.3g} train: every seed reaches {_TRAINS:.0%} of the best gain over "
        "a constant prediction." + (f" From {edge:.3g} on, none does." if edge is not None else ""),
        *_against_others(found.lr, verified),
    ]
    if at_end is not None:
        findings.append(
            f"Where the first member at the suggestion ends, the largest curvature that {lab.recipe.optimizer} sees is "
            f"{at_end.largest:.3g}: on a quadratic of that curvature lr is stable up to {at_end.bound:.3g}, "
            f"{at_end.bound / found.lr:.2g} times the suggestion."
        )
    return Answer(
        headline=(
            f"Use lr {found.lr:.3g} with {lab.recipe.optimizer}: validation {name} {shown}, over "
            f"{len(verified[found.lr])} fresh seeds."
        ),
        findings=findings,
        tables=[_table(rates, scores, found.trains, diverged, name)],
        charts=[_chart(rates, scores, found, edge, name)],
        data={
            "suggested": found.lr,
            "plateau": [found.low, found.high],
            "trains": trains,
            "edge": edge,
            "rates": rates.tolist(),
            "scores": scores.tolist(),
            "verified": {f"{lr:.6g}": [float(s) for s in values] for lr, values in verified.items()},
            "curvature": None if at_end is None else asdict(at_end),
            "cap": cap if math.isfinite(cap) else None,
        },
        notes=lab.notes,
    )


def _screen(lab: Lab, tried: Mapping[str, Recipe]) -> tuple[np.ndarray, np.ndarray]:
    """Returns (R, S) scores at the end, NaN where a member diverged or was left, and (R,) whether any diverged.

    All train for a short stretch; rates that have begun to learn by then on every seed go on.
    """
    seeds = len(lab.seeds)
    first = max(1, round(_FIRST_SHARE * lab.recipe.epochs))
    population = lab.train("rates", cross(tried, lab.seeds), epochs=first)
    start = _start_loss(lab)
    stays = _learning(population, first, start, seeds).all(axis=1, keepdims=True)
    going_on = np.flatnonzero(np.repeat(stays, seeds)).tolist()
    if going_on and not lab.session.run("rates", which=going_on):
        raise lab.interrupted()
    scores = np.where(stays, final_scores(population, len(tried)), math.nan)
    diverged = [any(population.diverged_at(k * seeds + s) is not None for s in range(seeds)) for k in range(len(tried))]
    lab.session.close("rates")
    return scores, np.array(diverged)


def _against_others(lr: float, verified: Mapping[float, np.ndarray]) -> list[str]:
    """Returns how the suggestion compares with its half and its double on the same fresh seeds."""
    found = []
    for factor in (0.5, 2.0):
        mine, other = verified[lr], verified[lr * factor]
        if not (np.isfinite(mine) & np.isfinite(other)).all():
            found.append(f"At {factor:g} times the suggestion, or at it, some fresh seed diverged.")
            continue
        difference = paired_difference(mine, other, comparisons=2)
        found.append(
            f"The suggestion minus {factor:g} times it, on the same fresh seeds: {difference_words(difference)}."
        )
    return found


def _start_loss(lab: Lab) -> float:
    """Returns the mean validation loss before the first step."""
    import torch

    from thalweg.tasks import per_example

    split = lab.task.validation
    out = lab.start(lab.recipe).outputs([0], split.x)[0]
    return float(per_example(lab.task.loss, torch.from_numpy(out), torch.from_numpy(split.y)).mean())


def _learning(population: Population, epochs: int, start: float, seeds: int) -> np.ndarray:
    """Returns (R, S) whether members learn in their first epochs; what came later does not count.

    Their loss has fallen, or their score is good: at large rates the loss of the few rows that are wrong may outgrow
    what the others gain.
    """
    task = population.task
    sign = 1.0 if METRICS[task.metric].higher_is_better else -1.0
    base = constant_score(task)
    losses, gains = np.full((2, len(population)), math.nan)
    for number in range(len(population)):
        record = population.last_record(number, epochs=epochs)
        if record is not None and record.epoch == epochs and math.isfinite(record.validation_loss):
            losses[number] = record.validation_loss
            gains[number] = sign * (record.validation_score - base)
    good = gains > _TRAINS * np.nanmax(gains, initial=0.0)
    return ((losses < (1 - _FALLEN) * start) | good).reshape(-1, seeds)


def _edge(rates: np.ndarray, broken: np.ndarray) -> float | None:
    """Returns the least rate from which on all rates are broken, or None where the largest one still trains."""
    if not broken[-1]:
        return None
    place = len(rates) - 1
    while place > 0 and broken[place - 1]:
        place -= 1
    return float(rates[place])


def _verify(lab: Lab, lr: float) -> tuple[dict[float, np.ndarray], _Curvature | None]:
    """Returns the scores of the suggestion, its half and its double on the same fresh seeds, and a curvature.

    The curvature is that where the first member at the suggestion ends.
    """
    seeds = [lab.seeds[0] + _VERIFY_FROM + k for k in range(len(lab.seeds))]
    tried = {f"{lr * factor:.6g}": lab.recipe.changed(lr=lr * factor) for factor in (1.0, 0.5, 2.0)}
    population = lab.train("verification", cross(tried, seeds))
    scores = final_scores(population, len(tried))
    end = None if population.diverged_at(0) is not None else _curvature(population, 0)
    return {recipe.lr: scores[k] for k, recipe in enumerate(tried.values())}, end


@dataclass(frozen=True, kw_only=True)
class _Curvature:
    """The largest curvature at a point, as the update rule sees it.

    Args:
        largest: Of the Hessian, or of the preconditioned one.
        bound: lr at which steps become unstable there.
    """

    largest: float
    bound: float


def _curvature(population: Population, number: int) -> _Curvature | None:
    """Returns the curvature where a member stands; None for rules without a known bound, and with batch norm.

    With batch norm the loss of a step depends on the batch, and the network as it predicts is another function.
    """
    recipe = population.members[number].recipe
    limit = largest_stable(recipe)
    if limit is None or has_batch_norm(population.task, recipe):
        return None
    snapshot = population.snapshot(number)
    surface = surface_around(population, number, rows=_CURVATURE_ROWS)
    scale = preconditioner(recipe, snapshot.params, snapshot.slots, snapshot.step) if snapshot.step else None
    largest = float(extreme_eigenvalues(Hessian(surface, scale=scale), 1, tol=1e-3).values[0])
    return _Curvature(largest=largest, bound=limit / largest if largest > 0 else math.inf)


def _cap(lab: Lab) -> float:
    """Returns the rate above which none is tried: some times what the curvature at the start allows.

    Infinite for rules that divide by a scale, which they do not have before their first steps.
    """
    if preconditioned(lab.recipe):
        return math.inf
    starts = [_curvature(lab.start(lab.recipe, seeds=[seed]), 0) for seed in lab.seeds]
    return _CAP * float(np.median([math.inf if start is None else start.bound for start in starts]))


def _table(rates: np.ndarray, scores: np.ndarray, training: np.ndarray, diverged: np.ndarray, name: str) -> Table:
    rows = []
    for k, rate in enumerate(rates):
        finite = scores[k][np.isfinite(scores[k])]
        word = "diverges" if diverged[k] else "trains" if training[k] else "does not train"
        rows.append([f"{rate:.3g}", word, f"{finite.mean():.4g}" if len(finite) else ""])
    return Table(title="Every rate", head=["lr", "", f"mean validation {name}"], rows=rows)


def _chart(rates: np.ndarray, scores: np.ndarray, found: Suggestion | None, edge: float | None, name: str) -> Chart:
    x = [float(rate) for rate in rates for _ in range(scores.shape[1])]
    series = [Series(name="seeds", x=x, y=known(scores.ravel()), style="points", role="quiet")]
    if found is not None:
        smooth = known(found.smoothed)
        series.append(Series(name="smoothed mean", x=[float(r) for r in rates], y=smooth, style="line"))
        finite = [s for s in smooth if s is not None]
        ends = [min(finite), max(finite)]
        series.append(Series(name="suggested", x=[found.lr, found.lr], y=ends, style="line", role="second"))
        if edge is not None:
            series.append(Series(name="none trains", x=[edge, edge], y=ends, style="line", role="bad"))
    return Chart(
        name="rates",
        title=f"Validation {name} by step size",
        caption="A dot is one seed. Rates that have not begun to learn after an eighth of the run have none.",
        x="lr",
        y=f"validation {name}",
        series=series,
        log_x=True,
    )


STUDY = Study(name="lr", levels=levels, run=run, seeds=8)
