"""Losses that a loop computes by hand, `((net(x) - y) ** 2).mean()`: what they are, and of which target."""

from __future__ import annotations

import contextlib
import enum
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack, _pop_mode, _push_mode
from torch.utils._device import DeviceContext

from thalweg.doctor._record._batch import tensors_of
from thalweg.doctor._record._device import kept_random
from thalweg.doctor._record._head import apply_head, head_between, last_operations
from thalweg.doctor._record._recording import Head, LossCall

#: functions between the model and backward that are noted at most, and passes that are looked at for such a loss
_MOST, _LOOKS = 256, 4
#: functions of torch that a loss by hand may be, the simplest first
_NAMES = (
    "mse_loss",
    "l1_loss",
    "cross_entropy",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy",
    "nll_loss",
    "smooth_l1_loss",
)
_DIFFERENCES = ("mse_loss", "l1_loss", "smooth_l1_loss")
#: relative difference up to which two losses are the same
_SAME = 1e-5
#: functions whose first number may be that of the rows
_SIZED = ("div", "arange", "view", "reshape", "expand", "zeros", "ones", "full")
#: functions after which an evaluation still compares outputs with the targets of training
_SHAPES = ("view", "reshape", "squeeze", "unsqueeze", "flatten", "__getitem__")
_KINDS = ("detach", "data", "cpu", "to", "float", "double", "long", "int")
_ANSWERS = ("softmax", "log_softmax", "sigmoid", "argmax", "max", "round", "gt", "ge", "lt", "le")
_PLAIN = frozenset((*_SHAPES, *_KINDS, *_ANSWERS))

Told = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any], None]


class _Given(enum.Enum):
    """What a function is given that is another thing in every pass."""

    OUTPUT = enum.auto()
    TARGET = enum.auto()
    ROWS = enum.auto()  # how many
    RANGE = enum.auto()  # of their numbers
    NUMBERS = enum.auto()  # these as a tensor


@dataclass(frozen=True)
class _Made:
    """What a step made: the place of that step, and of the tensor where it made several."""

    step: int
    item: int | None


@dataclass(frozen=True)
class _Kept:
    """A tensor that is the same in every pass."""

    tensor: torch.Tensor
    version: int


