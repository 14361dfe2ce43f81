"""The recorder: it watches a training loop of anybody's, without a change to the loop."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from thalweg.core import InputError, RunError, check_number
from thalweg.doctor._record._batch import logits_of, own_loss, tensors_of
from thalweg.doctor._record._byhand import ByHand
from thalweg.doctor._record._calls import Hook, after_closure, intercept
from thalweg.doctor._record._device import RandomState, device_of
from thalweg.doctor._record._evaluations import Evaluations
from thalweg.doctor._record._head import mean_over
from thalweg.doctor._record._joint import parts_of
from thalweg.doctor._record._layers import LayerProbe
from thalweg.doctor._record._losses import LOSSES, SeenCall, mean_of
from thalweg.doctor._record._outside import Outside
from thalweg.doctor._record._pass_loss import PassLoss, part_of
from thalweg.doctor._record._recording import LossCall, Pass, Passes, Recording, versions_of
from thalweg.doctor._record._state import State, state_of
from thalweg.doctor._record._terms import Terms
from thalweg.doctor._record._timing import SHARE, Timing

_CLIPS = ("clip_grad_norm_", "clip_grad_value_")
#: copies of the state that are kept beside the first one
_STATES = 4
#: steps after which a loop shows what its losses are of, and which modules it calls
_SURE, _LOOKED = 8, 2

_active: list[Recorder] = []


class Recorder:
    """Watches a loop while it is entered; what it saw is in `recording`.

    Args:
        model: What is trained.
        optimizer: What trains it.
        criterion: The loss, called with output and target; only where it is not one of torch's.
        memory: Bytes of batches that are kept.
        share: Of the time, for statistics; None takes them at the same steps in every run, whatever they cost.

    Raises:
        InputError: where an argument is of another kind.
        RunError: on entering, where another recorder is at work.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        criterion: Callable[[Any, Any], torch.Tensor] | None = None,
        *,
        memory: int = 256 << 20,
        share: float | None = SHARE,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise InputError("model", "a torch.nn.Module", type(model).__name__)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise InputError("optimizer", "a torch.optim.Optimizer", type(optimizer).__name__)
        if criterion is not None and not callable(criterion):
            raise InputError("criterion", "a function of output and target", type(criterion).__name__)
        check_number("memory", memory, least=1, integer=True)
        if share is not None:
            check_number("share", share, above=0, most=1)
        self.recording = Recording(model=model, optimizer=optimizer, criterion=criterion, passes=Passes(memory))
        self._model, self._optimizer, self._timing = model, optimizer, Timing(share)
        self._probe: LayerProbe | None = None
        self._draws: bool | None = None
        self._random: RandomState | None = None
        self._given: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
        self._output: torch.Tensor | None = None
        self._answer: Any = None  # the whole of it
        self._alone = False  # whether all that backward is called on in the loop comes from the model
        self._light = False  # whether of the pass nothing is kept but what backward is called on
        self._light_steps = 0  # of the coming ones, those whose passes are all light
        self._inside: list[SeenCall] | None = None  # losses that the model calls itself, while it is called
        self._evaluations = Evaluations(self.recording)
        self._by_hand = ByHand(self._note_target)
        self._losses = PassLoss(self.recording, self._by_hand)
        self._terms = Terms()
        if criterion is not None:
            self._by_hand.end()
        self._step_loss: torch.Tensor | None = None
        self._zeroed, self._kept, self._retained = True, False, False
        self._strangers = False  # whether the loop has another optimizer, or a loss of another model
        self._going_back = False  # whether backward is at work
        self._noted = False  # whether the passes of a step were made
        self._followed = False  # whether another optimizer has made a step with the same parameters
        self._lent = False  # whether the model is called with other parameters than its own
        self._passes = 0
        self._outside = contextlib.ExitStack()
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if _active:
            raise RunError("Another loop is being watched. End its `with` block first.")
        _active.append(self)
        del self.recording.states[-1:]  # that of where it was left
        undo, model, optimizer = self._undo, self._model, self._optimizer
        undo.callback(_active.clear)
        undo.callback(self._by_hand.leave)
        undo.callback(self._terms.leave)
        first, *_, last = [*parts_of(model)] * 2
        undo.callback(first.register_forward_pre_hook(Hook(self._before_forward), with_kwargs=True).remove)
        undo.callback(last.register_forward_hook(Hook(self._after_forward)).remove)
        if self.recording.num_steps < _LOOKED:
            undo.enter_context(self._outside).enter_context(Outside(self.recording))
        undo.callback(optimizer.register_step_pre_hook(self._before_step).remove)
        undo.callback(optimizer.register_step_post_hook(self._after_step).remove)
        undo.callback(register_optimizer_step_pre_hook(self._seen_step).remove)
        if "torch._dynamo" in sys.modules:  # what is compiled does not see hooks that come and go
            undo.enter_context(torch.compiler.set_stance("force_eager"))
        if isinstance(self.recording.criterion, nn.Module):
            undo.callback(self.recording.criterion.register_forward_hook(Hook(self._after_criterion)).remove)
        for name in LOSSES:
            undo.callback(intercept(getattr(F, name), partial(self._seen_loss, name)))
        for name in _CLIPS:
            undo.callback(intercept(getattr(nn.utils, name), partial(self._seen_clip, name)))
        undo.callback(intercept(torch.amp.GradScaler.scale, self._seen_scaling))
        self._patch(torch.Tensor, "backward", self._seen_backward(torch.Tensor.backward))
        undo.callback(intercept(nn.Module.zero_grad, self._seen_zeroing))
        self._patch(optimizer, "zero_grad", partial(self._zero, optimizer.zero_grad))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._probe is not None:
            self._probe.remove()
            self._probe = None
        self._undo.close()
        if self._by_hand.tape is not None and self._by_hand.call is None:
            self.recording.criterion = self._by_hand.tape
        self.recording.whole = self._terms.whole
        self._forget()
        self.recording.states.append(self._state())

    def _forget(self) -> None:
        """Lets go of what the last call of the model brought."""
        self._output = self._answer = None
        self._losses.forget()

    def _patch(self, owner: Any, name: str, new: Callable[..., Any]) -> None:
        own = name in vars(owner)
        old = getattr(owner, name)
        setattr(owner, name, new)
        self._undo.callback(lambda: setattr(owner, name, old) if own else delattr(owner, name))

    # ---- the model

    def gave(self, args: tuple[Any, ...]) -> bool:
        """Whether arguments are what the model answered last, and nothing else."""
        return len(args) == 1 and args[0] is self._answer

    def give_over(self) -> Begun:
        """Ends the watch within a pass, and returns what another recorder needs to go on with it."""
        begun = Begun(*self._given, self._random, self._probe)
        self._probe = None
        self.__exit__(None, None, None)
        return begun

    def take_over(self, begun: Begun, prefix: str) -> None:
        """Goes on with a pass that was begun under a recorder of a part of the model.

        Args:
            begun: What that one saw. prefix: of the names of that part here.
        """
        self._before_forward(self._model, begun.args, begun.kwargs)
        self._random = begun.random
        if begun.probe is not None and self._probe is not None:
            self._probe.take_over(begun.probe, prefix)

    def _before_forward(self, part: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        recording, training = self.recording, torch.is_grad_enabled()
        recording.events += b"f" if training else b"e"
        self._given = args, kwargs
        self._by_hand.leave()
        if training:
            self._evaluations.end()
            self._retained = False
        self._light = training and self._light_steps > 0
        if self._light:
            return
        self._terms.leave()
        self._inside = []
        if training:
            self._begin_pass(part)

    def _begin_pass(self, part: nn.Module) -> None:
        recording, model, step = self.recording, self._model, self.recording.num_steps
        if self._draws is not False:
            self._random = RandomState.now(device_of(model))
        if self._probe is not None and not self._probe.complete:  # a forward pass of which nothing came
            self._probe.remove()
            self._probe = None
        if step == 0:
            self._note_autocast()
            recording.params = dict(model.named_parameters())
            recording.frozen = frozenset(name for name, p in recording.params.items() if not p.requires_grad)
        if self._passes == 0:
            self._timing.begin()
        if self._probe is None and step >= self._timing.next_probe:
            self._probe = LayerProbe(model, part)
        if step >= self._timing.next_copy:
            self._copy_state()

    def _note_autocast(self) -> None:
        device = device_of(self._model).type
        self.recording.autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None

    def _after_forward(self, model: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        self._output, self._answer = logits_of(output), output
        if self._light:
            self._output = own_loss(output) if self._output is None else self._output
            return
        inside, self._inside, own = self._inside or [], None, own_loss(output)
        self._losses.forget()
        self._terms.go_on()
        if self._output is None and inside and own is not None:
            self._output = own
            self.recording.refuse("the model answers with its loss alone, so that forks have no score")
        if torch.is_grad_enabled():
            if self._draws is None and self._random is not None:
                self._draws = self._random.moved
        else:
            self._evaluations.add(*self._given, training=self._model.training)
        if inside and own is not None and self._output is not None:
            self._note_own_loss(own, inside)
        elif self._output is not None and (
            self._evaluations.open or self._by_hand.searches or self.recording.passes.takes(self.recording.num_steps)
        ):
            self._by_hand.begin(self._output, evaluating=self._evaluations.open)

    # ---- the loss

    def _seen_loss(self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._light:
            return function(*args, **kwargs)
        input = args[0] if args else kwargs.get("input")
        if not isinstance(input, torch.Tensor):
            return function(*args, **kwargs)
        if self._by_hand.searches and self._inside is None and input.requires_grad and torch.is_grad_enabled():
            self._by_hand.end()
        value = function(*args, **kwargs)
        call = SeenCall(name, value, input, args[1] if len(args) > 1 else kwargs.get("target"), args, kwargs)
        if self._inside is not None:
            if not (self._inside and self._inside[-1].value is value):  # a mode of torch's lets a call call itself
                self._inside.append(call)
        elif self._output is not None:
            self._note_loss(call)
        return value

    def _note_own_loss(self, own: torch.Tensor, inside: list[SeenCall]) -> None:
        assert self._output is not None
        if own.requires_grad:
            self._losses.add_own(own, inside, self._output, look=self._probe is not None)
        elif self._evaluations.open:
            self._note_target(own, part_of(inside, self._output).target)

    def _note_loss(self, call: SeenCall) -> None:
        if call.value.requires_grad:
            self._losses.add(call, look=self._probe is not None)
        elif self._evaluations.open:
            self._note_target(call.value, call.target)

    def _after_criterion(self, criterion: nn.Module, args: tuple[Any, ...], value: Any) -> None:
        if torch.is_grad_enabled() and isinstance(value, torch.Tensor) and len(args) > 1:
            self._losses.whole = value, args[1]

    def _note_target(self, value: Any, target: Any) -> None:
        self._evaluations.add_loss(value, target, self._losses.call)

    def _seen_backward(self, own: Callable[..., None]) -> Callable[..., None]:
        def backward(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> None:
            self._going_back = True
            try:
                own(tensor, *args, **kwargs)
            finally:
                self._going_back = False

        def called(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> None:
            if self._going_back:  # under a mode, as `torch.set_default_device` sets one, it is called by name again
                own(tensor, *args, **kwargs)
                return
            self._by_hand.leave()
            output = self._output
            if output is None or not (output.requires_grad or self._has_gradient()):  # of something else
                if self._retained:
                    self.recording.refuse("backward is called several times on what the model answered")
                backward(tensor, *args, **kwargs)
                return
            kept = self._kept if self._passes or self._zeroed else self._holds_gradients()
            loss = tensor.detach()
            if self._light:
                backward(tensor, *args, **kwargs)
            elif not self._looked_at(backward, tensor, loss, args, kwargs):
                return
            self._note_pass(loss, kept)
            self._retained = bool(kwargs.get("retain_graph"))
            self._forget()
            if self._probe is not None:
                self._probe.after_backward()

        return called

    def _looked_at(
        self, backward: Callable[..., None], tensor: torch.Tensor, loss: torch.Tensor, args: Any, kwargs: Any
    ) -> bool:
        """Calls backward, and keeps the pass; returns whether it is one of the model."""
        assert self._output is not None
        recording, look = self.recording, self._probe is not None
        value, target, call = self._losses.chosen(tensor, self._output, look=look) or (None, None, None)
        before = None if value is None else self._losses.before(value)
        if value is not None and before is not None:
            self._terms.read(tensor, value, before, self._model)
        if value is not None and before is not tensor:
            self._terms.want()
        if look and call is None:
            recording.mean_over = tuple(self._output.shape), mean_over(tensor)
        made, rows = None, 1
        if recording.passes.takes(recording.num_steps):
            seen = loss if before is tensor else None if before is None else mean_of(before)
            rows = len(target) if self._by_hand.per_row and target is not None else 1
            if seen is not None and rows > 1:
                seen = seen * rows
            made = self._pass_of(loss, seen, target, call)
        if self._alone and value is tensor:
            backward(tensor, *args, **kwargs)
        else:
            weight, reached = self._looked_through(backward, tensor, value, args, kwargs)
            if not reached:  # the loss of another model
                self._losses.forget()
                self._strangers = True
                return False
            if self._losses.has_strayed() and made is not None:
                made.call = None
            if made is not None:
                made.weight = weight if weight is None or rows == 1 else weight / rows
            self._alone = recording.num_steps >= _SURE and not self._strangers
        if made is not None:
            if value is tensor and before is not tensor:  # terms were added to the value itself
                made.weight = torch.ones_like(loss)
            recording.passes.add(made)
        if self._draws is False:
            self._random = None
        return True

    def _looked_through(
        self, backward: Callable[..., None], loss: torch.Tensor, value: torch.Tensor | None, args: Any, kwargs: Any
    ) -> tuple[torch.Tensor | None, bool]:
        """Calls backward; returns the weight of a value in the loss, and whether the model has answered for any."""
        reached: list[torch.Tensor] = []
        weights: list[torch.Tensor] = []
        look = [] if self._alone else [each for each in tensors_of(self._answer) if each.requires_grad]
        hooks = [each.register_hook(reached.append) for each in look]
        if value is not None and value is not loss:
            hooks.append(value.register_hook(weights.append))
        backward(loss, *args, **kwargs)
        for hook in hooks:
            hook.remove()
        return (weights[0].sum() if weights else None), bool(reached) or not look

    def _has_gradient(self) -> bool:
        """Whether a loss can be of what the model answered last."""
        return any(t.requires_grad for t in tensors_of(self._answer))

    def _holds_gradients(self) -> bool:
        """Whether gradients of the step before are still there."""
        return any(p.grad is not None and bool(p.grad.any()) for p in self._model.parameters())

    def _pass_of(self, loss: torch.Tensor, seen: torch.Tensor | None, target: Any, call: LossCall | None) -> Pass:
        """Returns the pass that backward is called for."""
        args, kwargs = self._given
        held = tensors_of(args, kwargs, target)
        return Pass(
            step=self.recording.num_steps,
            args=args,
            kwargs=kwargs,
            target=target,
            loss=loss,
            seen=seen,
            call=call,
            zeroed=self._zeroed,
            random=self._random,
            versions=versions_of(held),
            training=self._model.training,
            num_bytes=sum([t.nbytes for t in held]),
        )

    def _note_pass(self, loss: torch.Tensor, kept: bool) -> None:
        self.recording.events += b"b"
        self._kept = kept
        self._step_loss = loss if self._step_loss is None else self._step_loss + loss
        self._zeroed, self._passes = False, self._passes + 1

    # ---- the optimizer

    def _seen_scaling(self, scale: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args[0].is_enabled():
            self.recording.refuse("a GradScaler changes the gradients between backward and the step")
        return scale(*args, **kwargs)

    def _seen_zeroing(self, zero: Callable[..., None], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if args[0] is self._model:
            self._zero(zero, *args, **kwargs)
        else:
            zero(*args, **kwargs)

    def _zero(self, zero: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        self._zeroed = True
        self.recording.events += b"z"
        if self._by_hand.entered:
            with self._by_hand.paused():
                zero(*args, **kwargs)
        else:
            zero(*args, **kwargs)

    def _seen_step(self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Notes optimizers beside the one that is watched."""
        recording = self.recording
        if optimizer is self._optimizer:
            return
        self._strangers, self._alone, self._light_steps = True, False, 0
        own = {id(p) for p in self._model.parameters()}
        theirs = {id(p) for group in optimizer.param_groups for p in group["params"]}
        recording.elsewhere |= theirs
        if own & theirs:
            self._followed = True
            recording.note("Only the first optimizer was watched: another one trains the same model")
        elif theirs:
            name = type(self._model).__name__
            recording.note(f"Only {name} was watched: another optimizer of the loop trains something else")

    def _seen_clip(self, name: str, clip: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.recording.events += b"c"
        self.recording.clips[name] = (args[1:], {key: value for key, value in kwargs.items() if key != "parameters"})
        return clip(*args, **kwargs)

    def _before_step(self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return after_closure(args, kwargs, lambda: self.note_step(optimizer))

    def note_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Notes that all passes of a step were made, and the optimizer is about to change the weights."""
        recording = self.recording
        if self._noted:
            recording.refuse("the optimizer calls a closure several times a step")
            return
        self._noted = True
        if not self._light_steps:
            self._by_hand.leave()
        if recording.num_steps == _LOOKED:
            self._outside.close()
        if self._followed:
            recording.refuse("several optimizers train its parameters in turn")
        recording.rates.append(tuple([float(group["lr"]) for group in optimizer.param_groups]))
        recording.kept.append(self._kept)
        if self._step_loss is not None:
            recording.losses.append(self._step_loss)
        if self._probe is not None:
            self._probe.before_step()

    def _after_step(self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        recording = self.recording
        recording.events += b"s"
        self._passes, self._kept, self._step_loss, self._noted = 0, False, None, False
        if self._light_steps:
            self._light_steps -= 1
            return
        self._terms.begin()
        step, probe, self._probe = recording.num_steps - 1, self._probe, None
        if step == 0:
            self._lent = bool({id(p) for p in recording.params.values()} - {id(p) for p in self._model.parameters()})
            if self._lent:
                recording.refuse("the model is called with other parameters than its own")
        if probe is not None:
            recording.probes.append(probe.finish(step))
        self._timing.end(step, probed=probe is not None)
        if self._alone and not self._terms.wanted and not self._by_hand.searches:
            taken = recording.passes.next_taken(step + 1)
            self._light_steps = max(0, min(taken, self._timing.next_probe, self._timing.next_copy) - step - 1)

    # ---- states

    def _state(self) -> State:
        state = state_of(self._model, self._optimizer, self.recording.num_steps)
        if self._lent:
            state.model.update({name: p.detach().clone() for name, p in self.recording.params.items()})
        return state

    def _copy_state(self) -> None:
        begun, recording = time.perf_counter(), self.recording
        recording.states.append(self._state())
        if len(recording.states) > _STATES + 1:
            del recording.states[1]
        self._timing.copied(recording.num_steps, time.perf_counter() - begun)


class Begun(NamedTuple):
    """A pass whose first part was seen."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    random: RandomState | None
    probe: LayerProbe | None
