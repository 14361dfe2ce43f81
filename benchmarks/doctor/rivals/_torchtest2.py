"""torchtest2: all its checks on the first batch, with the loss and the optimizer of the loop, before training."""

from __future__ import annotations

from typing import Any

from benchmarks.doctor.cases import Case
from benchmarks.doctor.rivals._seen import Seen, Words, title, told

#: check and message
WORDS: Words = {
    "forward: ": (),
    "output_finite: ": ("not_finite_inputs", "exploding_signals"),
    # "input ignored, collapsed activations or a broadcasting bug?"
    "output_varies: ": ("zero_initialisation", "dead_units", "target_broadcast"),
    "eval_determinism: ": (),
    "loss: the loss is nan": ("not_finite_inputs", "exploding_signals"),
    "loss: ": (),
    "initial_loss: initial loss .+ much larger": (
        "initial_weights_too_large",
        "exploding_signals",
        "unscaled_inputs",
        "off_centre_inputs",
        "broken_features",
    ),
    "initial_loss: initial loss .+ suspiciously low": ("leaking_feature",),
    "optimizer_coverage: ": ("parameters_not_in_optimizer",),
    "gradient_flow: .+ get no gradient": ("parameters_without_gradient",),
    "gradient_flow: .+ all-zero gradient": ("dead_units", "zero_initialisation", "parameters_without_gradient"),
    "gradient_magnitude: NaN": ("not_finite_inputs", "exploding_signals"),
    "gradient_magnitude: exploding": (
        "exploding_signals",
        "initial_weights_too_large",
        "lr_too_high",
        "unscaled_inputs",
        "off_centre_inputs",
    ),
    "params_change: .+ did not change after": (
        "parameters_not_in_optimizer",
        "parameters_without_gradient",
        "lr_too_low",
    ),
    "params_change: .+ exactly zero gradient": (
        "dead_units",
        "zero_initialisation",
        "parameters_without_gradient",
        "vanishing_gradients",
    ),
    "params_change: .+vanishing": ("vanishing_gradients", "dead_units"),
    "frozen_params: ": ("parameters_frozen",),
    "input_dependency: ": ("zero_initialisation", "dead_units"),
    "batch_independence: ": (),
    "overfit_batch: the loss became": ("lr_too_high", "exploding_signals", "not_finite_inputs"),
    "overfit_batch: gradients became": ("lr_too_high", "exploding_signals", "not_finite_inputs"),
    # "check the learning rate, the optimizer and that targets match outputs"
    "overfit_batch: the loss did not decrease": (
        "lr_too_low",
        "lr_too_high",
        "parameters_not_in_optimizer",
        "target_broadcast",
    ),
    # "the model may lack capacity, the lr may be too low"
    "overfit_batch: the loss decreased": ("lr_too_low", "no_activation"),
    "overfit_batch: raised": (),
}
_WEIGHTS = {"FAIL": 2, "WARN": 1}


class _Seen(Seen):
    trains = False

    def begin(self) -> None:
        from torchtest2 import check_model  # pyright: ignore[reportMissingImports]

        x, y = self.batch()
        self.report: Any = check_model(self.model, x, y, loss_fn=self.criterion, optimizer=self.optimizer)


def torchtest2(case: Case, seconds: float) -> dict[str, Any]:
    found = [each for each in _Seen(case.loop()).run().report if each.status.value in _WEIGHTS]
    return told([(f"{each.name}: {each.message}", _WEIGHTS[each.status.value]) for each in found], WORDS, rule=title)
