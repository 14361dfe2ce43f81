"""One logit, one logit a class, or one yes-or-no a class: what does the head of a classifier change?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from thalweg.core import Answer, Chart, InputError, Series, Table
from thalweg.population import Population, architecture_of
from thalweg.recipes import Member, Recipe
from thalweg.studies._compare import Comparison, comparison_chart, comparison_data, comparison_table, cross, headline
from thalweg.studies._study import Lab, Study
from thalweg.tasks import Split, Task, apply_link

SIGMOID, SOFTMAX, PER_LABEL = "one-logit sigmoid", "softmax", "per-label sigmoid"


def heads(task: Task) -> dict[str, Task]:
    """Returns the task under every head that it can have: one logit (two classes), a softmax, one sigmoid a class.

    Raises:
        InputError: for a task without classes that exclude each other.
    """
    if task.kind not in ("binary", "multiclass"):
        raise InputError("study", "of a task with classes that exclude each other", task.kind)
    classes = len(task.classes)

    def numbers(split: Split) -> np.ndarray:
        return split.y if task.kind == "multiclass" else split.y[:, 0].astype(np.int64)

    def changed(kind: str, loss: str, size: int, encode) -> Task:
        splits = {name: getattr(task, name) for name in ("train", "validation", "test")}
        parts = {name: replace(split, y=encode(numbers(split))) for name, split in splits.items()}
        return replace(task, kind=kind, loss=loss, metric="accuracy", output_size=size, **parts)

    found = {}
    if classes == 2:
        found[SIGMOID] = changed("binary", "bce", 1, lambda y: y[:, None].astype(np.float32))
    found[SOFTMAX] = changed("multiclass", "cross_entropy", classes, lambda y: y)
    found[PER_LABEL] = changed("multilabel", "bce", classes, lambda y: np.eye(classes, dtype=np.float32)[y])
    return found


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe once for every head.

    Raises:
        InputError: as `heads` does.
    """
    return {name: recipe.changed(label_smoothing=0.0) for name in heads(task)}


def run(lab: Lab) -> Answer:
    """Compares heads of a classifier: scores, sums of probabilities, costs, and where they are the same.

    With two classes, softmax gives the second the probability sigmoid(z2 - z1): only the difference counts, so one
    logit says the same, and the second column of weights is free (Bishop, Pattern recognition and machine learning,
    2006, section 4.2). Gradient descent moves that difference twice as fast as a single logit, since each of the two
    logits gets the slope: a linear model with two logits at step size lr takes the very path of one logit at 2 lr,
    which is measured here. One sigmoid a class asks C questions that do not know of each other: right where a row may
    have several labels; where it has exactly one, the probabilities need not sum to 1. Softmax makes them sum to 1 and
    lets classes compete: raising one lowers the others.
    """
    tasks = heads(lab.task)
    populations = {}
    for name, task in tasks.items():
        populations[name] = lab.train(f"levels-{name}", cross({name: lab.levels[name]}, lab.seeds), task=task)
    y = tasks[SOFTMAX].validation.y
    seeds = len(lab.seeds)
    scores = np.full((len(tasks), seeds), np.nan)
    sums: dict[str, np.ndarray] = {}
    for place, (name, population) in enumerate(populations.items()):
        alive = [n for n in range(seeds) if population.diverged_at(n) is None]
        probabilities = [_probabilities(name, out) for out in population.outputs(alive, lab.task.validation.x)]
        scores[place, alive] = [float((p.argmax(1) == y).mean()) for p in probabilities]
        sums[name] = np.concatenate([p.sum(1) for p in probabilities]) if probabilities else np.zeros(0)
    found = Comparison(labels=list(tasks), seeds=lab.seeds, scores=scores, metric="accuracy")
    sizes = {
        name: architecture_of(lab.levels[name], task.input_shape, task.output_size).num_params
        if ":" not in lab.recipe.model
        else None
        for name, task in tasks.items()
    }
    findings = []
    far = sums[PER_LABEL]
    if len(far):
        findings.append(
            f"The probabilities of the per-label sigmoids sum to {far.mean():.3f} on average, from {far.min():.2f} to "
            f"{far.max():.2f}; those of a softmax sum to 1."
        )
    apart = _equivalence(lab, tasks) if SIGMOID in tasks else None
    if apart is not None:
        findings.append(
            "A linear model with two logits under plain gradient descent at lr takes the path of one logit at 2 lr: "
            f"after the run their probabilities differ by at most {apart:.1g}."
        )
    return Answer(
        headline=headline(found, "heads"),
        findings=findings,
        tables=[comparison_table(found, "head"), _cost_table(tasks, sizes, sums)],
        charts=[comparison_chart(found, "head"), *([_sums_chart(far)] if len(far) else [])],
        data={
            **comparison_data(found),
            "parameters": sizes,
            "sums": {
                name: {"mean": float(s.mean()), "least": float(s.min()), "most": float(s.max())}
                for name, s in sums.items()
                if len(s)
            },
            "two_logits_against_one": apart,
        },
        notes=lab.notes,
    )


