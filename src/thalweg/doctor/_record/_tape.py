"""Losses by hand as the functions that a loop called, and how they are read from what was seen of one pass."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from thalweg.doctor._record._batch import tensors_of

#: functions whose first number may be that of the rows
_SIZED = ("div", "arange", "view", "reshape", "expand", "zeros", "ones", "full")

#: operators that begin as those which write over what they are given
_KEPT = ("__invert__", "__int__", "__index__", "__iter__")


class Given(enum.Enum):
    """What a function is given that is another thing in every pass."""

    OUTPUT = enum.auto()
    TARGET = enum.auto()
    ROWS = enum.auto()  # how many
    RANGE = enum.auto()  # of their numbers
    NUMBERS = enum.auto()  # these as a tensor


@dataclass(frozen=True)
class Made:
    """What a step made: the place of that step, and of the tensor where it made several."""

    step: int
    item: int | None


@dataclass(frozen=True)
class Kept:
    """A tensor that is the same in every pass."""

    tensor: torch.Tensor
    version: int


@dataclass(frozen=True, kw_only=True)
class Step:
    """A function that was called, and with what."""

    function: Callable[..., Any]
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def run_steps(steps: Iterable[tuple[int, Step]], given: Callable[[Any], Any]) -> Any:
    """Returns what the last of some functions gives.

    Args:
        steps: These, each with its place.
        given: Returns what stands for a template that is none of this module's.
    """
    made: dict[int, Any] = {}

    def filled(template: Any) -> Any:
        if isinstance(template, Made):
            found = made[template.step]
            return found if template.item is None else found[template.item]
        if isinstance(template, Kept):
            return template.tensor
        if isinstance(template, tuple | list):
            return type(template)([filled(each) for each in template])
        if isinstance(template, dict):
            return {key: filled(each) for key, each in template.items()}
        return given(template)

    for last, step in steps:
        made[last] = step.function(*filled(step.args), **filled(step.kwargs))
    return made[last]


@dataclass(frozen=True, kw_only=True)
class Tape:
    """A loss as the functions that a loop called one after another, of the model's output and a target.

    Args:
        steps: These functions; the last one gives the loss.
        dtype: Of the target. ndim: how many dimensions it has.
        flat: Whether several of its rows are those of one row of the output.
    """

    steps: tuple[Step, ...]
    dtype: torch.dtype
    ndim: int
    flat: bool

    def __call__(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Returns the loss."""
        rows = len(output)

        def given(template: Any) -> Any:
            if not isinstance(template, Given):
                return template
            if template is Given.OUTPUT or template is Given.TARGET:
                return output if template is Given.OUTPUT else target
            if template is Given.NUMBERS:
                return torch.arange(rows, device=output.device)
            return rows if template is Given.ROWS else range(rows)

        return run_steps(enumerate(self.steps), given)

    def is_target(self, given: Any, rows: int) -> bool:
        """Whether something is of the kind of the target, with as many rows."""
        return (
            isinstance(given, torch.Tensor)
            and not given.requires_grad
            and given.dtype == self.dtype
            and given.ndim == self.ndim
            and (len(given) % rows == 0 if self.flat else len(given) == rows)
        )


