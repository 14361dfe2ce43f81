"""sk-autod: reads the two curves of losses, one value an epoch; it sees nothing else of a loop."""

from __future__ import annotations

from typing import Any

from benchmarks.doctor.cases import Case
from benchmarks.doctor.rivals._seen import Seen, Words, told

#: names of its detectors; causes are those that the text names or that its recommendation undoes
WORDS: Words = {
    "Classic overfitting": ("overfitting",),
    "Exploding gradient": ("exploding_signals", "lr_too_high"),
    "LR too high": ("lr_too_high",),
    "LR too low": ("lr_too_low", "schedule_ends_early"),
    "Underfitting": ("no_activation",),
    # "use leaky ReLU, improve initialization, or normalize inputs"
    "Dying ReLU proxy": (
        "dead_units",
        "zero_initialisation",
        "initial_weights_too_large",
        "unscaled_inputs",
        "off_centre_inputs",
    ),
    "Noisy training": ("batch_too_small", "lr_too_high"),
    "Data leakage": ("rows_in_both_splits", "leaking_feature", "preprocessing_differs"),
    "Missed early stopping": ("overfitting",),
    "Label noise floor": ("label_noise", "shuffled_labels", "class_collapse"),
}
_WEIGHTS = {"CRITICAL": 5, "HIGH": 4, "MEDIUM": 3, "WARNING": 2, "INFO": None}


class _Seen(Seen):
    def __init__(self, loop: Any) -> None:
        super().__init__(loop)
        self.train: list[float] = []
        self.held_out: list[float] = []

    def epoch(self, loss: float, held_out: float) -> None:
        self.train.append(loss)
        self.held_out.append(held_out)


def sk_autod(case: Case, seconds: float) -> dict[str, Any]:
    from sk_autod import diagnose  # pyright: ignore[reportMissingImports]

    seen = _Seen(case.loop()).run()
    try:
        found = diagnose(seen.train, seen.held_out).findings
    except ValueError as error:  # it refuses fewer than five epochs, and losses that are not finite
        return {"findings": [], "said": [f"refused: {error}"]}
    return told([(each.detector_name, _WEIGHTS[each.severity.value]) for each in found], WORDS)
