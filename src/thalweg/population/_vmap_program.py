"""The `vmap` program: any torch module, members side by side by `torch.func`."""

from __future__ import annotations

import warnings
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

#: rows of the trial step of a built-in model, whose products are padded so that they round alike in every lane
_TRIAL_ROWS = 5

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
        # of a user's module we pad what goes through the common functions; for the rest only the true size tells
        num_rows = min(recipe.batch_size or len(task.train.rows), settings.micro_batch or len(task.train.rows))
        if ":" not in recipe.model:
            num_rows = min(num_rows, _TRIAL_ROWS)
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
            *(settings.precision, settings.device, settings.threads, cls.side_by_side(recipe, settings)),
        )
        if key not in _trials:
            _trials[key] = _try_step(task, recipe, settings, num_rows, cls.side_by_side(recipe, settings))
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


def _try_step(task: Task, recipe: Recipe, settings: Settings, num: int, num_lanes: int) -> str | None:
    """Returns why a step under vmap fails, rounds by lane or gives other numbers than the model alone, or None."""
    data = TrainingRows(task, settings)
    module = build_module(task, recipe.changed(init="keep" if ":" in recipe.model else "he"), 0)
    module = module.to(data.device, data.real).train()
    params, buffers = trained_and_kept(module, recipe)
    x, y = data.x[:num], data.y[:num]
    key = torch.tensor(signed(draw_key(recipe, 0, 0)), device=data.device)
    state = _trial_state(params, buffers, recipe, num_lanes)
    batch = Batch(
        x=x.expand(num_lanes, *x.shape).contiguous(),
        y=y.expand(num_lanes, *y.shape).contiguous(),
        keys=key.expand(num_lanes),
        first=0,
        total=num,
    )
    try:
        with machine(settings), warnings.catch_warnings():
            # torch runs an operator without a rule for vmap lane by lane, and says so: the loop does that better
            warnings.filterwarnings("error", message="There is a performance drop")
            _, grads, after = _gradients(module, task, recipe, settings, state, batch)
    except Exception as error:  # whatever vmap or the module raises is the reason
        cause = error.__cause__ or error
        lines = str(cause).strip().splitlines() or [""]
        return f"vmap of {recipe.model} raised {type(cause).__name__}: {lines[0].rstrip('.')[:160]}"
    found = {**grads, **after}
    if not all(torch.equal(t[0], t[lane]) for t in found.values() for lane in range(1, num_lanes)):
        return f"a member's rounding in {recipe.model} would depend on its lane"
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


def _trial_state(params: Tensors, buffers: Tensors, recipe: Recipe, num_lanes: int) -> LaneState:
    """Returns lanes that all hold one member."""
    some = next(iter(params.values()))
    number = torch.zeros(num_lanes, dtype=some.dtype, device=some.device)
    spread = [
        {name: t.detach().expand(num_lanes, *t.shape).clone() for name, t in tree.items()} for tree in (params, buffers)
    ]
    return LaneState(
        params=spread[0],
        buffers=spread[1],
        slots={},
        l1=number,
        l2=number,
        clip_norm=number,
        smoothing=number + recipe.label_smoothing,
        rate=torch.stack([number + rate_of_draws(recipe.dropout), number + (1.0 - recipe.dropout)]),
    )
