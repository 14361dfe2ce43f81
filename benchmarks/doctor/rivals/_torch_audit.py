"""torch-audit: its zero-touch mode, auditing every step; rules about speed and memory are off."""

from __future__ import annotations

from typing import Any

from benchmarks.doctor.cases import Case
from benchmarks.doctor.rivals._seen import Seen, Words, told

#: rules by their numbers
WORDS: Words = {
    "TA100": ("not_finite_inputs", "lr_too_high", "initial_weights_too_large", "exploding_signals"),
    "TA102": ("exploding_signals", "lr_too_high", "initial_weights_too_large"),
    "TA103": ("dead_units", "zero_initialisation", "parameters_without_gradient"),
    "TA104": ("parameters_without_gradient", "parameters_frozen"),
    "TA105": ("dead_units", "zero_initialisation", "lr_too_high"),
    "TA300": (),
    "TA301": ("unscaled_inputs", "off_centre_inputs", "broken_features"),
    "TA302": ("broken_features",),
    "TA303": (),
    "TA304": ("batch_norm_on_tiny_batches", "batch_too_small"),
    "TA305": (),
    "TA401": ("coupled_decay_with_adam",),
    "TA402": ("decay_too_strong",),
    "TA403": ("decay_too_strong",),
    "TA404": (),
    "TA405": ("zero_initialisation", "dead_units"),
    "TA500": ("parameters_without_gradient",),
    "TA501": (),
}
#: alignment, memory layout, placement, precision, and a bias that costs memory
_ABOUT_SPEED = {"TA200", "TA201", "TA202", "TA203", "TA400"}
_WEIGHTS = {"INFO": None, "WARN": 1, "ERROR": 2, "FATAL": 3}


class _Seen(Seen):
    def begin(self) -> None:
        from torch_audit import autopatch  # pyright: ignore[reportMissingImports]

        self.auditor: Any = autopatch(self.model, optimizer=self.optimizer, every_n_steps=1, ignore_rules=_ABOUT_SPEED)

    def end(self) -> None:
        self.result = self.auditor.finish()
        self.auditor.unpatch()


def torch_audit(case: Case, seconds: float) -> dict[str, Any]:
    found = _Seen(case.loop()).run().result.findings
    return told([(each.rule_id, _WEIGHTS[each.severity.value]) for each in found], WORDS)
