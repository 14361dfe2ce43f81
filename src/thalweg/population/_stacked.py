"""What the stacked programs share: members of equal structure side by side in tensors, (P, ...) first.

A stack has a fixed number of lanes, so that shapes never depend on the company: one member takes up a lane, and lanes
that nobody needs hold copies. What differs between members by value (step size, penalty, dropout, seed, step) differs
by lane.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import ClassVar

import numpy as np
import torch

from thalweg.optim import NUM_COEFFICIENTS, RULES, ElementwiseRule
from thalweg.population._contract import Program, Settings, Snapshot, penalty_strengths
from thalweg.population._draws import signed
from thalweg.population._lanes import STRETCH, Batch, Lanes, LaneState, Pieces, Tensors
from thalweg.population._machine import MicroBatch, TrainingRows, has_batch_norm, machine, refuse_machine
from thalweg.population._modules import build_module, draw_key, rate_of_draws, trained_and_kept, weight_names
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task


class Stack:
    """The state of all members of one structure, each name a tensor (P, ...).

    Args:
        recipe: One of theirs. members: Their places in the program.
    """

    def __init__(self, recipe: Recipe, members: list[int]) -> None:
        self.recipe, self.members = recipe, members
        self.row = {index: row for row, index in enumerate(members)}
        self.params: Tensors = {}
        self.buffers: Tensors = {}
        self.slots: dict[str, Tensors] = {}
        self.weights: frozenset[str] = frozenset()
        #: the first member's, as the form of all
        self.module: torch.nn.Module | None = None
        self.lanes: Lanes | None = None


class StackedProgram(Program):
    """Members of equal structure take each step together, in lanes.

    Attributes:
        lanes: Members side by side, by device; a constant, so that bits do not depend on the company.
    """

    lanes: ClassVar[dict[str, int]]

    def __init__(self, task: Task, members: Sequence[Member], settings: Settings) -> None:
        super().__init__(task, members, settings)
        self._data = TrainingRows(task, settings)
        self._micro = MicroBatch(settings.micro_batch, self.notes)
        #: a CUDA graph needs tensors of fixed place; elsewhere the host may look at them
        self._fixed = settings.device == "cuda"
        self._num_lanes = self.side_by_side(self.members[0].recipe, settings)
        places: dict[Hashable, list[int]] = {}
        for index, member in enumerate(self.members):
            places.setdefault(self.structure(member.recipe), []).append(index)
        self._stacks = [Stack(self.members[which[0]].recipe, which) for which in places.values()]
        self._stack_of = {index: stack for stack in self._stacks for index in stack.members}
        with machine(settings):
            for stack in self._stacks:
                self._start(stack)
        for index, member in enumerate(self.members):
            if member.start is not None:
                self.restore(index, member.start)

    @classmethod
    def refuses(cls, task: Task, recipe: Recipe, settings: Settings) -> str | None:
        """Returns what no stacked program runs, in a clause, or None."""
        if not isinstance(RULES[recipe.optimizer], ElementwiseRule):
            return f"{recipe.optimizer} is not an elementwise rule"
        return refuse_machine(task, recipe, settings)

    @classmethod
    def structure(cls, recipe: Recipe) -> Hashable:
        """Returns what members of one stack have in common; in the rest they differ by value."""
        l1, l2 = penalty_strengths(recipe)
        return (
            *(recipe.model, recipe.widths, recipe.activation, recipe.activation_parameter, recipe.norm),
            *(recipe.optimizer, recipe.batch_size, recipe.dropout > 0, recipe.label_smoothing > 0),
            *(l1 > 0, l2 > 0, recipe.clip_norm is not None),
        )

    @abstractmethod
    def _model_gradients(self, stack: Stack, state: LaneState, batch: Batch) -> tuple[torch.Tensor, Tensors, Tensors]:
        """Returns a slice's parts of the mean losses (L,) and of their gradients, and the buffers after it."""

    @abstractmethod
    def _model_outputs(self, stack: Stack, which: Sequence[int], x: torch.Tensor) -> list[torch.Tensor]:
        """Returns per member of a stack the outputs for rows x, (n, K), in evaluation mode."""

    # ---- state ------------------------------------------------------------------------------------------------

    def _start(self, stack: Stack) -> None:
        """Builds the initial state of every member of a stack."""
        started = []
        for index in stack.members:
            member = self.members[index]
            module = build_module(self.task, member.recipe, member.seed).to(self._data.device, self._data.real)
            if index == stack.members[0]:
                stack.weights = weight_names(module)
                stack.module = module
            params, buffers = trained_and_kept(module, member.recipe)
            started.append((params, {name: b for name, b in buffers.items() if self._reads(name)}))
        stack.params, stack.buffers = (
            {name: torch.stack([tree[part][name] for tree in started]) for name in started[0][part]} for part in (0, 1)
        )
        rule = self._rule(stack)
        state = rule.init(stack.params)
        stack.slots = {slot: state[slot] for slot in rule.slots}

    def _reads(self, buffer: str) -> bool:
        """Returns whether the program's own form of the model has a buffer."""
        return True

    @staticmethod
    def _rule(stack: Stack) -> ElementwiseRule:
        rule = RULES[stack.recipe.optimizer]
        assert isinstance(rule, ElementwiseRule)
        return rule

    @classmethod
    def side_by_side(cls, recipe: Recipe, settings: Settings) -> int:
        """Returns the number of lanes."""
        return cls.lanes[settings.device]

    def snapshot(self, index: int) -> Snapshot:
        """Returns a copy of a member's state."""
        stack = self._held(index)
        row = stack.row[index]
        return Snapshot(
            params=_row_arrays(stack.params, row),
            slots={slot: _row_arrays(tree, row) for slot, tree in stack.slots.items()},
            buffers=_row_arrays(stack.buffers, row),
            step=int(self.step[index]),
            optimizer=stack.recipe.optimizer,
        )

    def restore(self, index: int, snapshot: Snapshot) -> None:
        """Sets a member's state; the slots are dropped where they belong to another rule."""
        stack, rule = self._held(index), self._rule(self._held(index))
        row = stack.row[index]
        _set_row(stack.params, row, self._data.tensors(snapshot.params))
        # a kernel's snapshot leaves num_batches_tracked out: nothing reads it
        kept = {name: array for name, array in snapshot.buffers.items() if name in stack.buffers}
        _set_row(stack.buffers, row, self._data.tensors(kept))
        fresh = rule.init({name: t[row] for name, t in stack.params.items()})
        for slot, tree in stack.slots.items():
            own = self._data.tensors(snapshot.slots[slot]) if snapshot.optimizer == rule.name else fresh[slot]
            _set_row(tree, row, own)
        self.step[index] = snapshot.step
        self.diverged_at[index] = -1

    def _held(self, index: int) -> Stack:
        stack = self._stack_of[index]
        assert index in stack.row, "the member was released"
        return stack

    def _eval_tensors(self, index: int) -> Tensors:
        stack, rule = self._held(index), self._rule(self._held(index))
        row = stack.row[index]
        params = {name: t[row] for name, t in stack.params.items()}
        if rule.average is None:
            return params
        t = max(int(self.step[index]), 1)
        state = {slot: {name: tree[name][row] for name in params} for slot, tree in stack.slots.items()}
        return rule.eval_params(params, {**state, "step": t}, self.hyper(index, t, 1.0))

    def eval_params(self, index: int) -> dict[str, np.ndarray]:
        """Returns a copy of the parameters that the member predicts with."""
        return {name: t.cpu().numpy().copy() for name, t in self._eval_tensors(index).items()}

    def num_parameters(self, index: int) -> int:
        """Returns the number of trained parameters of a member."""
        return sum(p[0].numel() for p in self._stack_of[index].params.values())

    def release(self, index: int) -> None:
        """Lets a member's memory go; it can only be asked for its counters afterwards."""
        stack = self._stack_of[index]
        stack.row.pop(index, None)
        held = len(next(iter(stack.params.values())))
        if 2 * len(stack.row) > held:
            return  # taking rows out copies the others: done when half are gone
        places = torch.tensor(list(stack.row.values()), dtype=torch.int64, device=self._data.device)
        for tree in (stack.params, stack.buffers, *stack.slots.values()):
            for name, t in tree.items():
                tree[name] = t.index_select(0, places)
        stack.row = {member: row for row, member in enumerate(stack.row)}
        if not stack.row:
            stack.lanes = None

    # ---- training ---------------------------------------------------------------------------------------------

    def advance(self, num_steps: np.ndarray, lr_scale: np.ndarray) -> list[np.ndarray]:
        """Trains each member for its number of steps, lane by lane."""
        losses = [np.empty(0)] * len(self.members)
        with machine(self.settings):
            for stack in self._stacks:
                todo = [i for i in stack.members if num_steps[i] > 0 and self.diverged_at[i] < 0]
                # members of about equal length side by side: lanes that are done wait for the longest
                todo.sort(key=lambda i: -num_steps[i])
                pace = self.paces[stack.members[0]]
                for start in range(0, len(todo), self._num_lanes):
                    which = todo[start : start + self._num_lanes]
                    batch_norm = has_batch_norm(self.task, stack.recipe)
                    found = self._micro.attempt(
                        lambda stack=stack, which=which: self._stretch(stack, which, num_steps, lr_scale),
                        batch_size=pace.batch_size,
                        batch_norm=batch_norm,
                    )
                    self._settle(which, num_steps, found, losses)
        return losses

    def _settle(self, which: list[int], num_steps: np.ndarray, found: np.ndarray, losses: list[np.ndarray]) -> None:
        """Counts the steps of members whose losses (S, L) are there."""
        for lane, index in enumerate(which):
            own = found[: num_steps[index], lane]
            bad = np.flatnonzero(~np.isfinite(own))
            done = int(bad[0]) if len(bad) else len(own)
            if len(bad):
                self.diverged_at[index] = self.step[index] + done
            self.step[index] += done
            losses[index] = own[:done].astype(np.float64)

    def _stretch(self, stack: Stack, which: list[int], num_steps: np.ndarray, lr_scale: np.ndarray) -> np.ndarray:
        """Trains members in the lanes of a stack and returns the losses, (S, L); until the end their state is kept."""
        filled = which + which[:1] * (self._num_lanes - len(which))
        lanes = self._load(stack, filled)
        total = int(num_steps[which].max())
        losses = []
        for first in range(0, total, STRETCH):
            num = min(STRETCH, total - first)
            steps = np.arange(first, first + num)
            losses.append(
                lanes.run(
                    num,
                    self._rows(stack, filled, steps),
                    self._coefficients(stack, filled, steps, lr_scale),
                    torch.from_numpy(steps[:, None] < num_steps[filled][None, :]),
                    self._keys(stack, filled, steps),
                )
            )
        found = torch.cat(losses).cpu().numpy()
        places = torch.tensor([stack.row[i] for i in which], device=self._data.device)
        for held, lane in zip(_all_tensors(stack), lanes.state.tensors(), strict=True):
            held.index_copy_(0, places, lane[: len(which)])
        return found

    def _load(self, stack: Stack, filled: list[int]) -> Lanes:
        """Returns the lanes of a stack with the state and the numbers of members in them."""
        places = torch.tensor([stack.row[i] for i in filled], device=self._data.device)

        def taken(tree: Tensors) -> Tensors:
            return {name: t.index_select(0, places) for name, t in tree.items()}

        recipes = [self.members[i].recipe for i in filled]
        l1, l2 = zip(*(penalty_strengths(recipe) for recipe in recipes), strict=True)
        state = LaneState(
            params=taken(stack.params),
            buffers=taken(stack.buffers),
            slots={slot: taken(tree) for slot, tree in stack.slots.items()},
            l1=self._numbers(l1),
            l2=self._numbers(l2),
            clip_norm=self._numbers([recipe.clip_norm or 0.0 for recipe in recipes]),
            smoothing=self._numbers([recipe.label_smoothing for recipe in recipes]),
            rate=torch.stack(
                [
                    self._numbers([rate_of_draws(recipe.dropout) for recipe in recipes]),
                    self._numbers([1.0 - recipe.dropout for recipe in recipes]),
                ]
            ),
        )
        batch_size = self.paces[filled[0]].batch_size
        slices = self._micro.slices(batch_size)
        if stack.lanes is not None and stack.lanes.takes(slices):
            stack.lanes.load(state)
            return stack.lanes
        pieces = Pieces(
            rule=self._rule(stack),
            weights=stack.weights,
            l1=l1[0] > 0 and self._rule(stack).proximal,
            l2=l2[0] > 0,
            clip=recipes[0].clip_norm is not None,
        )
        lanes = Lanes(
            state,
            pieces,
            self._data.x,
            self._data.y,
            lambda held, batch: self._model_gradients(stack, held, batch),
            batch_size=batch_size,
            slices=slices,
            fixed=self._fixed,
        )
        stack.lanes = lanes if self._fixed else None  # what a graph has captured is kept
        return lanes

    def _numbers(self, values: Sequence[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=self._data.real, device=self._data.device)

    def _rows(self, stack: Stack, filled: list[int], steps: np.ndarray) -> torch.Tensor:
        """Returns the rows of each lane's batches, (S, L, B)."""
        pace = self.paces[filled[0]]
        found = np.empty((len(steps), len(filled), pace.batch_size), np.int64)
        for lane, index in enumerate(filled):
            seed = self.members[index].seed
            for k, step in enumerate(steps + self.step[index]):
                epoch, place = divmod(int(step), pace.steps_per_epoch)
                order = self.epoch_rows(seed, epoch)
                found[k, lane] = order[place * pace.batch_size : (place + 1) * pace.batch_size]
        return torch.from_numpy(found)

    def _coefficients(self, stack: Stack, filled: list[int], steps: np.ndarray, lr_scale: np.ndarray) -> torch.Tensor:
        """Returns the coefficients of the update rule, (S, 8, L), evaluated in float64."""
        found = np.empty((len(steps), NUM_COEFFICIENTS, len(filled)))
        for lane, index in enumerate(filled):
            t = steps + self.step[index] + 1
            values = self._rule(stack).padded_coefficients(self.hyper(index, t, float(lr_scale[index])), t)
            for column, value in enumerate(values):
                found[:, column, lane] = value
        return torch.from_numpy(found)

    def _keys(self, stack: Stack, filled: list[int], steps: np.ndarray) -> torch.Tensor:
        """Returns the keys of the random draws, (S, L)."""
        if ":" not in stack.recipe.model and stack.recipe.dropout == 0:
            return torch.zeros(len(steps), len(filled), dtype=torch.int64)
        made: dict[tuple[int, int], int] = {}
        for index in filled:
            member = self.members[index]
            for step in (steps + self.step[index]).tolist():
                if (member.seed, step) not in made:
                    made[member.seed, step] = signed(draw_key(member.recipe, member.seed, step))
        return torch.tensor(
            [[made[self.members[i].seed, int(k + self.step[i])] for i in filled] for k in steps], dtype=torch.int64
        )

    def outputs(self, which: Sequence[int], x: np.ndarray) -> list[np.ndarray]:
        """Returns per member the outputs (before the link) for rows x, (n, K), in evaluation mode."""
        rows = self._data.inputs(x)
        found: dict[int, np.ndarray] = {}
        with torch.no_grad(), machine(self.settings):
            for stack in self._stacks:
                own = [index for index in dict.fromkeys(which) if self._stack_of[index] is stack]
                for index, out in zip(own, self._model_outputs(stack, own, rows), strict=True):
                    found[index] = out.cpu().numpy()
        return [found[index] for index in which]


def _all_tensors(stack: Stack) -> list[torch.Tensor]:
    slots = (t for tree in stack.slots.values() for t in tree.values())
    return [*stack.params.values(), *stack.buffers.values(), *slots]


def _row_arrays(tree: Tensors, row: int) -> dict[str, np.ndarray]:
    return {name: t[row].cpu().numpy().copy() for name, t in tree.items()}


def _set_row(tree: Tensors, row: int, values: Tensors) -> None:
    for name, value in values.items():
        tree[name][row] = value
