"""What a recipe's model weighs: numbers, operations and activations, found without training it."""

from __future__ import annotations

import contextlib
import math
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from thalweg.models import draws
from thalweg.population._contract import ModelSize, Pace
from thalweg.population._modules import architecture_of, empty_module
from thalweg.recipes import Recipe
from thalweg.tasks import Task

#: operations of an update rule for each parameter, and of a step beside its products
_UPDATE, _STEP = 12.0, 1e4


_KNOWN: WeakKeyDictionary[Task, dict[Any, ModelSize]] = WeakKeyDictionary()


def model_size(task: Task, recipe: Recipe) -> ModelSize:
    """Returns the size of a recipe's model on a task; found once for each structure.

    Raises:
        InputError: where the model does not fit the task.

    Example:
        >>> from thalweg.tasks import load_task
        >>> model_size(load_task("iris"), Recipe(widths=(8,))).parameters
        67
    """
    known = _KNOWN.setdefault(task, {})
    key = (recipe.model, recipe.widths, recipe.activation, recipe.activation_parameter, recipe.norm, recipe.dropout > 0)
    if key not in known:
        dense = recipe.model in ("linear", "mlp")
        known[key] = _dense_size(task, recipe) if dense else _module_size(task, recipe)
    return known[key]


def step_cost(task: Task, recipe: Recipe) -> float:
    """Returns the arithmetic of one step of a member, in floating-point operations: three passes and the update."""
    size = model_size(task, recipe)
    return 3.0 * size.flops * Pace.of(recipe, len(task.train.rows)).batch_size + _UPDATE * size.parameters + _STEP


def _dense_size(task: Task, recipe: Recipe) -> ModelSize:
    architecture = architecture_of(recipe, task.input_shape, task.output_size)
    weights = sum(math.prod(spec.shape) for spec in architecture.parameters if spec.role == "weight")
    kept = sum(
        layer.num_units * (2 if layer.norm == "none" else 3) + layer.out_dim * (2 if layer.dropout else 1)
        for layer in architecture.hidden
    )
    return ModelSize(
        parameters=architecture.num_params,
        buffers=sum(math.prod(spec.shape) for spec in architecture.buffers),
        flops=2.0 * weights,
        activations=architecture.in_dim + kept + 2 * architecture.output_size,
    )


def _module_size(task: Task, recipe: Recipe) -> ModelSize:
    """Returns the size of a module, counted by torch while two rows go through it."""
    with torch.random.fork_rng(devices=[]):
        module = empty_module(recipe, task.input_shape, task.output_size).float().train()
        own = {p.untyped_storage().data_ptr() for p in (*module.parameters(), *module.buffers())}
        kept: dict[int, int] = {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        rows = torch.from_numpy(task.train.x[:2])
        buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
        counter = FlopCounterMode(display=False)
        # a module of the user's that cannot do it is counted by its parameters; its first step will say what is wrong
        with contextlib.suppress(Exception), draws(0, 0), counter, saved_tensors_hooks(note, lambda tensor: tensor):
            out = functional_call(module, buffers, (rows,))  # held, so that no storage is used twice
            del out
    trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
    held = sum(p.numel() for p in module.parameters()) + sum(b.numel() for b in module.buffers())
    return ModelSize(
        parameters=trained,
        buffers=held - trained,
        flops=max(counter.get_total_flops() / len(rows), 2.0 * trained),
        activations=math.ceil(sum(kept.values()) / 4 / len(rows)),
    )
