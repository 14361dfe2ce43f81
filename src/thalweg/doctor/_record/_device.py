"""The device that a loop runs on, and the random numbers that are drawn for it there and on the CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn


def device_of(model: nn.Module) -> torch.device:
    """Returns the device of a model's first parameter; the CPU where it has none."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


@dataclass(frozen=True, kw_only=True)
class RandomState:
    """Where torch's random numbers stand.

    Args:
        device: Of a loop.
        cpu: State of the generator of the CPU. cuda: of that of the device; None on a CPU.
    """

    device: torch.device
    cpu: torch.Tensor
    cuda: torch.Tensor | None

    @classmethod
    def now(cls, device: torch.device) -> RandomState:
        """Returns the state as it is."""
        cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return cls(device=device, cpu=torch.get_rng_state(), cuda=cuda)

    @property
    def moved(self) -> bool:
        """Whether numbers were drawn since."""
        now = RandomState.now(self.device)
        same = self.cuda is None or (now.cuda is not None and torch.equal(self.cuda, now.cuda))
        return not (same and torch.equal(self.cpu, now.cpu))

    def restore(self) -> None:
        """Lets the next numbers be those that came after this state."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)


def draw_from(device: torch.device, seed: int) -> None:
    """Lets the next random numbers on a device be those of a seed."""
    torch.default_generator.manual_seed(seed)  # torch.manual_seed takes a millisecond
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


@contextlib.contextmanager
def kept_random() -> Iterator[None]:
    """Leaves torch's random numbers as they were, on all devices in use."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=devices):
        yield
