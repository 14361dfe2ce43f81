"""States of a loop: taken, given back to a copy, and the copy itself."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from thalweg.doctor._record._device import RandomState, device_of


@dataclass(frozen=True, kw_only=True)
class State:
    """Where a loop stood before a step.

    Args:
        step: Steps made before.
        model: Parameters and buffers. optimizer: its state.
        own: Numbers and tensors that an optimizer keeps outside its state, by attribute.
        random: Where the random numbers stood.
    """

    step: int
    model: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    own: dict[str, Any]
    random: RandomState


def state_of(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> State:
    """Returns a copy of the state after so many steps."""
    return State(
        step=step,
        model={name: value.detach().clone() for name, value in model.state_dict().items()},
        optimizer=copy.deepcopy(optimizer.state_dict()),
        own={name: copy.deepcopy(value) for name, value in _own(optimizer).items() if _plain(value)},
        random=RandomState.now(device_of(model)),
    )


def restore(model: nn.Module, optimizer: torch.optim.Optimizer, state: State) -> None:
    """Brings a copy to a state, without gradients; random numbers are left alone."""
    model.load_state_dict(state.model)
    optimizer.load_state_dict(copy.deepcopy(state.optimizer))
    vars(optimizer).update(copy.deepcopy(state.own))
    optimizer.zero_grad()


def copy_loop(model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Returns copies that belong to each other.

    What an optimizer keeps beside its groups and its state is copied too; torch leaves that out.
    """
    model, optimizer, own = copy.deepcopy((model, optimizer, _own(optimizer)))
    vars(optimizer).update(own)
    return model, optimizer


def _own(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Returns the attributes that torch's base class does not know; a schedule's hold on `step` is none."""
    known = vars(torch.optim.SGD([torch.zeros(1)]))
    own = {name: value for name, value in vars(optimizer).items() if name not in known}
    return {name: value for name, value in own.items() if not inspect.isroutine(value)}


def _plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    if isinstance(value, torch.Tensor):
        return not isinstance(value, nn.Parameter) and not value.requires_grad
    return value is None or isinstance(value, bool | int | float | complex | str)
