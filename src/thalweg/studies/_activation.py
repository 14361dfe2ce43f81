"""Which activation serves this network, and what does each do to its signals and gradients?"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from thalweg.core import InputError
from thalweg.models import ACTIVATIONS
from thalweg.population import Forecast, Population, architecture_of, empty_module
from thalweg.probes import LayerSignals, layer_signals, path_ratio
from thalweg.recipes import Recipe
from thalweg.studies._answer import Answer, Chart, Series, Table
from thalweg.studies._compare import comparison_chart, comparison_data, comparison_table, headline
from thalweg.studies._study import Lab, Study
from thalweg.tasks import Task

#: rows on which signals are measured, the first of the training rows
_PROBE_ROWS = 512


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe with every activation, at about equal numbers of parameters.

    Raises:
        InputError: for a model without activations of ours.
    """
    if recipe.model not in ("mlp", "cnn"):
        raise InputError("model", "an mlp or a cnn: they have the activations of this study", recipe.model)
    base = recipe.changed(activation_parameter=None)
    wanted = _num_params(task, base.changed(activation="relu"))
    return {name: _as_large(task, base.changed(activation=name), wanted) for name in ACTIVATIONS}


def _num_params(task: Task, recipe: Recipe) -> int:
    return architecture_of(recipe, task.input_shape, task.output_size).num_params


def _as_large(task: Task, recipe: Recipe, wanted: int) -> Recipe:
    """Returns a recipe at scaled widths that has about so many parameters: maxout has two units for one."""
    shares = np.geomspace(0.25, 1, 61)
    candidates = [recipe.changed(widths=tuple(max(1, round(s * w)) for w in recipe.widths)) for s in shares]
    return min(candidates, key=lambda each: abs(_num_params(task, each) - wanted))


def run(lab: Lab) -> Answer:
    """Compares activations at equal parameters, and measures what each does to signals and gradients.

    Backward, each layer multiplies the gradient by the slope of its activation. Sigmoid's is at most 1/4, so gradients
    shrink with depth whatever the weights (Hochreiter, 1991); relu's is 0 or 1 and keeps the variance with He's
    initialisation (He et al., Delving deep into rectifiers, 2015), but a unit whose inputs are all negative gets no
    gradient: it is dead until what lies below it changes. Outputs that are not centred give all weights of a unit above
    gradients of one sign, so that descent zig-zags (LeCun et al., Efficient BackProp, 1998, section 4.3): sigmoid and
    relu are off centre, tanh and elu hardly. Leaky and smooth forms (prelu, elu, gelu, silu) keep a slope below zero;
    maxout has no flat part at all and costs two units for one. Signals are measured on a fixed batch before the first
    step and after the last; a revived unit is one that was dead before and is not after. Path / distance is how much
    longer than straight thirty steps of equal length are.
    """
    found = lab.compare(keep=True)
    population = lab.session.populations["levels"]
    before = {name: _probe(lab, name, None) for name in lab.levels}
    after = {name: _probe(lab, name, population) for name in lab.levels}
    turning = {name: _turning(lab, name) for name in lab.levels}
    forecast = Forecast(lab.task, list(lab.levels.values()), lab.session.plan)
    seconds = {name: forecast.speed(recipe)[0] for name, recipe in lab.levels.items()}
    rows = []
    for name in lab.levels:
        first, last = before[name], after[name]
        units = sum(layer.units for layer in last)
        dead = [sum(len(layer.dead_units) for layer in layers) for layers in (first, last)]
        ratio = first[0].gradient / first[-1].gradient if first[-1].gradient > 0 else 0.0
        rows.append(
            [
                name,
                f"{np.mean([layer.saturated for layer in first]):.0%}",
                f"{np.mean([layer.saturated for layer in last]):.0%}",
                f"{dead[0]} -> {dead[1]} of {units}",
                str(_revived(first, last)),
                f"{np.mean([layer.off_centre for layer in first]):.2f}",
                f"{turning[name]:.2f}",
                f"{ratio:.2g}",
                f"{1e6 * seconds[name]:.3g}",
            ]
        )
    depth = [
        Series(
            name=name,
            x=[k + 1 for k in range(len(before[name]))],
            y=[
                layer.gradient / before[name][-1].gradient if before[name][-1].gradient else None
                for layer in before[name]
            ],
            role="main" if found.leader is not None and name == found.labels[found.leader] else "quiet",
        )
        for name in lab.levels
    ]
    charts = [comparison_chart(found, "activation")]
    if len(next(iter(before.values()))) > 1:
        charts.append(
            Chart(
                name="depth",
                title="The gradient by depth, before the first step",
                caption="RMS of the gradient at a layer's outputs, as a share of that at the last hidden layer.",
                x="hidden layer",
                y="share",
                series=depth,
                log_y=True,
            )
        )
    return Answer(
        headline=headline(found, "activations"),
        tables=[
            comparison_table(found, "activation"),
            Table(
                title="Signals of the first seed, before the first step and after the last",
                head=[
                    "activation",
                    "saturated before",
                    "after",
                    "dead units",
                    "revived",
                    "off centre",
                    "path / distance",
                    "gradient, first / last layer",
                    "us a step",
                ],
                rows=rows,
            ),
        ],
        charts=charts,
        data={
            **comparison_data(found),
            "path_ratio": turning,
            "step_seconds": seconds,
            "revived": {name: _revived(before[name], after[name]) for name in lab.levels},
            "widths": {name: list(level.widths) for name, level in lab.levels.items()},
            "signals": {
                name: {"before": [asdict(s) for s in before[name]], "after": [asdict(s) for s in after[name]]}
                for name in lab.levels
            },
        },
        notes=lab.notes,
    )


def _revived(before: list[LayerSignals], after: list[LayerSignals]) -> int:
    """Returns how many units were dead before and are not after."""
    return sum(len(set(b.dead_units) - set(a.dead_units)) for b, a in zip(before, after, strict=True))


def _turning(lab: Lab, name: str) -> float:
    """Returns how much longer than straight a descent from the first seed's start is."""
    recipe, task = lab.levels[name], lab.task
    start = lab.start(recipe)
    tensors = {**start.eval_params(0), **start.snapshot(0).buffers}
    module = empty_module(recipe, task.input_shape, task.output_size)
    return path_ratio(module, tensors, task.train.x[:_PROBE_ROWS], task.train.y[:_PROBE_ROWS], task.loss)


def _probe(lab: Lab, name: str, population: Population | None) -> list[LayerSignals]:
    """Returns the signals of a level's first seed, before the first step where no population is given."""
    recipe, task = lab.levels[name], lab.task
    place = list(lab.levels).index(name) * len(lab.seeds)
    held = population if population is not None else lab.start(recipe)
    number = place if population is not None else 0
    tensors = {**held.eval_params(number), **held.snapshot(number).buffers}
    module = empty_module(recipe, task.input_shape, task.output_size)
    x, y = task.train.x[:_PROBE_ROWS], task.train.y[:_PROBE_ROWS]
    return layer_signals(module, tensors, x, y, task.loss)


STUDY = Study(name="activation", levels=levels, run=run)
