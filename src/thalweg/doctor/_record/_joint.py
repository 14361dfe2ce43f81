"""Modules that a loop calls one after another, as one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from thalweg.core import RunError


class Joint(nn.Module):
    """Modules that are called in this order in every pass; what the loop does between them is its own.

    Args:
        parts: The modules.
        chained: Whether each is given what the one before answers, as it is.
    """

    def __init__(self, parts: Sequence[nn.Module], *, chained: bool) -> None:
        super().__init__()
        for part in parts:
            name, number = type(part).__name__.lower(), 2
            while name in self._modules:
                name, number = f"{type(part).__name__.lower()}{number}", number + 1
            self.add_module(name, part)
        self.chained = chained

    @property
    def parts(self) -> list[nn.Module]:
        """The modules, in order."""
        return list(self.children())

    @property
    def training(self) -> bool:  # type: ignore[override]
        """Whether any of them is in training mode: the loop sets their modes, not that of the whole."""
        return any(part.training for part in self.children())

    @training.setter
    def training(self, mode: bool) -> None:
        pass

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Returns what the last one answers.

        Raises:
            RunError: where the loop does something between them.
        """
        if not self.chained:
            raise RunError("What the loop does between its models is not known.")
        first, *rest = self.parts
        output = first(*args, **kwargs)
        for part in rest:
            output = part(output)
        return output


def parts_of(model: nn.Module) -> list[nn.Module]:
    """Returns the modules that a loop calls: those of a joint one, or the model itself."""
    return model.parts if isinstance(model, Joint) else [model]