@dataclass(frozen=True, kw_only=True)
class _Step:
    """A function that was called, and with what."""

    function: Callable[..., Any]
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Tape:
    """A loss as the functions that a loop called one after another, of the model's output and a target.

    Args:
        steps: These functions; the last one gives the loss.
        dtype: Of the target. ndim: how many dimensions it has.
        flat: Whether several of its rows are those of one row of the output.
    """

    steps: tuple[_Step, ...]
    dtype: torch.dtype
    ndim: int
    flat: bool

    def __call__(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Returns the loss."""
        made: list[Any] = []

        def filled(template: Any) -> Any:
            if isinstance(template, _Made):
                found = made[template.step]
                return found if template.item is None else found[template.item]
            if isinstance(template, _Kept):
                return template.tensor
            if isinstance(template, tuple | list):
                return type(template)([filled(each) for each in template])
            if isinstance(template, dict):
                return {key: filled(each) for key, each in template.items()}
            if not isinstance(template, _Given):
                return template
            if template is _Given.OUTPUT or template is _Given.TARGET:
                return output if template is _Given.OUTPUT else target
            rows = len(output)
            if template is _Given.NUMBERS:
                return torch.arange(rows, device=output.device)
            return rows if template is _Given.ROWS else range(rows)

        for step in self.steps:
            made.append(step.function(*filled(step.args), **filled(step.kwargs)))
        return made[-1]

    def is_target(self, given: Any, rows: int) -> bool:
        """Whether something is of the kind of the target, with as many rows."""
        return (
            isinstance(given, torch.Tensor)
            and not given.requires_grad
            and given.dtype == self.dtype
            and given.ndim == self.ndim
            and (len(given) % rows == 0 if self.flat else len(given) == rows)
        )


class HandLoss(NamedTuple):
    """A loss by hand, in one pass: its value, target, and the function of torch that it is."""

    value: torch.Tensor
    target: torch.Tensor
    call: LossCall | None


class _Mode(TorchFunctionMode):
    """Tells of the functions of torch that are called."""

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
        """Lets it see calls, under the modes that are there: `torch.device` takes away the highest when it ends."""
        self.at_work = True
        stack = _get_current_function_mode_stack()
        if self in stack:
            return
        above = [_pop_mode() for _ in stack]
        if above and isinstance(above[-1], DeviceContext) and "old_device" in vars(above[-1]):
            _push_mode(above.pop())  # that of `torch.set_default_device`, which torch wants to be the lowest
        for mode in [self, *reversed(above)]:
            _push_mode(mode)

    def leave(self) -> None:
        """Takes it away, wherever it is among others."""
        self.at_work = False
        if self not in _get_current_function_mode_stack():  # it is being asked
            return
        above = []
        while (mode := _pop_mode()) is not self:
            above.append(mode)
        for mode in reversed(above):
            _push_mode(mode)


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
        self._told, self._mode, self._looks = told, _Mode(self._noted), _LOOKS
        #: whether the pass that was seen last is not like those before
        self.strayed = False
        self._entered = self._evaluating = False
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
        self._calls: list[_Noted] = []
        self._num = 0
        self._of_output = {id(output): output}
        self._entered = True
        self._mode.enter()

    def leave(self) -> None:
        """Looks on no longer, until the model is called again."""
        if not self._entered:
            return
        self._entered = False
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
        name = _name(function)
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
        self._calls.append(_Noted(function, name, args, kwargs, result))
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
        if function is not step.function and _name(function) != step.name:
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
        if kind is _Made:
            made = self._made[template.step]
            return given is (made if template.item is None else made[template.item])
        if kind is _Given:
            return given is self._output if template is _Given.OUTPUT else self._is_given(template, given)
        if kind is _Kept:
            return given is template.tensor and given._version == template.version
        if kind is tuple or kind is list:
            if not isinstance(given, tuple | list) or len(given) != len(template):
                return False
            return all(self._is_like(each, other) for each, other in zip(template, given, strict=True))
        if kind is dict:
            return template.keys() == given.keys() and all(self._is_like(template[key], given[key]) for key in given)
        return template is given or (kind is type(given) and template == given)

    def _is_given(self, template: _Given, given: Any) -> bool:
        rows, tape = self._rows, self.tape
        assert tape is not None
        if template is _Given.TARGET:
            if self._target is None and tape.is_target(given, rows):
                self._target = given
            return given is self._target and given is not None
        if template is _Given.NUMBERS:
            return isinstance(given, torch.Tensor) and given.shape == (rows,)
        return given == (rows if template is _Given.ROWS else range(rows)) and not isinstance(given, torch.Tensor)

    def _note_meeting(
        self, tape: Tape, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        """Notes the target of an evaluation: what outputs meet, as they are or in the form that training gives them."""
        given = tensors_of(args, kwargs)
        if self._target is None and any(id(each) in self._of_output for each in given):
            name = _name(function)
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
                except _Unknown as unknown:
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
        reader = _Reader(self._calls, output)
        values = reader.values(loss)
        targets = reader.targets_of(values[0])
        with kept_random(), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tapes = [[(value, reader.tape(value, target)) for value in values] for target in targets]
            value, tape = tapes[0][0]
            if not _same(tape(output, targets[0]), value):
                raise _Unknown("what it does by hand for its loss gives another value when it is done again")
            self._looks, self._target, self._value, self.tape = 1, targets[0], value, tape
            pairs = list(zip(targets, tapes, strict=True))
            tried = [(target, target.dtype, each) for target, each in pairs]
            tried += [(target, output.dtype, each) for target, each in pairs if not target.is_floating_point()]
            for target, dtype, each in tried:
                named = _Naming(output, target.to(dtype), reader).name(each)
                if named is not None:
                    self._target, self._dtype = target, dtype
                    self._value, self.tape, self.call, self.per_row = named
                    return


class _Noted(NamedTuple):
    """A function that was called, and what it gave."""

    function: Callable[..., Any]
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any


class _Unknown(Exception):  # noqa: N818
    """Why a loss by hand is not known."""


class _Reader:
    """Reads tapes from what was noted in one pass.

    Args:
        calls: In order. output: of the model.
    """

    def __init__(self, calls: Sequence[_Noted], output: torch.Tensor) -> None:
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
            _Unknown: where there is none, or several.
        """
        meeting, roots = self._foreign(value)
        self._exact = any(each.ndim > 0 and len(each) == len(self.output) for each in (*meeting, *roots))
        rows = [each for each in meeting if self._has_rows(each)]
        if not rows and not any(self._has_rows(each) for each in roots):
            raise _Unknown("no target is seen in what it does by hand for its loss")
        found, failed = dict[int, torch.Tensor](), _Unknown()
        for each in (*rows, *(root for root in roots if self._has_rows(root))):
            try:
                self.tape(value, each)
                found[id(each)] = each
            except _Unknown as unknown:
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
                _check_kept(call)
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
            _Unknown: where it needs more than these.
        """
        steps: list[_Step] = []
        places: dict[int, int] = {}  # of calls, by the ids of what they gave
        output, rows = self.output, len(self.output)

        def made(tensor: torch.Tensor) -> Any:
            if tensor is output or tensor is target:
                return _Given.OUTPUT if tensor is output else _Given.TARGET
            if id(tensor) in self._made:
                call, item = self._made[id(tensor)]
                if id(call.result) not in places:
                    step = self._step(call, made)
                    places[id(call.result)] = len(steps)
                    steps.append(step)
                return _Made(places[id(call.result)], item)
            if tensor.requires_grad:
                raise _Unknown("its loss is computed by hand of more than one answer of its model")
            if not self._has_rows(tensor):
                return _Kept(tensor, tensor._version)
            if tensor.shape == (rows,) and torch.equal(tensor, torch.arange(rows, device=tensor.device)):
                return _Given.NUMBERS
            raise _Unknown("its loss is computed by hand of several tensors of rows")

        if not isinstance(made(value), _Made):
            raise _Unknown("its loss is what its model answers")
        if _Given.TARGET not in _leaves([(step.args, step.kwargs) for step in steps]):
            raise _Unknown("no target is seen in what it does by hand for its loss")
        return Tape(steps=tuple(steps), dtype=target.dtype, ndim=target.ndim, flat=len(target) > rows)

    def _step(self, call: _Noted, made: Callable[[torch.Tensor], Any]) -> _Step:
        _check_kept(call)
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
                return _Given.RANGE
            if type(value) is int and sized:
                sized = False
                return _Given.ROWS if value == rows else value
            return value

        return _Step(function=call.function, name=call.name, args=template(call.args), kwargs=template(call.kwargs))


class _Naming:
    """Finds the function of torch that a loss by hand is, by its values.

    They are compared for the outputs as they were, and for others: two losses may agree by chance, as those of squares
    and of sizes do where all differences are 0 or 1.

    Args:
        output: Of the model. target: of the loss. reader: of the pass.
    """

    def __init__(self, output: torch.Tensor, target: torch.Tensor, reader: _Reader) -> None:
        self._output, self._target, self._reader = output, target, reader
        ramp = torch.linspace(0, 1, output.numel(), device=output.device).reshape(output.shape).to(output.dtype)
        within = bool(((output >= 0) & (output <= 1)).all())
        self._other = 0.5 * output.flip(0) + 0.25 * ramp if within else 2 * output.flip(0) + 2 * ramp - 1

    def name(self, tapes: Sequence[tuple[torch.Tensor, Tape]]) -> tuple[torch.Tensor, Tape, LossCall, bool] | None:
        """Returns the value that is one of torch's, its tape, the function, and whether it is a sum over the rows.

        Args:
            tapes: Of the loss, and of what it was before it was scaled.
        """
        calls = list(self._calls())
        for name in _NAMES:
            for call in calls:
                if not self._takes(name, call):
                    continue
                for reduction in ("mean", "sum"):
                    options = {} if reduction == "mean" else {"reduction": reduction}
                    named = replace(call, name=name, options=options)
                    ours = self._value(named, self._output)
                    for value, tape in tapes:
                        for scale in (1, len(self._target)) if reduction == "sum" else (1,):
                            if _same(ours, value * scale) and self._holds(named, tape, scale):
                                return value, tape, named, scale > 1
        return None

    def _holds(self, call: LossCall, tape: Tape, scale: int) -> bool:
        """Whether a loss is the same for other outputs."""
        if call.name == "binary_cross_entropy" and not _is_share(apply_head(self._other, call)):
            return False
        return _same(self._value(call, self._other), tape(self._other, self._target) * scale)

    def _calls(self) -> Iterator[LossCall]:
        """Yields what a function of torch may have been given: the output, or what it became at first."""
        output, target = self._output, self._target
        heads: dict[Head, torch.Tensor] = {(): output}
        for call in self._reader.calls:
            for each in tensors_of(call.result):
                head = head_between(each, output) if each.requires_grad else None
                if head is not None and each.is_floating_point():
                    heads.setdefault(head, each)
        if output.shape != target.shape and output.numel() == target.numel():
            heads.setdefault((("reshape", ()),), output.reshape(target.shape))
        for head, given in heads.items():
            yield LossCall(
                name="",
                options={},
                head=head,
                inner=last_operations(output),
                shape=tuple(given.shape),
                dtype=given.dtype,
                by_hand=True,
            )

    def _takes(self, name: str, call: LossCall) -> bool:
        """Whether a function of torch can be called with what it is given."""
        shape, y = call.shape, self._target
        if not shape:
            return False
        if name in ("cross_entropy", "nll_loss"):
            if len(shape) < 2:
                return False
            if y.is_floating_point():
                return name == "cross_entropy" and tuple(y.shape) == shape
            fits = y.dtype == torch.long and tuple(y.shape) == (shape[0], *shape[2:])
            return fits and bool(((y >= 0) & (y < shape[1])).all())  # on a GPU an error there is the end of all
        if not y.is_floating_point():
            return False
        if name not in _DIFFERENCES:
            if tuple(y.shape) != shape or not _is_share(y):
                return False
            return name != "binary_cross_entropy" or _is_share(apply_head(self._output, call))
        if tuple(y.shape) == shape:
            return True
        try:
            over = torch.broadcast_shapes(y.shape, shape)
        except RuntimeError:
            return False
        made = (each for call in self._reader.calls for each in tensors_of(call.result))
        return any(each.shape == over for each in made)  # as large as that it may be where the loop made it so

    def _value(self, call: LossCall, output: torch.Tensor) -> torch.Tensor:
        return getattr(F, call.name)(apply_head(output, call), self._target, **call.options)


def _check_kept(call: _Noted) -> None:
    """Raises `_Unknown` where a function wrote over what it was given."""
    if (call.name.endswith("_") and not call.name.endswith("__")) or "out" in call.kwargs:
        raise _Unknown("its loss is computed by hand, and tensors are written over for that")


def _is_share(values: torch.Tensor) -> bool:
    """Whether all are from 0 to 1."""
    return bool(((values >= 0) & (values <= 1)).all())


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two losses are the same, but for rounding."""
    a, b = float(one.detach().sum()), float(other.detach().sum())
    return b != 0 and abs(a - b) <= _SAME * abs(b)


def _leaves(template: Any) -> list[Any]:
    if isinstance(template, dict):
        return _leaves(list(template.values()))
    return [leaf for each in template for leaf in _leaves(each)] if isinstance(template, tuple | list) else [template]


def _name(function: Any) -> str:
    """Returns the name of a function of torch; that of the attribute where it reads one."""
    name = getattr(function, "__name__", "")
    return getattr(function.__self__, "__name__", name) if name == "__get__" else name
