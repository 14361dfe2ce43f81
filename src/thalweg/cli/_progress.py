"""A bar with the time left on stderr, and Ctrl-C that ends a run cleanly."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import click


def say_at_start(control: Any, notes: Sequence[str]) -> None:
    """Prints notes on stderr once the run begins: after all input is checked, so an error stands alone."""
    before = control.on_size

    def on_size(steps: int) -> None:
        for note in notes:
            click.echo(note, err=True)
        before(steps)

    control.on_size = on_size


@contextlib.contextmanager
def controlled(what: str) -> Iterator[Any]:
    """Yields the `Control` of a run that shows its progress on a terminal.

    The first Ctrl-C ends the run after the current segment, with what is known so far; the second ends the process.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from thalweg.population import Control

    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    bar = progress.add_task(what, total=None)
    control = Control(
        on_progress=lambda steps: progress.advance(bar, steps),
        on_size=lambda steps: progress.update(bar, total=steps),
        on_note=lambda note: click.echo(note, err=True),
    )

    def interrupt(number: int, frame: Any) -> None:
        control.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        click.echo("thalweg: ending after the current step; press Ctrl-C again to stop at once.", err=True)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with progress:
            yield control
    finally:
        signal.signal(signal.SIGINT, before)
