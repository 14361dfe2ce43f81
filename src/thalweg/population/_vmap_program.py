"""The `vmap` program: any torch module, members side by side by `torch.func`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.func import grad_and_value, vmap

from thalweg.population._contract import Settings
from thalweg.population._draws import Draws, signed
from thalweg.population._lanes import Batch, LaneState, Tensors
from thalweg.population._machine import TrainingRows, half_precision, machine
from thalweg.population._modules import (
    build_module,
    draw_key,
    drawing,
    rate_of_draws,
    run_module,
    trained_and_kept,
)
from thalweg.population._stacked import Stack, StackedProgram
from thalweg.recipes import Recipe
from thalweg.tasks import Task, per_example

#: rows of the trial step: few, and odd, where products are most likely to round by lane
_TRIAL_ROWS = 5
_TRIAL_LANES = 4

_trials: dict[Hashable, str | None] = {}


class VmapProgram(StackedProgram):
    """Any torch module that `torch.func.vmap` can run, members in lanes."""

    name: ClassVar[str] = "vmap"
    lanes: ClassVar[dict[str, int]] = {"cpu": 16, "cuda": 64}

    @classmethod
    def refuses(cls, task: Task, recipe: Recipe, settings: Settings) -> str | None:
        """Returns why vmap cannot run a recipe, in a clause, or None where a trial step went well."""
        refusal = super().refuses(task, recipe, settings)
        if refusal is not None:
            return refusal
        key = (
            *(recipe.model, recipe.widths, recipe.activation, recipe.activation_parameter, recipe.norm),
            *(
                recipe.dropout > 0,
                recipe.batch_size == 1,
                tuple(task.input_shape),
                task.output_size,
                task.kind,
                task.loss,
            ),
            *(settings.precision, settings.device, settings.threads),
        )
        if key not in _trials:
            _trials[key] = _try_step(task, recipe, settings)
        return _trials[key]

    def _model_gradients(self, stack: Stack, state: LaneState, batch: Batch) -> tuple[torch.Tensor, Tensors, Tensors]:
        module = _form_of(stack).train()
        return _gradients(module, self.task, stack.recipe, self.settings, state, batch)

    def _model_outputs(self, stack: Stack, which: Sequence[int], x: torch.Tensor) -> list[torch.Tensor]:
        # one member after another: evaluation is forward alone, and keeps to what the loop does
        module = _form_of(stack).eval()
        found = []
        for index in which:
            key = signed(draw_key(stack.recipe, self.members[index].seed, int(self.step[index])))
            buffers = {name: t[stack.row[index]] for name, t in stack.buffers.items()}
            tensors = {**self._eval_tensors(index), **buffers}
            with drawing(Draws(torch.tensor(key, device=x.device)), model=stack.recipe.model):
                chunks = [
                    run_module(module, stack.recipe.model, tensors, part, self.task.output_size)
                    for part in x.split(1024)
                ]
            found.append(torch.cat(chunks))
        return found


def _form_of(stack: Stack) -> nn.Module:
    assert stack.module is not None
    return stack.module


def _gradients(
    module: nn.Module, task: Task, recipe: Recipe, settings: Settings, state: LaneState, batch: Batch
) -> tuple[torch.Tensor, Tensors, Tensors]:
    size = batch.x.shape[1]
    smoothed = recipe.label_smoothing > 0

    def member_loss(
        params: Tensors, buffers: Tensors, x: torch.Tensor, y: torch.Tensor, key: torch.Tensor, numbers: Any
    ) -> tuple[torch.Tensor, Tensors]:
        least, kept, smoothing = numbers
        rate = (least, kept) if recipe.dropout > 0 else None
        draws = Draws(key, first=batch.first, num_rows=size)
        with drawing(draws, model=recipe.model, rate=rate, stacked=True), half_precision(settings):
            out = run_module(module, recipe.model, {**params, **buffers}, x, task.output_size)
        losses = per_example(task.loss, out.to(x.dtype), y, label_smoothing=smoothing if smoothed else 0.0)
        return losses.sum() / batch.total, buffers

    step = vmap(grad_and_value(member_loss, has_aux=True))
    # batch norm writes its statistics in place
    buffers = {name: b.clone() for name, b in state.buffers.items()}
    numbers = (state.rate[0], state.rate[1], state.smoothing)
    grads, (losses, buffers) = step(state.params, buffers, batch.x, batch.y, batch.keys, numbers)
    return losses, grads, buffers


def _try_step(task: Task, recipe: Recipe, settings: Settings) -> str | None:
    """Returns why a step of a few lanes under vmap fails, or gives other numbers than a lane alone, or None."""
    num = min(recipe.batch_size or len(task.train.rows), _TRIAL_ROWS, len(task.train.rows))
    data = TrainingRows(task, settings)
    module = build_module(task, recipe.changed(init="keep" if ":" in recipe.model else "he"), 0)
    module = module.to(data.device, data.real).train()
    params, buffers = trained_and_kept(module, recipe)
    x, y = data.x[:num], data.y[:num]
    key = torch.tensor(signed(draw_key(recipe, 0, 0)), device=data.device)
    state = _trial_state(params, buffers, recipe)
    batch = Batch(
        x=x.expand(_TRIAL_LANES, *x.shape),
        y=y.expand(_TRIAL_LANES, *y.shape),
        keys=key.expand(_TRIAL_LANES),
        first=0,
        total=num,
    )
    try:
        with machine(settings):
            _, grads, after = _gradients(module, task, recipe, settings, state, batch)
    except Exception as error:  # whatever vmap or the module raises is the reason
        cause = error.__cause__ or error
        lines = str(cause).strip().splitlines() or [""]
        return f"vmap of {recipe.model} raised {type(cause).__name__}: {lines[0].rstrip('.')[:160]}"
    found = {**grads, **after}
    if not all(torch.equal(t[0], t[lane]) for t in found.values() for lane in range(2, _TRIAL_LANES, 2)):
        return f"a lane's rounding depends on its place in {recipe.model}"
    leaves = {name: p.requires_grad_() for name, p in params.items()}
    with machine(settings), drawing(Draws(key), model=recipe.model), half_precision(settings):
        out = run_module(module, recipe.model, {**leaves, **buffers}, x, task.output_size)
        loss = per_example(task.loss, out.to(data.real), y, label_smoothing=recipe.label_smoothing).mean()
        wanted = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    alone = {**dict(zip(leaves, wanted, strict=True)), **buffers}
    tolerance = {"float64": 1e-9, "bfloat16": 0.1}.get(settings.precision, 1e-3)
    # a gradient that is 0 but for rounding is measured by the others
    scale = max(float(t.detach().abs().max()) for t in alone.values() if t is not None)
    for name, t in alone.items():
        own = found[name][0].double()
        expected = torch.zeros_like(own) if t is None else t.detach().double()
        if not torch.allclose(own, expected, rtol=tolerance, atol=tolerance * scale):
            return f"vmap of {recipe.model} gives another {name} than the model alone"
    return None


def _trial_state(params: Tensors, buffers: Tensors, recipe: Recipe) -> LaneState:
    """Returns lanes of which the even ones hold one member and the odd ones another."""
    any_param = next(iter(params.values()))
    odd = torch.arange(_TRIAL_LANES, device=any_param.device) % 2
    number = torch.zeros(_TRIAL_LANES, dtype=any_param.dtype, device=any_param.device)
    return LaneState(
        params={name: p * (1 + odd.to(p.dtype) / 8).reshape(-1, *(1,) * p.dim()) for name, p in params.items()},
        buffers={name: b.expand(_TRIAL_LANES, *b.shape).clone() for name, b in buffers.items()},
        slots={},
        l1=number,
        l2=number,
        clip_norm=number,
        smoothing=number + recipe.label_smoothing,
        rate=torch.stack([number + rate_of_draws(recipe.dropout), number + (1.0 - recipe.dropout)]),
    )
