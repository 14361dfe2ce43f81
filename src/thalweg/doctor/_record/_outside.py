"""Modules that a loop calls beside its model."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from thalweg.doctor._record._recording import Recording


class Outside:
    """Notes, while it is entered, what a loop calls with gradients that is no part of its model.

    Args:
        recording: Whose `outside` and `norms` it fills.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._modules = {id(part) for part in recording.model.modules()}
        self._known = {id(p) for p in recording.model.parameters()}

    def __enter__(self) -> Self:
        self._own = nn.Module._call_impl
        nn.Module._call_impl = self._seen(self._own)  # torch.compile warns of hooks on all modules
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        nn.Module._call_impl = self._own

    def _seen(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if id(module) not in self._modules and torch.is_grad_enabled():
                self._note(module)
            return call(module, *args, **kwargs)

        return called

    def _note(self, module: nn.Module) -> None:
        recording = self._recording
        is_norm = isinstance(module, _BatchNorm) and module.training and module.running_mean is not None
        if is_norm and not any(p.requires_grad for p in module.parameters()):
            recording.norms.setdefault(id(module), (module, copy.deepcopy(module)))
        new = [p for p in module.parameters(recurse=False) if p.requires_grad and id(p) not in self._known]
        recording.outside += [(type(module).__name__, p) for p in new]
        self._known |= {id(p) for p in new}
