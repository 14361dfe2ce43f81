"""What passes through the activations of a network, forward and backward, on one batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from thalweg.models import is_activation
from thalweg.tasks import per_example

#: a slope counts as saturated below this share of the steepest one that the layer shows on the batch
SATURATED = 0.05


@dataclass(frozen=True, kw_only=True)
class LayerSignals:
    """The signals of one activation.

    Means are over rows, units and, of images, places, unless told otherwise.

    Args:
        name: Of the activation's module.
        units: Units, or channels.
        mean_in: Of its inputs. var_in: their variance.
        mean_out: Of its outputs. var_out: their variance.
        off_centre: Mean over units of |mean output| / RMS output: 0 for a unit whose outputs are centred, 1 for one
            whose outputs are all of one sign and size. Where it is near 1, the gradients of all weights of a unit above
            have one sign, and descent zig-zags (LeCun et al., Efficient BackProp, 1998, section 4.3).
        dead_units: Places of the units whose slope is exactly 0 on every row: nothing of this batch changes what feeds
            them.
        saturated: Share of slopes below 5% of the steepest one of the layer.
        slope: Mean of |slope|.
        gradient: RMS of the loss's gradient with respect to the outputs, summed over rows (n times the mean loss's).
    """

    name: str
    units: int
    mean_in: float
    var_in: float
    mean_out: float
    var_out: float
    off_centre: float
    dead_units: tuple[int, ...]
    saturated: float
    slope: float
    gradient: float


def layer_signals(
    module: nn.Module,
    tensors: Mapping[str, np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    loss: str,
    *,
    training: bool = True,
) -> list[LayerSignals]:
    """Returns the signals of every activation in the order in which they are called.

    Args:
        module: The network, of activation modules of torch or of ours.
        tensors: Its parameters and buffers by name.
        x: (n, ...) rows. y: their targets.
        loss: A key of `LOSSES`.
        training: Whether norms look at the batch, as they do in a training step. Dropout is off either way.
    """
    module = loaded(module, tensors)
    module.train(training)
    for part in module.modules():
        if type(part).__name__.endswith("Dropout"):
            part.eval()
    seen: list[tuple[str, nn.Module, torch.Tensor, torch.Tensor]] = []

    def note(name: str, part: nn.Module):
        def hook(_module: nn.Module, given: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
            out.retain_grad()
            seen.append((name, part, given[0], out))

        return hook

    hooks = [p.register_forward_hook(note(name, p)) for name, p in module.named_modules() if is_activation(p)]
    try:
        dtype = next(module.parameters()).dtype
        target = torch.as_tensor(y)
        out = module(torch.as_tensor(x).to(dtype))
        losses = per_example(loss, out, target.to(dtype) if target.is_floating_point() else target)
        losses.sum().backward()
    finally:
        for hook in hooks:
            hook.remove()
    return [_describe(name, part, z.detach(), a.detach(), a.grad) for name, part, z, a in seen]


def loaded(module: nn.Module, tensors: Mapping[str, np.ndarray]) -> nn.Module:
    """Returns the module with parameters and buffers by name, in their precision."""
    state = {name: torch.as_tensor(np.asarray(value)) for name, value in tensors.items()}
    dtype = next(t.dtype for t in state.values() if t.is_floating_point())
    module = module.to(dtype)
    module.load_state_dict({name: value.clone() for name, value in state.items()}, strict=False)
    return module


def _describe(
    name: str, part: nn.Module, z: torch.Tensor, a: torch.Tensor, gradient: torch.Tensor | None
) -> LayerSignals:
    units = a.shape[1]
    by_unit = a.transpose(0, 1).reshape(units, -1)
    rms = by_unit.square().mean(1).sqrt()
    off_centre = torch.where(rms > 0, by_unit.mean(1).abs() / rms.clamp_min(1e-300), torch.zeros_like(rms)).mean()
    probe = z.clone().requires_grad_(True)
    with torch.enable_grad():
        (slopes,) = torch.autograd.grad(part(probe).sum(), probe)
    slopes = slopes.abs()
    # of maxout, the pieces of a unit lie side by side: it is dead where none of them has a slope
    unit_slopes = slopes.transpose(0, 1).reshape(units, -1)
    steepest = slopes.max()
    shown = slopes[slopes > 0] if z.shape != a.shape else slopes
    return LayerSignals(
        name=name,
        units=units,
        mean_in=float(z.mean()),
        var_in=float(z.var(correction=0)),
        mean_out=float(a.mean()),
        var_out=float(a.var(correction=0)),
        off_centre=float(off_centre),
        dead_units=tuple((unit_slopes == 0).all(1).nonzero()[:, 0].tolist()),
        saturated=float((shown < SATURATED * steepest).double().mean()) if steepest > 0 else 1.0,
        slope=float(shown.mean()) if shown.numel() else 0.0,
        gradient=0.0 if gradient is None else float(gradient.square().mean().sqrt()),
    )
