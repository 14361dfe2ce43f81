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
from thalweg.doctor._record._joint import parts_of
from thalweg.doctor._record._timing import SHARE


def watch_script(
    path: str | Path,
    arguments: Sequence[str] = (),
    *,
    share: float | None = SHARE,
    found: Found | None = None,
    loop: int | None = None,
    keeps: bool = False,
) -> Watch:
    """Runs a script as `python path arguments` would, and returns the record of a training loop of it.

    A loop is that of a model that is called with gradients after an optimizer of its parameters was made. Of several
    it is the one with the strongest finding, or else the last; what is found in the others stands in its notes.
    An error of the script ends the record; it is raised again only where no step had been made.

    Args:
        path: A Python file. arguments: what it reads from the command line.
        share: Of the time, for statistics, as in `watch`.
        found: Is told of the loop before it begins, as in `Finder`.
        loop: Number of the loop, from 0 on; None for that with the strongest finding.
        keeps: Whether Ctrl-C ends the record as an error does.

    Raises:
        InputError: where there is no such file.
        RunError: where the script trained nothing that could be seen, or ended before its first step.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("script", "a Python file that is there", str(path), "Name the script that trains.")
    finder = Finder(share=share, found=found, loop=loop)
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
            f"{path} made no step of a torch optimizer on a model that was called. There is nothing to watch: "
            "put what is trained into an nn.Module."
        )
    if isinstance(error, KeyboardInterrupt):
        finder.watch.recording.notes.append("The script was interrupted")
    elif error is not None:
        finder.watch.recording.failed = True
        finder.watch.recording.notes.append(f"The script ended with {type(error).__name__}: {error}")
    loops = {number: watch for number, watch in finder.loops.items() if watch.recording.num_steps > 0}
    return loops[loop] if loop in loops else _worst(loops)


def _worst(loops: dict[int, Watch]) -> Watch:
    """Returns the loop with the strongest finding, else the last one, with a word on the others."""
    if len(loops) == 1:
        return next(iter(loops.values()))
    diagnoses = {number: watch.diagnosis() for number, watch in loops.items()}
    weights = {number: each.findings[0].weight if each.findings else 0.0 for number, each in diagnoses.items()}
    worst = max(loops, key=lambda number: (weights[number], number))
    notes = loops[worst].recording.notes
    notes.append(f"The script has several training loops. This is number {worst + 1}, {_named(loops[worst])}")
    for number, diagnosis in diagnoses.items():
        if number != worst:
            told = diagnosis.findings[0].says.rstrip(".") if diagnosis.findings else "nothing wrong was found"
            notes.append(f"In loop {number + 1}, {_named(loops[number])}: {told}")
    loops[worst].number = worst
    return loops[worst]


def _named(watch: Watch) -> str:
    recording = watch.recording
    model = " and ".join(type(part).__name__ for part in parts_of(recording.model))
    return f"{recording.num_steps:,} steps of {type(recording.optimizer).__name__} on {model}"


@contextlib.contextmanager
def _known_to(finder: Finder) -> Iterator[None]:
    """Tells a finder of all optimizers that are made."""
    made = torch.optim.Optimizer.__init__

    def init(optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
        made(optimizer, *args, **kwargs)
        finder.add(optimizer)

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
