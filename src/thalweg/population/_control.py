"""What a person or a page may do to a population while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Control:
    """Read between segments; safe to use from another thread or a signal handler.

    Args:
        on_progress: Called with the member-steps done since the last call.
        on_size: Called with the member-steps that the whole run will take, once that is known.
        on_note: Called with a sentence that a person who waits should read.
        on_segment: Called after every segment, when all members are in a consistent state; a run saves itself here.
    """

    on_progress: Callable[[int], None] | None = None
    on_size: Callable[[int], None] | None = None
    on_note: Callable[[str], None] | None = None
    on_segment: Callable[[], None] | None = None
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _running: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._running.set()

    def cancel(self) -> None:
        """Ends the run after the current segment, with what is known so far."""
        self._cancelled.set()
        self._running.set()

    def pause(self) -> None:
        """Holds the run after the current segment."""
        self._running.clear()

    def resume(self) -> None:
        """Lets a paused run go on."""
        self._running.set()

    @property
    def cancelled(self) -> bool:
        """Whether the run was told to end."""
        return self._cancelled.is_set()

    def wait_while_paused(self) -> None:
        """Returns when the run may go on."""
        self._running.wait()
