"""guardtower: its audit of one step on the first batch, with the optimizer, before training."""

from __future__ import annotations

from typing import Any

from benchmarks.doctor.cases import Case
from benchmarks.doctor.rivals._seen import Seen, Words, title, told

#: check and message
WORDS: Words = {
    "loss: loss is nan": ("not_finite_inputs", "exploding_signals"),
    "loss: loss is inf": ("exploding_signals", "not_finite_inputs"),
    "loss: ": (),
    "grad_connectivity: .+ received NO gradient": ("parameters_without_gradient",),
    "grad_connectivity: .+ all-zero gradient": ("parameters_without_gradient", "dead_units", "zero_initialisation"),
    "optimizer_coverage: .+ NOT in the optimizer": ("parameters_not_in_optimizer",),
    # a frozen layer in the optimizer is how a layer frozen by mistake shows
    "optimizer_coverage: .+ frozen parameter": ("parameters_frozen",),
    "frozen: ": ("parameters_frozen",),
    "nonfinite: ": ("not_finite_inputs", "exploding_signals"),
    "dead_relu: ": ("dead_units", "zero_initialisation"),
    "grad_norms: large": ("exploding_signals", "initial_weights_too_large", "lr_too_high"),
    "grad_norms: global gradient norm is tiny": ("vanishing_gradients", "dead_units"),
    "input_dependency: ": ("zero_initialisation", "dead_units"),
    "device_dtype: ": (),
}
#: WARN and ERROR
_WEIGHTS = {20: 1, 30: 2}


class _Seen(Seen):
    trains = False

    def begin(self) -> None:
        from guardtower import audit  # pyright: ignore[reportMissingImports]

        x, y = self.batch()
        self.report: Any = audit(
            self.model, lambda: self.criterion(self.model(x), y), optimizer=self.optimizer, inputs=x
        )


def guardtower(case: Case, seconds: float) -> dict[str, Any]:
    messages: list[tuple[str, float | None]] = []
    for each in _Seen(case.loop()).run().report.findings:
        weight = _WEIGHTS.get(int(each.severity))
        # most of its notes say that all is well; this one asks to confirm
        if weight is not None or each.check == "frozen":
            messages.append((f"{each.check}: {each.message}", weight))
    return told(messages, WORDS, rule=title)
