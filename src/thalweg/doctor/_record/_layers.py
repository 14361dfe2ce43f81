"""Statistics of the layers and parameters of a model during one step of its own loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple
from weakref import ref

import torch
from torch import nn

from thalweg.doctor._record._recording import LayerStats, ParamStats, Probe
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
        self._made: dict[int, _Made] = {}
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
            with torch.no_grad():
                maker = self._made.get(id(given[0]))
                if maker is not None and maker.output() is not given[0]:
                    maker = None
                if maker is not None and maker.version == given[0]._version:
                    below = maker.moments
                else:
                    below = _moments(given[0])
                above = _moments(out)
                self._stats[place] = _describe(name, part, below, above, None if maker is None else maker.name)
            self._made[id(out)] = _Made(name, ref(out), out._version, above)
            passed: list[torch.Tensor] = []
            both = is_activation(part) and given[0].requires_grad and given[0].shape == out.shape
            if out.requires_grad:
                out.register_hook(partial(self._gradient, place, passed if both else None))
            if both:
                given[0].register_hook(partial(self._slope, place, passed))

        return after

    def _gradient(self, place: int, passed: list[torch.Tensor] | None, gradient: torch.Tensor) -> None:
        gradient = gradient.detach()
        size = float(gradient.float().norm()) / gradient.numel() ** 0.5 * len(gradient)
        self._stats[place] = replace(self._stats[place], gradient=size)
        if passed is not None:
            passed.append(gradient)

    def _slope(self, place: int, passed: list[torch.Tensor], below: torch.Tensor) -> None:
        if not passed:
            return
        above, below = passed.pop(), below.detach()
        size = float(above.float().abs().sum())
        slope = float(below.float().abs().sum()) / size if size > 0 else None
        self._stats[place] = replace(self._stats[place], still=_still(above, below), slope=slope)

    def take_over(self, other: LayerProbe, prefix: str) -> None:
        """Goes on with what another one has seen of this pass, of a part of the model; names are led by a prefix."""
        self._stats, self._made = other._stats, other._made  # what its hooks on tensors still write to
        for place, each in self._stats.items():
            follows = None if each.follows is None else f"{prefix}{each.follows}"
            self._stats[place] = replace(each, name=f"{prefix}{each.name}", follows=follows)
        for key, made in self._made.items():
            self._made[key] = made._replace(name=f"{prefix}{made.name}")
        other.remove()

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
                    spread=float((value - value.mean()).norm()) / p.numel() ** 0.5,
                    size=p.numel(),
                )
            )
        clipped = None
        if self._norm_before_clip:
            clipped = sum(g * g for g in gradients if g is not None) ** 0.5 / self._norm_before_clip
        return Probe(step=step, layers=tuple(self._stats.values()), params=tuple(params), clipped=clipped)

    def remove(self) -> None:
        """Takes the hooks off."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []


class _Made(NamedTuple):
    """An output: it is not held, as memory that is asked for anew costs more than the statistics."""

    name: str
    output: ref[torch.Tensor]
    version: int
    moments: tuple[torch.Tensor, torch.Tensor]


def gradient_norms(model: nn.Module) -> list[float | None]:
    """Returns the 2-norm of every parameter's gradient; None where it has none."""
    return [None if p.grad is None else float(p.grad.detach().float().norm()) for p in model.parameters()]


def _norm(values: Any) -> float:
    return sum(float(v.detach().float().square().sum()) for v in values if v is not None) ** 0.5


def _describe(
    name: str,
    part: nn.Module,
    below: tuple[torch.Tensor, torch.Tensor],
    above: tuple[torch.Tensor, torch.Tensor],
    follows: str | None,
) -> LayerStats:
    (var_in, mean_in), (var_out, mean_out) = below, above
    square_in, square_out = var_in + mean_in.square(), var_out + mean_out.square()
    values = torch.stack(
        [
            mean_in.mean(),
            square_in.mean().sqrt(),
            (mean_in.abs() / square_in.sqrt().clamp_min(1e-30)).mean(),
            mean_out.mean(),
            square_out.mean().sqrt(),
            var_out.sqrt().mean(),
        ]
    ).tolist()  # at once: on a GPU each value that is read is waited for
    names = ("mean_in", "rms_in", "off_centre", "mean_out", "rms_out", "std_out")
    return LayerStats(
        name=name,
        kind=type(part).__name__,
        follows=follows,
        units=len(mean_out),
        **dict(zip(names, values, strict=True)),
    )


def _moments(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns variance and mean of every unit, (units,) each, over the first rows: as many as have so many numbers."""
    some = values[: max(_ROWS, _NUMBERS * len(values) // max(1, values.numel()))].float()
    dims = _all_but_units(some)
    if not dims:
        return torch.zeros_like(some), some
    mean = some.mean(dims, keepdim=True)
    return (some - mean).square_().mean(dims), mean.flatten()  # torch.var_mean takes ten times as long


def _still(gradient: torch.Tensor, below: torch.Tensor) -> tuple[int, ...]:
    """Returns the units whose output has a gradient at some place of some row, and whose input has none at any.

    Most units are reached in the first rows; only the others are looked at in all rows.
    """
    unreached = (~_is_reached(below[:_ROWS])).nonzero()[:, 0]
    if len(unreached) == 0:
        return ()
    unit = _unit_dim(below)
    still = _is_reached(gradient.index_select(unit, unreached)) & ~_is_reached(below.index_select(unit, unreached))
    return tuple(unreached[still].tolist())


def _is_reached(gradient: torch.Tensor) -> torch.Tensor:
    """Returns (units,) whether any place of any row has a gradient."""
    dims = _all_but_units(gradient)
    return gradient.abs().amax(dims) != 0 if dims else gradient != 0


def _all_but_units(values: torch.Tensor) -> tuple[int, ...]:
    return tuple(d for d in range(values.ndim) if d != _unit_dim(values))


def _unit_dim(values: torch.Tensor) -> int:
    """Returns the dim of units: channels of images, and the last one of all else."""
    return 1 if values.ndim == 4 else values.ndim - 1
