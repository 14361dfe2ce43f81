"""How should weights start, and what does each start do to signals and gradients by depth?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from thalweg.core import InputError
from thalweg.models import ACTIVATIONS, INITS
from thalweg.population import empty_module
from thalweg.probes import LayerSignals, layer_signals
from thalweg.recipes import Recipe
from thalweg.studies._answer import Answer, Chart, Series, Table
from thalweg.studies._compare import comparison_chart, comparison_data, comparison_table, headline
from thalweg.studies._study import Lab, Study
from thalweg.tasks import Task

_PROBE_ROWS = 512
#: units count as the same where their weights differ by less than this share of the largest weight
_SAME = 1e-4


def levels(task: Task, recipe: Recipe) -> dict[str, Recipe]:
    """Returns the recipe with every initialisation at its default scale.

    Raises:
        InputError: for a model that is no MLP: only there a prediction by layers is known in closed form.
    """
    if recipe.model != "mlp" or ACTIVATIONS[recipe.activation].pieces > 1 or recipe.norm != "none":
        raise InputError("recipe", "an mlp without norm and maxout: others have no such prediction", recipe.model)
    return {name: recipe.changed(init=name, init_scale=None) for name in INITS}


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What the weights alone say of a layer before any data passes.

    Args:
        second_moment: Of the inputs of the activation, averaged over units.
        gain: Factor from the mean square of the gradient at the outputs of this layer to that of the one below.
    """

    second_moment: float
    gain: float


def predict_signals(params: Mapping[str, np.ndarray], activation: str, input_square: float) -> list[Predicted]:
    """Returns the second moments and gradient gains that independent random weights would give, layer by layer.

    q(l) = n(l) E[w^2] E[phi(sqrt(q(l-1)) z)^2] + E[b^2] for a standard normal z, and backward chi(l) = out(l) E[w(l)^2]
    E[phi'(sqrt(q(l)) z)^2] (Poole et al., Exponential expressivity in deep neural networks through transient chaos,
    2016, equation 3; Schoenholz et al., Deep information propagation, 2017, equation 7).

    Args:
        params: linear1.weight (out, in), linear1.bias, ..., output.weight.
        activation: Name of the activation.
        input_square: Mean square of the inputs.
    """
    found = ACTIVATIONS[activation]
    places, weights = hermegauss(100)  # an even number: none lies on the kink of a relu
    weights = weights / weights.sum()
    square = input_square
    result = []
    num_hidden = sum(name.startswith("linear") and name.endswith(".weight") for name in params)
    for k in range(1, num_hidden + 1):
        weight, bias = (np.asarray(params[f"linear{k}.{part}"], float) for part in ("weight", "bias"))
        moment = weight.shape[1] * float((weight**2).mean()) * square + float((bias**2).mean())
        z = np.sqrt(moment) * places
        value = np.asarray(found.value(z, found.parameter), float)
        slope = np.broadcast_to(np.asarray(found.slope(z, value, found.parameter), float), z.shape)
        square = float((weights * value**2).sum())
        gain = weight.shape[0] * float((weight**2).mean()) * float((weights * slope**2).sum())
        result.append(Predicted(second_moment=moment, gain=gain))
    return result


def run(lab: Lab) -> Answer:
    """Compares initialisations by score, and checks what theory predicts of the signals before the first step.

    With independent weights of variance v, a layer of n inputs multiplies the mean square of its signals by n v times
    what the activation keeps; backward it multiplies that of the gradient by (number of outputs) v times the mean
    squared slope. Both stay near 1 through any depth only where n v fits the activation: 1 for a linear one (Glorot and
    Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010), 2 for relu (He et al.,
    Delving deep into rectifiers, 2015). Too small a variance lets signals vanish, too large a one lets them explode or
    saturate. Equal weights, zero or not, give all units of a layer the same gradient: they stay equal for ever, and the
    layer counts as one unit (symmetry is broken by random weights alone). The prediction is made from the weights,
    before any row passes; the measurement is on a batch.
    """
    task = lab.task
    found = lab.compare(keep=True)
    population = lab.session.populations["levels"]
    x, y = task.train.x[:_PROBE_ROWS], task.train.y[:_PROBE_ROWS]
    input_square = float((x.astype(float) ** 2).mean())
    rows, data, sentences = [], {}, []
    series = []
    for place, (name, recipe) in enumerate(lab.levels.items()):
        start = lab.start(recipe).eval_params(0)
        predicted = predict_signals(start, recipe.activation, input_square)
        measured = layer_signals(empty_module(recipe, task.input_shape, task.output_size), start, x, y, task.loss)
        ends = [population.eval_params(place * len(lab.seeds) + s) for s in range(len(lab.seeds))]
        distinct = min(_distinct_units(end["linear1.weight"]) for end in ends)
        units = len(start["linear1.weight"])
        last, told = measured[-1], predicted[-1]
        square = last.var_in + last.mean_in**2
        rows.append(
            [
                name,
                f"{told.second_moment:.2g}",
                f"{square:.2g}",
                f"{_gradient_ratio(predicted):.2g}",
                f"{_measured_ratio(measured):.2g}",
                f"{distinct} of {units}",
            ]
        )
        data[name] = {
            "predicted": [p.second_moment for p in predicted],
            "measured": [m.var_in + m.mean_in**2 for m in measured],
            "gradient_gain_predicted": [p.gain for p in predicted],
            "gradient_measured": [m.gradient for m in measured],
            "distinct_units": distinct,
        }
        if distinct < units:
            sentences.append(
                f"After training from {name}, only {distinct} of {units} units of the first layer differ: equal units "
                "get equal gradients."
            )
        depth = [k + 1 for k in range(len(measured))]
        lead = found.leader is not None and name == found.labels[found.leader]
        series.append(
            Series(
                name=name,
                x=depth,
                y=[m.var_in + m.mean_in**2 or None for m in measured],
                role="main" if lead else "quiet",
            )
        )
    return Answer(
        headline=headline(found, "initialisations"),
        findings=sentences,
        tables=[
            comparison_table(found, "init"),
            Table(
                title="Before the first step, of the first seed: predicted from the weights, and measured",
                head=[
                    "init",
                    "mean square before the last activation, predicted",
                    "measured",
                    "gradient, first / last layer, predicted",
                    "measured",
                    "distinct units after training",
                ],
                rows=rows,
            ),
        ],
        charts=[
            comparison_chart(found, "init"),
            Chart(
                name="depth",
                title="Mean square before each activation, at the start",
                caption="One line an initialisation; the leading one is coloured.",
                x="hidden layer",
                y="mean square",
                series=series,
                log_y=True,
            ),
        ],
        data={**comparison_data(found), "signals": data},
        notes=lab.notes,
    )


def _gradient_ratio(predicted: list[Predicted]) -> float:
    """Returns the RMS gradient at the first layer's outputs over that at the last one's."""
    return float(np.sqrt(np.prod([p.gain for p in predicted[1:]])))


def _measured_ratio(measured: list[LayerSignals]) -> float:
    last = measured[-1].gradient
    return measured[0].gradient / last if last > 0 else 0.0


def _distinct_units(weight: np.ndarray) -> int:
    """Returns how many rows of a weight differ from all before them."""
    scale = float(np.abs(weight).max())
    kept: list[np.ndarray] = []
    for row in np.asarray(weight, float):
        if all(np.abs(row - other).max() > _SAME * scale for other in kept):
            kept.append(row)
    return len(kept)


STUDY = Study(name="init", levels=levels, run=run)
