"""torchmortem: called after every step with the loss, every collector at every step or as often as it offers."""

from __future__ import annotations

import atexit
from typing import Any

from benchmarks.doctor.cases import Case
from benchmarks.doctor.rivals._seen import Seen, Words, told

#: titles, of insights first; causes are those that the text names or that its remedies undo
WORDS: Words = {
    "Gradient starvation": ("vanishing_gradients", "dead_units", "zero_initialisation"),
    "feedback loop": ("exploding_signals", "lr_too_high", "initial_weights_too_large"),
    "Representation bottleneck": ("decay_too_strong", "no_activation"),
    "trapped by loss landscape": ("lr_too_high",),
    "Vanishing gradients": ("vanishing_gradients",),
    "Exploding gradients": ("exploding_signals", "lr_too_high", "initial_weights_too_large"),
    "Gradient stalling": (
        "vanishing_gradients",
        "dead_units",
        "zero_initialisation",
        "parameters_without_gradient",
    ),
    "Dead units": ("dead_units",),
    "Activation saturation": ("vanishing_gradients", "initial_weights_too_large", "lr_too_high"),
    "Update ratio too low": ("lr_too_low", "vanishing_gradients", "schedule_ends_early"),
    "Update ratio too high": ("lr_too_high",),
    "Training divergence": ("lr_too_high",),
    "Loss plateau": ("lr_too_low", "schedule_ends_early"),
    "Rank collapse": ("decay_too_strong", "lr_too_high", "dropout_too_strong"),
    "Weight norm explosion": ("lr_too_high", "exploding_signals"),
    # "may not be learning", "verify that the layer is connected": a layer that never moves is what is planted
    "Stagnant weight norms": (
        "lr_too_low",
        "vanishing_gradients",
        "parameters_frozen",
        "parameters_not_in_optimizer",
        "parameters_without_gradient",
    ),
    "weight norm imbalance": ("initial_weights_too_large", "zero_initialisation"),
    "High gradient noise": ("batch_too_small",),
    "Catapult phase": (),
    "Edge of stability": (),
}
_INSIGHT = 3


class _Seen(Seen):
    def begin(self) -> None:
        from torchmortem import Autopsy  # pyright: ignore[reportMissingImports]

        self.autopsy: Any = Autopsy(self.model, optimizer=self.optimizer, sampling="thorough")
        self.autopsy.attach()

    def step(self, loss: float) -> None:
        self.autopsy.step(loss=loss)

    def end(self) -> None:
        self.autopsy.detach()
        atexit.unregister(self.autopsy._atexit_handler)  # it would keep the models of all cases alive


def torchmortem(case: Case, seconds: float) -> dict[str, Any]:
    report = _Seen(case.loop()).run().autopsy.get_report()
    # its report shows insights first
    messages: list[tuple[str, float | None]] = [(each.title, _INSIGHT) for each in report.insights]
    # 0 is a note, 1 a warning
    messages += [(each.title, int(each.severity) or None) for each in report.findings]
    return told(messages, WORDS)
