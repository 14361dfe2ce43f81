"""The `batched` program: linear models and MLPs, members side by side by batched matrix products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch.func import vmap

from thalweg.models import ACTIVATIONS, BATCH_NORM_MOMENTUM, NORM_EPS, Architecture, DenseLayer, activation_module
from thalweg.population._contract import Settings
from thalweg.population._draws import Draws
from thalweg.population._lanes import Batch, LaneState, Tensors
from thalweg.population._machine import half_precision
from thalweg.population._modules import architecture_of
from thalweg.population._products import stacked_linear
from thalweg.population._stacked import Stack, StackedProgram
from thalweg.recipes import Recipe
from thalweg.tasks import Task, per_example

#: members that predict side by side, and the rows that they take at once
_PREDICT_LANES, _PREDICT_ROWS = 16, 1024

#: (hidden (L, B, D), layer) -> hidden with dropped coordinates
_Drop = Callable[[torch.Tensor, int], torch.Tensor]


class BatchedProgram(StackedProgram):
    """Dense networks of built-in pieces, members in lanes."""

    name: ClassVar[str] = "batched"
    lanes: ClassVar[dict[str, int]] = {"cpu": 16, "cuda": 256}

    @classmethod
    def refuses(cls, task: Task, recipe: Recipe, settings: Settings) -> str | None:
        """Returns why batched products cannot run a recipe, in a clause, or None where they can."""
        if recipe.model not in ("linear", "mlp"):
            return f"batched products are for linear models and MLPs, not {recipe.model}"
        return super().refuses(task, recipe, settings)

    def _reads(self, buffer: str) -> bool:
        return not buffer.endswith("num_batches_tracked")  # with a fixed momentum nothing reads it

    def _network(self, recipe: Recipe) -> _Network:
        return _Network(architecture_of(recipe, self.task.input_shape, self.task.output_size), recipe)

    def _model_gradients(self, stack: Stack, state: LaneState, batch: Batch) -> tuple[torch.Tensor, Tensors, Tensors]:
        recipe = stack.recipe
        params = {name: p.detach().requires_grad_() for name, p in state.params.items()}
        buffers = dict(state.buffers)
        draws = Draws(batch.keys, first=batch.first, num_rows=batch.x.shape[1])
        least, kept = (numbers.reshape(-1, 1, 1) for numbers in state.rate)

        def drop(h: torch.Tensor, layer: int) -> torch.Tensor:
            return h * (draws.uniform(layer, h.shape[1:]) >= least).to(h.dtype) / kept

        with half_precision(self.settings):
            out = self._network(recipe)(params, buffers, batch.x.flatten(2), drop)
        out = out.to(batch.x.dtype)
        if recipe.label_smoothing > 0:
            losses = vmap(lambda o, y, s: per_example(self.task.loss, o, y, label_smoothing=s))(
                out, batch.y, state.smoothing
            )
        else:
            losses = per_example(self.task.loss, out, batch.y)
        losses = losses.sum(-1) / batch.total
        # lanes share no parameter, so the gradient of the sum holds each lane's own
        found = torch.autograd.grad(losses.sum(), list(params.values()))
        return losses.detach(), dict(zip(params, found, strict=True)), buffers

    def _model_outputs(self, stack: Stack, which: Sequence[int], x: torch.Tensor) -> list[torch.Tensor]:
        network, found = self._network(stack.recipe), []
        for start in range(0, len(which), _PREDICT_LANES):
            some = which[start : start + _PREDICT_LANES]
            filled = [*some, *[some[0]] * (_PREDICT_LANES - len(some))]
            trees = [self._eval_tensors(index) for index in filled]
            params = {name: torch.stack([tree[name] for tree in trees]) for name in trees[0]}
            places = torch.tensor([stack.row[index] for index in filled], device=x.device)
            buffers = {name: t.index_select(0, places) for name, t in stack.buffers.items()}
            chunks = [
                network(params, buffers, part.flatten(1).expand(_PREDICT_LANES, -1, -1), None)
                for part in x.split(_PREDICT_ROWS)
            ]
            found.extend(torch.cat(chunks, 1)[: len(some)].unbind())
        return found


class _Network:
    """An architecture over stacked parameters: Linear -> norm -> activation -> dropout, then Linear."""

    def __init__(self, architecture: Architecture, recipe: Recipe) -> None:
        self.architecture, self.recipe = architecture, recipe

    def __call__(self, params: Tensors, buffers: Tensors, x: torch.Tensor, drop: _Drop | None) -> torch.Tensor:
        """Returns the outputs (L, B, K); with `drop` in training mode, which replaces the running statistics.

        Args:
            params, buffers: Name -> (L, ...). x: (L, B, D). drop: Of the step; None to predict.
        """
        for i, layer in enumerate(self.architecture.hidden):
            assert isinstance(layer, DenseLayer)
            number = i + 1
            x = stacked_linear(x, params[f"linear{number}.weight"], params[f"linear{number}.bias"])
            x = _normed(layer, number, params, buffers, x, training=drop is not None)
            x = self._activated(layer, params.get(f"activation{number}.weight"), x)
            if layer.dropout and drop is not None:
                x = drop(x, i)
        return stacked_linear(x, params["output.weight"], params["output.bias"])

    def _activated(self, layer: DenseLayer, learned: torch.Tensor | None, x: torch.Tensor) -> torch.Tensor:
        if layer.pieces > 1:
            return x.unflatten(2, (-1, layer.pieces)).max(dim=3).values
        if learned is not None:
            return ACTIVATIONS[layer.activation].value(x, learned.unsqueeze(2))
        return activation_module(layer.activation, self.recipe.activation_parameter)(x)


def _normed(
    layer: DenseLayer, number: int, params: Tensors, buffers: Tensors, z: torch.Tensor, *, training: bool
) -> torch.Tensor:
    if layer.norm == "none":
        return z
    scale, shift = (params[f"norm{number}.{name}"].unsqueeze(1) for name in ("weight", "bias"))
    if layer.norm == "layer":
        return F.layer_norm(z, z.shape[2:], eps=NORM_EPS) * scale + shift
    # Ioffe and Szegedy, 2015, algorithm 1; running statistics as torch keeps them (unbiased variance)
    names = [f"norm{number}.running_mean", f"norm{number}.running_var"]
    if training:
        var, mean = torch.var_mean(z, dim=1, correction=0, keepdim=True)
        unbiased = var * (z.shape[1] / max(z.shape[1] - 1, 1))
        for name, value in zip(names, (mean, unbiased), strict=True):
            value = value.detach().squeeze(1).to(buffers[name].dtype)
            buffers[name] = buffers[name].lerp(value, BATCH_NORM_MOMENTUM)
    else:
        mean, var = (buffers[name].unsqueeze(1) for name in names)
    return (z - mean) * (var + NORM_EPS).rsqrt() * scale + shift
