"""Which model a loop trains: loops of others' making do not say so before they run."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from thalweg.core import InputError, RunError
from thalweg.doctor._diagnosis import Diagnosis, Watch
from thalweg.doctor._record._calls import after_closure
from thalweg.doctor._record._joint import Joint, parts_of
from thalweg.doctor._record._timing import SHARE

#: loops of a script that are kept: the first ones and the last
_LOOPS = 3
#: calls of modules after which no model of a new optimizer is waited for
_PATIENCE = 1_000

Found = Callable[[nn.Module, torch.optim.Optimizer, tuple[Any, ...], dict[str, Any]], Callable[[], object]]


class Finder:
    """Watches the models that are called with gradients and hold parameters of a known optimizer, loop after loop.

    Modules that share an optimizer and are called in one pass are watched as one. A loop ends where a model is called
    with an optimizer that was made after its first step.

    Args:
        optimizers: That are known; `add` makes others known.
        memory: Bytes of batches that are kept of each loop. share: as in `watch`.
        found: Is told of the model, its optimizer and what the model is first called with, before that call; what it
            returns is called in the end.
        loop: Number of the loop that `found` is told of; None for all.
    """

    def __init__(
        self,
        optimizers: Sequence[torch.optim.Optimizer] = (),
        *,
        memory: int = 256 << 20,
        share: float | None = SHARE,
        found: Found | None = None,
        loop: int | None = None,
    ) -> None:
        #: what was watched: the first loops and the last one, by their numbers
        self.loops: dict[int, Watch] = {}
        self._new = list(optimizers)  # of which no model was seen yet
        self._memory, self._share, self._found, self._loop = memory, share, found, loop
        self._undo = contextlib.ExitStack()
        self._calls = contextlib.ExitStack()

    @property
    def watch(self) -> Watch | None:
        """The last loop; None before the first."""
        return next(reversed(self.loops.values()), None)

    def add(self, optimizer: torch.optim.Optimizer) -> None:
        """Makes an optimizer known."""
        self._new.append(optimizer)
        self._listen()

    def __enter__(self) -> Self:
        self._undo.callback(self._calls.close)
        self._undo.callback(register_optimizer_step_pre_hook(self._before_step).remove)
        self._listen()
        return self

    def __exit__(self, *error: object) -> None:
        self._undo.close()
        if self.watch is not None:
            self.watch.__exit__(None, None, None)

    def _listen(self) -> None:
        """Sees the calls of models, until a loop has made its first step."""
        self._calls.close()
        self._patience = _PATIENCE
        call = nn.Module.__call__

        def called(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if torch.is_grad_enabled():
                self._seen(module, args, kwargs)
            return call(module, *args, **kwargs)

        nn.Module.__call__ = called  # before the hooks of the module are read, so that this call is seen whole
        self._calls.callback(setattr, nn.Module, "__call__", call)

    def _before_step(self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Follows a step whose closure calls the model first: a watch that begins there did not see it begin."""
        before = self.watch

        def noted() -> None:
            if self.watch is not None and self.watch is not before:
                self.watch.note_step(optimizer)

        return after_closure(args, kwargs, noted)

    def _seen(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        own, watch = {id(p) for p in module.parameters()}, self.watch
        begun = watch is not None and watch.recording.num_steps > 0
        if watch is None or begun:
            for optimizer in self._new:
                if any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
                    self._begin(module, optimizer, args, kwargs)
                    return
            self._patience -= 1
            if begun and not (self._new and self._patience > 0):
                self._calls.close()
        elif id(module) not in self._parts and any(id(p) in self._trained for p in module.parameters()):
            self._join(watch, module, args, kwargs)

    def _begin(
        self, module: nn.Module, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Watches a loop; what was watched before has ended."""
        number = max(self.loops, default=-1) + 1
        if self.watch is not None:
            self.watch.__exit__(None, None, None)
            if len(self.loops) == _LOOPS:
                self.loops.popitem()
        self._watch(number, module, optimizer)
        if self._found is not None and self._loop in (None, number):
            self._undo.callback(self._found(module, optimizer, args, kwargs))
        self._new = []  # what was made before this loop is of it, or comes with no loop of its own

    def _watch(self, number: int, module: nn.Module, optimizer: torch.optim.Optimizer) -> Watch:
        watch = Watch(module, optimizer, memory=self._memory, share=self._share).__enter__()
        self.loops[number] = watch
        self._parts = {id(part) for part in module.modules()}
        self._trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
        return watch

    def _join(self, watch: Watch, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Watches the modules that were seen in this pass and another one as one model."""
        number, recording = next(reversed(self.loops)), watch.recording
        parts = parts_of(recording.model)
        chained = watch.gave(args) and not kwargs
        if isinstance(recording.model, Joint):
            chained = chained and recording.model.chained
        begun = watch.give_over()
        joint = Joint([*parts, module], chained=chained)
        prefix = "" if len(parts) > 1 else f"{next(iter(dict(joint.named_children())))}."
        self._watch(number, joint, recording.optimizer).take_over(begun, prefix)


class LoopDoctor:
    """What callbacks of training frameworks share: a watch from the start of training to its end.

    Args:
        memory: Bytes of batches that are kept, at most.
    """

    #: packages of which one is needed, and the extra that installs it
    needs: ClassVar[tuple[tuple[str, ...], str]]
    _at_work: ClassVar[LoopDoctor | None] = None

    def __init__(self, *, memory: int = 256 << 20) -> None:
        packages, extra = self.needs
        if not any(importlib.util.find_spec(name) for name in packages):
            raise InputError(
                type(self).__name__,
                f"left out without {packages[0]}, which is not installed",
                remedy=f"pip install 'thalweg[{extra}]'",
            )
        super().__init__()
        self._memory = memory
        self._finder: Finder | None = None

    def diagnosis(self) -> Diagnosis:
        """Returns what the last training speaks for; as `Watch.diagnosis`.

        Raises:
            RunError: where no step was watched.
        """
        return self._watch().diagnosis()

    def prove(self, *, seeds: int = 8, seconds: float = 5.0) -> Diagnosis:
        """Returns the diagnosis with verdicts; as `Watch.prove`.

        Args:
            seeds: Pairs of forks for each remedy, at least 2. seconds: for all forks together, about.

        Raises:
            InputError: for fewer than 2 seeds, or no time.
            RunError: where no step was watched.
        """
        return self._watch().prove(seeds=seeds, seconds=seconds)

    def _begin(self, optimizers: Sequence[object], devices: int) -> None:
        """Watches from now on.

        Raises:
            RunError: where there is not one optimizer, or more than one device.
        """
        name = type(self).__name__
        known = [each for each in optimizers if isinstance(each, torch.optim.Optimizer)]
        if len(known) != 1:
            raise RunError(f"{name} watches loops of one optimizer, and this one has {len(known)}. Leave it out here.")
        if devices > 1:
            raise RunError(f"{name} watches loops on one device, and this one has {devices}. Leave it out here.")
        if LoopDoctor._at_work is not None:  # its loop ended with an error, and nobody told
            LoopDoctor._at_work._end()
        self._finder = Finder(known, memory=self._memory).__enter__()
        LoopDoctor._at_work = self

    def _end(self) -> None:
        if LoopDoctor._at_work is self and self._finder is not None:
            LoopDoctor._at_work = None
            self._finder.__exit__()

    def _watch(self) -> Watch:
        self._end()
        if self._finder is None or self._finder.watch is None:
            raise RunError("No step was watched. Give the callback to the trainer, train, and ask after it.")
        return self._finder.watch
