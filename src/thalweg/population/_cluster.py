"""A cohort on many machines: its members are shared out over the workers of a Ray cluster.

A member is the same alone or in company, so shares give the bits of one machine. The driver keeps, for each member, its
last snapshot and the steps since then; a worker that dies is replaced, and its share is restored and replayed.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import numpy as np

from thalweg.core import RunError
from thalweg.population._contract import Program, Settings, Snapshot
from thalweg.population._ray_pool import MOST_DEATHS, Pool, WorkerDiedError, open_pool
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task

#: snapshots against the death of a worker may take this share of the time
SHARE = 0.02
_LEAST_SECONDS = 1.0


class _Trace:
    """What makes a member again: a snapshot (None: its start) and the steps since then.

    Attributes:
        runs: (steps, lr_scale), one for each value of lr_scale in turn.
    """

    def __init__(self) -> None:
        self.base: Snapshot | None = None
        self.runs: list[tuple[int, float]] = []
        self.released = False

    def add(self, num_steps: int, lr_scale: float) -> None:
        if self.runs and self.runs[-1][1] == lr_scale:
            num_steps += self.runs.pop()[0]
        self.runs.append((num_steps, lr_scale))

    def start_at(self, base: Snapshot) -> None:
        self.base, self.runs = base, []

    def release(self) -> None:
        self.base, self.runs, self.released = None, [], True


#: name of a method of `Worker`, and its arguments
_Call = tuple[Any, ...]


class ClusterProgram(Program):
    """Another program, with its members shared out over the workers of a cluster.

    Args:
        kind: The program that every worker runs.
        task: What is optimised; sent once.
        members: The cohort.
        settings: What the programs of the workers are told.
        cluster: `local` or HOST:PORT.

    Raises:
        InputError: where Ray is not installed.
        RunError: where the cluster does not answer.
    """

    name: ClassVar[str] = "cluster"

    def __init__(
        self, kind: type[Program], task: Task, members: Sequence[Member], settings: Settings, cluster: str
    ) -> None:
        super().__init__(task, members, settings)
        self._kind = kind
        self._pool: Pool = open_pool(cluster, settings.device)
        self._key = self._pool.new_key()
        weakref.finalize(self, self._pool.close, self._key).atexit = False
        num = min(len(self._pool), len(self.members))
        # dealt out in turn: neighbours in a cohort often cost the same
        self._shares = [np.arange(first, len(self.members), num) for first in range(num)]
        self._lives = self._pool.lives[:num]
        self._traces = [_Trace() for _ in self.members]
        self._saved, self._wait = time.monotonic(), _LEAST_SECONDS
        self._sizes: dict[int, tuple[int, float]] = {}
        started = [self._open(number) for number in range(num)]
        for number, share in enumerate(self._shares):
            self._sizes.update(zip(share.tolist(), self._finish(number, started[number], None), strict=True))

    @classmethod
    def refuses(cls, task: Task, recipe: Recipe, settings: Settings) -> str | None:
        """Returns None: the program of the workers was asked before."""
        return None

    @property
    def cores(self) -> int:
        """The workers that have a share."""
        return len(self._shares)

    def side_by_side(self, recipe: Recipe, settings: Settings) -> int:  # of the kind, so of the instance
        """Returns how many members train side by side, at all workers."""
        return self._kind.side_by_side(recipe, settings) * self.cores

    def structure(self, recipe: Recipe) -> Hashable:
        """Returns what members must have in common to train side by side at a worker."""
        return self._kind.structure(recipe)

    # ---- the contract -----------------------------------------------------------------------------------------------

    def advance(self, num_steps: np.ndarray, lr_scale: np.ndarray) -> list[np.ndarray]:
        """Trains each member for its number of steps, all workers at the same time."""
        calls = {
            number: ("advance", num_steps[share], lr_scale[share])
            for number, share in enumerate(self._shares)
            if (num_steps[share] > 0).any()
        }
        losses: list[np.ndarray] = [np.empty(0)] * len(self.members)
        for number, (found, step, diverged_at, notes) in self._ask(calls).items():
            self.notes += [note for note in notes if note not in self.notes]
            share = self._shares[number]
            for index, of_member in zip(share.tolist(), found, strict=True):
                losses[index] = of_member
                if num_steps[index] > 0 and self.diverged_at[index] < 0:
                    self._traces[index].add(int(num_steps[index]), float(lr_scale[index]))
            self.step[share], self.diverged_at[share] = step, diverged_at
        if time.monotonic() - self._saved >= self._wait:
            self._save()
        return losses

    def outputs(self, which: Sequence[int], x: np.ndarray) -> list[np.ndarray]:
        """Returns per member the outputs (before the link) for rows x, (n, K), in evaluation mode."""
        splits = ("train", "validation", "test")  # the workers have them
        rows = next((name for name in splits if getattr(self.task, name).x is x), x)
        return self._gather(which, "outputs", rows)

    def snapshot(self, index: int) -> Snapshot:
        """Returns a copy of a member's state."""
        return self.snapshots([index])[0]

    def snapshots(self, which: Sequence[int]) -> list[Snapshot]:
        """Returns a copy of the state of members."""
        found = self._gather(which, "snapshots")
        for index, snapshot in zip(which, found, strict=True):
            self._traces[index].start_at(snapshot)
        return found

    def restore(self, index: int, snapshot: Snapshot) -> None:
        """Sets a member's state; the slots are dropped where they belong to another rule."""
        number, local = self._place(index)
        self._ask({number: ("restore", local, snapshot)})
        self._traces[index].start_at(snapshot)
        self.step[index], self.diverged_at[index] = snapshot.step, -1

    def eval_params(self, index: int) -> dict[str, np.ndarray]:
        """Returns a copy of the parameters that the member predicts with."""
        number, local = self._place(index)
        return self._ask({number: ("eval_params", local)})[number]

    def num_parameters(self, index: int) -> int:
        """Returns the number of trained parameters of a member."""
        return self._sizes[index][0]

    def cost(self, index: int) -> float:
        """Returns the arithmetic of one step of a member, in floating-point operations."""
        return self._sizes[index][1]

    def release(self, index: int) -> None:
        """Lets a member's memory go; it can only be asked for its counters afterwards."""
        number, local = self._place(index)
        self._traces[index].release()
        if self._lives[number] == self._pool.lives[number]:
            self._send(number, ("release", local))  # nothing waits for it

    # ---- calls ------------------------------------------------------------------------------------------------------

    def _place(self, index: int) -> tuple[int, int]:
        """Returns (worker, place in its share)."""
        return index % len(self._shares), index // len(self._shares)

    def _gather(self, which: Sequence[int], name: str, *arguments: Any) -> list[Any]:
        """Returns what a call gives for each of some members, in their order."""
        wanted: dict[int, list[int]] = {}
        for index in which:
            number, local = self._place(index)
            wanted.setdefault(number, []).append(local)
        found = self._ask({number: (name, locals_, *arguments) for number, locals_ in wanted.items()})
        each = {number: iter(values) for number, values in found.items()}
        return [next(each[self._place(index)[0]]) for index in which]

    def _ask(self, calls: dict[int, _Call]) -> dict[int, Any]:
        """Returns worker -> what a call gave; all workers work at the same time."""
        alive = {n: call for n, call in calls.items() if self._lives[n] == self._pool.lives[n]}
        started = {number: self._send(number, call) for number, call in alive.items()}
        return {number: self._finish(number, started.get(number), call) for number, call in calls.items()}

    def _send(self, number: int, call: _Call) -> Any:
        share = self._shares[number]
        name, *arguments = call
        return self._pool.call(number, self._key, name, (self.step[share], self.diverged_at[share]), *arguments)

    def _finish(self, number: int, reference: Any, call: _Call | None) -> Any:
        """Returns what a call gave; where its worker died, that of the same call at the one in its place.

        Args:
            number: The worker.
            reference: The call, which has begun; None where the worker does not know the share any more.
            call: What is called; None is the opening.
        """
        for _ in range(MOST_DEATHS):
            try:
                if reference is None:
                    sizes = self._rebuild(number)
                    if call is None:
                        return sizes
                    reference = self._send(number, call)
                return self._pool.result(reference)
            except WorkerDiedError:
                self._pool.replace(number, self._lives[number])
                reference = None
        raise RunError(f"{MOST_DEATHS} workers of the cluster died in the same step. Run without --cluster to see why.")

    # ---- workers that die -------------------------------------------------------------------------------------------

    def _open(self, number: int) -> Any:
        members = [self.members[index] for index in self._shares[number]]
        return self._pool.open(number, self._key, self._kind, self.task, members, self.settings)

    def _save(self) -> None:
        """Fetches the state of members that have moved, so that little is replayed."""
        started = time.monotonic()
        self.snapshots([index for index, trace in enumerate(self._traces) if trace.runs])
        self._saved = time.monotonic()
        self._wait = max(_LEAST_SECONDS, (self._saved - started) / SHARE)

    def _rebuild(self, number: int) -> Any:
        """Brings a share to a worker that does not know it: its snapshots, then the steps since then."""
        share = self._shares[number]
        traces = [self._traces[index] for index in share]
        self._lives[number] = self._pool.lives[number]
        sizes = self._pool.result(self._open(number))

        def call(name: str, *arguments: Any) -> None:
            self._pool.result(self._pool.call(number, self._key, name, None, *arguments))

        for local, trace in enumerate(traces):
            if trace.released:
                call("release", local)
            elif trace.base is not None:
                call("restore", local, trace.base)
        for turn in range(max(len(trace.runs) for trace in traces)):
            runs = [trace.runs[turn] if turn < len(trace.runs) else (0, 1.0) for trace in traces]
            call("advance", np.array([run[0] for run in runs], np.int64), np.array([run[1] for run in runs]))
        return sizes
