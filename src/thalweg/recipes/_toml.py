"""Recipes as TOML: what is written can be read back to an equal recipe, and unknown keys are refused."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from thalweg.core import InputError
from thalweg.recipes._fields import find_knob
from thalweg.recipes._recipe import Recipe


def recipe_to_text(recipe: Recipe) -> str:
    """Returns the recipe as TOML, every field with a value; a field that is off is written as its word.

    Example:
        >>> recipe_from_text(recipe_to_text(Recipe(batch_size=None))) == Recipe(batch_size=None)
        True
    """
    import tomli_w

    table: dict[str, Any] = {}
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if value is None:
            value = find_knob(field.name).none
        table[field.name] = list(value) if isinstance(value, tuple) else value
    return tomli_w.dumps({"recipe": table})


def recipe_from_text(text: str, *, source: str = "recipe") -> Recipe:
    """Returns the recipe that a TOML text holds, in a [recipe] table; fields left out have their defaults.

    Raises:
        InputError: for text that is no TOML, an unknown key (with the nearest one) or a value out of bounds.
    """
    try:
        whole = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(source, f"valid TOML ({error})") from None
    table = whole.get("recipe")
    if not isinstance(table, dict):
        raise InputError(source, "a TOML file with a [recipe] table")
    if len(whole) > 1:
        others = sorted(set(whole) - {"recipe"})
        raise InputError(source, "a TOML file with a [recipe] table alone", others, "Move these keys into it.")
    values: dict[str, Any] = {}
    for name, value in table.items():
        declared = find_knob(name, what=f"key in {source}")
        if declared.none is not None and value == declared.none:
            value = None
        elif declared.type is tuple and isinstance(value, list):
            value = tuple(value)
        values[name] = value
    return Recipe(**values)


def read_recipe(path: str | Path) -> Recipe:
    """Returns the recipe in a TOML file.

    Raises:
        InputError: where the file cannot be read or holds no recipe.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError("recipe file", f"a text file that can be read ({reason})", str(path)) from None
    return recipe_from_text(text, source=str(path))
