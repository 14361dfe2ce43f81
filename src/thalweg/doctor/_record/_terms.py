"""Terms of the weights alone that a loop adds to its loss by hand, as penalties: what they are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from thalweg.doctor._record._batch import tensors_of
from thalweg.doctor._record._device import kept_random
from thalweg.doctor._record._modes import Watching
from thalweg.doctor._record._naming import same
from thalweg.doctor._record._tape import Kept, Made, Noted, Step, Unknown, Weight, Whole, check_kept, leaves_of, name_of

#: passes that are looked at, and functions in one of them, at most
_LOOKS, _MOST = 3, 8192
#: functions that write over what they are given -> those that give the same as a new tensor
_AS_NEW: dict[str, Callable[..., Any]] = {
    name: function
    for own, function in (("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("div", torch.div))
    for name in (f"{own}_", f"__i{'true' if own == 'div' else ''}{own}__")
}


class Terms:
    """Sees what a loop does with its weights between two steps, where its loss is more than that of its loss function.

    It looks at few passes, and away while the model is at work. What was found is in `whole`.
    """

    def __init__(self) -> None:
        self.whole: Whole | None = None
        self._looks = _LOOKS
        #: whether it looks at this pass, or will look at the next one
        self.wanted = False
        self._calls: list[Noted] = []
        self._mode = Watching(self._noted)

    def want(self) -> None:
        """Looks at the next pass, where nothing was found so far."""
        self.wanted = self._looks > 0 and self.whole is None

    def begin(self) -> None:
        """A step was made."""
        self._calls = []
        self.go_on()

    def go_on(self) -> None:
        """The model has answered."""
        if self.wanted:
            self._mode.enter()

    def leave(self) -> None:
        """The model, backward or the optimizer is at work."""
        if self.wanted:
            self._mode.leave()

    def read(self, loss: torch.Tensor, value: torch.Tensor, before: torch.Tensor, model: nn.Module) -> None:
        """Finds what a loss is of the value of its loss function and of the weights, as backward is called on it.

        Args:
            loss: On which it is called. value: of the loss function. before: the same, before it was written over.
            model: Whose weights are looked for.
        """
        self.leave()
        if self.wanted and self._calls:
            self._looks -= 1
            with contextlib.suppress(Exception):  # functions of any kind are called again there
                self.whole = _read(self._calls, loss, value, before, model)
        self._calls, self.wanted = [], False

    def _noted(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        if len(self._calls) < _MOST and tensors_of(result):
            self._calls.append(Noted(function, name_of(function), args, kwargs, result))


def _read(
    calls: Sequence[Noted], loss: torch.Tensor, value: torch.Tensor, before: torch.Tensor, model: nn.Module
) -> Whole:
    """Returns the functions that gave a loss.

    Raises:
        Unknown: where it is of more than the value of its loss function and the weights.
    """
    places: dict[int, Any] = {id(p): Weight(name) for name, p in model.named_parameters()} | {id(value): Weight()}

    def template(given: Any) -> Any:
        if isinstance(given, torch.Tensor):
            return places.get(id(given)) or Kept(given, given._version)
        if isinstance(given, tuple | list):
            return tuple(map(template, given)) if isinstance(given, tuple) else [template(each) for each in given]
        return {key: template(each) for key, each in given.items()} if isinstance(given, dict) else given

    steps: dict[int, Step] = {}
    for place, call in enumerate(calls):
        written = call.name in _AS_NEW
        if isinstance(call.result, torch.Tensor) and id(call.result) in places and not written:
            continue  # the loss function itself, or what was there
        function = _AS_NEW.get(call.name, call.function)
        steps[place] = Step(function=function, name=call.name, args=template(call.args), kwargs=template(call.kwargs))
        if isinstance(call.result, torch.Tensor):
            places[id(call.result)] = Made(place, None)
        else:
            places |= {id(each): Made(place, k) for k, each in enumerate(call.result)}
    whole = Whole(steps=_needed(steps, places.get(id(loss))))
    with kept_random(), torch.no_grad():
        if not same(whole(before, dict(model.named_parameters())), loss.reshape(())):
            raise Unknown("what is added to its loss gives another value when it is done again")
    return whole


def _needed(steps: Mapping[int, Step], last: Any) -> dict[int, Step]:
    """Returns the steps that one of them needs, and that one.

    Raises:
        Unknown: where they need what is neither known nor the same in every pass.
    """
    needed, todo = dict[int, Step](), [last]
    while todo:
        leaf = todo.pop()
        if isinstance(leaf, Kept) and leaf.tensor.requires_grad:
            raise Unknown("its loss has terms that are not of its weights alone")
        if isinstance(leaf, Made) and leaf.step not in needed:
            step = needed[leaf.step] = steps[leaf.step]
            if step.name not in _AS_NEW:
                check_kept(step.name, step.kwargs)
            todo += leaves_of((step.args, step.kwargs))
    if not needed:
        raise Unknown("what is added to its loss is not seen")
    return dict(sorted(needed.items()))
