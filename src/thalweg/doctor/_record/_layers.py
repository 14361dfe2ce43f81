"""Statistics of the layers and parameters of a model during one step of its own loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple
from weakref import ref

import torch
from torch import nn
from torch._C import DisableTorchFunction
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.utils.hooks import RemovableHandle

from thalweg.doctor._record._activations import ActivationCalls, name_of
from thalweg.doctor._record._calls import Hook
from thalweg.doctor._record._joint import parts_of
from thalweg.doctor._record._recording import LayerStats, ParamStats, Probe
from thalweg.models import is_activation

#: moments are of the first rows that hold so many numbers, and of so many rows at least
_NUMBERS, _ROWS = 1 << 16, 8
#: between a function and the layer that was called before it
_AFTER = " after "


class LayerProbe:
    """Hooks on all layers, for the duration of one forward and backward; activations may be functions.

    Values are read in the hooks at once: a later layer may write over them.

    Args:
        model: Whose layers.
        called: The module that is about to be called: the model, or the first part of a joint one.
    """

    def __init__(self, model: nn.Module, called: nn.Module) -> None:
        self._stats: dict[int, LayerStats] = {}
        self._made: dict[int, _Made] = {}
        #: as they are while it is called: `torch.func.functional_call` lends it others
        self._params = dict(model.named_parameters())
        self._before: list[torch.Tensor] = []
        self._gradients: list[float | None] = []
        self._norm_before_clip: float | None = None
        #: whether a backward pass has ended what it looks at
        self.complete = False
        self._within: dict[str, _Call] = {}  # activations that are being called: what they call is no other one
        self._last = ""  # layer that was called last
        self._functions = ActivationCalls(self._seen)
        self._hooks: list[RemovableHandle] = []
        for name, part in model.named_modules():
            if any(part.children()):
                continue
            if is_activation(part):
                self._hooks.append(part.register_forward_pre_hook(Hook(self._before_activation, name)))
            self._hooks.append(part.register_forward_hook(Hook(self._after_layer, name)))
        if _takes_other_ways(model):
            return
        for part in parts_of(model):
            if part is called:  # its hooks have been read
                self._functions.enter()
            else:
                self._hooks.append(part.register_forward_pre_hook(Hook(self._enter)))
            self._hooks.append(part.register_forward_hook(Hook(self._leave), always_call=True))

    def _enter(self, part: nn.Module, given: tuple[Any, ...]) -> None:
        self._functions.enter()

    def _leave(self, part: nn.Module, given: tuple[Any, ...], out: Any) -> None:
        self._functions.leave()

    def _before_activation(self, name: str, part: nn.Module, given: tuple[Any, ...]) -> None:
        with DisableTorchFunction():
            if given and _is_readable(given[0]):
                self._within[name] = self._begin(given[0], sloped=True)

    def _after_layer(self, name: str, part: nn.Module, given: tuple[Any, ...], out: Any) -> None:
        call = self._within.pop(name, None)
        with DisableTorchFunction():  # what is computed here need not be looked at: that would take most of the time
            if given and _is_readable(given[0]) and _is_readable(out):
                self._note(name, type(part).__name__, self._begin(given[0]) if call is None else call, out)
                self._last = name

    def _seen(
        self,
        kind: str,
        function: Callable[..., Any],
        given: torch.Tensor,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Answers for an activation that is no module; what is computed of parameters or for each row alone is none."""
        if self._within or isinstance(given, nn.Parameter) or given.ndim < 2 or not _is_readable(given):
            return function(*args, **kwargs)
        call = self._begin(given, sloped=True)
        out = function(*args, **kwargs)
        if _is_readable(out):
            self._note(self._free_name(name_of(function)), kind, call, out)
        return out

    def _free_name(self, function: str) -> str:
        """Returns a name for a call of a function; the same in every pass, as long as the calls are the same."""
        first = name = f"{function}{_AFTER}{self._last}" if self._last else function
        taken, number = {each.name for each in self._stats.values()}, 2
        while name in taken:
            name, number = f"{first} ({number})", number + 1
        return name

    def _begin(self, given: torch.Tensor, *, sloped: bool = False) -> _Call:
        """Looks at what a layer is given, before an activation may write over it."""
        with torch.no_grad():
            maker = self._made.get(id(given))
            if maker is not None and (maker.output() is not given or maker.version != given._version):
                maker = None
            below, follows = (_moments(given), None) if maker is None else (maker.moments, maker.name)
        call = _Call(below, follows, given.shape if sloped and given.requires_grad else None)
        if call.shape is not None:
            given.register_hook(partial(self._slope, call))
        return call

    def _note(self, name: str, kind: str, call: _Call, out: torch.Tensor) -> None:
        call.place = len(self._stats)
        with torch.no_grad():
            above = _moments(out)
            self._stats[call.place] = _describe(name, kind, call.below, above, call.follows)
        self._made[id(out)] = _Made(name, ref(out), out._version, above)
        if out.requires_grad:
            out.register_hook(partial(self._gradient, call))

    def _gradient(self, call: _Call, gradient: torch.Tensor) -> None:
        gradient = gradient.detach()
        values = len(gradient) * (gradient.shape[_unit_dim(gradient)] if gradient.ndim > 1 else 1)
        size = float(gradient.float().norm()) / max(1, values) ** 0.5 * len(gradient)
        self._stats[call.place] = replace(self._stats[call.place], gradient=size)
        if gradient.shape == call.shape:
            call.above = gradient

    def _slope(self, call: _Call, below: torch.Tensor) -> None:
        above, call.above = call.above, None
        if above is None:
            return
        below = below.detach()
        size = float(above.float().abs().sum())
        slope = float(below.float().abs().sum()) / size if size > 0 else None
        self._stats[call.place] = replace(self._stats[call.place], still=_still(above, below), slope=slope)

    def take_over(self, other: LayerProbe, prefix: str) -> None:
        """Goes on with what another one has seen of this pass, of a part of the model; names are led by a prefix."""
        self._stats, self._made = other._stats, other._made  # what its hooks on tensors still write to
        for place, each in self._stats.items():
            follows = None if each.follows is None else _led(each.follows, prefix)
            self._stats[place] = replace(each, name=_led(each.name, prefix), follows=follows)
        for key, made in self._made.items():
            self._made[key] = made._replace(name=_led(made.name, prefix))
        self._last = _led(other._last, prefix) if other._last else ""
        other.remove()

    def after_backward(self) -> None:
        """Notes the norm of the gradients; what the step goes on to call is not looked at."""
        self.remove()
        self.complete = True
        self._norm_before_clip = _norm(p.grad for p in self._params.values())

    def before_step(self) -> None:
        """Notes the parameters, and their gradients as the step reads them."""
        self._before = [p.detach().clone() for p in self._params.values()]
        self._gradients = [_gradient_norm(p) for p in self._params.values()]

    def finish(self, step: int) -> Probe:
        """Returns the statistics, after the step; hooks are gone.

        Args:
            step: Which it was.
        """
        self.remove()
        params, gradients = [], self._gradients or [None] * len(self._params)
        for k, (name, p) in enumerate(self._params.items()):
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
        self._functions.leave()  # still there where the pass was broken off
        for hook in self._hooks:
            hook.remove()
        self._hooks = []


