"""A training script that is run as it is, under the recorder."""

from __future__ import annotations

import contextlib
import runpy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from thalweg.core import InputError, RunError
from thalweg.doctor._diagnosis import Watch
from thalweg.doctor._watch import SHARE


def watch_script(path: str | Path, arguments: Sequence[str] = (), *, share: float | None = SHARE) -> Watch:
    """Runs a script as `python path arguments` would, and returns the record of its training loop.

    The loop is that of the first model that is called with gradients after an optimizer of its parameters was made.
    An error of the script ends the record; it is raised again only where no step had been made.

    Args:
        path: A Python file. arguments: what it reads from the command line.
        share: Of the time, for statistics, as in `watch`.

    Raises:
        InputError: where there is no such file.
        RunError: where the script trained nothing that could be seen, or ended before its first step.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("script", "a Python file that is there", str(path), "Name the script that trains.")
    finder = _Finder(share)
    error: BaseException | None = None
    with finder, _command_line(path, arguments):
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as ended:
            error = ended if ended.code not in (None, 0) else None
        except Exception as raised:
            error = raised
    if finder.watch is None or finder.watch.recording.num_steps == 0:
        if error is not None:
            raise RunError(f"{path} ended before its first step: {type(error).__name__}: {error}") from error
        raise RunError(
            f"{path} made no step of a torch optimizer on a model that was called. There is nothing to watch."
        )
    if error is not None:
        finder.watch.recording.notes.append(f"The script ended with {type(error).__name__}: {error}")
    return finder.watch


class _Finder:
    """Finds the loop: it knows the optimizers that are made, and waits for the model that is called first."""

    def __init__(self, share: float | None) -> None:
        self.watch: Watch | None = None
        self._share = share
        self._optimizers: list[torch.optim.Optimizer] = []
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> _Finder:
        made = torch.optim.Optimizer.__init__

        def init(optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
            made(optimizer, *args, **kwargs)
            self._optimizers.append(optimizer)

        torch.optim.Optimizer.__init__ = init  # type: ignore[method-assign]
        self._undo.callback(setattr, torch.optim.Optimizer, "__init__", made)
        hook = register_module_forward_pre_hook(self._called)
        self._undo.callback(hook.remove)
        return self

    def __exit__(self, *error: object) -> None:
        if self.watch is not None:
            self.watch.__exit__(None, None, None)
        self._undo.close()

    def _called(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if self.watch is not None or not torch.is_grad_enabled() or not self._optimizers:
            return
        own = {id(p) for p in module.parameters()}
        for optimizer in self._optimizers:
            if any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
                self.watch = Watch(module, optimizer, share=self._share).__enter__()
                self.watch.begin(args)  # the call is under way: its own hooks were read before
                return


@contextlib.contextmanager
def _command_line(path: Path, arguments: Sequence[str]) -> Iterator[None]:
    argv, folders = sys.argv, sys.path[:]
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = argv, folders
