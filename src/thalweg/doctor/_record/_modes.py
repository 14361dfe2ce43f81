"""Modes of torch that are put in place and taken away while others come and go."""

from __future__ import annotations

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
