"""Calls of activation functions, under any name and as any method of a tensor: modules call them too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from thalweg.doctor._record._modes import Mode

#: the class of the module of each function
KINDS = {
    "celu": "CELU",
    "elu": "ELU",
    "gelu": "GELU",
    "hardshrink": "Hardshrink",
    "hardsigmoid": "Hardsigmoid",
    "hardswish": "Hardswish",
    "hardtanh": "Hardtanh",
    "leaky_relu": "LeakyReLU",
    "log_sigmoid": "LogSigmoid",
    "mish": "Mish",
    "prelu": "PReLU",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "rrelu": "RReLU",
    "selu": "SELU",
    "sigmoid": "Sigmoid",
    "silu": "SiLU",
    "softplus": "Softplus",
    "softshrink": "Softshrink",
    "softsign": "Softsign",
    "special_expit": "Sigmoid",
    "tanh": "Tanh",
    "tanhshrink": "Tanhshrink",
}

#: is given the kind, the function, the tensor that it is called on, and its arguments; returns what it answers
Answer = Callable[[str, Callable[..., Any], torch.Tensor, tuple[Any, ...], dict[str, Any]], Any]


class ActivationCalls(Mode):
    """Lets `answer` answer for every activation function that is called while it is entered.

    What `answer` calls itself is not seen.

    Args:
        answer: As `Answer` says.

    Example:
        >>> names = []
        >>> def noted(kind, function, given, args, kwargs):
        ...     names.append(kind)
        ...     return function(*args, **kwargs)
        >>> x = torch.ones(2)
        >>> with ActivationCalls(noted):
        ...     _ = torch.nn.functional.relu(x), x.tanh(), torch.sigmoid(x), torch.nn.GELU()(x), x.exp()
        >>> names
        ['ReLU', 'Tanh', 'Sigmoid', 'GELU']
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        kind = KINDS.get(name_of(func))
        given = args[0] if args else kwargs.get("input")
        if kind is None or not isinstance(given, torch.Tensor):
            return func(*args, **kwargs)
        return self._answer(kind, func, given, args, kwargs)


def name_of(function: Callable[..., Any]) -> str:
    """Returns the name of a function without the mark of those that write over what they are given."""
    return getattr(function, "__name__", "").rstrip("_")
