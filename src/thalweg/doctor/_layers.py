"""Statistics of the layers and parameters of a model during one step of its own loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from thalweg.doctor._recording import LayerStats, ParamStats, Probe
from thalweg.models import is_activation

#: moments are of the first rows that hold so many numbers, and of so many rows at least
_NUMBERS, _ROWS = 1 << 16, 8


class LayerProbe:
    """Hooks on all layers, for the duration of one forward and backward.

    Values are read in the hooks at once: a later layer may write over them.

    Args:
        model: Whose layers.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._stats: dict[int, LayerStats] = {}
        self._gradients: dict[int, torch.Tensor] = {}
        self._inputs: dict[int, torch.Tensor] = {}
        self._made: dict[int, tuple[str, torch.Tensor]] = {}  # output -> its layer; holds the output, so ids stay
        self._before: list[torch.Tensor] = []
        self._norm_before_clip: float | None = None
        #: whether a backward pass has ended what it looks at
        self.complete = False
        leaves = [(name, part) for name, part in model.named_modules() if not any(part.children())]
        self._hooks = [part.register_forward_hook(self._hook(name)) for name, part in leaves]

    def _hook(self, name: str) -> Callable[..., None]:
        def after(part: nn.Module, given: tuple[Any, ...], out: Any) -> None:
            if not (given and isinstance(given[0], torch.Tensor) and isinstance(out, torch.Tensor)):
                return
            if not given[0].is_floating_point() or not out.is_floating_point():
                return
            place = len(self._stats)
            maker = self._made.get(id(given[0]))
            self._made[id(out)] = (name, out)
            with torch.no_grad():
                self._stats[place] = _describe(name, part, given[0], out, None if maker is None else maker[0])
            if out.requires_grad:
                out.register_hook(lambda g: self._gradients.__setitem__(place, g.detach()))
            if is_activation(part) and given[0].requires_grad:
                given[0].register_hook(lambda g: self._inputs.__setitem__(place, g.detach()))

        return after

    def after_backward(self) -> None:
        """Notes the norm of the gradients; what the step goes on to call is not looked at."""
        self.remove()
        self.complete = True
        self._norm_before_clip = _norm(p.grad for p in self._model.parameters())

    def before_step(self) -> None:
        """Notes the parameters."""
        self._before = [p.detach().clone() for p in self._model.parameters()]

    def finish(self, step: int, gradients: list[float | None]) -> Probe:
        """Returns the statistics, after the step; hooks are gone.

        Args:
            step: Which it was.
            gradients: Norms of the gradients of all parameters, as the step read them.
        """
        self.remove()
        layers = [self._with_gradient(place, stats) for place, stats in self._stats.items()]
        params = []
        for k, (name, p) in enumerate(self._model.named_parameters()):
            update = float((p.detach() - self._before[k]).norm()) if self._before else None
            value = p.detach().float()
            params.append(
                ParamStats(
                    name=name,
                    norm=float(value.norm()),
                    gradient=gradients[k],
                    update=update,
                    spread=float(value.std(correction=0)),
                    size=p.numel(),
                )
            )
        clipped = None
        if self._norm_before_clip:
            clipped = sum(g * g for g in gradients if g is not None) ** 0.5 / self._norm_before_clip
        return Probe(step=step, layers=tuple(layers), params=tuple(params), clipped=clipped)

    def remove(self) -> None:
        """Takes the hooks off."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _with_gradient(self, place: int, stats: LayerStats) -> LayerStats:
        gradient, below = self._gradients.get(place), self._inputs.get(place)
        if gradient is None:
            return stats
        rows = gradient.shape[0]
        stats = replace(stats, gradient=float(gradient.float().square().mean().sqrt()) * rows)
        if below is None or below.shape != gradient.shape:
            return stats
        still = _is_reached(gradient) & ~_is_reached(below)
        size = float(gradient.abs().sum())
        slope = float(below.abs().sum()) / size if size > 0 else None
        return replace(stats, still=tuple(still.nonzero()[:, 0].tolist()), slope=slope)


def gradient_norms(model: nn.Module) -> list[float | None]:
    """Returns the 2-norm of every parameter's gradient; None where it has none."""
    return [None if p.grad is None else float(p.grad.detach().float().norm()) for p in model.parameters()]


def _norm(values: Any) -> float:
    return sum(float(v.detach().float().square().sum()) for v in values if v is not None) ** 0.5


def _describe(name: str, part: nn.Module, given: torch.Tensor, out: torch.Tensor, follows: str | None) -> LayerStats:
    below, above = _by_unit(_some(given).float()), _by_unit(_some(out).float())
    rms = below.square().mean(1).sqrt()
    return LayerStats(
        name=name,
        kind=type(part).__name__,
        follows=follows,
        units=len(above),
        mean_in=float(below.mean()),
        rms_in=float(below.square().mean().sqrt()),
        off_centre=float((below.mean(1).abs() / rms.clamp_min(1e-30)).mean()),
        mean_out=float(above.mean()),
        rms_out=float(above.square().mean().sqrt()),
        std_out=float(above.std(1, correction=0).mean()),
    )


def _some(values: torch.Tensor) -> torch.Tensor:
    """Returns the first rows: as many as have so many numbers."""
    return values[: max(_ROWS, _NUMBERS * len(values) // max(1, values.numel()))]


def _is_reached(gradient: torch.Tensor) -> torch.Tensor:
    """Returns (units,) whether any place of any row has a gradient."""
    unit = 1 if gradient.ndim == 4 else gradient.ndim - 1
    return (
        (gradient != 0).any(dim=tuple(d for d in range(gradient.ndim) if d != unit))
        if gradient.ndim > 1
        else gradient != 0
    )


def _by_unit(values: torch.Tensor) -> torch.Tensor:
    """Returns (units, rows and places): units are channels of images, and the last dimension of all else."""
    if values.ndim == 4:
        return values.transpose(0, 1).reshape(values.shape[1], -1)
    return values.reshape(-1, values.shape[-1]).T
