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
from thalweg.doctor._record._watch import SHARE

Found = Callable[[nn.Module, torch.optim.Optimizer, tuple[Any, ...], dict[str, Any]], Callable[[], object]]


class Finder:
    """Watches the first model that is called with gradients and holds parameters of a known optimizer.

    Args:
        optimizers: That are known; others may be added while it is entered.
        memory: Bytes of batches that are kept. share: as in `watch`.
        found: Is told of the model, its optimizer and what the model is first called with, before that call; what it
            returns is called in the end.
    """

    def __init__(
        self,
        optimizers: Sequence[torch.optim.Optimizer] = (),
        *,
        memory: int = 256 << 20,
        share: float | None = SHARE,
        found: Found | None = None,
    ) -> None:
        self.optimizers = list(optimizers)
        self.watch: Watch | None = None
        self._memory, self._share, self._found = memory, share, found
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        call = nn.Module.__call__

        def called(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if torch.is_grad_enabled():
                self._seen(module, args, kwargs)
            return call(module, *args, **kwargs)

        self._undo.callback(register_optimizer_step_pre_hook(self._before_step).remove)
        self._calls = self._undo.enter_context(contextlib.ExitStack())
        nn.Module.__call__ = called  # before the hooks of the module are read, so that this call is seen whole
        self._calls.callback(setattr, nn.Module, "__call__", call)
        return self

    def __exit__(self, *error: object) -> None:
        self._undo.close()
        if self.watch is not None:
            self.watch.__exit__(None, None, None)

    def _before_step(self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Follows a step whose closure calls the model first: a watch that begins there did not see it begin."""
        if self.watch is not None:
            return None
        return after_closure(args, kwargs, lambda: self.watch.note_step(optimizer) if self.watch is not None else None)

    def _seen(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.watch is None:
            own = {id(p) for p in module.parameters()}
            for optimizer in self.optimizers:
                if any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
                    self.watch = Watch(module, optimizer, memory=self._memory, share=self._share).__enter__()
                    self._parts = {id(part) for part in module.modules()}
                    self._trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
                    if self._found is not None:
                        self._undo.callback(self._found(module, optimizer, args, kwargs))
                    return
        elif self.watch.recording.num_steps > 0:
            self._calls.close()
        elif id(module) not in self._parts and any(id(p) in self._trained for p in module.parameters()):
            recording, first, second = (
                self.watch.recording,
                type(self.watch.recording.model).__name__,
                type(module).__name__,
            )
            recording.unsupported.append(f"the loop calls several models, {first} and then {second}")
            recording.notes.append(
                f"The loop calls {first}, and then {second}; only the first was watched. Call both in one forward"
            )
            self._calls.close()


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
