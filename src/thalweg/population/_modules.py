"""The model of a recipe: its description, and its torch module, built, run with its draws, loaded from arrays."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from thalweg.core import InputError, Purpose, RunError, derive_key, epoch_order
from thalweg.models import (
    Architecture,
    build_network,
    cnn_architecture,
    drop_by,
    init_module,
    init_parameters,
    load_module,
    mlp_architecture,
)
from thalweg.population._draws import Draws
from thalweg.population._reroute import Reroute
from thalweg.recipes import Recipe
from thalweg.tasks import Task


def architecture_of(recipe: Recipe, input_shape: Sequence[int], output_size: int) -> Architecture:
    """Returns what a recipe's model is made of, for rows of a shape; not for a user's own module.

    Raises:
        InputError: where the model does not fit the inputs or outputs.
    """
    settings: dict[str, Any] = {
        "activation": recipe.activation,
        "norm": recipe.norm,
        "dropout": recipe.dropout > 0,
        "pieces": int(recipe.activation_parameter or 2) if recipe.activation == "maxout" else None,
    }
    if recipe.model == "cnn":
        return cnn_architecture(input_shape, output_size, recipe.widths, **settings)
    widths = () if recipe.model == "linear" else recipe.widths
    return mlp_architecture(math.prod(input_shape), output_size, widths, **settings)


def initial_parameters(task: Task, recipe: Recipe, seed: int) -> dict[str, torch.Tensor]:
    """Returns the parameters before the first step, float32; not for a user's own module."""
    return init_parameters(
        architecture_of(recipe, task.input_shape, task.output_size),
        recipe.init,
        seed,
        scale=recipe.init_scale,
        activation_parameter=recipe.activation_parameter,
        batch=_batch_for(task, recipe, seed),
    )


def build_module(task: Task, recipe: Recipe, seed: int) -> nn.Module:
    """Returns the torch module of a recipe with the initial weights of a seed, float32.

    Raises:
        InputError: where the model does not fit the task.
    """
    if ":" not in recipe.model:
        module = empty_module(recipe, task.input_shape, task.output_size)
        module.load_state_dict(initial_parameters(task, recipe, seed), strict=False)  # buffers start as they were made
        return module
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_key(seed, Purpose.INIT) >> 1)
        module = empty_module(recipe, task.input_shape, task.output_size)
    if recipe.init != "keep":
        init_module(module, recipe.init, seed, recipe.init_scale, batch=_batch_for(task, recipe, seed))
    return module


def empty_module(recipe: Recipe, input_shape: Sequence[int], output_size: int) -> nn.Module:
    """Returns the torch module of a recipe, its weights not yet set.

    Raises:
        InputError: where the model does not fit the inputs or outputs.
    """
    if ":" in recipe.model:
        return load_module(recipe.model, tuple(input_shape), output_size)
    architecture = architecture_of(recipe, input_shape, output_size)
    return build_network(architecture, activation_parameter=recipe.activation_parameter, dropout=recipe.dropout)


def _batch_for(task: Task, recipe: Recipe, seed: int, num_rows: int = 256) -> torch.Tensor | None:
    """Returns the rows on which a data-dependent init looks: the first of the stream's first epoch, (n, ...)."""
    if recipe.init != "lsuv":
        return None
    rows = epoch_order(seed, 0, len(task.train.rows))[:num_rows]
    return torch.from_numpy(task.train.x[rows])


def load_state(module: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Sets a module's parameters and running statistics, and its precision to theirs.

    Batch norm's `num_batches_tracked` may be missing: with a fixed momentum nothing reads it.

    Raises:
        RuntimeError: where names or shapes do not fit.
    """
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    precision = next((t.dtype for t in tensors.values() if t.is_floating_point()), torch.float32)
    found = module.to(precision).load_state_dict(tensors, strict=False)
    missing = [name for name in found.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or found.unexpected_keys:
        raise RuntimeError(f"missing {missing}, unexpected {found.unexpected_keys}")


def run_module(
    module: nn.Module, model: str, tensors: dict[str, torch.Tensor], x: torch.Tensor, output_size: int
) -> torch.Tensor:
    """Returns a module's outputs (B, K) for rows x, with these parameters and buffers.

    Raises:
        RunError: where a user's module raises, or gives another shape.
    """
    try:
        out = functional_call(module, tensors, (x,))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a user's module raises is theirs to read, in one line
        if ":" not in model:
            raise
        lines = str(error).strip().splitlines() or [""]
        raise RunError(f"{model} raised {type(error).__name__} on {len(x)} rows: {lines[0].rstrip('.')}.") from error
    wanted = (len(x), output_size)
    found = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
    if found != wanted:
        raise RunError(f"{model} gave {found} for {len(x)} rows; the task needs {wanted}.")
    return out


def trained_and_kept(module: nn.Module, recipe: Recipe) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Returns copies of a module's trained parameters, and of its buffers with the parameters that it has frozen.

    Raises:
        InputError: where there is nothing to train.
    """
    named = list(module.named_parameters())
    params = {name: p.detach().clone() for name, p in named if p.requires_grad}
    if not params:
        raise InputError("model", "one with parameters to train", recipe.model, "It has none.")
    frozen = [(name, p) for name, p in named if not p.requires_grad]
    return params, {name: b.detach().clone() for name, b in (*module.named_buffers(), *frozen)}


def arrays_of(tree: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Returns copies of tensors as arrays."""
    return {name: t.detach().cpu().numpy().copy() for name, t in tree.items()}


def weight_names(module: nn.Module) -> frozenset[str]:
    """Returns the parameters that a penalty shrinks: matrices and kernels, not biases and norms."""
    return frozenset(name for name, p in module.named_parameters() if p.dim() >= 2 and p.requires_grad)


def draw_key(recipe: Recipe, seed: int, step: int) -> int:
    """Returns the key of a member's random draws in a step: dropout of our models, any draw of a user's."""
    return derive_key(seed, Purpose.MODULE if ":" in recipe.model else Purpose.DROPOUT, step)


def rate_of_draws(rate: float) -> float:
    """Returns the least draw of 24 bits not below a rate: exact in float32, so that comparing has one answer.

    Example:
        >>> rate_of_draws(0.5)
        0.5
    """
    return -(-rate // 2.0**-24) * 2.0**-24


@contextlib.contextmanager
def drawing(
    draws: Draws, *, model: str, rate: tuple[torch.Tensor, torch.Tensor] | None = None, stacked: bool = False
) -> Iterator[None]:
    """Says, for the forward pass inside, where a module's random draws come from.

    Args:
        draws: Of (seed, step).
        model: The recipe's.
        rate: (`rate_of_draws`, 1 - rate) of each lane; None where a layer has its own.
        stacked: Whether it runs under vmap.
    """

    def drop(x: torch.Tensor, layer: int, p: float) -> torch.Tensor:
        least, kept = (rate_of_draws(p), 1.0 - p) if rate is None else rate
        return x * (draws.uniform(layer, tuple(x.shape)) >= least).to(x.dtype) / kept

    with drop_by(drop), Reroute(draws, stacked=stacked):
        yield
