"""Which of the losses that are computed in a pass is the one of the model, and of which target."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from thalweg.doctor._record._byhand import ByHand
from thalweg.doctor._record._head import head_between, last_operations, loss_in_graph
from thalweg.doctor._record._losses import SeenCall, unit_of
from thalweg.doctor._record._recording import LossCall, Recording


class _Called(NamedTuple):
    """A loss function that was called for a pass; how often its value had been written to, and maybe a copy of it."""

    call: SeenCall
    options: dict[str, Any] | None
    more: dict[str, Any]
    autocast: bool
    version: int
    before: torch.Tensor | None

    def is_like(self, known: LossCall | None) -> bool:
        """Whether it is the same function, called by the model or not."""
        return known is not None and known.name == self.call.name and known.own == ("own" in self.more)


def part_of(inside: list[SeenCall], output: torch.Tensor) -> SeenCall:
    """Returns the last of the loss functions that a model called which was given the output that it answers with."""
    if len(inside) == 1:
        return inside[0]
    return next((each for each in reversed(inside) if head_between(each.input, output) is not None), inside[-1])


class PassLoss:
    """Gathers the losses since the model was called, and chooses among them.

    Args:
        recording: Of the loop. by_hand: What sees losses that are none of torch's functions.
    """

    def __init__(self, recording: Recording, by_hand: ByHand) -> None:
        self._recording, self._by_hand = recording, by_hand
        self._calls: list[_Called] = []
        self._place = 0  # of that which was chosen last
        self._written = False  # whether the loop writes over values, as `loss += penalty` does
        #: of the user's own criterion: value and target
        self.whole: tuple[torch.Tensor, Any] | None = None
        #: the loss function that was chosen last
        self.call: LossCall | None = None

    def forget(self) -> None:
        """Begins with another pass."""
        if self._calls:
            self._calls = []
        self.whole = None

    def add(self, call: SeenCall, *, look: bool, options: dict[str, Any] | None = None, **more: Any) -> None:
        """Adds a loss function that was called.

        Args:
            look: Whether to look closely: rarely, as it takes a microsecond.
            options: In place of those that it was called with. more: fields of its `LossCall`.
        """
        look = look or self.call is None
        device = call.input.device.type
        autocast = torch.is_autocast_enabled(device) if look else self._recording.loss_autocast
        value = call.value
        before = value.detach().clone() if self._written else None
        self._calls.append(_Called(call, options, more, autocast, value._version, before))

    def before(self, value: torch.Tensor) -> torch.Tensor | None:
        """Returns the value of a loss function as it was given, if the loop has written over it.

        None where it has for the first time: copies are made from then on.
        """
        called = next((each for each in self._calls if each.call.value is value), None)
        if called is None or value._version == called.version:
            return value
        self._written = True
        return called.before

    def add_own(self, own: torch.Tensor, inside: list[SeenCall], output: torch.Tensor, *, look: bool) -> None:
        """Adds the loss that a model answered with.

        Args:
            own: That loss. inside: loss functions that the model called. output: what else it answered. look: as above.
        """
        call, unit, options = part_of(inside, output), None, None
        if len(inside) == 1 and (look or self.call is None):  # rarely, as it waits for the device
            unit, options = unit_of(own, call)
        self.add(call._replace(value=own), look=look, options=options, own=True, unit=unit)

    def chosen(
        self, loss: torch.Tensor, output: torch.Tensor, *, look: bool
    ) -> tuple[torch.Tensor, Any, LossCall | None] | None:
        """Returns value, target and call of the loss function of a pass; None where it is not known.

        Of several it is the one that backward is called on; else the first that was given the model's output.

        Args:
            loss: On which backward is called. output: of the model. look: as in `add`.
        """
        calls, whole = self._calls, self.whole
        if self._by_hand.tape is not None:
            return self._of_hand(loss)
        if not calls:
            seen = loss_in_graph(loss, output)
            if seen is not None and whole is None:
                self._by_hand.end()
                self.call = seen[0]
                return loss, seen[1], seen[0]
            return self._of_hand(loss) if whole is None else (*whole, None)
        look, place = look or self.call is None, self._place
        if not look and whole is None and len(calls) == 1 and place == 0 and calls[0].is_like(self.call):
            return calls[0].call.value, calls[0].call.target, self.call
        same = next((k for k, each in enumerate(calls) if each.call.value is loss), None)
        if same is not None:
            place = same
        elif look:
            fits = (k for k, each in enumerate(calls) if head_between(each.call.input, output) is not None)
            place = next(fits, len(calls) - 1)
        best = calls[min(place, len(calls) - 1)]
        call = best.call
        if look or place != self._place or not best.is_like(self.call):
            self._place = place
            self.call = LossCall(
                name=call.name,
                options=call.options if best.options is None else best.options,
                head=head_between(call.input, output),
                inner=last_operations(output),
                shape=tuple(call.input.shape),
                dtype=call.input.dtype,
                **best.more,
            )
            self._recording.loss_autocast = best.autocast
        return (call.value, call.target, self.call) if whole is None else (*whole, self.call)

    def _of_hand(self, loss: torch.Tensor) -> tuple[torch.Tensor, Any, LossCall | None] | None:
        seen = self._by_hand.loss_of(loss)
        if self._by_hand.reason is not None:
            self._recording.refuse(f"{self._by_hand.reason}, and tw.watch was given no criterion")
        if seen is not None:
            self.call, self._recording.loss_autocast = seen.call, self._by_hand.autocast
        return seen

    def has_strayed(self) -> bool:
        """Whether the loss by hand is another one now; if so, what was known of it is forgotten."""
        if not self._by_hand.strayed:
            return False
        self._by_hand.end()
        self.call = None
        for each in self._recording.passes:
            each.call = None
        self._recording.refuse("the loss that it computes by hand is not the same function in every pass")
        return True
