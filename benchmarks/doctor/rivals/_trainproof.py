"""trainproof: its checks of a log with every step and epoch, and of the targets."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.doctor.cases import Case
from benchmarks.doctor.rivals._seen import Seen, Words, told

#: rules by their names
WORDS: Words = {
    "TP-NAN-GRAD": ("not_finite_inputs", "exploding_signals"),
    "TP-NAN": ("not_finite_inputs",),
    "TP-ZERO-LOSS": (),
    "TP-FLAT": (),
    "TP-DIVERGE": ("lr_too_high",),
    "TP-DEAD-RUN": (),
    # "the backward graph is severed or every parameter is frozen"
    "TP-ZERO-GRAD": ("parameters_without_gradient", "parameters_frozen", "zero_initialisation", "dead_units"),
    "TP-GRAD-SPIKE": ("lr_too_high", "exploding_signals"),
    "TP-ZERO-LR": ("schedule_ends_early", "lr_too_low"),
    "TP-OVERFIT": ("overfitting",),
    "TP-STEP-CLIFF": (),
    # a class that is never a target
    "TP-OBJ-DEAD-CLASS": ("labels_off_by_one", "class_collapse"),
    "TP-OBJ-TARGET-OUT-OF-RANGE": ("labels_off_by_one",),
    "TP-OBJ-LABEL-SHIFT-DOUBLE": (),
}
_WEIGHTS = {"FAIL": 2, "WARN": 1}


class _Seen(Seen):
    def begin(self) -> None:
        self.log: list[dict[str, float]] = []
        with torch.no_grad():
            self.width = self.model(self.loop.x[:2]).shape[-1]

    def backward(self, loss: float) -> None:
        rate = self.optimizer.param_groups[0]["lr"]
        self.log.append({"step": len(self.log), "loss": loss, "lr": rate, "grad_norm": self.gradient_norm()})

    def epoch(self, loss: float, held_out: float) -> None:
        self.log[-1]["eval_loss"] = held_out


def trainproof(case: Case, seconds: float) -> dict[str, Any]:
    from trainproof.epoch import check_records  # pyright: ignore[reportMissingImports]
    from trainproof.objective import check_label_alignment, check_objective  # pyright: ignore[reportMissingImports]

    seen = _Seen(case.loop()).run()
    found = check_records(seen.log)["findings"]
    loop = seen.loop
    if loop.has_classes:
        found += check_objective(seen.width, targets=loop.y.tolist())
    elif not loop.x.is_floating_point():
        found += check_label_alignment(loop.x, loop.y, loss_shifts=False)
    return told([(each["id"], _WEIGHTS[each["level"]]) for each in found if each["level"] in _WEIGHTS], WORDS)