def _cost_table(tasks: dict[str, Task], sizes: dict[str, int | None], sums: dict[str, np.ndarray]) -> Table:
    rows = []
    for name, task in tasks.items():
        size, total = sizes[name], sums[name]
        shown = f"{total.mean():.3f} ({total.min():.2f} to {total.max():.2f})" if len(total) else ""
        rows.append([name, str(task.output_size), "" if size is None else f"{size:,}", shown])
    head = ["head", "outputs", "parameters", "sum of the probabilities of a row"]
    return Table(title="What each head gives and costs", head=head, rows=rows)


def _sums_chart(sums: np.ndarray) -> Chart:
    low, high = float(sums.min()), float(sums.max())
    counts, edges = np.histogram(sums, np.linspace(low, high if high > low else low + 1e-9, 41))
    return Chart(
        name="sums",
        title="Sums of the per-label probabilities",
        caption="Share of the validation rows of all seeds; a softmax has all of them at 1.",
        x="sum of the probabilities of a row",
        y="share of rows",
        series=[
            Series(
                name="rows",
                x=((edges[1:] + edges[:-1]) / 2).tolist(),
                y=(counts / len(sums)).tolist(),
                style="line",
            )
        ],
    )


def _probabilities(head: str, outputs: np.ndarray) -> np.ndarray:
    """Returns (n, C) probabilities of the classes."""
    if head == SOFTMAX:
        return apply_link("softmax", outputs)
    found = apply_link("sigmoid", outputs)
    return np.concatenate([1 - found, found], 1) if head == SIGMOID else found


def _equivalence(lab: Lab, tasks: dict[str, Task]) -> float | None:
    """Returns the largest difference of the probabilities of a linear model with two logits at lr and one at 2 lr."""
    base = Recipe(
        model="linear",
        widths=(),
        init="zeros",
        optimizer="sgd",
        lr=0.05,
        batch_size=lab.recipe.batch_size,
        epochs=min(lab.recipe.epochs, 20),
    )
    found = []
    for name, lr in ((SOFTMAX, base.lr), (SIGMOID, 2 * base.lr)):
        member = Member(recipe=base.changed(lr=lr), seed=lab.seeds[0])
        population = lab.train(f"linear-{name}", [member], task=tasks[name])
        found.append(_second_class(population, name, [0]))
    return None if found[0] is None or found[1] is None else float(np.abs(found[0] - found[1]).max())


def _second_class(population: Population, head: str, which: Sequence[int]) -> np.ndarray | None:
    if population.diverged_at(which[0]) is not None:
        return None
    return _probabilities(head, population.outputs(which, population.task.validation.x)[0])[:, 1]


STUDY = Study(name="head", levels=levels, run=run)
