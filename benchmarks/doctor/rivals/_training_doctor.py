"""training-doctor: logged every step (loss, learning rate, gradient norm) and every epoch (loss of validation)."""

from __future__ import annotations

from typing import Any

from benchmarks.doctor.cases import Case
from benchmarks.doctor.rivals._seen import Seen, Words, title, told

#: problems; of "Gradient instability" what it observed, as its explanation goes by that
WORDS: Words = {
    "Learning rate likely too high": ("lr_too_high",),
    "Learning rate may be too low": ("lr_too_low", "schedule_ends_early"),
    "plateau": ("batch_too_small", "lr_too_high"),
    "Overfitting detected": ("overfitting",),
    "Gradient instability detected: NaN": ("not_finite_inputs", "lr_too_high", "exploding_signals"),
    "Gradient instability detected: Exploding": ("exploding_signals", "lr_too_high"),
    "Gradient instability detected: Vanishing": ("vanishing_gradients", "dead_units", "zero_initialisation"),
    "Gradient instability detected": ("lr_too_high", "exploding_signals"),
    # "data leakage, incorrect evaluation setup, or the same data being used for both"
    "Unusual train/eval pattern": (
        "rows_in_both_splits",
        "leaking_feature",
        "preprocessing_differs",
        "missing_eval",
    ),
}
_WEIGHTS = {"info": None, "warning": 1, "critical": 2}


class _Seen(Seen):
    def begin(self) -> None:
        from training_doctor import Doctor  # pyright: ignore[reportMissingImports]
        from training_doctor.detectors import TrainEvalMismatchDetector  # pyright: ignore[reportMissingImports]

        self.doctor: Any = Doctor()
        self.doctor.add_detector(TrainEvalMismatchDetector())  # the one of its kind that is not on by itself
        self.norm = 0.0

    def backward(self, loss: float) -> None:
        self.norm = self.gradient_norm()

    def step(self, loss: float) -> None:
        rate = self.optimizer.param_groups[0]["lr"]
        self.doctor.log(len(self.losses) - 1, loss=loss, lr=rate, grad_norm=self.norm)

    def epoch(self, loss: float, held_out: float) -> None:
        self.doctor.log(len(self.losses) - 1, eval_loss=held_out)


def training_doctor(case: Case, seconds: float) -> dict[str, Any]:
    messages: list[tuple[str, float | None]] = []
    for each in _Seen(case.loop()).run().doctor.diagnoses:
        weight = _WEIGHTS[each.severity.value]
        ranked = None if weight is None else weight + each.confidence / 2
        messages += [(f"{each.problem}: {one.observation}", ranked) for one in each.evidence]
    return told(messages, WORDS, rule=title)
