"""Convolutional networks and a user's own modules in plain PyTorch, one member after another."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from contenders.sequential import Eager, EagerTwoProcesses
from thalweg.population import empty_module, load_state


class Block(nn.Module):
    """A transformer block: the rows of an image are its tokens."""

    def __init__(self, input_shape: tuple[int, ...], output_size: int, dim: int = 32) -> None:
        super().__init__()
        self.embed = nn.Linear(input_shape[-1], dim)
        self.block = nn.TransformerEncoderLayer(dim, 4, 2 * dim, dropout=0.1, batch_first=True, norm_first=True)
        self.head = nn.Linear(dim, output_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(self.embed(x.flatten(1, 2))).mean(1))


class ModuleEager(Eager):
    """Plain PyTorch: `torch.optim.AdamW(fused=True)`, one gather a step."""

    def build(self) -> nn.Module:
        model = empty_module(self.work.recipe(), self.data.task.input_shape, self.data.task.output_size)
        load_state(model, {name: value.copy() for name, value in self.data.params.items()})
        return model

    def first_layer(self) -> np.ndarray:
        return np.stack([next(model.parameters()).detach().numpy() for model, _ in self.members])


class ModuleEagerTwoThreads(ModuleEager):
    """The same with two threads inside each operation."""

    name = "sequential eager, 2 threads"
    threads = 2


class ModuleEagerTwoProcesses(EagerTwoProcesses):
    """Two processes of one thread."""

    alone = ModuleEager


class ChannelsLast(ModuleEager):
    """The same with weights, and so images, in the order that convolutions on a CPU are fastest in."""

    name = "sequential eager, channels last"

    def build(self) -> nn.Module:
        return super().build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class ChannelsLastTwoThreads(ChannelsLast):
    """The same with two threads inside each operation."""

    name = "sequential eager, channels last, 2 threads"
    threads = 2


class ChannelsLastTwoProcesses(EagerTwoProcesses):
    """Two processes of one thread."""

    name = "sequential eager, channels last, 2 processes"
    alone = ChannelsLast
