"""The `loop` program: one member after another with torch; always right, and the reference for the others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from thalweg.optim import RULES, ElementwiseRule, clip_gradients, soft_threshold
from thalweg.population._contract import Memory, ModelSize, Program, Settings, Snapshot, penalty_strengths
from thalweg.population._draws import Draws, signed
from thalweg.population._machine import (
    MicroBatch,
    TrainingRows,
    half_precision,
    has_batch_norm,
    machine,
    refuse_machine,
)
from thalweg.population._modules import (
    arrays_of,
    build_module,
    draw_key,
    drawing,
    run_module,
    trained_and_kept,
    weight_names,
)
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task, per_example

#: name under which a snapshot keeps a slot that is one number for the whole member
_SCALAR = "scalar"
#: tensors of at most so many numbers are updated as one: a call costs more than the arithmetic
_SMALL = 1 << 14


class LoopProgram(Program):
    """Any model, one member after another."""

    name: ClassVar[str] = "loop"

    def __init__(self, task: Task, members: Sequence[Member], settings: Settings) -> None:
        super().__init__(task, members, settings)
        self._data = TrainingRows(task, settings)
        self._micro = MicroBatch(settings.micro_batch, self.notes)
        self._modules: list[nn.Module | None] = []
        self._params: list[dict[str, torch.Tensor]] = []
        self._buffers: list[dict[str, torch.Tensor]] = []
        self._state: list[dict[str, Any]] = []
        for index, member in enumerate(self.members):
            module = build_module(task, member.recipe, member.seed).to(self._data.device, self._data.real)
            self._modules.append(module)
            params, buffers = trained_and_kept(module, member.recipe)
            self._params.append(params)
            self._buffers.append(buffers)
            self._state.append(RULES[member.recipe.optimizer].init(params))
            if member.start is not None:
                self.restore(index, member.start)

    @classmethod
    def refuses(cls, task: Task, recipe: Recipe, settings: Settings) -> str | None:
        """Returns what the machine or the settings forbid; beyond that the loop runs whatever torch runs."""
        return refuse_machine(task, recipe, settings)

    @classmethod
    def memory(cls, task: Task, recipe: Recipe, settings: Settings, size: ModelSize) -> Memory:
        """Returns what members take of the memory: each keeps a module beside its state."""
        found = super().memory(task, recipe, settings, size)
        return replace(found, member=found.member + settings.dtype.itemsize * (size.parameters + size.buffers))

    def advance(self, num_steps: np.ndarray, lr_scale: np.ndarray) -> list[np.ndarray]:
        """Trains each member for its number of steps, in turn."""
        losses = [np.empty(0)] * len(self.members)
        with machine(self.settings):
            for index in range(len(self.members)):
                if num_steps[index] > 0 and self.diverged_at[index] < 0:
                    losses[index] = self._train(index, int(num_steps[index]), float(lr_scale[index]))
        return losses

    def _train(self, index: int, num_steps: int, lr_scale: float) -> np.ndarray:
        pace, recipe = self.paces[index], self.members[index].recipe
        batch_norm = has_batch_norm(self.task, recipe)
        self._module(index).train()
        losses = np.empty(num_steps)
        for s in range(num_steps):
            losses[s] = self._micro.attempt(
                lambda: self._step(index, lr_scale), batch_size=pace.batch_size, batch_norm=batch_norm
            )
            if not np.isfinite(losses[s]):
                self.diverged_at[index] = self.step[index]
                return losses[:s]
            self.step[index] += 1
        return losses

    def _step(self, index: int, lr_scale: float) -> float:
        """Does one step and returns its loss; where that is not finite, the member's state stays as it was."""
        member, pace, module = self.members[index], self.paces[index], self._module(index)
        recipe, step = member.recipe, int(self.step[index])
        rule = RULES[recipe.optimizer]
        l1, l2 = penalty_strengths(recipe)
        weights = weight_names(module) if l1 > 0 or l2 > 0 else frozenset()
        epoch, place = divmod(step, pace.steps_per_epoch)
        rows = torch.from_numpy(
            self.epoch_rows(member.seed, epoch)[place * pace.batch_size : (place + 1) * pace.batch_size]
        ).to(self._data.device)
        buffers = {name: b.clone() for name, b in self._buffers[index].items()}
        loss, grads = self._gradients(index, rows, buffers, takes_gradient="grad" in rule.needs)
        if not np.isfinite(loss):
            return loss
        params = self._params[index]
        hyper = self.hyper(index, step + 1, lr_scale)
        if l2 > 0:
            grads = {name: g + l2 * params[name] if name in weights else g for name, g in grads.items()}
        if recipe.clip_norm is not None and grads:
            grads, _ = clip_gradients(grads, recipe.clip_norm)
        self._buffers[index] = buffers
        if isinstance(rule, ElementwiseRule):
            new, state = _elementwise_step(rule, params, grads, self._state[index], hyper)
        else:
            new, state = rule.step(params, grads, self._state[index], hyper, evaluate=self._objective(index, rows))
        if l1 > 0 and rule.proximal:
            assert isinstance(rule, ElementwiseRule), "only elementwise rules have a diagonal metric"
            sizes = rule.step_sizes(new, state, hyper)
            new = {name: soft_threshold(w, sizes[name] * l1) if name in weights else w for name, w in new.items()}
        self._params[index], self._state[index] = new, state
        return loss

    def _gradients(
        self, index: int, rows: torch.Tensor, buffers: dict[str, torch.Tensor], *, takes_gradient: bool
    ) -> tuple[float, dict[str, torch.Tensor]]:
        """Returns the mean loss of the batch and its gradient, summed over the slices of the batch."""
        params = {name: p.detach().requires_grad_(takes_gradient) for name, p in self._params[index].items()}
        total = 0.0
        grads: dict[str, torch.Tensor] = {}
        for loss in self._slice_losses(index, rows, params, buffers):
            total += loss.item()
            if not takes_gradient or not np.isfinite(total):
                continue
            found = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
            for (name, p), g in zip(params.items(), found, strict=True):
                own = torch.zeros_like(p) if g is None else g
                grads[name] = grads[name] + own if name in grads else own
        return total, grads

    def _slice_losses(
        self, index: int, rows: torch.Tensor, params: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor]
    ) -> Iterator[torch.Tensor]:
        """Yields each slice's part of the mean loss of the batch."""
        member, module = self.members[index], self._module(index)
        recipe, step = member.recipe, int(self.step[index])
        for first, size in self._micro.slices(len(rows)):
            part = rows[first : first + size]
            with self._draws(member, step, first, size), half_precision(self.settings):
                out = run_module(module, recipe.model, {**params, **buffers}, self._data.x[part], self.task.output_size)
            out = out.to(self._data.real)
            losses = per_example(self.task.loss, out, self._data.y[part], label_smoothing=recipe.label_smoothing)
            yield losses.sum() / len(rows)

    def _objective(self, index: int, rows: torch.Tensor) -> Callable[[dict[str, torch.Tensor]], torch.Tensor]:
        """Returns stacked params -> (num,) penalised losses on one batch, with the same draws for every one."""
        l1, l2 = penalty_strengths(self.members[index].recipe)
        weights = weight_names(self._module(index))

        @torch.no_grad()
        def evaluate(stacked: dict[str, torch.Tensor]) -> torch.Tensor:
            losses = []
            for q in range(len(next(iter(stacked.values())))):
                params = {name: p[q] for name, p in stacked.items()}
                buffers = {name: b.clone() for name, b in self._buffers[index].items()}
                loss = torch.stack(list(self._slice_losses(index, rows, params, buffers))).sum()
                for name in weights:
                    loss = loss + l1 * params[name].abs().sum() + l2 / 2 * params[name].square().sum()
                losses.append(loss)
            return torch.stack(losses)

        return evaluate

    @contextlib.contextmanager
    def _draws(self, member: Member, step: int, first: int = 0, num_rows: int = 1) -> Iterator[None]:
        key = draw_key(member.recipe, member.seed, step)
        held = key if self.settings.device == "cpu" else torch.tensor(signed(key), device=self._data.device)
        with contextlib.ExitStack() as stack:
            if ":" in member.recipe.model:
                stack.enter_context(_seeded(key >> 1, self._data.device))
            stack.enter_context(drawing(Draws(held, first=first, num_rows=num_rows), model=member.recipe.model))
            yield

    def _module(self, index: int) -> nn.Module:
        module = self._modules[index]
        assert module is not None, "the member was released"
        return module

    def outputs(self, which: Sequence[int], x: np.ndarray) -> list[np.ndarray]:
        """Returns per member the outputs (before the link) for rows x, (n, K), in evaluation mode."""
        rows = self._data.inputs(x)
        found = []
        with torch.no_grad(), machine(self.settings):
            for index in which:
                module, member = self._module(index).eval(), self.members[index]
                tensors = {**self._eval_tensors(index), **self._buffers[index]}
                with self._draws(member, int(self.step[index])):
                    chunks = [
                        run_module(module, member.recipe.model, tensors, part, self.task.output_size)
                        for part in rows.split(1024)
                    ]
                found.append(torch.cat(chunks).cpu().numpy())
        return found

    def _eval_tensors(self, index: int) -> dict[str, torch.Tensor]:
        rule = RULES[self.members[index].recipe.optimizer]
        hyper = self.hyper(index, max(int(self.step[index]), 1), 1.0)
        return rule.eval_params(self._params[index], self._state[index], hyper)

    def eval_params(self, index: int) -> dict[str, np.ndarray]:
        """Returns a copy of the parameters that the member predicts with."""
        return arrays_of(self._eval_tensors(index))

    def snapshot(self, index: int) -> Snapshot:
        """Returns a copy of a member's state."""
        state = self._state[index]
        return Snapshot(
            params=arrays_of(self._params[index]),
            slots={
                slot: arrays_of(
                    tree if isinstance(tree, dict) else {_SCALAR: torch.as_tensor(tree, dtype=torch.float64)}
                )
                for slot, tree in state.items()
                if slot != "step" and tree is not None
            },
            buffers=arrays_of(self._buffers[index]),
            step=int(self.step[index]),
            optimizer=self.members[index].recipe.optimizer,
        )

    def restore(self, index: int, snapshot: Snapshot) -> None:
        """Sets a member's state; the slots are dropped where they belong to another rule."""
        rule = RULES[self.members[index].recipe.optimizer]
        self._params[index] = self._data.tensors(snapshot.params)
        # a kernel's snapshot leaves num_batches_tracked out: nothing reads it
        self._buffers[index] = {**self._buffers[index], **self._data.tensors(snapshot.buffers)}
        state = rule.init(self._params[index])
        if snapshot.optimizer == rule.name:
            for slot, tree in snapshot.slots.items():
                state[slot] = float(tree[_SCALAR]) if _SCALAR in tree else self._data.tensors(tree)
            state["step"] = snapshot.step
        self._state[index] = state
        self.step[index] = snapshot.step
        self.diverged_at[index] = -1

    def num_parameters(self, index: int) -> int:
        """Returns the number of trained parameters of a member."""
        return sum(p.numel() for p in self._params[index].values())

    def release(self, index: int) -> None:
        """Lets a member's memory go; it can only be asked for its counters afterwards."""
        self._modules[index] = None
        self._params[index], self._buffers[index], self._state[index] = {}, {}, {}


