"""What a recipe field declares about itself, once: its meaning, its bounds, how it varies, how it is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from thalweg.core import InputError, check_choice, check_number, nearest

#: what other libraries call a field -> the field
_ALIASES = {
    "learning_rate": "lr",
    "learnrate": "lr",
    "learningrate": "lr",
    "step_size": "lr",
    "eta": "lr",
    "wd": "weight_decay",
    "bs": "batch_size",
    "minibatch": "batch_size",
    "hidden": "widths",
    "hidden_sizes": "widths",
    "hidden_layer_sizes": "widths",
    "layers": "widths",
    "nonlinearity": "activation",
    "normalization": "norm",
    "early_stopping": "patience",
    "l2": "weight_decay",
    "num_epochs": "epochs",
}


@dataclass(frozen=True, kw_only=True)
class Knob:
    """The declaration of one recipe field.

    Args:
        doc: One sentence; the command line's help is made of these.
        type: `int`, `float`, `str`, or `tuple` (whole numbers joined by x: 128x64).
        varies: `value` (a number per member inside one program) or `structure` (another shape of program).
        scale: `log` or `linear`: how a range of it is searched.
        none: The word that stands for None in text, or None where the field is never None.
        bounds: Keyword arguments of `check_number`.
        choices: Gives the known names, where the field is a name.
        remedy: Added to the error of a value out of bounds.
    """

    doc: str
    type: type
    varies: str = "value"
    scale: str = "linear"
    none: str | None = None
    bounds: dict[str, Any] = dataclasses.field(default_factory=dict)
    choices: Callable[[], list[str]] | None = None
    remedy: str = ""


def knob(default: Any, doc: str, type: type, **declared: Any) -> Any:
    """Returns a dataclass field that carries a `Knob`."""
    return dataclasses.field(default=default, metadata={"knob": Knob(doc=doc, type=type, **declared)})


@cache
def recipe_knobs() -> dict[str, Knob]:
    """Returns recipe field -> its declaration."""
    from thalweg.recipes._recipe import Recipe

    return {f.name: f.metadata["knob"] for f in dataclasses.fields(Recipe)}


def find_knob(name: str, *, what: str = "axis") -> Knob:
    """Returns the declaration of a recipe field.

    Raises:
        InputError: where there is no such field, with the nearest one.
    """
    knobs = recipe_knobs()
    if name not in knobs:
        meant = _ALIASES.get(name.lower().replace("-", "_"))
        raise InputError(what, "a recipe field", name, f"Did you mean {meant!r}?" if meant else nearest(name, knobs))
    return knobs[name]


def field_docs() -> dict[str, str]:
    """Returns recipe field -> its sentence.

    Example:
        >>> field_docs()["lr"]
        'Step size.'
    """
    return {name: declared.doc for name, declared in recipe_knobs().items()}


def parse_value(name: str, text: str, *, what: str = "axis") -> Any:
    """Returns the value of a recipe field from its text.

    Raises:
        InputError: where the text is no value of that field.

    Example:
        >>> parse_value("widths", "128x64"), parse_value("lr", "1e-3"), parse_value("batch_size", "full")
        ((128, 64), 0.001, None)
    """
    declared = find_knob(name, what=what)
    text = text.strip()
    if declared.none is not None and text == declared.none:
        return None
    try:
        if declared.type is int:
            value: Any = int(text) if text.lstrip("-").isdigit() else float(text)
        elif declared.type is float:
            value = float(text)
        elif declared.type is tuple:
            value = tuple(int(part) for part in text.split("x")) if text else ()
        else:
            value = text
    except ValueError:
        kind = {int: "a whole number", float: "a number", tuple: "whole numbers joined by x, as in 128x64"}
        other = "" if declared.none is None else f" or {declared.none}"
        raise InputError(name, kind[declared.type] + other, text) from None
    check_value(name, declared, value)
    return int(value) if declared.type is int else value


def format_value(name: str, value: Any) -> str:
    """Returns the text of a field's value, the inverse of `parse_value`.

    Example:
        >>> format_value("widths", (128, 64)), format_value("lr", 0.001), format_value("batch_size", None)
        ('128x64', '0.001', 'full')
    """
    if value is None:
        return find_knob(name).none or "off"
    if isinstance(value, tuple):
        return "x".join(str(v) for v in value)
    if isinstance(value, float):
        short = f"{value:.6g}"
        return short if float(short) == value else repr(value)
    return str(value)


def check_value(name: str, declared: Knob, value: Any) -> None:
    """Checks one value against its field's declaration.

    Raises:
        InputError: naming the field, the rule and the value.
    """
    if value is None:
        if declared.none is None:
            raise InputError(name, "given", value)
        return
    if declared.type in (int, float):
        check_number(name, value, integer=declared.type is int, remedy=declared.remedy, **declared.bounds)
    elif declared.type is tuple:
        if not isinstance(value, tuple):
            raise InputError(name, "a tuple of whole numbers", value, "Write (128, 64), or 128x64 in text.")
        for part in value:
            check_number(name, part, integer=True, least=1)
    elif not isinstance(value, str):
        raise InputError(name, "a name", value)
    elif declared.choices is not None:
        check_choice(name, value, declared.choices())
