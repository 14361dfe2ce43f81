"""Calls of a function that is known under many names: `from torch.nn.functional import cross_entropy` binds one."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable
from functools import partial
from typing import Any

#: what is called in place of the original, and under which name the code of the function finds it
Seen = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
_NAME = "_thalweg_seen"
_count = itertools.count()


class Hook(partial[Any]):
    """A hook on a module that copies of the module do not have, be they made by `copy.deepcopy` or by a pickle.

    Example:
        >>> import copy
        >>> from torch import nn, zeros
        >>> model = nn.Linear(2, 1)
        >>> handle = model.register_forward_hook(Hook(lambda *args: print("called")))
        >>> other = copy.deepcopy(model)
        >>> _ = model(zeros(3, 2)), other(zeros(3, 2))
        called
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> Callable[..., None]:
        return nothing

    def __reduce__(self) -> tuple[Any, ...]:
        return partial, (nothing,)


def nothing(*args: object, **kwargs: object) -> None:
    """Does nothing, in place of a hook."""


def intercept(function: Any, seen: Seen) -> Callable[[], None]:
    """Lets `seen(original, args, kwargs)` answer for a function, whoever calls it by whatever name.

    The code of the function is replaced, not the name in its module. Returns what undoes it; of several, the last one
    is undone first.

    Args:
        function: Written in Python.
        seen: Is given the original, and what it was called with.

    Example:
        >>> from math import fsum
        >>> def area(a, b=2):
        ...     return a * b
        >>> other = area
        >>> undo = intercept(area, lambda original, args, kwargs: -original(*args, **kwargs))
        >>> other(3), area(3, b=1)
        (-6, -3)
        >>> undo()
        >>> other(3)
        6
    """
    code, defaults, named = function.__code__, function.__defaults__, function.__kwdefaults__
    original = types.FunctionType(code, function.__globals__, function.__name__, defaults, function.__closure__)
    original.__kwdefaults__ = named
    place = f"{_NAME}_{next(_count)}"  # another one may look on already
    function.__globals__[place] = partial(seen, original)
    free = ", ".join(code.co_freevars)  # code may be exchanged for such that closes over as many names
    space: dict[str, Any] = {}
    text = (
        f"def make({free}):\n def called(*args, **kwargs):\n  ({free})\n  return {place}(args, kwargs)\n return called"
    )
    exec(text, function.__globals__, space)
    function.__code__ = space["make"](*code.co_freevars).__code__
    function.__defaults__, function.__kwdefaults__ = None, None

    def undo() -> None:
        function.__code__, function.__defaults__, function.__kwdefaults__ = code, defaults, named
        del function.__globals__[place]

    return undo


def after_closure(args: tuple[Any, ...], kwargs: dict[str, Any], noted: Callable[[], None]) -> Any:
    """Calls `noted` whenever the closure of an optimizer's step has run; at once where the step has none.

    Args:
        args: That a hook before the step is given: the optimizer is the first. kwargs: likewise.
        noted: Is told.

    Returns:
        What such a hook returns: other arguments, or None to leave them as they are.
    """
    optimizer, *given = args
    closure = given.pop(0) if given else kwargs.get("closure")
    if closure is None:
        noted()
        return None

    def seen() -> Any:
        value = closure()
        noted()
        return value

    return (optimizer, seen, *given), {key: value for key, value in kwargs.items() if key != "closure"}
