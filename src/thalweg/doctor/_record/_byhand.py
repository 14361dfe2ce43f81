"""Losses that a loop computes by hand, `((net(x) - y) ** 2).mean()`: what they are, and of which target."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from thalweg.doctor._record._batch import tensors_of
from thalweg.doctor._record._device import kept_random
from thalweg.doctor._record._modes import Watching
from thalweg.doctor._record._naming import Naming, same
from thalweg.doctor._record._recording import LossCall
from thalweg.doctor._record._tape import Given, Kept, Made, Noted, Reader, Tape, Unknown, name_of

#: functions between the model and backward that are noted at most, and passes that are looked at for such a loss
_MOST, _LOOKS = 256, 4
#: functions after which an evaluation still compares outputs with the targets of training
_SHAPES = ("view", "reshape", "squeeze", "unsqueeze", "flatten", "__getitem__")
_KINDS = ("detach", "data", "cpu", "to", "float", "double", "long", "int")
_ANSWERS = ("softmax", "log_softmax", "sigmoid", "argmax", "max", "round", "gt", "ge", "lt", "le")
_PLAIN = frozenset((*_SHAPES, *_KINDS, *_ANSWERS))


class HandLoss(NamedTuple):
    """A loss by hand, in one pass: its value, target, and the function of torch that it is."""

    value: torch.Tensor
    target: torch.Tensor
    call: LossCall | None


class ByHand:
    """Sees what a loop does with its model's output, where its loss is none of torch's functions.

    It looks on between the model and backward: in the first passes at all that is done, until one of them shows the
    loss; then at what that needs. Where a loss of torch's was called, it does not look on any longer.

    Args:
        told: Is told the loss and the target of a pass of an evaluation; either may be None.
    """

    def __init__(self, told: Callable[[torch.Tensor | None, torch.Tensor], None]) -> None:
        self.tape: Tape | None = None
        self.call: LossCall | None = None
        #: whether the function of torch gives a sum, of which the loop took the mean over rows
        self.per_row = False
        #: why the loop's own loss cannot be told; None where it can, or where there is none
        self.reason: str | None = None
        self.autocast = False
        self._told, self._mode, self._looks = told, Watching(self._noted), _LOOKS
        #: whether the pass that was seen last is not like those before
        self.strayed = False
        #: whether it looks on
        self.entered = False
        self._evaluating = False
        self._output: torch.Tensor | None = None
        self._dtype: torch.dtype | None = None  # to which the function of torch wants the target to be cast

    # ---- when it looks on

    @property
    def searches(self) -> bool:
        """Whether a loss of torch's would end it: none by hand was found so far."""
        return self._looks > 0 and self.tape is None

    def begin(self, output: torch.Tensor, *, evaluating: bool = False) -> None:
        """Looks on from now, as the model has answered."""
        if self._looks == 0 or (evaluating and self.tape is None):
            return
        self._output, self._rows, self._evaluating = output, output.shape[0], evaluating
        self._target: torch.Tensor | None = None
        self._value: torch.Tensor | None = None
        self._made: list[Any] = []
        self._calls: list[Noted] = []
        self._num = 0
        self._of_output = {id(output): output}
        self.entered = True
        self._mode.enter()

    def leave(self) -> None:
        """Looks on no longer, until the model is called again."""
        if not self.entered:
            return
        self.entered = False
        self._mode.leave()
        if self._evaluating and self._target is not None:
            value = self._value
            self._told(
                value if value is None or not self.per_row else value * len(self._target), self._cast(self._target)
            )

    def paused(self) -> contextlib.AbstractContextManager[None]:
        """Looks away: setting gradients to zero calls many functions."""
        if self._mode.at_work:
            return self._away()
        self.leave()
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def _away(self) -> Iterator[None]:
        self._mode.leave()
        try:
            yield
        finally:
            self._mode.enter()

    def end(self, reason: str | None = None) -> None:
        """Looks on never again.

        Args:
            reason: Why the loss is not known, where one by hand was looked for.
        """
        self._evaluating = False
        self.leave()
        self._looks, self.reason = 0, reason
        self.tape = self.call = None
        self.strayed = self.per_row = False

    # ---- what it sees

    def _noted(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        try:
            if self.tape is None:
                self._look(function, args, kwargs, result)
            else:
                self._follow(self.tape, function, args, kwargs, result)
        except Exception:  # whatever functions a loop calls, it goes on
            self._mode.at_work = False

    def _look(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        made = [result] if isinstance(result, torch.Tensor) else result
        name = name_of(function)
        if not isinstance(made, tuple | list) or not any(isinstance(each, torch.Tensor) for each in made):
            return
        given = tensors_of(args, kwargs)
        derived = any(id(each) in self._of_output for each in given)
        if not derived and any(each.requires_grad for each in made if isinstance(each, torch.Tensor)):
            return  # of the weights alone, as a penalty is
        if result is not None and given and result is given[0] and not name.endswith("_"):
            return  # it is what was there
        if not self._calls:
            self.autocast = torch.is_autocast_enabled(given[0].device.type if given else "cpu")
        self._calls.append(Noted(function, name, args, kwargs, result))
        if derived:
            self._of_output |= {id(each): each for each in made if isinstance(each, torch.Tensor)}
        self._mode.at_work = len(self._calls) < _MOST

    def _follow(
        self, tape: Tape, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        self._num += 1
        self._mode.at_work = self._num < _MOST
        if self._evaluating:
            self._note_meeting(tape, function, args, kwargs, result)
        made, step = self._made, tape.steps[len(self._made)]
        if function is not step.function and name_of(function) != step.name:
            return
        if len(args) != len(step.args) or len(kwargs) != len(step.kwargs):
            return
        for template, given in zip(step.args, args, strict=True):
            if template is not given and not self._is_like(template, given):
                return
        if kwargs and not self._is_like(step.kwargs, kwargs):
            return
        made.append(result)
        if len(made) == len(tape.steps):
            self._value = result
            self._mode.at_work = False

    def _is_like(self, template: Any, given: Any) -> bool:
        """Whether a function was given what it is given in every pass."""
        kind = type(template)
        if kind is Made:
            made = self._made[template.step]
            return given is (made if template.item is None else made[template.item])
        if kind is Given:
            return given is self._output if template is Given.OUTPUT else self._is_given(template, given)
        if kind is Kept:
            return given is template.tensor and given._version == template.version
        if kind is tuple or kind is list:
            if not isinstance(given, tuple | list) or len(given) != len(template):
                return False
            return all(self._is_like(each, other) for each, other in zip(template, given, strict=True))
        if kind is dict:
            return template.keys() == given.keys() and all(self._is_like(template[key], given[key]) for key in given)
        return template is given or (kind is type(given) and template == given)

    def _is_given(self, template: Given, given: Any) -> bool:
        rows, tape = self._rows, self.tape
        assert tape is not None
        if template is Given.TARGET:
            if self._target is None and tape.is_target(given, rows):
                self._target = given
            return given is self._target and given is not None
        if template is Given.NUMBERS:
            return isinstance(given, torch.Tensor) and given.shape == (rows,)
        return given == (rows if template is Given.ROWS else range(rows)) and not isinstance(given, torch.Tensor)

    def _note_meeting(
        self, tape: Tape, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        """Notes the target of an evaluation: what outputs meet, as they are or in the form that training gives them."""
        given = tensors_of(args, kwargs)
        if self._target is None and any(id(each) in self._of_output for each in given):
            name = name_of(function)
            met = [each for each in given if id(each) not in self._of_output and tape.is_target(each, self._rows)]
            if met:
                self._target = met[0]
            elif name in _PLAIN:
                self._of_output |= {id(each): each for each in tensors_of(result)}

    # ---- what it makes of that

    def loss_of(self, loss: torch.Tensor) -> HandLoss | None:
        """Returns what is known of the loss that backward is called on; None where nothing is."""
        if self._looks == 0 or self._output is None or self._evaluating:
            return None
        self.leave()
        if self.tape is None:
            self._looks -= 1
            if id(loss) in self._of_output:
                try:
                    self._read(loss, self._output)
                except Unknown as unknown:
                    self.end(str(unknown))
                except Exception as error:  # functions of any kind are called again there
                    self.end(f"what it does by hand for its loss fails when it is done again ({type(error).__name__})")
        value, target = self._value, self._target
        self.strayed = self.tape is not None and (value is None or target is None)
        self._output = self._value = self._target = None
        self._made, self._calls, self._of_output = [], [], {}
        return None if value is None or target is None else HandLoss(value, self._cast(target), self.call)

    def _cast(self, target: torch.Tensor) -> torch.Tensor:
        return target if self._dtype is None else target.to(self._dtype)

    def _read(self, loss: torch.Tensor, output: torch.Tensor) -> None:
        """Finds the target and the tape of a loss, and the function of torch that it is."""
        reader = Reader(self._calls, output)
        values = reader.values(loss)
        targets = reader.targets_of(values[0])
        with kept_random(), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tapes = [[(value, reader.tape(value, target)) for value in values] for target in targets]
            value, tape = tapes[0][0]
            if not same(tape(output, targets[0]), value):
                raise Unknown("what it does by hand for its loss gives another value when it is done again")
            self._looks, self._target, self._value, self.tape = 1, targets[0], value, tape
            pairs = list(zip(targets, tapes, strict=True))
            tried = [(target, target.dtype, each) for target, each in pairs]
            tried += [(target, output.dtype, each) for target, each in pairs if not target.is_floating_point()]
            for target, dtype, each in tried:
                named = Naming(output, target.to(dtype), reader).name(each)
                if named is not None:
                    self._target, self._dtype = target, dtype
                    self._value, self.tape, self.call, self.per_row = named
                    return
