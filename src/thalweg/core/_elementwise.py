"""The few functions, beyond + - * /, of which elementwise pieces are written once.

An update rule or an activation is a pure function of its arguments, in arithmetic and these functions alone.
On tensors and arrays they are torch's and NumPy's; inside numba each becomes scalar code, so one definition
serves every program. One rule keeps float32 code in float32 under numba: a constant that is added or
multiplied enters as an argument or through `constant(x, 0.5)`, never as a bare literal (numba would make the
product float64). Comparisons with literals are free.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from thalweg.core import _float32


def _torch(x: Any) -> Any:
    import torch  # kept out of module import: numba code and the pure definitions do not need it

    return torch if isinstance(x, torch.Tensor) else np


def constant(x: Any, value: float) -> Any:
    """Returns `value` in the precision of x: a plain float beside tensors, a float32 beside a float32 scalar."""
    return value


def sqrt(x: Any) -> Any:
    """Returns the square root, elementwise."""
    return _torch(x).sqrt(x)


def exp(x: Any) -> Any:
    """Returns e to the x, elementwise."""
    return _torch(x).exp(x)


def expm1(x: Any) -> Any:
    """Returns e to the x minus 1 without cancellation, elementwise."""
    return _torch(x).expm1(x)


def log1p(x: Any) -> Any:
    """Returns log(1 + x) without cancellation, elementwise."""
    return _torch(x).log1p(x)


def tanh(x: Any) -> Any:
    """Returns the hyperbolic tangent, elementwise."""
    return _torch(x).tanh(x)


def erf(x: Any) -> Any:
    """Returns the error function, elementwise."""
    import torch

    if isinstance(x, torch.Tensor):
        return torch.erf(x)
    from scipy.special import erf as scipy_erf

    return scipy_erf(x)


def sigmoid(x: Any) -> Any:
    """Returns 1 / (1 + exp(-x)), elementwise, without overflow."""
    import torch

    if isinstance(x, torch.Tensor):
        return torch.sigmoid(x)
    from scipy.special import expit

    return expit(x)


def absolute(x: Any) -> Any:
    """Returns |x|, elementwise."""
    return abs(x)


def sign(x: Any) -> Any:
    """Returns -1, 0 or 1 by the sign of x, elementwise."""
    return _torch(x).sign(x)


def where(condition: Any, a: Any, b: Any) -> Any:
    """Returns a where the condition holds and b elsewhere; both branches are evaluated."""
    return _torch(condition).where(condition, a, b)


def maximum(a: Any, b: Any) -> Any:
    """Returns the larger of a and b, elementwise."""
    return _torch(a).maximum(a, b)


# numba's side: each stays in the dtype of its argument. Numbers in float32 take the functions of `_float32`, which a
# loop computes many at a time.


def _overload(function: Callable[..., Any], in_float32: Callable[..., Any], general: Callable[..., Any]) -> None:
    overload(function, jit_options=_float32.OPTIONS)(lambda x: in_float32 if x == types.float32 else general)


_overload(exp, lambda x: _float32.exp32(x), lambda x: math.exp(x))
_overload(expm1, lambda x: _float32.expm1_32(x), lambda x: math.expm1(x))
_overload(tanh, lambda x: _float32.tanh32(x), lambda x: math.tanh(x))
_overload(erf, lambda x: _float32.erf32(x), lambda x: math.erf(x))


@overload(sqrt)
def _sqrt(x):
    return lambda x: math.sqrt(x)


@overload(log1p)
def _log1p(x):
    return lambda x: math.log1p(x)


@overload(constant)
def _constant(x, value):
    return (lambda x, value: np.float32(value)) if x == types.float32 else (lambda x, value: np.float64(value))


@overload(sigmoid, jit_options=_float32.OPTIONS)
def _sigmoid(x):
    def logistic(x):  # exp of a negative number never overflows
        one = constant(x, 1.0)
        e = exp(-abs(x))
        upper = one / (one + e)
        return upper if x >= 0 else e * upper

    return logistic


@overload(absolute)
def _absolute(x):
    return lambda x: abs(x)


@overload(sign)
def _sign(x):
    def three_way(x):
        one = constant(x, 1.0)
        return one if x > 0 else (-one if x < 0 else one - one)

    return three_way


@overload(where)
def _where(condition, a, b):
    return lambda condition, a, b: a if condition else b


@overload(maximum)
def _maximum(a, b):
    return lambda a, b: a if a > b else b
