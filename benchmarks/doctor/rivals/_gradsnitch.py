"""gradsnitch: its monitor is called after backward() with the loss, and with that of validation once an epoch."""

from __future__ import annotations

from typing import Any

from benchmarks.doctor.cases import Case
from benchmarks.doctor.rivals._seen import Seen, Words, told

#: titles of its rules; causes are the likely ones that it lists, and what it suggests to undo
WORDS: Words = {
    "Loss became NaN/Inf": ("not_finite_inputs", "lr_too_high"),
    "Gradient norm exploded": ("exploding_signals", "lr_too_high", "not_finite_inputs"),
    "Gradient-norm spike": ("lr_too_high", "broken_features"),
    "overfitting": ("overfitting",),
    # "LR too low, dead/poor init, frozen params, or a data/labeling issue"
    "Loss plateau": (
        "lr_too_low",
        "dead_units",
        "zero_initialisation",
        "initial_weights_too_large",
        "parameters_frozen",
        "parameters_without_gradient",
        "parameters_not_in_optimizer",
        "shuffled_labels",
        "label_noise",
        "labels_off_by_one",
    ),
    "Loss divergence": ("lr_too_high",),
    "Vanishing gradients": ("vanishing_gradients", "dead_units", "lr_too_low", "zero_initialisation"),
    "LR too high": ("lr_too_high",),
    "LR too low": ("lr_too_low", "schedule_ends_early", "parameters_frozen", "parameters_not_in_optimizer"),
    "Loss oscillation": ("lr_too_high",),
    "LR schedule collapsed early": ("schedule_ends_early",),
}
_WEIGHTS = {"error": 2, "warning": 1}


class _Seen(Seen):
    def begin(self) -> None:
        from gradsnitch import watch  # pyright: ignore[reportMissingImports]

        self.monitor: Any = watch(self.model, self.optimizer)

    def backward(self, loss: float) -> None:
        self.monitor.log(len(self.losses) - 1, loss)

    def epoch(self, loss: float, held_out: float) -> None:
        self.monitor.rows[-1]["val_loss"] = held_out  # of the step before; log() is called before it is known


def gradsnitch(case: Case, seconds: float) -> dict[str, Any]:
    from gradsnitch import lint  # pyright: ignore[reportMissingImports]

    found = lint(_Seen(case.loop()).run().monitor.df())
    return told([(each.name, _WEIGHTS[each.severity]) for each in found], WORDS)
