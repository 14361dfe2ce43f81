"""When statistics are taken and states copied: so rarely that they cost a share of the time."""

from __future__ import annotations

import statistics
import time
from collections import deque

#: share of the time that statistics may take, and of that the part for copies of the state
SHARE, _COPIES = 0.01, 1 / 3
#: steps from which a statistic is taken at this share of those that were made, at most; and where no share of
#: the time is given
_OFTEN, _STEADY = 64, 8


class Pace:
    """Seconds of a step: the median of the last ones, as the first of a process are slow."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=15)

    def add(self, seconds: float) -> None:
        """Notes a step."""
        self._last.append(seconds)

    @property
    def seconds(self) -> float:
        """The median; 0 where no step was noted."""
        return statistics.median(self._last) if self._last else 0.0


class Timing:
    """Tells at which steps statistics and copies are due.

    Args:
        share: Of the time, that they may take; None for the same steps in every run, whatever they cost.
    """

    def __init__(self, share: float | None) -> None:
        self._share = share
        self._plain, self._probed, self._copied = Pace(), Pace(), 0.0
        self._begun = 0.0
        #: the first step at which a statistic is due, and a copy
        self.next_probe = self.next_copy = 0

    def begin(self) -> None:
        """Notes that a step begins."""
        self._begun = time.perf_counter()

    def end(self, step: int, *, probed: bool) -> None:
        """Notes that a step ended, with a statistic or without."""
        (self._probed if probed else self._plain).add(time.perf_counter() - self._begun)
        if not probed:
            return
        if step < _OFTEN:
            self.next_probe = max(2 * step, 1)
        else:
            rest = self._steps_worth(1 - _COPIES, self._probed.seconds - self._plain.seconds)
            self.next_probe = step + max(step // (_STEADY if self._share is None else _OFTEN), rest)

    def copied(self, step: int, seconds: float) -> None:
        """Notes that a copy was made before a step, and how long it took."""
        self._copied += seconds
        self.next_copy = max(step + 1, 2 * step, self._steps_worth(_COPIES, self._copied))

    def _steps_worth(self, part: float, seconds: float) -> int:
        """Returns the steps after which some seconds are a part of the share."""
        if self._share is None or self._plain.seconds == 0:
            return 0
        return int(seconds / (part * self._share * self._plain.seconds))
