"""Losses and scores of many points of a plane, as one program: the first layer is affine in the coordinates."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, vmap

from thalweg.landscape._directions import Plane
from thalweg.population import PlaneNetwork, takes_plane
from thalweg.recipes import Recipe
from thalweg.tasks import per_example

#: numbers that a chunk of points holds between two layers, about: they should fit into the cache of the cores
_CHUNK = 2**21


@dataclass(frozen=True, kw_only=True)
class Points:
    """What was found at points.

    Args:
        loss: (M,) mean loss over the rows.
        right: (M,) share of rows whose largest output is the class; None where the task has no classes.
    """

    loss: np.ndarray
    right: np.ndarray | None


class Scorer:
    """Evaluates a network at many points of a plane, in evaluation mode.

    Where the network begins with a linear layer or a convolution, its result is affine in the coordinates:
    z(a, b) = z(origin) + a z(u) + b z(v). Three products serve every point. What is left is the part behind it: by
    the compiled kernel, block by block of rows, for an MLP of ours on a CPU; else by vmap, for many points at once.

    Args:
        module: The network; its own parameters are not read.
        buffers: Running statistics and frozen parameters, by name.
        x: (n, ...) rows. y: their targets, as a `Split` holds them.
        loss: A key of `LOSSES`.
        recipe: What the network was built from, where it is one of ours.
        dtype: Of the arithmetic.
    """

    def __init__(
        self,
        module: nn.Module,
        buffers: Mapping[str, np.ndarray],
        x: np.ndarray,
        y: np.ndarray,
        loss: str,
        *,
        recipe: Recipe | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._compiled = None
        if recipe is not None and dtype == torch.float32 and takes_plane(recipe):
            self._compiled = partial(PlaneNetwork, recipe, x=x, y=y, loss=loss)
        self.module, self.loss, self.dtype = module.to(dtype).eval(), loss, dtype
        self._x = torch.as_tensor(x).to(dtype)
        found = torch.as_tensor(y)
        self._y = found.to(dtype) if found.is_floating_point() else found
        self._buffers = {name: torch.as_tensor(value).to(dtype) for name, value in buffers.items()}
        self._first, self._rest = _split(self.module)

    def at(self, plane: Plane, a: np.ndarray, b: np.ndarray) -> Points:
        """Returns loss and score at M points.

        Args:
            plane: Where they lie.
            a: (M,) first coordinates. b: (M,) second ones.
        """
        has_classes = not self._y.is_floating_point()
        at = np.stack([a, b], 1)
        if self._compiled is not None:
            loss, right = self._compiled([plane.origin, plane.u, plane.v]).measure(at, torch.get_num_threads())
            return Points(loss=loss, right=right if has_classes else None)
        o, u, v = (self._tensors(part) for part in (plane.origin, plane.u, plane.v))
        places = torch.from_numpy(at).to(self.dtype)
        with torch.no_grad():
            if self._first is None:
                chunk = max(1, _CHUNK // max(1, self._x.numel()))
                parts = [self._whole(o, u, v, some) for some in places.split(chunk)]
            else:
                parts = self._factored(o, u, v, places)
        loss, right = (torch.cat([part[k] for part in parts]).double().numpy() for k in range(2))
        return Points(loss=loss, right=right if has_classes else None)

    def _tensors(self, params: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
        return {name: torch.as_tensor(np.asarray(value)).to(self.dtype) for name, value in params.items()}

    def _whole(self, o, u, v, places):
        def one(place: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            tensors = {name: o[name] + place[0] * u[name] + place[1] * v[name] for name in o}
            return self._measure(functional_call(self.module, {**tensors, **self._buffers}, (self._x,)))

        return vmap(one)(places)

    def _factored(self, o, u, v, places):
        assert self._first is not None
        name, layer = self._first
        x = self._x.flatten(1) if isinstance(layer, nn.Linear) else self._x
        own = [f"{name}.weight", *([f"{name}.bias"] if layer.bias is not None else [])]
        z = [functional_call(layer, {key.rpartition(".")[2]: tree[key] for key in own}, (x,)) for tree in (o, u, v)]
        rest = [key for key in o if key not in own]

        def one(place: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            hidden = z[0] + place[0] * z[1] + place[1] * z[2]
            tensors = {key: o[key] + place[0] * u[key] + place[1] * v[key] for key in rest}
            return self._measure(functional_call(self._rest, {**tensors, **self._buffers}, (hidden,)))

        chunk = max(1, _CHUNK // z[0].numel())
        return [vmap(one)(some) for some in places.split(chunk)]

    def _measure(self, out: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        loss = per_example(self.loss, out, self._y).mean()
        if self._y.is_floating_point():
            return loss, torch.zeros_like(loss)
        return loss, (out.argmax(1) == self._y).to(out.dtype).mean()


def _split(module: nn.Module) -> tuple[tuple[str, nn.Linear | nn.Conv2d] | None, nn.Module]:
    """Returns the first layer of a sequential network with its name, or None, and the network behind it."""
    if not isinstance(module, nn.Sequential):
        return None, module
    named = list(module.named_children())
    for place, (name, layer) in enumerate(named):
        if isinstance(layer, nn.Flatten):
            continue
        if isinstance(layer, nn.Linear | nn.Conv2d):
            return (name, layer), nn.Sequential(OrderedDict(named[place + 1 :]))
        break
    return None, module
