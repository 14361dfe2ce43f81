"""The `loop` program: one member after another with torch; always right, and the reference for the others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from thalweg.core import InputError, Purpose, RunError, derive_key
from thalweg.models import build_cnn, build_mlp, draws, init_module, init_parameters, load_module
from thalweg.optim import RULES, ElementwiseRule, clip_gradients, soft_threshold
from thalweg.population._contract import Memory, ModelSize, Program, Settings, Snapshot, penalty_strengths
from thalweg.population._kernel_program import dense_architecture, init_batch
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task, per_example

#: name under which a snapshot keeps a slot that is one number for the whole member
_SCALAR = "scalar"


class LoopProgram(Program):
    """Any model, one member after another."""

    name: ClassVar[str] = "loop"

    def __init__(self, task: Task, members: Sequence[Member], settings: Settings) -> None:
        super().__init__(task, members, settings)
        self._real = torch.float64 if self.dtype == np.float64 else torch.float32
        self._x = torch.from_numpy(task.train.x).to(self._real)
        self._y = _target(task.train.y, self._real)
        self._modules: list[nn.Module | None] = []
        self._params: list[dict[str, torch.Tensor]] = []
        self._buffers: list[dict[str, torch.Tensor]] = []
        self._state: list[dict[str, Any]] = []
        for index, member in enumerate(self.members):
            module = build_module(task, member.recipe, member.seed).to(self._real)
            self._modules.append(module)
            named = list(module.named_parameters())
            # what a user's module has frozen stays frozen, and is kept with the buffers
            frozen = [(name, p) for name, p in named if not p.requires_grad]
            self._params.append({name: p.detach().clone() for name, p in named if p.requires_grad})
            self._buffers.append({name: b.detach().clone() for name, b in (*module.named_buffers(), *frozen)})
            if not self._params[index]:
                raise InputError("model", "one with parameters to train", member.recipe.model, "It has none.")
            self._state.append(RULES[member.recipe.optimizer].init(self._params[index]))
            if member.start is not None:
                self.restore(index, member.start)

    @classmethod
    def refuses(cls, task: Task, recipe: Recipe, settings: Settings) -> str | None:
        """Returns None: the loop runs whatever torch runs."""
        return None

    @classmethod
    def memory(cls, task: Task, recipe: Recipe, settings: Settings, size: ModelSize) -> Memory:
        """Returns what members take of the memory: each keeps a module beside its state."""
        found = super().memory(task, recipe, settings, size)
        return replace(found, member=found.member + settings.dtype.itemsize * (size.parameters + size.buffers))

    def advance(self, num_steps: np.ndarray, lr_scale: np.ndarray) -> list[np.ndarray]:
        """Trains each member for its number of steps, one after another."""
        losses = [np.empty(0)] * len(self.members)
        with _torch_threads(self.settings.threads):
            for index in range(len(self.members)):
                if num_steps[index] > 0 and self.diverged_at[index] < 0:
                    losses[index] = self._train(index, int(num_steps[index]), float(lr_scale[index]))
        return losses

    def _train(self, index: int, num_steps: int, lr_scale: float) -> np.ndarray:
        member, pace, module = self.members[index], self.paces[index], self._module(index)
        recipe = member.recipe
        rule = RULES[recipe.optimizer]
        l1, l2 = penalty_strengths(recipe)
        weights = weight_names(module)
        losses = np.empty(num_steps)
        module.train()
        for s in range(num_steps):
            step = int(self.step[index])
            epoch, place = divmod(step, pace.steps_per_epoch)
            rows = torch.from_numpy(
                self.epoch_rows(member.seed, epoch)[place * pace.batch_size : (place + 1) * pace.batch_size]
            )
            x, y = self._x[rows], self._y[rows]
            params = {name: p.requires_grad_("grad" in rule.needs) for name, p in self._params[index].items()}
            with self._draws(member, step):
                out = self._forward(module, member, {**params, **self._buffers[index]}, x)
            loss = per_example(self.task.loss, out, y, label_smoothing=recipe.label_smoothing).mean()
            losses[s] = loss.item()
            if not np.isfinite(losses[s]):
                self.diverged_at[index] = step
                self._params[index] = {name: p.detach() for name, p in params.items()}
                return losses[:s]
            hyper = self.hyper(index, step + 1, lr_scale)
            grads: dict[str, torch.Tensor] = {}
            if "grad" in rule.needs:
                found = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
                grads = {
                    name: torch.zeros_like(p) if g is None else g
                    for (name, p), g in zip(params.items(), found, strict=True)
                }
            params = {name: p.detach() for name, p in params.items()}
            if l2 > 0:
                grads = {name: g + l2 * params[name] if name in weights else g for name, g in grads.items()}
            if recipe.clip_norm is not None and grads:
                grads, _ = clip_gradients(grads, recipe.clip_norm)
            new, state = rule.step(
                params, grads, self._state[index], hyper, evaluate=self._objective(index, x, y, step)
            )
            if l1 > 0 and rule.proximal:
                assert isinstance(rule, ElementwiseRule), "only elementwise rules have a diagonal metric"
                sizes = rule.step_sizes(new, state, hyper)
                new = {name: soft_threshold(w, sizes[name] * l1) if name in weights else w for name, w in new.items()}
            self._params[index], self._state[index] = new, state
            self.step[index] = step + 1
        return losses

    def _forward(
        self, module: nn.Module, member: Member, tensors: dict[str, torch.Tensor], x: torch.Tensor
    ) -> torch.Tensor:
        try:
            out = functional_call(module, tensors, (x,))
        except Exception as error:  # whatever a user's module raises is theirs to read, in one line
            if ":" not in member.recipe.model:
                raise
            lines = str(error).strip().splitlines() or [""]
            raise RunError(
                f"{member.recipe.model} raised {type(error).__name__} on {len(x)} rows: {lines[0].rstrip('.')}."
            ) from error
        wanted = (len(x), self.task.output_size)
        found = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        if found != wanted:
            raise RunError(f"{member.recipe.model} gave {found} for {len(x)} rows; the task needs {wanted}.")
        return out

    def _objective(self, index: int, x: torch.Tensor, y: torch.Tensor, step: int) -> Any:
        """Returns stacked params -> (num,) penalised losses on one batch, with the same draws for every one."""
        member, module = self.members[index], self._module(index)
        l1, l2 = penalty_strengths(member.recipe)
        weights = weight_names(module)

        @torch.no_grad()
        def evaluate(stacked: dict[str, torch.Tensor]) -> torch.Tensor:
            losses = []
            for q in range(len(next(iter(stacked.values())))):
                params = {name: p[q] for name, p in stacked.items()}
                buffers = {name: b.clone() for name, b in self._buffers[index].items()}
                with self._draws(member, step):
                    out = functional_call(module, {**params, **buffers}, (x,))
                loss = per_example(self.task.loss, out, y, label_smoothing=member.recipe.label_smoothing).mean()
                for name in weights:
                    loss = loss + l1 * params[name].abs().sum() + l2 / 2 * params[name].square().sum()
                losses.append(loss)
            return torch.stack(losses)

        return evaluate

    @contextlib.contextmanager
    def _draws(self, member: Member, step: int) -> Iterator[None]:
        if ":" not in member.recipe.model:
            with draws(member.seed, step):
                yield
            return
        # a user's module draws from torch's generator: keyed by (seed, step), so that company changes nothing
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_key(member.seed, Purpose.MODULE, step) >> 1)
            yield

    def _module(self, index: int) -> nn.Module:
        module = self._modules[index]
        assert module is not None, "the member was released"
        return module

    def outputs(self, which: Sequence[int], x: np.ndarray) -> list[np.ndarray]:
        """Returns per member the outputs (before the link) for rows x, (n, K), in evaluation mode."""
        rows = torch.from_numpy(np.ascontiguousarray(x)).to(self._real)
        found = []
        with torch.no_grad(), _torch_threads(self.settings.threads):
            for index in which:
                module = self._module(index).eval()
                params = {**self._eval_tensors(index), **self._buffers[index]}
                chunks = [self._forward(module, self.members[index], params, part) for part in rows.split(1024)]
                found.append(torch.cat(chunks).numpy())
        return found

    def _eval_tensors(self, index: int) -> dict[str, torch.Tensor]:
        rule = RULES[self.members[index].recipe.optimizer]
        hyper = self.hyper(index, max(int(self.step[index]), 1), 1.0)
        return rule.eval_params(self._params[index], self._state[index], hyper)

    def eval_params(self, index: int) -> dict[str, np.ndarray]:
        """Returns a copy of the parameters that the member predicts with."""
        return {name: p.detach().numpy().copy() for name, p in self._eval_tensors(index).items()}

    def snapshot(self, index: int) -> Snapshot:
        """Returns a copy of a member's state."""
        state = self._state[index]
        return Snapshot(
            params=_arrays(self._params[index]),
            slots={
                slot: _arrays(tree if isinstance(tree, dict) else {_SCALAR: torch.as_tensor(tree, dtype=torch.float64)})
                for slot, tree in state.items()
                if slot != "step" and tree is not None
            },
            buffers=_arrays(self._buffers[index]),
            step=int(self.step[index]),
            optimizer=self.members[index].recipe.optimizer,
        )

    def restore(self, index: int, snapshot: Snapshot) -> None:
        """Sets a member's state; the slots are dropped where they belong to another rule."""
        rule = RULES[self.members[index].recipe.optimizer]
        self._params[index] = self._tensors(snapshot.params)
        self._buffers[index] = self._with_counters(index, snapshot.buffers)
        state = rule.init(self._params[index])
        if snapshot.optimizer == rule.name:
            for slot, tree in snapshot.slots.items():
                state[slot] = float(tree[_SCALAR]) if _SCALAR in tree else self._tensors(tree)
            state["step"] = snapshot.step
        self._state[index] = state
        self.step[index] = snapshot.step
        self.diverged_at[index] = -1

    def _with_counters(self, index: int, arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
        # a kernel's snapshot leaves num_batches_tracked out: nothing reads it
        return {**self._buffers[index], **self._tensors(arrays)}

    def _tensors(self, arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
        tensors = {name: torch.from_numpy(np.array(a)) for name, a in arrays.items()}
        return {name: t.to(self._real) if t.is_floating_point() else t for name, t in tensors.items()}

    def num_parameters(self, index: int) -> int:
        """Returns the number of trained parameters of a member."""
        return sum(p.numel() for p in self._params[index].values())

    def release(self, index: int) -> None:
        """Lets a member's memory go; it can only be asked for its counters afterwards."""
        self._modules[index] = None
        self._params[index], self._buffers[index], self._state[index] = {}, {}, {}


def build_module(task: Task, recipe: Recipe, seed: int) -> nn.Module:
    """Returns the torch module of a recipe with the initial weights of a seed, float32.

    Raises:
        InputError: where the model does not fit the task.
    """
    if ":" in recipe.model:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_key(seed, Purpose.INIT) >> 1)
            module = empty_module(recipe, task.input_shape, task.output_size)
        if recipe.init != "keep":
            init_module(module, recipe.init, seed, recipe.init_scale, batch=_batch_for(task, recipe, seed))
        return module
    if recipe.model == "cnn":
        module = empty_module(recipe, task.input_shape, task.output_size)
        init_module(
            module,
            recipe.init,
            seed,
            recipe.init_scale,
            activation=recipe.activation,
            activation_parameter=recipe.activation_parameter,
            batch=_batch_for(task, recipe, seed),
        )
        return module
    module = empty_module(recipe, task.input_shape, task.output_size)
    architecture = dense_architecture(recipe, task.input_shape, task.output_size)
    start = init_parameters(
        architecture,
        recipe.init,
        seed,
        scale=recipe.init_scale,
        activation_parameter=recipe.activation_parameter,
        batch=_batch_for(task, recipe, seed),
    )
    module.load_state_dict(start, strict=False)  # buffers start as the module made them
    return module


def empty_module(recipe: Recipe, input_shape: Sequence[int], output_size: int) -> nn.Module:
    """Returns the torch module of a recipe, its weights not yet set.

    Raises:
        InputError: where the model does not fit the inputs or outputs.
    """
    if ":" in recipe.model:
        return load_module(recipe.model, tuple(input_shape), output_size)
    if recipe.model == "cnn":
        return build_cnn(
            tuple(input_shape),
            output_size,
            recipe.widths,
            activation=recipe.activation,
            activation_parameter=recipe.activation_parameter,
            norm=recipe.norm,
            dropout=recipe.dropout,
        )
    architecture = dense_architecture(recipe, input_shape, output_size)
    return build_mlp(architecture, activation_parameter=recipe.activation_parameter, dropout=recipe.dropout)


def _batch_for(task: Task, recipe: Recipe, seed: int) -> torch.Tensor | None:
    return init_batch(task, seed) if recipe.init == "lsuv" else None


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


def weight_names(module: nn.Module) -> frozenset[str]:
    """Returns the parameters that a penalty shrinks: matrices and kernels, not biases and norms."""
    return frozenset(name for name, p in module.named_parameters() if p.dim() >= 2 and p.requires_grad)


@contextlib.contextmanager
def _torch_threads(num: int) -> Iterator[None]:
    saved = torch.get_num_threads()
    torch.set_num_threads(num)
    try:
        yield
    finally:
        torch.set_num_threads(saved)


def _target(y: np.ndarray, real: torch.dtype) -> torch.Tensor:
    target = torch.from_numpy(np.ascontiguousarray(y))
    return target if target.dtype == torch.int64 else target.to(real)


def _arrays(tree: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: t.detach().numpy().copy() for name, t in tree.items()}