@contextlib.contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds torch's own generators for what cannot be rerouted, and sets them back.

    `torch.manual_seed` would do, but before CUDA is in use it puts a note with a stack trace aside at every call.
    """
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        with torch.random.fork_rng(devices=[device], enabled=device.type == "cuda"):
            if device.type == "cuda":
                torch.cuda.manual_seed(seed)
            yield
    finally:
        torch.set_rng_state(state)


def _elementwise_step(
    rule: ElementwiseRule,
    params: dict[str, torch.Tensor],
    grads: dict[str, torch.Tensor],
    state: dict[str, Any],
    hyper: dict[str, Any],
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Returns what `rule.step` returns, with all small tensors updated as one."""
    small = {name: w.numel() for name, w in params.items() if w.numel() <= _SMALL}
    if len(small) < 2:
        return rule.step(params, grads, state, hyper)

    def join(tree: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        large = {name: t for name, t in tree.items() if name not in small}
        return {**large, "": torch.cat([tree[name].reshape(-1) for name in small])}

    def part(tree: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        pieces = dict(zip(small, tree[""].split(list(small.values())), strict=True))
        return {name: pieces[name].view(w.shape) if name in small else tree[name] for name, w in params.items()}

    joined = {slot: join(state[slot]) for slot in rule.slots}
    new, after = rule.step(join(params), join(grads), {**state, **joined}, hyper)
    # products round by where their operands begin: as in a state that was restored, each tensor has a place of its own
    alone = {name: w.clone() if name in small else w for name, w in part(new).items()}
    return alone, {**after, **{slot: part(after[slot]) for slot in rule.slots}}
