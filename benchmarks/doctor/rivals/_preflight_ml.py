"""preflight-ml: its checks before training, of all rows of both splits, the model and the loss."""

from __future__ import annotations

from typing import Any

from benchmarks.doctor.cases import Case
from benchmarks.doctor.rivals._seen import Seen, Words, title, told

#: check and message
WORDS: Words = {
    "nan_inf_detection: ": ("not_finite_inputs",),
    # of inputs and targets together
    "normalisation_sanity: ": ("unscaled_inputs", "off_centre_inputs", "unscaled_target", "broken_features"),
    "channel_ordering: ": (),
    "shape_mismatch: ": (),
    "gradient_check: .+ have no gradient": ("parameters_without_gradient", "parameters_frozen"),
    "gradient_check: .+ have zero gradient": ("dead_units", "zero_initialisation", "parameters_without_gradient"),
    "gradient_check: .+ exploding gradient": ("exploding_signals", "initial_weights_too_large", "lr_too_high"),
    "gradient_check: Backward pass failed": (),
    "vram_estimation: ": (),
    "class_imbalance: ": ("class_collapse",),
    "label_leakage: ": ("rows_in_both_splits",),
    "split_sizes: ": (),
}
_WEIGHTS = {"fatal": 2, "warn": 1, "info": None}
_ALL = 1 << 30
_BATCHES = ("nan_sample_batches", "norm_sample_batches", "imbalance_sample_batches", "leakage_sample_batches")


class _Seen(Seen):
    trains = False

    def begin(self) -> None:
        from preflight.runner import run_checks  # pyright: ignore[reportMissingImports]

        config: dict[str, Any] = dict.fromkeys(_BATCHES, _ALL)
        self.model.eval()  # it runs single rows, which batch norm refuses in training
        self.found: list[Any] = run_checks(self.loader(), self.model, self.criterion, config)
        self.model.train()
        # it compares whole batches of the two splits, so that batches of one row are needed to find rows in both
        config["val_dataloader"] = self.loader(held_out=True, batch_size=1)
        alone = run_checks(self.loader(batch_size=1), config=config)
        self.found += [each for each in alone if each.name in ("label_leakage", "split_sizes")]


def preflight_ml(case: Case, seconds: float) -> dict[str, Any]:
    messages: list[tuple[str, float | None]] = []
    for each in _Seen(case.loop()).run().found:
        if not each.passed:
            parts = each.message.split("; ")
            messages += [(f"{each.name}: {part}", _WEIGHTS[each.severity.value]) for part in parts]
    return told(messages, WORDS, rule=title)
