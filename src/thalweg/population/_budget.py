"""What a question may cost: member-steps, or seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from thalweg.core import InputError


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a question may spend: one of the two, or neither for its default.

    Args:
        steps: Member-steps: optimizer steps summed over all members.
        seconds: Wall-clock time; a forecast turns it into a size, which is stored: a resumed run is the same run.

    Raises:
        InputError: where it is not above 0.
    """

    steps: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for value in (self.steps, self.seconds):
            if value is not None and not value > 0:
                raise InputError("--budget", "above 0", value)


def parse_budget(text: str) -> Budget:
    """Returns the budget that a text stands for.

    Args:
        text: `60s`, `10m`, `2e6steps`.

    Raises:
        InputError: for anything else.

    Example:
        >>> parse_budget("2e6steps").steps, parse_budget("10m").seconds
        (2000000.0, 600.0)
    """
    match = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)\s*(s|m|h|steps)", text.strip())
    try:
        number = float(match[1]) if match else None
    except ValueError:
        number = None
    if match is None or number is None:
        raise InputError("--budget", "seconds, minutes, hours or steps", text, "Write 60s, 10m or 2e6steps.")
    if match[2] == "steps":
        return Budget(steps=number)
    return Budget(seconds=number * {"s": 1, "m": 60, "h": 3600}[match[2]])
