"""How many weights can go, at which cost in score?"""

from __future__ import annotations

import numpy as np

from thalweg.core import Answer, Chart, InputError, Series, Table, known
from thalweg.optim import RULES
from thalweg.recipes import Recipe
from thalweg.studies._compare import comparison_chart, comparison_data, comparison_table, headline, metric_words
from thalweg.studies._study import Lab, Study
from thalweg.tasks import Task

_STRENGTHS = (0.0, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe with L1 penalties from none to 0.01.

    Raises:
        InputError: for an update rule without a proximal step.
    """
    if not RULES[recipe.optimizer].proximal:
        known = ", ".join(name for name, rule in RULES.items() if rule.proximal)
        raise InputError("optimizer", f"one with a proximal step: {known}", recipe.optimizer)
    return {f"{strength:g}": recipe.changed(alpha=strength, l1_ratio=1.0) for strength in _STRENGTHS}


def run(lab: Lab) -> Answer:
    """Compares strengths of an L1 penalty on the weights: score against the share of weights that are exactly zero.

    The penalty alpha ||w||_1 has slope alpha wherever a weight is not 0, however small it is, so it takes small weights
    all the way to 0, where the squared penalty only shrinks them in proportion (Tibshirani, Regression shrinkage and
    selection via the lasso, 1996). Plain gradient steps on it jump over 0 and never stay there; so after each step
    every weight moves towards 0 by lr x alpha and stops there: the proximal step, soft thresholding (Daubechies,
    Defrise and De Mol, An iterative thresholding algorithm, 2004). Under an adaptive rule the threshold of a weight is
    alpha times its own step size. Weights in front of a norm layer have no effect by their size, so there the penalty
    selects less than it seems to.
    """
    found = lab.compare(keep=True)
    population = lab.session.populations["levels"]
    seeds = len(lab.seeds)
    zero = np.array(
        [
            [_share_of_zeros(population.eval_params(k * seeds + s)) for s in range(seeds)]
            for k in range(len(found.labels))
        ]
    )
    leader = found.leader
    findings = []
    if leader is not None:
        worse = found.told_apart_from(leader)
        as_good = [k for k in range(len(found.labels)) if k not in worse and np.isfinite(found.scores[k]).all()]
        sparsest = max(as_good, key=lambda k: zero[k].mean())
        findings.append(
            f"With alpha {found.labels[sparsest]}, {zero[sparsest].mean():.0%} of the weights are exactly zero, and "
            + ("the score is the best." if sparsest == leader else "the score is not told apart from the best.")
        )
    name = metric_words(found.metric)
    return Answer(
        headline=headline(found, "strengths", axis="Alpha"),
        findings=findings,
        tables=[
            comparison_table(found, "alpha"),
            Table(
                title="Weights that are exactly zero",
                head=["alpha", "mean over seeds", "least", "most"],
                rows=[
                    [label, f"{z.mean():.1%}", f"{z.min():.1%}", f"{z.max():.1%}"]
                    for label, z in zip(found.labels, zero, strict=True)
                ],
            ),
        ],
        charts=[
            comparison_chart(found, "alpha"),
            Chart(
                name="sparsity",
                title=f"Validation {name} against sparsity",
                caption="A dot is one seed of one strength.",
                x="share of weights that are zero",
                y=f"validation {name}",
                series=[
                    Series(
                        name="seeds",
                        x=[float(v) for v in zero.ravel()],
                        y=known(found.scores.ravel()),
                        style="points",
                    )
                ],
            ),
        ],
        data={
            **comparison_data(found),
            "zeros": {label: z.tolist() for label, z in zip(found.labels, zero, strict=True)},
        },
        notes=lab.notes,
    )


def _share_of_zeros(params: dict[str, np.ndarray]) -> float:
    weights = [value for value in params.values() if value.ndim >= 2]
    return float(sum((w == 0).sum() for w in weights) / sum(w.size for w in weights))


STUDY = Study(name="l1", levels=levels, run=run)
