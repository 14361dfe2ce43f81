"""Which activation serves this network, and what does each do to its signals and gradients?"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from thalweg.core import Answer, Chart, InputError, Series, Table
from thalweg.models import ACTIVATIONS
from thalweg.population import Forecast, architecture_of
from thalweg.probes import LayerSignals
from thalweg.recipes import Recipe
from thalweg.studies._around import signals_of, turning_of
from thalweg.studies._compare import Comparison, comparison_chart, comparison_data, comparison_table, headline
from thalweg.studies._study import Lab, Study
from thalweg.tasks import Task


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
    ends = lab.session.populations["levels"]
    starts = {name: lab.start(recipe) for name, recipe in lab.levels.items()}
    forecast = Forecast(lab.task, list(lab.levels.values()), lab.session.plan)
    measured = {
        name: _Measured(
            before=signals_of(starts[name], 0),
            after=signals_of(ends, place * len(lab.seeds)),
            turning=turning_of(starts[name], 0),
            seconds=forecast.speed(recipe)[0],
        )
        for place, (name, recipe) in enumerate(lab.levels.items())
    }
    return Answer(
        headline=headline(found, "activations"),
        tables=[comparison_table(found, "activation"), _signal_table(measured)],
        charts=[comparison_chart(found, "activation"), *_depth_charts(found, measured)],
        data={
            **comparison_data(found),
            "path_ratio": {name: each.turning for name, each in measured.items()},
            "step_seconds": {name: each.seconds for name, each in measured.items()},
            "revived": {name: each.revived for name, each in measured.items()},
            "widths": {name: list(level.widths) for name, level in lab.levels.items()},
            "signals": {
                name: {"before": [asdict(s) for s in each.before], "after": [asdict(s) for s in each.after]}
                for name, each in measured.items()
            },
        },
        notes=lab.notes,
    )


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What one activation does to the network of the first seed.

    Args:
        before: Signals by layer before the first step. after: those after the last.
        turning: Path / distance of a descent from the start.
        seconds: Of a step.
    """

    before: list[LayerSignals]
    after: list[LayerSignals]
    turning: float
    seconds: float

    @property
    def revived(self) -> int:
        """How many units were dead before and are not after."""
        pairs = zip(self.before, self.after, strict=True)
        return sum(len(set(b.dead_units) - set(a.dead_units)) for b, a in pairs)

    def gradients(self) -> list[float]:
        """Returns the gradient at every layer, as a share of that at the last; 0 where that one is 0."""
        last = self.before[-1].gradient
        return [layer.gradient / last if last > 0 else 0.0 for layer in self.before]


def _signal_table(measured: dict[str, _Measured]) -> Table:
    rows = []
    for name, each in measured.items():
        dead = [sum(len(layer.dead_units) for layer in layers) for layers in (each.before, each.after)]
        rows.append(
            [
                name,
                f"{np.mean([layer.saturated for layer in each.before]):.0%}",
                f"{np.mean([layer.saturated for layer in each.after]):.0%}",
                f"{dead[0]} -> {dead[1]} of {sum(layer.units for layer in each.after)}",
                str(each.revived),
                f"{np.mean([layer.off_centre for layer in each.before]):.2f}",
                f"{each.turning:.2f}",
                f"{each.gradients()[0]:.2g}",
                f"{1e6 * each.seconds:.3g}",
            ]
        )
    head = ["activation", "saturated before", "after", "dead units", "revived", "off centre", "path / distance"]
    return Table(
        title="Signals of the first seed, before the first step and after the last",
        head=[*head, "gradient, first / last layer", "us a step"],
        rows=rows,
    )


def _depth_charts(found: Comparison, measured: dict[str, _Measured]) -> list[Chart]:
    """Returns the gradient by depth, for a network of at least two hidden layers."""
    depth = len(next(iter(measured.values())).before)
    if depth < 2:
        return []
    return [
        Chart(
            name="depth",
            title="The gradient by depth, before the first step",
            caption="RMS of the gradient at a layer's outputs, as a share of that at the last hidden layer.",
            x="hidden layer",
            y="share",
            series=[
                Series(
                    name=name,
                    x=list(range(1, depth + 1)),
                    y=[share or None for share in each.gradients()],  # a logarithm has no 0
                    role=found.role(name),
                )
                for name, each in measured.items()
            ],
            log_y=True,
        )
    ]


STUDY = Study(name="activation", levels=levels, run=run)