@dataclass(slots=True)
class _Call:
    """A layer that is being called.

    Args:
        below: Moments of its input. follows: The layer whose output that is.
        shape: Of the input, where a slope is asked for.
        place: In the order of the layers. above: Gradient of its output, until that of its input is known.
    """

    below: tuple[torch.Tensor, torch.Tensor]
    follows: str | None
    shape: torch.Size | None
    place: int = -1
    above: torch.Tensor | None = None


class _Made(NamedTuple):
    """An output: it is not held, as memory that is asked for anew costs more than the statistics."""

    name: str
    output: ref[torch.Tensor]
    version: int
    moments: tuple[torch.Tensor, torch.Tensor]


def _gradient_norm(p: torch.Tensor) -> float | None:
    """Returns the 2-norm of a parameter's gradient; None where it has none, or needs none and holds an old one."""
    return float(p.grad.detach().float().norm()) if p.requires_grad and p.grad is not None else None


def _norm(values: Any) -> float:
    return sum(float(v.detach().float().square().sum()) for v in values if v is not None) ** 0.5


def _led(name: str, prefix: str) -> str:
    """Returns the name of a layer, led by a prefix."""
    function, after, layer = name.rpartition(_AFTER)
    return f"{function}{after}{prefix}{layer}"


def _is_readable(values: Any) -> bool:
    """Whether something is a tensor of numbers of which moments can be taken."""
    if not isinstance(values, torch.Tensor) or not values.is_floating_point():
        return False
    return not is_functorch_wrapped_tensor(values)  # under vmap or grad it has no numbers


def _takes_other_ways(model: nn.Module) -> bool:
    """Whether parts of a model compute in another way while functions are looked at: frozen ones of attention."""
    return any(
        isinstance(part, nn.MultiheadAttention | nn.TransformerEncoderLayer)
        and not part.training
        and not any(p.requires_grad for p in part.parameters())
        for part in model.modules()
    )


def _describe(
    name: str,
    kind: str,
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
        kind=kind,
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
