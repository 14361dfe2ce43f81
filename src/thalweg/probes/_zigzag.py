"""How much longer than straight a descent is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad

from thalweg.core import check_number
from thalweg.probes._signals import loaded
from thalweg.tasks import per_example


def path_ratio(
    module: nn.Module,
    tensors: Mapping[str, np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    loss: str,
    *,
    steps: int = 30,
    length: float = 0.01,
) -> float:
    """Returns the length of a descent over the distance between its ends: 1 for a straight line.

    Steps follow the gradient of the mean loss on a fixed batch; all have one length, so that slow and fast losses are
    measured alike. What is above 1 is what zig-zagging and turning cost (LeCun et al., Efficient BackProp, 1998,
    section 4.3: with inputs of one sign, the gradients of all weights of a unit have one sign).

    Args:
        module: The network, in evaluation mode.
        tensors: Its parameters and buffers by name, from which the descent starts.
        x: (n, ...) rows. y: their targets.
        loss: A key of `LOSSES`.
        steps: How many, at least 2.
        length: Of each, as a share of the norm of the parameters at the start.

    Raises:
        InputError: for fewer than 2 steps.
    """
    check_number("steps", steps, least=2, integer=True)
    module = loaded(module, tensors).eval()
    dtype = next(module.parameters()).dtype
    rows, target = torch.as_tensor(x).to(dtype), torch.as_tensor(y)
    target = target.to(dtype) if target.is_floating_point() else target
    buffers = dict(module.named_buffers())

    def mean_loss(params: dict[str, torch.Tensor]) -> torch.Tensor:
        return per_example(loss, functional_call(module, {**params, **buffers}, (rows,)), target).mean()

    start = {name: p.detach() for name, p in module.named_parameters()}
    size = length * _norm(start)
    now, done = start, 0
    for _ in range(steps):
        slope = grad(mean_loss)(now)
        norm = _norm(slope)
        if not norm > 0:
            break
        now = {name: (p - size / norm * slope[name]).detach() for name, p in now.items()}
        done += 1
    distance = _norm({name: now[name] - p for name, p in start.items()})
    return 1.0 if not done else done * size / distance if distance > 0 else float("inf")


def _norm(tree: dict[str, torch.Tensor]) -> float:
    return float(sum(value.square().sum() for value in tree.values())) ** 0.5
