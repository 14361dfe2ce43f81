"""A training script that is run as it is, under the recorder."""

from __future__ import annotations

import contextlib
import runpy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from thalweg.core import InputError, RunError
from thalweg.doctor._diagnosis import Watch
from thalweg.doctor._finder import Finder, Found
from thalweg.doctor._record._watch import SHARE


def watch_script(
    path: str | Path,
    arguments: Sequence[str] = (),
    *,
    share: float | None = SHARE,
    found: Found | None = None,
    keeps: bool = False,
) -> Watch:
    """Runs a script as `python path arguments` would, and returns the record of its training loop.

    The loop is that of the first model that is called with gradients after an optimizer of its parameters was made.
    An error of the script ends the record; it is raised again only where no step had been made.

    Args:
        path: A Python file. arguments: what it reads from the command line.
        share: Of the time, for statistics, as in `watch`.
        found: Is told of the loop before it begins, as in `Finder`.
        keeps: Whether Ctrl-C ends the record as an error does.

    Raises:
        InputError: where there is no such file.
        RunError: where the script trained nothing that could be seen, or ended before its first step.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("script", "a Python file that is there", str(path), "Name the script that trains.")
    finder = Finder(share=share, found=found)
    error: BaseException | None = None
    with finder, _known_to(finder), _command_line(path, arguments):
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as ended:
            error = ended if ended.code not in (None, 0) else None
        except KeyboardInterrupt as raised:
            if not keeps:
                raise
            error = raised
        except Exception as raised:
            error = raised
    if finder.watch is None or finder.watch.recording.num_steps == 0:
        if isinstance(error, KeyboardInterrupt):
            raise error
        if error is not None:
            raise RunError(f"{path} ended before its first step: {type(error).__name__}: {error}") from error
        raise RunError(
            f"{path} made no step of a torch optimizer on a model that was called. There is nothing to watch."
        )
    if isinstance(error, KeyboardInterrupt):
        finder.watch.recording.notes.append("The script was interrupted")
    elif error is not None:
        finder.watch.recording.failed = True
        finder.watch.recording.notes.append(f"The script ended with {type(error).__name__}: {error}")
    return finder.watch


@contextlib.contextmanager
def _known_to(finder: Finder) -> Iterator[None]:
    """Tells a finder of all optimizers that are made."""
    made = torch.optim.Optimizer.__init__

    def init(optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
        made(optimizer, *args, **kwargs)
        finder.optimizers.append(optimizer)

    torch.optim.Optimizer.__init__ = init  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.optim.Optimizer.__init__ = made  # type: ignore[method-assign]


@contextlib.contextmanager
def _command_line(path: Path, arguments: Sequence[str]) -> Iterator[None]:
    argv, folders = sys.argv, sys.path[:]
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = argv, folders
