"""Is a squared penalty the same as weight decay? It depends on the update rule."""

from __future__ import annotations

import numpy as np

from thalweg.core import Answer, Chart, Series, Table, known
from thalweg.optim import RULES
from thalweg.population import Pace, Population
from thalweg.recipes import Recipe
from thalweg.studies._compare import (
    comparison_chart,
    comparison_data,
    difference_words,
    headline,
    interval_words,
    metric_words,
)
from thalweg.studies._study import Lab, Study
from thalweg.tasks import Task

#: family -> (rule with the penalty in its gradient, rule with decay beside it)
_FAMILIES = {
    "plain SGD": (("sgd", {}), ("sgdw", {"momentum": 0.0})),
    "momentum": (("momentum", {"momentum": 0.9}), ("sgdw", {"momentum": 0.9})),
    "Adam": (("adam", {}), ("adamw", {})),
}
_KINDS = ("L2", "decoupled")
#: weights that differ by less than this share of their size differ by rounding, which grows along a run in float32
_ROUNDING = 1e-2


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns plain SGD, momentum and Adam, each with an L2 penalty and with decoupled decay, at equal lr x decay.

    The decay is such that it alone would shrink a weight to 1 / e over the run.
    """
    steps = Pace.of(recipe, len(task.train)).total_steps
    found = {}
    for family, rules in _FAMILIES.items():
        own = recipe.optimizer in [name for name, _ in rules]
        low, high = RULES[rules[0][0]].lr_range
        lr = recipe.lr if own else float(f"{(low * high) ** 0.5:.3g}")
        for kind, (name, fields) in zip(_KINDS, rules, strict=True):
            decay = float(f"{1 / (lr * steps):.4g}")
            found[f"{family}, {kind}"] = recipe.changed(
                optimizer=name, lr=lr, weight_decay=decay, alpha=0.0, schedule="constant", **fields
            )
    return found


def run(lab: Lab) -> Answer:
    """Compares a squared penalty in the gradient with decay beside the step, for three rules, at equal lr x decay.

    The penalty (d / 2) ||w||^2 adds d w to the gradient; decoupled decay multiplies w by 1 - lr d in each step. Under
    plain gradient descent both are w - lr (g + d w): the same. Momentum sums past gradients, so the penalty's part is
    summed too and acts with a delay and 1 / (1 - beta) as strongly, which decay beside the step does not. Adam
    divides by the root of the mean squared gradient: a weight whose gradients are large is then hardly penalised,
    where decay shrinks all weights at one rate (Loshchilov and Hutter, Decoupled weight decay regularization, 2019,
    propositions 1 and 2). So an L2 strength tuned for one rule says little for another, and AdamW's lr and decay can
    be tuned apart. Differences are between members of one seed, on the same batches from the same start.
    """
    found = lab.compare(keep=True)
    population = lab.session.populations["levels"]
    seeds = len(lab.seeds)
    name = metric_words(found.metric)
    rows, findings, data, shares = [], [], {}, {}
    for place, family in enumerate(_FAMILIES):
        first, second = 2 * place, 2 * place + 1
        apart = np.array([_relative_distance(population, first * seeds + s, second * seeds + s) for s in range(seeds)])
        difference = found.difference(first, second, comparisons=len(_FAMILIES))
        recipe = lab.levels[f"{family}, L2"]
        norms = [np.nanmean([_norm(population, k * seeds + s) for s in range(seeds)]) for k in (first, second)]
        same = bool(np.nanmax(apart) < _ROUNDING) if np.isfinite(apart).any() else False
        shares[family] = apart
        data[family] = {
            "lr": recipe.lr,
            "weight_decay": recipe.weight_decay,
            "relative_distance": apart.tolist(),
            "same": same,
            "difference": None if difference is None else difference.to_json(),
        }
        shown = "" if difference is None else difference_words(difference)
        rows.append(
            [family, f"{recipe.lr:g}", f"{recipe.weight_decay:g}", f"{np.nanmean(apart):.2g}"]
            + [f"{norm:.3g}" for norm in norms]
            + ["" if difference is None else interval_words(difference)]
        )
        findings.append(
            f"Under {family} the weights differ by rounding, {np.nanmax(apart):.1g} of their size at most."
            if same
            else f"Under {family} they differ by {np.nanmean(apart):.0%} of their size"
            + (f"; validation {name}, L2 minus decoupled: {shown}." if shown else ".")
        )
    return Answer(
        headline=_same_in_words({family: row["same"] for family, row in data.items()}),
        findings=[*findings, headline(found, "pairs of rule and penalty")],
        tables=[
            Table(
                title="L2 in the gradient against decoupled decay, at equal lr x decay",
                head=[
                    "rule",
                    "lr",
                    "decay",
                    "distance of the weights, of their size",
                    "norm with L2",
                    "norm decoupled",
                    f"{name}, L2 minus decoupled",
                ],
                rows=rows,
            )
        ],
        charts=[
            comparison_chart(found, "rule and penalty"),
            Chart(
                name="distance",
                title="How far apart the weights end",
                caption="One dot a seed: the distance between the weights under L2 and under decoupled decay, as a "
                f"share of their size. What is below {_ROUNDING:g} is rounding.",
                x="rule",
                y="distance",
                series=[
                    Series(
                        name="seeds",
                        x=[family for family, apart in shares.items() for _ in apart],
                        y=known(np.maximum(np.concatenate(list(shares.values())), 1e-9)),
                        style="points",
                    )
                ],
                log_y=True,
            ),
        ],
        data={**comparison_data(found), "families": data},
        notes=lab.notes,
    )


def _same_in_words(same: dict[str, bool]) -> str:
    alike, apart = ([family for family, is_same in same.items() if is_same is wanted] for wanted in (True, False))
    found = []
    if alike:
        found.append(f"L2 and decoupled decay are the same under {' and '.join(alike)}")
    if apart:
        found.append(f"{'they' if alike else 'L2 and decoupled decay'} are not under {' and '.join(apart)}")
    return f"{', '.join(found)}, at equal lr x decay."


def _weights(population: Population, number: int) -> np.ndarray | None:
    if population.diverged_at(number) is not None:
        return None
    return np.concatenate([np.asarray(v, float).ravel() for v in population.eval_params(number).values()])


def _norm(population: Population, number: int) -> float:
    weights = _weights(population, number)
    return float("nan") if weights is None else float(np.linalg.norm(weights))


def _relative_distance(population: Population, first: int, second: int) -> float:
    """Returns ||a - b|| / max(||a||, ||b||) of the parameters of two members, NaN where one diverged."""
    a, b = _weights(population, first), _weights(population, second)
    if a is None or b is None:
        return float("nan")
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(a), np.linalg.norm(b)))


STUDY = Study(name="weight-decay", levels=levels, run=run)
