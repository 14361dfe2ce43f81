"""The recipe: a frozen description of how a model is optimised. It holds no seed."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from thalweg.core import InputError, nearest
from thalweg.recipes._fields import check_value, find_knob, knob, recipe_knobs


def _names(room: str, registry: str) -> Any:
    def known() -> list[str]:
        import importlib

        return sorted(getattr(importlib.import_module(f"thalweg.{room}"), registry))

    return known


def _inits() -> list[str]:
    return [*_names("models", "INITS")(), "keep"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is built and optimised.

    Every field says what it means where it stands below; `dataclasses.replace` makes a changed copy.

    Raises:
        InputError: for a value that is out of its field's bounds, naming field, rule, value and remedy.

    Example:
        >>> recipe = Recipe(model="mlp", widths=(128, 64), optimizer="adamw", lr=0.002)
        >>> recipe.changed(lr=0.001).lr
        0.001
    """

    model: str = knob(
        "mlp",
        "Kind of model: linear, mlp, cnn, or package.module:factory for your own.",
        str,
        varies="structure",
    )
    widths: tuple[int, ...] = knob(
        (128,),
        "Units of each hidden layer (mlp) or channels of each block (cnn), joined by x.",
        tuple,
        varies="structure",
    )
    activation: str = knob(
        "relu",
        "Activation of hidden layers.",
        str,
        varies="structure",
        choices=_names("models", "ACTIVATIONS"),
    )
    activation_parameter: float | None = knob(
        None,
        "Parameter of the activation (slope, alpha, or pieces of maxout); default is the activation's own.",
        float,
        none="default",
    )
    norm: str = knob(
        "none",
        "Normalisation before the activation.",
        str,
        varies="structure",
        choices=lambda: ["none", "batch", "layer"],
    )
    dropout: float = knob(
        0.0, "Share of hidden units that is dropped at each step.", float, bounds={"least": 0, "below": 1}
    )
    init: str = knob(
        "he",
        "How weights are drawn at the start; keep leaves them as your own module made them.",
        str,
        varies="structure",
        choices=_inits,
    )
    init_scale: float | None = knob(
        None,
        "Value of a constant init, standard deviation of a normal one; default is the init's own.",
        float,
        none="default",
        scale="log",
    )
    optimizer: str = knob("adamw", "Update rule.", str, varies="structure", choices=_names("optim", "RULES"))
    lr: float = knob(1e-3, "Step size.", float, scale="log", bounds={"above": 0}, remedy="A first try is 0.001.")
    momentum: float = knob(
        0.9, "Momentum of momentum, heavy_ball, nesterov, sgdw and muon.", float, bounds={"least": 0, "below": 1}
    )
    beta1: float = knob(
        0.9, "Decay of the mean of gradients (Adam family, Lion).", float, bounds={"least": 0, "below": 1}
    )
    beta2: float = knob(
        0.999, "Decay of the mean of squared gradients (Adam family).", float, bounds={"least": 0, "below": 1}
    )
    rho: float = knob(0.99, "Decay of the mean of squared gradients (RMSprop).", float, bounds={"least": 0, "below": 1})
    eps: float = knob(1e-8, "Added to the denominator of adaptive methods.", float, scale="log", bounds={"above": 0})
    weight_decay: float = knob(
        0.0,
        "Weight decay as torch.optim applies it: decoupled in adamw and sgdw, coupled in sgd and adam.",
        float,
        scale="log",
        bounds={"least": 0},
    )
    proposals: int = knob(16, "Random search: proposals a step.", int, bounds={"least": 1})
    schedule: str = knob(
        "constant",
        "How the step size moves over the run.",
        str,
        varies="structure",
        choices=_names("optim", "SCHEDULES"),
    )
    warmup: float = knob(
        0.1, "Share of the run that warms up, for schedules that do.", float, bounds={"least": 0, "below": 1}
    )
    schedule_gamma: float = knob(
        0.1, "Factor of the step, exponential and plateau schedules.", float, bounds={"above": 0, "most": 1}
    )
    alpha: float = knob(
        0.0,
        "Strength of the elastic-net penalty on weights.",
        float,
        scale="log",
        bounds={"least": 0},
    )
    l1_ratio: float = knob(
        0.0, "Share of L1 in the penalty: 0 is ridge, 1 is lasso.", float, bounds={"least": 0, "most": 1}
    )
    clip_norm: float | None = knob(
        None, "Largest norm of the gradient.", float, none="off", scale="log", bounds={"above": 0}
    )
    label_smoothing: float = knob(
        0.0, "Share of the target spread over all classes.", float, bounds={"least": 0, "below": 1}
    )
    batch_size: int | None = knob(
        64, "Rows a step; full is gradient descent on all rows.", int, none="full", bounds={"least": 1}
    )
    epochs: int = knob(20, "Passes over the training rows.", int, bounds={"least": 1})
    patience: int | None = knob(
        None,
        "Epochs without a better validation loss before the run stops; the best state is restored.",
        int,
        none="off",
        bounds={"least": 1},
    )

    def __post_init__(self) -> None:
        for name, declared in recipe_knobs().items():
            value = getattr(self, name)
            check_value(name, declared, value)
            if declared.type in (int, float) and value is not None:
                object.__setattr__(self, name, declared.type(value))  # 1 and 1.0 are one recipe
        if ":" not in self.model and self.model not in MODELS:
            raise InputError("model", "linear, mlp, cnn or package.module:factory", self.model, _model_remedy(self))
        if self.init == "keep" and ":" not in self.model:
            raise InputError(
                "init", f"one that draws weights for {self.model}", self.init, "keep is for your own module."
            )
        if self.model in ("mlp", "cnn") and not self.widths:
            raise InputError(
                "widths", f"given for {self.model}", self.widths, "Write widths=(128,), or model='linear'."
            )

    def changed(self, **changes: Any) -> Recipe:
        """Returns a copy with some fields changed.

        Raises:
            InputError: for a name that is no field, with the nearest one, or a value out of bounds.
        """
        for name in changes:
            find_knob(name, what="recipe field")
        return dataclasses.replace(self, **changes)

    def differing(self, other: Recipe) -> dict[str, tuple[Any, Any]]:
        """Returns field -> (mine, theirs) for the fields in which two recipes differ."""
        names = [field.name for field in dataclasses.fields(self)]
        return {n: (getattr(self, n), getattr(other, n)) for n in names if getattr(self, n) != getattr(other, n)}


