"""torchdiag: a step before training, units on the rows of validation after it, and gradients of the last step."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from benchmarks.doctor.cases import Case
from benchmarks.doctor.rivals._seen import Seen, Words, told

#: parts of the issues that it prints
WORDS: Words = {
    "Loss is nan": ("not_finite_inputs", "exploding_signals"),
    "Loss is inf": ("exploding_signals", "not_finite_inputs"),
    "None gradients": ("parameters_without_gradient",),
    "No parameters changed": ("parameters_not_in_optimizer", "parameters_frozen", "lr_too_low"),
    "disconnected from graph": ("parameters_without_gradient",),
    "exploding": ("exploding_signals",),
    "vanishing": ("vanishing_gradients",),
    # "learning rate too high, poor weight init, or input distribution shifted heavily negative"
    "neurons dead": (
        "dead_units",
        "lr_too_high",
        "zero_initialisation",
        "initial_weights_too_large",
        "off_centre_inputs",
    ),
}
_BULLET = "  • "


class _Seen(Seen):
    def begin(self) -> None:
        import torchdiag  # pyright: ignore[reportMissingImports]

        self.printed = io.StringIO()
        with contextlib.redirect_stdout(self.printed):
            torchdiag.verify_step(self.model, self.optimizer, self.criterion, *self.batch())

    def end(self) -> None:
        import torchdiag  # pyright: ignore[reportMissingImports]

        with contextlib.redirect_stdout(self.printed):
            torchdiag.check_dead_neurons(self.model, self.loop.x_held)
            torchdiag.check_gradients(self.model)


def torchdiag(case: Case, seconds: float) -> dict[str, Any]:
    lines = _Seen(case.loop()).run().printed.getvalue().splitlines()
    return told([(line, 1) for line in lines if line.startswith(_BULLET)], WORDS)
