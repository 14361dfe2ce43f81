"""What passes through the activations of a network, forward and backward, on one batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from thalweg.models import Maxout, is_activation
from thalweg.population import MemberProbe
from thalweg.tasks import per_example

#: a slope counts as saturated below this share of the steepest one that the layer shows on the batch
SATURATED = 0.05
#: activations of a network that is deep enough for gradients to vanish in it: four layers with weights
_DEEP = 3


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
    with _Hooks(loaded(module, tensors), training=training) as hooks:
        _, seen = hooks.call(x, y, loss)
        gradients = hooks.gradients(range(len(seen)))
    return [_describe(s.name, s.part, s.z.detach(), s.a.detach(), g) for s, g in zip(seen, gradients, strict=True)]


class BatchProbe:
    """Looks at many states of one network on one batch: what does not change is made ready once.

    Args:
        module: The network; its parameters are written over.
        x: (n, ...) rows. y: their targets.
        loss: A key of `LOSSES`.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
        >>> probe = BatchProbe(network, np.ones((3, 2)), np.zeros((3, 1)), "mse")
        >>> weights = {name: p.detach().numpy() for name, p in network.named_parameters()}
        >>> weights["0.weight"], weights["0.bias"] = np.zeros((4, 2), np.float32), -np.ones(4, np.float32)
        >>> probe(weights, step=0).dead
        1.0
    """

    def __init__(self, module: nn.Module, x: np.ndarray, y: np.ndarray, loss: str) -> None:
        self._hooks = _Hooks(module, training=True)
        self._places = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        self._data = x, y, loss

    def __call__(self, tensors: Mapping[str, np.ndarray], *, step: int) -> MemberProbe:
        """Returns what is seen of a state.

        Args:
            tensors: Parameters and buffers by name, in the precision of the network.
            step: That the state was reached at.
        """
        with torch.no_grad():
            for name, value in tensors.items():
                self._places[name].copy_(torch.from_numpy(np.asarray(value)))
        with torch.set_grad_enabled(self._hooks.num >= _DEEP):
            losses, seen = self._hooks.call(*self._data)
        dead, saturated = 0.0, 0.0
        for each in seen:
            slopes = _slopes(each.part, each.z.detach())
            if each.steepest is None:
                dead = max(dead, float(_dead(slopes, each.a).double().mean()))
            else:
                flat = slopes < SATURATED * each.steepest
                saturated = max(saturated, int(flat.count_nonzero()) / flat.numel())
        ratio = None
        if self._hooks.num >= _DEEP and len(seen) >= _DEEP:
            first, last = (_rms(g) for g in self._hooks.gradients([0, -1]))
            ratio = first / last if last > 0 else None
        loss = float(losses.detach().mean())
        return MemberProbe(step=step, loss=loss, dead=dead, saturated=saturated, first_to_last=ratio)


@dataclass(frozen=True)
class _Seen:
    name: str
    part: nn.Module
    steepest: float | None
    z: torch.Tensor
    a: torch.Tensor


class _Hooks:
    """Notes what passes through the activations of a network whenever it is called. Dropout is off."""

    def __init__(self, module: nn.Module, *, training: bool) -> None:
        self._module = module.train(training)
        for part in module.modules():
            if type(part).__name__.endswith("Dropout"):
                part.eval()
        self._seen: list[_Seen] = []
        self._losses = torch.empty(0)
        parts = [(name, part) for name, part in module.named_modules() if is_activation(part)]
        self._hooks = [part.register_forward_hook(self._note(name, part)) for name, part in parts]

    @property
    def num(self) -> int:
        """Activations of the network."""
        return len(self._hooks)

    def __enter__(self) -> _Hooks:
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _note(self, name: str, part: nn.Module) -> Callable[..., None]:
        steepest = _steepest_of_squashing(part)

        def hook(_module: nn.Module, given: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
            self._seen.append(_Seen(name, part, steepest, given[0], out))

        return hook

    def call(self, x: np.ndarray, y: np.ndarray, loss: str) -> tuple[torch.Tensor, list[_Seen]]:
        """Returns the losses of the rows, (n,), and what was seen, in the order of the calls."""
        self._seen = []
        dtype = next(self._module.parameters()).dtype
        target = torch.as_tensor(y)
        out = self._module(torch.as_tensor(x).to(dtype))
        self._losses = per_example(loss, out, target.to(dtype) if target.is_floating_point() else target)
        return self._losses, self._seen

    def gradients(self, which: Sequence[int]) -> list[torch.Tensor | None]:
        """Returns the gradients of the summed loss with respect to the outputs of activations; None where none comes.

        Args:
            which: Places of the activations in what was seen.
        """
        outs = [self._seen[k].a for k in which]
        reached = [out for out in outs if out.requires_grad]
        if not reached or not self._losses.requires_grad:
            return [None] * len(outs)
        found = iter(torch.autograd.grad(self._losses.sum(), reached, allow_unused=True))
        return [next(found) if out.requires_grad else None for out in outs]


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
    slopes = _slopes(part, z)
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
        dead_units=tuple(_dead(slopes, a).nonzero()[:, 0].tolist()),
        saturated=float((shown < SATURATED * steepest).double().mean()) if steepest > 0 else 1.0,
        slope=float(shown.mean()) if shown.numel() else 0.0,
        gradient=_rms(gradient),
    )


def _rms(values: torch.Tensor | None) -> float:
    return 0.0 if values is None else float(values.square().mean().sqrt())


def _slopes(part: nn.Module, z: torch.Tensor) -> torch.Tensor:
    """Returns |da/dz| at every input of an activation."""
    probe = z.clone().requires_grad_(True)
    with torch.enable_grad():
        # `forward` itself, as a call would be noted by the hooks
        (slopes,) = torch.autograd.grad(part.forward(probe).sum(), probe)
    return slopes.abs()


def _dead(slopes: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """Returns which units have slope 0 on every row, (units,)."""
    # of maxout, the pieces of a unit lie side by side: it is dead where none of them has a slope
    return (slopes.transpose(0, 1).reshape(a.shape[1], -1) == 0).all(1)


def _steepest_of_squashing(part: nn.Module) -> float | None:
    """Returns the steepest slope of an activation that is flat at both ends; None for any other one."""
    if isinstance(part, nn.PReLU | Maxout):  # they need inputs of a shape, and are not flat
        return None
    slopes = _slopes(part, torch.linspace(-30.0, 30.0, 601)[:, None])
    steepest = float(slopes.max())
    return steepest if max(float(slopes[0]), float(slopes[-1])) < SATURATED * steepest else None
