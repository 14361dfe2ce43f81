"""Errors that a user can act on: one line that names the field, the rule, the value and the remedy."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable


class InputError(ValueError):
    """Something that the user gave is not usable; the message is one line with the remedy.

    Args:
        field: What was given, in the words of the place where it was given (`lr`, `--target`, a file name).
        rule: What it must be, to be read after "must be" (or a whole clause that starts with a verb).
        value: The offending value; shown with `repr`. Leave it out where the rule already holds it.
        remedy: A sentence that says what to do.

    Example:
        >>> raise InputError("lr", "above 0", -0.1, "Try lr=0.001.")
        Traceback (most recent call last):
        ...
        thalweg.core._errors.InputError: lr must be above 0, got -0.1. Try lr=0.001.
    """

    _absent = object()

    def __init__(self, field: str, rule: str, value: object = _absent, remedy: str = "") -> None:
        self.field, self.rule, self.remedy = field, rule, remedy
        got = "" if value is InputError._absent else f", got {_shorten(value)}"
        tail = f" {remedy}" if remedy else ""
        super().__init__(f"{field} must be {rule}{got}.{tail}")

    def __reduce__(self) -> tuple[object, ...]:
        return _as_raised, (self.field, self.rule, self.remedy, str(self))


class RunError(RuntimeError):
    """A run could not go on, or a run folder is not usable; the message is one line with the remedy."""


def _as_raised(field: str, rule: str, remedy: str, message: str) -> InputError:
    """Returns an error that came from another process."""
    error = InputError(field, rule, remedy=remedy)
    error.args = (message,)
    return error


def _shorten(value: object, limit: int = 120) -> str:
    text = repr(value).replace("\n", " ")
    return text if len(text) <= limit else text[: limit - 3] + "..."


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns a remedy sentence that names the closest known name, or lists the known ones.

    Example:
        >>> nearest("adamv", ["sgd", "adamw"])
        "Did you mean 'adamw'?"
        >>> nearest("zzz", ["sgd", "adamw"])
        'Known: adamw, sgd.'
    """
    known = sorted(names)
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known)}."


def check_choice(field: str, value: str, names: Iterable[str]) -> str:
    """Returns `value` if it is one of `names`.

    Raises:
        InputError: with the nearest known name.
    """
    known = list(names)
    if value not in known:
        raise InputError(field, "a known name", value, nearest(str(value), known))
    return value


def check_number(
    field: str,
    value: object,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
    integer: bool = False,
    remedy: str = "",
) -> None:
    """Checks that `value` is a finite number inside the bounds that are given.

    Args:
        field: Name for the message.
        value: The value to check.
        above: Exclusive lower bound.
        least: Inclusive lower bound.
        below: Exclusive upper bound.
        most: Inclusive upper bound.
        integer: Whether it must be a whole number.
        remedy: What to do about it.

    Raises:
        InputError: naming the bounds.

    Example:
        >>> check_number("dropout", 0.5, least=0, below=1)
    """
    parts = ["a whole number" if integer else "a number"]
    if above is not None:
        parts.append(f"above {above:g}")
    if least is not None:
        parts.append(f"at least {least:g}")
    if below is not None:
        parts.append(f"below {below:g}")
    if most is not None:
        parts.append(f"at most {most:g}")
    rule = parts[0] + (" " if len(parts) > 1 else "") + " and ".join(parts[1:])
    number = _as_float(value)
    good = math.isfinite(number)
    if good:
        good = (
            (not integer or number == int(number))
            and (above is None or number > above)
            and (least is None or number >= least)
            and (below is None or number < below)
            and (most is None or number <= most)
        )
    if not good:
        raise InputError(field, rule, value, remedy)


def _as_float(value: object) -> float:
    """Returns a number (of NumPy, too) as a float; NaN for anything else, infinity for one that is too large."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf
