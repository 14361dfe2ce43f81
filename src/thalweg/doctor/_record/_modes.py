"""Modes of torch that are put in place and taken away while others come and go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack, _pop_mode, _push_mode
from torch.utils._device import DeviceContext


class Mode(TorchFunctionMode):
    """A mode that need not be left in the order in which modes were entered."""

    def enter(self) -> None:
        """Puts it under the modes that are there: `torch.device` takes away the highest when it ends."""
        stack = _get_current_function_mode_stack()
        if self in stack:
            return
        above = [_pop_mode() for _ in stack]
        if above and isinstance(above[-1], DeviceContext) and "old_device" in vars(above[-1]):
            _push_mode(above.pop())  # that of `torch.set_default_device`, which torch wants to be the lowest
        for mode in [self, *reversed(above)]:
            _push_mode(mode)

    def leave(self) -> None:
        """Takes it away, wherever it is among others; while it is asked it cannot be, and stays."""
        if self not in _get_current_function_mode_stack():
            return
        above = []
        while (mode := _pop_mode()) is not self:
            above.append(mode)
        for mode in reversed(above):
            _push_mode(mode)


#: is told of a function that was called, with what, by name, and what it gave
Told = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any], None]


class Watching(Mode):
    """Tells of the functions of torch that are called while it is entered."""

    def __init__(self, told: Told) -> None:
        super().__init__()
        self.told = told
        self.at_work = False  # it cannot be removed while it is asked, so that it may be there without a use

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self.at_work:
            self.told(func, args, kwargs, result)
        return result

    def enter(self) -> None:
        """Lets it see calls."""
        self.at_work = True
        super().enter()

    def leave(self) -> None:
        """Takes it away."""
        self.at_work = False
        super().leave()
