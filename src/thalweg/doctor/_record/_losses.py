"""Loss functions of torch, and what is seen of a call of one."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

#: loss functions of torch whose calls are seen
LOSSES = (
    "cross_entropy",
    "nll_loss",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "gaussian_nll_loss",
    "poisson_nll_loss",
    "kl_div",
)


class SeenCall(NamedTuple):
    """A call of a loss function, with its value."""

    name: str
    value: torch.Tensor
    input: torch.Tensor
    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def options(self) -> dict[str, Any]:
        """What it was called with beside input and target, without what is left as it is by default."""
        given = {k: v for k, v in self.kwargs.items() if v is not None and k not in ("input", "target")}
        if self.value.ndim > 0:  # one for each row, of which the loop takes the mean itself
            given.pop("reduction", None)
        return given | ({"positional": self.args[2:]} if len(self.args) > 2 else {})


def mean_of(value: torch.Tensor) -> torch.Tensor:
    """Returns the value of a loss function, or the mean of those that it gave each row."""
    return value.detach() if value.ndim == 0 else value.detach().mean()


def unit_of(own: torch.Tensor, call: SeenCall) -> tuple[float | None, dict[str, Any]]:
    """Returns a model's loss over that of the function that it called, and options with which that is a mean.

    Args:
        own: What the model answered. call: that it made.
    """
    value, options = call.value, call.options
    if not isinstance(value, torch.Tensor) or value.numel() != 1 or not float(value.detach()):
        return None, options
    unit = float(own.detach()) / float(value.detach())
    if options.get("reduction") != "sum" or abs(unit - 1) < 1e-4:
        return unit, options
    # a sum that the model divided by some number of targets, as those do that learn from several passes a step
    num = int((call.target != options.get("ignore_index", -100)).sum())
    return unit * num, {key: each for key, each in options.items() if key != "reduction"}