@dataclass(frozen=True)
class Weight:
    """A parameter of the model, by its name; without a name it stands for the value of the loss function."""

    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Whole:
    """What backward is called on, as functions of the value of the loss function and of the weights.

    Args:
        steps: These functions by their place, in order; the last one gives it.
    """

    steps: Mapping[int, Step]

    def __call__(self, value: torch.Tensor, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Returns it, ().

        Raises:
            KeyError: where a weight is none of those.
        """

        def given(template: Any) -> Any:
            if not isinstance(template, Weight):
                return template
            return value if template.name is None else weights[template.name]

        found: torch.Tensor = run_steps(self.steps.items(), given)
        return found.reshape(())


class Noted(NamedTuple):
    """A function that was called, and what it gave."""

    function: Callable[..., Any]
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any


class Unknown(Exception):  # noqa: N818
    """Why a loss by hand is not known."""


class Reader:
    """Reads tapes from what was noted in one pass.

    Args:
        calls: In order. output: of the model.
    """

    def __init__(self, calls: Sequence[Noted], output: torch.Tensor) -> None:
        self.calls, self.output, self._exact = calls, output, False
        self._made = {
            id(each): (call, item if isinstance(call.result, tuple | list) else None)
            for call in calls
            for item, each in enumerate(call.result if isinstance(call.result, tuple | list) else [call.result])
            if isinstance(each, torch.Tensor)
        }
        self._of_output = {id(output)}
        for call in calls:
            if any(id(each) in self._of_output for each in tensors_of(call.args, call.kwargs)):
                self._of_output |= {id(each) for each in tensors_of(call.result)}

    def values(self, loss: torch.Tensor) -> list[torch.Tensor]:
        """Returns the loss without terms that were added which are none of the output; and before it was scaled."""
        found = [loss]
        while id(found[-1]) in self._made:
            call, _ = self._made[id(found[-1])]
            own = [each for each in call.args if isinstance(each, torch.Tensor) and id(each) in self._of_output]
            others = [each for each in call.args if not any(each is one for one in own)]
            beside = any(isinstance(each, torch.Tensor) and each.requires_grad for each in others)
            first = bool(call.args) and own[:1] == [call.args[0]] if own else False
            if len(own) != 1 or own[0].numel() != 1 or call.kwargs:
                break
            if not (call.name in ("add", "mul") or (call.name in ("sub", "div") and first)):
                break
            if beside and call.name in ("mul", "div"):
                break
            found = own if beside else [*found, *own]
        return found

    def targets_of(self, value: torch.Tensor) -> list[torch.Tensor]:
        """Returns what may be the one tensor of rows that a value is computed from beside the output.

        It is what meets the output, or what that was computed from.

        Raises:
            Unknown: where there is none, or several.
        """
        meeting, roots = self._foreign(value)
        self._exact = any(each.ndim > 0 and len(each) == len(self.output) for each in (*meeting, *roots))
        rows = [each for each in meeting if self._has_rows(each)]
        if not rows and not any(self._has_rows(each) for each in roots):
            raise Unknown("no target is seen in what it does by hand for its loss")
        found, failed = dict[int, torch.Tensor](), Unknown()
        for each in (*rows, *(root for root in roots if self._has_rows(root))):
            try:
                self.tape(value, each)
                found[id(each)] = each
            except Unknown as unknown:
                failed = unknown
        if not found:
            raise failed
        return list(found.values())

    def _foreign(self, value: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Returns the tensors that meet those of the output, and what these were computed from."""
        meeting, roots = dict[int, torch.Tensor](), dict[int, torch.Tensor]()
        seen, todo = set[int](), [value]
        while todo:
            tensor = todo.pop()
            if id(tensor) in seen or tensor is self.output:
                continue
            seen.add(id(tensor))
            if id(tensor) not in self._made:
                roots[id(tensor)] = tensor
                continue
            call, _ = self._made[id(tensor)]
            given = tensors_of(call.args, call.kwargs)
            todo += given
            if id(tensor) in self._of_output:
                check_kept(call.name, call.kwargs)
                meeting |= {id(each): each for each in given if id(each) not in self._of_output}
        return list(meeting.values()), list(roots.values())

    def _has_rows(self, tensor: torch.Tensor) -> bool:
        """Whether it has as many rows as the output, or where none has, a multiple of that."""
        if tensor.ndim == 0 or tensor.requires_grad or len(tensor) == 0:
            return False
        return len(tensor) == len(self.output) if self._exact else len(tensor) % len(self.output) == 0

    def tape(self, value: torch.Tensor, target: torch.Tensor) -> Tape:
        """Returns the functions that give a value, of output and target.

        Raises:
            Unknown: where it needs more than these.
        """
        steps: list[Step] = []
        places: dict[int, int] = {}  # of calls, by the ids of what they gave
        output, rows = self.output, len(self.output)

        def made(tensor: torch.Tensor) -> Any:
            if tensor is output or tensor is target:
                return Given.OUTPUT if tensor is output else Given.TARGET
            if id(tensor) in self._made:
                call, item = self._made[id(tensor)]
                if id(call.result) not in places:
                    step = self._step(call, made)
                    places[id(call.result)] = len(steps)
                    steps.append(step)
                return Made(places[id(call.result)], item)
            if tensor.requires_grad:
                raise Unknown("its loss is computed by hand of more than one answer of its model")
            if not self._has_rows(tensor):
                return Kept(tensor, tensor._version)
            if tensor.shape == (rows,) and torch.equal(tensor, torch.arange(rows, device=tensor.device)):
                return Given.NUMBERS
            raise Unknown("its loss is computed by hand of several tensors of rows")

        if not isinstance(made(value), Made):
            raise Unknown("its loss is what its model answers")
        if Given.TARGET not in leaves_of([(step.args, step.kwargs) for step in steps]):
            raise Unknown("no target is seen in what it does by hand for its loss")
        return Tape(steps=tuple(steps), dtype=target.dtype, ndim=target.ndim, flat=len(target) > rows)

    def _step(self, call: Noted, made: Callable[[torch.Tensor], Any]) -> Step:
        check_kept(call.name, call.kwargs)
        rows, sized = len(self.output), call.name in _SIZED

        def template(value: Any) -> Any:
            nonlocal sized
            if isinstance(value, torch.Tensor):
                return made(value)
            if isinstance(value, tuple | list):
                return [template(each) for each in value] if isinstance(value, list) else tuple(map(template, value))
            if isinstance(value, dict):
                return {key: template(each) for key, each in value.items()}
            if isinstance(value, range) and value == range(rows):
                return Given.RANGE
            if type(value) is int and sized:
                sized = False
                return Given.ROWS if value == rows else value
            return value

        return Step(function=call.function, name=call.name, args=template(call.args), kwargs=template(call.kwargs))


def check_kept(name: str, kwargs: Mapping[str, Any]) -> None:
    """Raises `Unknown` where a function of that name writes over what it is given."""
    own = name.endswith("__")
    if "out" in kwargs or (name.startswith("__i") and name not in _KEPT if own else name.endswith("_")):
        raise Unknown("its loss is computed by hand, and tensors are written over for that")


def leaves_of(template: Any) -> list[Any]:
    """Returns what stands in templates, in order."""
    if isinstance(template, dict):
        return leaves_of(list(template.values()))
    return [leaf for each in template for leaf in leaves_of(each)] if isinstance(template, tuple | list) else [template]


def name_of(function: Any) -> str:
    """Returns the name of a function of torch; that of the attribute where it reads one."""
    name = getattr(function, "__name__", "")
    return getattr(function.__self__, "__name__", name) if name == "__get__" else name
