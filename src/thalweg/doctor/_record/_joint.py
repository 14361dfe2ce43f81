"""Modules that a loop calls one after another, as one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

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
        """Whether any of them is in training mode, of those to which it makes a difference where there are some.

        The loop sets their modes, not that of the whole.
        """
        parts = [part for part in self.children() if mode_dependent(part)] or list(self.children())
        return any(part.training for part in parts)

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


def mode_dependent(model: nn.Module) -> dict[str, nn.Module]:
    """Returns the layers of dropout and batch norm, which do something else in evaluation, by name."""
    return {
        name: part
        for name, part in model.named_modules()
        if isinstance(part, _DropoutNd | _BatchNorm) and getattr(part, "p", 1.0) > 0
    }


def parts_of(model: nn.Module) -> list[nn.Module]:
    """Returns the modules that a loop calls: those of a joint one, or the model itself."""
    return model.parts if isinstance(model, Joint) else [model]
