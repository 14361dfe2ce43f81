"""How should weights start, and what does each start do to signals and gradients by depth?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from thalweg.core import Answer, Chart, InputError, Series, Table
from thalweg.models import ACTIVATIONS, INITS
from thalweg.probes import LayerSignals
from thalweg.recipes import Recipe
from thalweg.studies._around import PROBE_ROWS, signals_of
from thalweg.studies._compare import Comparison, comparison_chart, comparison_data, comparison_table, headline
from thalweg.studies._study import Lab, Study
from thalweg.tasks import Task

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
    found = lab.compare(keep=True)
    ends = lab.session.populations["levels"]
    rows = lab.task.train.x[:PROBE_ROWS]
    input_square = float((rows.astype(float) ** 2).mean())
    starts = {}
    for place, (name, recipe) in enumerate(lab.levels.items()):
        start = lab.start(recipe)
        weights = [ends.eval_params(place * len(lab.seeds) + s)["linear1.weight"] for s in range(len(lab.seeds))]
        starts[name] = _Start(
            predicted=predict_signals(start.eval_params(0), recipe.activation, input_square),
            measured=signals_of(start, 0),
            units=len(weights[0]),
            distinct=min(_distinct_units(weight) for weight in weights),
        )
    return Answer(
        headline=headline(found, "initialisations"),
        findings=[
            f"After training from {name}, only {start.distinct} of {start.units} units of the first layer differ: "
            "equal units get equal gradients."
            for name, start in starts.items()
            if start.distinct < start.units
        ],
        tables=[comparison_table(found, "init"), _signal_table(starts)],
        charts=[comparison_chart(found, "init"), _depth_chart(found, starts)],
        data={**comparison_data(found), "signals": {name: start.to_json() for name, start in starts.items()}},
        notes=lab.notes,
    )


@dataclass(frozen=True, kw_only=True)
class _Start:
    """What one initialisation makes of the network of the first seed, and what is left of it in the end.

    Args:
        predicted: By layer, from the weights. measured: on rows.
        units: Of the first layer. distinct: those that differ after training, the fewest of any seed.
    """

    predicted: list[Predicted]
    measured: list[LayerSignals]
    units: int
    distinct: int

    def squares(self) -> list[float]:
        """Returns the measured mean square before every activation."""
        return [layer.var_in + layer.mean_in**2 for layer in self.measured]

    def to_json(self) -> dict[str, Any]:
        """Returns the start as plain data."""
        return {
            "predicted": [layer.second_moment for layer in self.predicted],
            "measured": self.squares(),
            "gradient_gain_predicted": [layer.gain for layer in self.predicted],
            "gradient_measured": [layer.gradient for layer in self.measured],
            "distinct_units": self.distinct,
        }


def _signal_table(starts: dict[str, _Start]) -> Table:
    rows = []
    for name, start in starts.items():
        last = start.measured[-1].gradient
        rows.append(
            [
                name,
                f"{start.predicted[-1].second_moment:.2g}",
                f"{start.squares()[-1]:.2g}",
                f"{np.sqrt(np.prod([layer.gain for layer in start.predicted[1:]])):.2g}",
                f"{start.measured[0].gradient / last if last > 0 else 0.0:.2g}",
                f"{start.distinct} of {start.units}",
            ]
        )
    return Table(
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
    )


def _depth_chart(found: Comparison, starts: dict[str, _Start]) -> Chart:
    return Chart(
        name="depth",
        title="Mean square before each activation, at the start",
        caption="One line an initialisation; the leading one is coloured.",
        x="hidden layer",
        y="mean square",
        series=[
            Series(
                name=name,
                x=list(range(1, len(start.measured) + 1)),
                y=[square or None for square in start.squares()],  # a logarithm has no 0
                role=found.role(name),
            )
            for name, start in starts.items()
        ],
        log_y=True,
    )


def _distinct_units(weight: np.ndarray) -> int:
    """Returns how many rows of a weight differ from all before them."""
    scale = float(np.abs(weight).max())
    kept: list[np.ndarray] = []
    for row in np.asarray(weight, float):
        if all(np.abs(row - other).max() > _SAME * scale for other in kept):
            kept.append(row)
    return len(kept)


STUDY = Study(name="init", levels=levels, run=run)