MODELS = ("linear", "mlp", "cnn")


def _model_remedy(recipe: Recipe) -> str:
    return nearest(recipe.model, MODELS)


def parse_model(text: str) -> dict[str, Any]:
    """Returns the recipe fields that a `--model` text stands for.

    Args:
        text: `linear`, `mlp:128,64`, `cnn:16,32` or `package.module:factory`.

    Raises:
        InputError: for anything else.

    Example:
        >>> parse_model("mlp:128,64")
        {'model': 'mlp', 'widths': (128, 64)}
        >>> parse_model("my_models:make_model")
        {'model': 'my_models:make_model'}
    """
    kind, _, rest = text.partition(":")
    if kind in ("mlp", "cnn"):
        if not rest:
            return {"model": kind} if kind == "mlp" else {"model": kind, "widths": (16, 32)}
        parts = rest.replace("x", ",").split(",")
        if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
            example = {"mlp": "mlp:128,64", "cnn": "cnn:16,32"}[kind]
            raise InputError("--model", f"{kind}: and whole numbers above 0, as in {example}", text)
        return {"model": kind, "widths": tuple(int(part) for part in parts)}
    if kind == "linear" and not rest:
        return {"model": "linear", "widths": ()}
    if re.fullmatch(r"[^\W\d]\w*(\.\w+)*:\w+", text) and kind != "linear":
        return {"model": text}
    raise InputError("--model", "linear, mlp:128,64, cnn:16,32 or package.module:factory", text, nearest(kind, MODELS))
