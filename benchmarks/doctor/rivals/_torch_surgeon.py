"""torch-surgeon: attached to the model for the whole loop; what it alerts most often comes first."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from typing import Any

from benchmarks.doctor.cases import Case
from benchmarks.doctor.rivals._seen import Seen, Words, told

#: the kinds of alerts
WORDS: Words = {
    "vanishing": ("vanishing_gradients",),
    "exploding": ("exploding_signals",),
    "stagnant": ("vanishing_gradients", "dead_units", "zero_initialisation", "parameters_without_gradient"),
}


class _Seen(Seen):
    def begin(self) -> None:
        from torch_surgeon import Surgeon  # pyright: ignore[reportMissingImports]

        self.surgeon: Any = Surgeon(self.model, rules={"verbose": False})
        with contextlib.redirect_stdout(io.StringIO()):
            self.surgeon.attach()

    def end(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.surgeon.detach()


def torch_surgeon(case: Case, seconds: float) -> dict[str, Any]:
    alerts = _Seen(case.loop()).run().surgeon.reporter.get_alerts()
    return told(Counter(each["status"] for each in alerts).items(), WORDS)
