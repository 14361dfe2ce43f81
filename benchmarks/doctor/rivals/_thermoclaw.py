"""thermoclaw: observer, entropy split and collapse detector after every step, with a group for each layer."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.doctor.cases import Case
from benchmarks.doctor.rivals._seen import Seen, Words, told
from torch import nn

from thalweg.doctor._gallery import Loop

#: parts of its recommendations
WORDS: Words = {
    "Less than 30% of layers at equilibrium": ("lr_too_high",),
    "High inter-layer dispersion": (),
    "Negative gradient alignment": ("lr_too_high",),
    "Entropy production": ("lr_too_high",),
    "gradient noise": ("batch_too_small",),
    "momentum friction": ("momentum_too_high",),
    "Network-wide entropy ratio": ("lr_too_high",),
    "Weight decay": ("decay_too_strong", "coupled_decay_with_adam"),
    "weight decay may be too aggressive": ("decay_too_strong", "coupled_decay_with_adam"),
}
_WEIGHTS = {"[HIGH]": 2, "[MEDIUM]": 1, "[LOW]": None}


class _Seen(Seen):
    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        own = loop.optimizer
        loop.optimizer = lambda module: _by_layer(own(module), loop.model)

    def begin(self) -> None:
        from thermoclaw import CollapseDetector, EntropySplit, Observer  # pyright: ignore[reportMissingImports]

        self.observer: Any = Observer(self.model, self.optimizer)
        self.split: Any = EntropySplit(self.model, self.optimizer, self.observer)
        self.collapse: Any = CollapseDetector(self.model, self.optimizer)

    def step(self, loss: float) -> None:
        self.observer.step(loss=loss)
        self.split.step()
        self.collapse.step()


def thermoclaw(case: Case, seconds: float) -> dict[str, Any]:
    from thermoclaw import diagnose  # pyright: ignore[reportMissingImports]

    seen = _Seen(case.loop()).run()
    found = diagnose(seen.observer, seen.split, seen.collapse).recommendations
    return told([(text, _WEIGHTS[text.split()[0]]) for text in found], WORDS)


def _by_layer(optimizer: torch.optim.Optimizer, model: nn.Module) -> torch.optim.Optimizer:
    """Returns the optimizer with its groups split by layer, with names, as the documentation asks for."""
    owner = {id(p): name for name, module in model.named_modules() for p in module.parameters(recurse=False)}
    groups = []
    for group in optimizer.param_groups:
        layers: dict[str, list[nn.Parameter]] = {}
        for p in group["params"]:
            layers.setdefault(owner[id(p)], []).append(p)
        groups += [{**group, "params": own, "name": name} for name, own in layers.items()]
    optimizer.param_groups = groups
    return optimizer
