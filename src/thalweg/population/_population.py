"""A population: members that run together, with their evaluations, early stopping and history."""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from thalweg.optim import PlateauState, plateau_init, plateau_update
from thalweg.population._contract import Pace, Program, Snapshot
from thalweg.population._control import Control
from thalweg.population._kernel_program import kernel_losses
from thalweg.population._planner import Plan, check_members
from thalweg.population._watching import MemberProbe, Watching
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task, evaluate_metric

#: control is read between segments of about this many seconds
SEGMENT_SECONDS = 0.2
#: a run of full length is evaluated at most this often
MOST_EVALUATIONS = 50
#: outputs of several members are judged together, about so many numbers at a time
STACK_SIZE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Record:
    """One evaluation of one member: a row of the history.

    Args:
        member: Place in the population. epoch: passes done. step: steps done. examples: rows seen.
        train_loss: Mean loss of the batches since the last evaluation.
        validation_loss: Mean loss on the validation rows.
        validation_score: The task's metric on them.
        lr: Step size of the last step.
    """

    member: int
    epoch: int
    step: int
    examples: int
    train_loss: float
    validation_loss: float
    validation_score: float
    lr: float


def epochs_between(recipe: Recipe) -> int:
    """Returns the epochs between two evaluations of a member: one, or several in a long run."""
    if recipe.patience is not None or recipe.schedule == "plateau":
        return 1
    return -(-recipe.epochs // MOST_EVALUATIONS)


@dataclass(kw_only=True)
class _Progress:
    """What the run loop knows about a member beside the program's state; all of it is plain data."""

    losses: array = field(default_factory=lambda: array("d"))  # a list of floats would cost a collection now and then
    lr_scale: float = 1.0
    plateau: dict[str, Any] = field(default_factory=lambda: asdict(plateau_init()))
    best_loss: float = float("inf")
    best_epoch: int = 0
    best: Snapshot | None = None
    stopped_at: int = -1
    released: bool = False
    probes: list[dict[str, Any]] = field(default_factory=list)


class Population:
    """Members that run together on one task.

    Args:
        task: What is optimised.
        members: Recipe, seed and start of each.
        plan: How they run.
        watching: When they are looked at; None is never.

    Raises:
        InputError: where a recipe does not fit the task.

    Example:
        >>> from thalweg.recipes import Member, Recipe
        >>> from thalweg.tasks import load_task
        >>> population = Population(load_task("iris"), [Member(recipe=Recipe(epochs=2, batch_size=16), seed=0)])
        >>> population.run()
        >>> [record.epoch for record in population.history]
        [1, 2]
    """

    def __init__(
        self, task: Task, members: Sequence[Member], plan: Plan | None = None, *, watching: Watching | None = None
    ) -> None:
        self.task = task
        self.members = list(members)
        self.plan = plan or Plan()
        self.watching = watching
        self.history: list[Record] = []
        self._records: dict[int, list[Record]] = {}
        check_members(task, self.members)
        self.programs: list[Program] = []
        self.reasons: dict[str, str] = {}
        self._place: list[tuple[int, int]] = [(-1, -1)] * len(self.members)
        cohorts: dict[str, list[int]] = {}
        for number, member in enumerate(self.members):
            name, why = self.plan.program_for(task, member.recipe)
            self.reasons.setdefault(name, why)
            cohorts.setdefault(name, []).append(number)
        for name, numbers in cohorts.items():
            program = self.plan.open(name, task, [self.members[n] for n in numbers])
            for local, number in enumerate(numbers):
                self._place[number] = (len(self.programs), local)
            self.programs.append(program)
        self._progress = [_Progress() for _ in self.members]
        self._seconds_per_flop = 2e-10

    def __len__(self) -> int:
        return len(self.members)

    # ---- counters -----------------------------------------------------------------------------------------------

    def pace(self, number: int) -> Pace:
        """Returns the batches, epochs and horizon of a member."""
        cohort, local = self._place[number]
        return self.programs[cohort].paces[local]

    def step(self, number: int) -> int:
        """Returns the steps that a member has done."""
        cohort, local = self._place[number]
        return int(self.programs[cohort].step[local])

    def diverged_at(self, number: int) -> int | None:
        """Returns the step at which a member's loss stopped being finite, or None."""
        cohort, local = self._place[number]
        step = int(self.programs[cohort].diverged_at[local])
        return None if step < 0 else step

    def stopped_at(self, number: int) -> int | None:
        """Returns the step at which early stopping ended a member, or None."""
        step = self._progress[number].stopped_at
        return None if step < 0 else step

    def alive(self, number: int) -> bool:
        """Returns whether a member still trains: it has not diverged, stopped early or reached its last epoch."""
        return (
            self.diverged_at(number) is None
            and self.stopped_at(number) is None
            and self.step(number) < self.pace(number).total_steps
        )

    # ---- running ------------------------------------------------------------------------------------------------

    def run(
        self, control: Control | None = None, *, which: Sequence[int] | None = None, epochs: int | None = None
    ) -> None:
        """Advances members until they have done a number of epochs, or all of theirs.

        Args:
            control: Pause, cancel, progress.
            which: Places of the members to advance; default is all.
            epochs: Epochs counted from each member's start; default is each recipe's own.
        """
        control = control or Control()
        targets = {
            n: min(self.pace(n).total_steps, (epochs or self.members[n].recipe.epochs) * self.pace(n).steps_per_epoch)
            for n in (range(len(self)) if which is None else which)
        }

        def waits(number: int) -> bool:
            return self.alive(number) and self.step(number) < targets[number]

        waiting = [n for n in targets if waits(n)]
        while True:
            control.wait_while_paused()
            if not waiting or control.cancelled:
                return
            done = self.run_segment(waiting, targets)
            waiting = [n for n in waiting if n not in done or waits(n)]
            if control.on_progress is not None:
                control.on_progress(sum(done.values()))
            if control.on_segment is not None:
                control.on_segment()

    def run_segment(self, waiting: list[int], targets: dict[int, int]) -> dict[int, int]:
        """Advances the first waiting members of one cohort by one stretch each; returns member -> steps done."""
        cohort, lead = self._place[waiting[0]]
        program = self.programs[cohort]
        leader = program.members[lead].recipe
        structure, width = program.structure(leader), program.side_by_side(leader, self.plan)
        if self.watching is not None:
            self._look([n for n in waiting if self._place[n][0] == cohort and not self._progress[n].probes])
        num_steps = np.zeros(len(program.members), np.int64)
        lr_scale = np.ones(len(program.members))
        stops: dict[int, int] = {}
        seconds = flops = 0.0
        for number in waiting:
            if seconds >= SEGMENT_SECONDS * program.cores and len(stops) >= width:
                break
            local = self._place[number][1]
            if self._place[number][0] != cohort or program.structure(program.members[local].recipe) != structure:
                continue
            stops[number] = self._next_stop(number, targets[number])
            cost = program.cost(local)
            # members side by side share the cores
            fitting = max(1, int(SEGMENT_SECONDS / (cost * self._seconds_per_flop * max(1, width / program.cores))))
            num_steps[local] = min(stops[number] - self.step(number), fitting)
            lr_scale[local] = self._progress[number].lr_scale
            seconds += cost * self._seconds_per_flop * float(num_steps[local])
            flops += cost * float(num_steps[local])
        started = time.perf_counter()
        losses = program.advance(num_steps, lr_scale)
        elapsed = max(time.perf_counter() - started, 1e-6)
        # cores work side by side: the rate is that of one core; a lane without a member costs as much as one with
        busy = max(width, len(stops))
        rate = elapsed * min(program.cores, busy) / (flops * busy / len(stops))
        self._seconds_per_flop += 0.3 * (rate - self._seconds_per_flop)
        done: dict[int, int] = {}
        arrived: list[int] = []
        for number, stop in stops.items():
            local = self._place[number][1]
            self._progress[number].losses.frombytes(losses[local].tobytes())
            done[number] = len(losses[local])
            if self.diverged_at(number) is not None:
                self._settle(number)
            elif self.step(number) == stop:
                arrived.append(number)
        self._arrive(arrived, targets)
        return done

    def _next_stop(self, number: int, target: int) -> int:
        """Returns the step at which a member is evaluated or looked at next, after the one where it stands."""
        step, stride = self.step(number), self._stride(number)
        stop = min((step // stride + 1) * stride, target)
        return stop if self.watching is None else min(stop, self.watching.next_look(step))

    def _stride(self, number: int) -> int:
        return epochs_between(self.members[number].recipe) * self.pace(number).steps_per_epoch

    def _arrive(self, arrived: list[int], targets: dict[int, int]) -> None:
        """Looks at members where they stopped for it, then evaluates those that stopped for that."""
        if self.watching is not None:
            powers = {n: self.watching.next_look(self.step(n) - 1) for n in arrived}
            self._look([n for n in arrived if self.step(n) in (powers[n], targets[n])])
        self.evaluate([n for n in arrived if self.step(n) % self._stride(n) == 0 or self.step(n) == targets[n]])
        if self.watching is not None:  # with the state that early stopping went back to
            self._look([n for n in arrived if self.stopped_at(n) is not None and self.step(n) < targets[n]])

    def _look(self, which: list[int]) -> None:
        assert self.watching is not None
        if which:
            for number, probe in zip(which, self.watching.look(self, which), strict=True):
                probes = self._progress[number].probes
                if probes and probes[-1]["step"] == probe.step:
                    probes.pop()
                probes.append(asdict(probe))

    def evaluate(self, arrived: Sequence[int]) -> None:
        """Adds a record of each of these members, with loss and score on the validation rows."""
        if not arrived:
            return
        split = self.task.validation
        if len(split.rows):
            losses, scores = self._judge(self.outputs(arrived, split.x), split.y)
        else:
            losses = scores = [float("nan")] * len(arrived)
        for number, loss, score in zip(arrived, losses, scores, strict=True):
            progress, pace, recipe = self._progress[number], self.pace(number), self.members[number].recipe
            step = self.step(number)
            epoch = step // pace.steps_per_epoch
            cohort, local = self._place[number]
            lr = self.programs[cohort].lr(local, step, progress.lr_scale)
            self._add_record(
                Record(
                    member=number,
                    epoch=epoch,
                    step=step,
                    examples=step * pace.batch_size,
                    train_loss=float(np.mean(np.array(progress.losses))) if progress.losses else float("nan"),
                    validation_loss=loss,
                    validation_score=score,
                    lr=lr,
                )
            )
            progress.losses = array("d")
            if recipe.schedule == "plateau":
                state, progress.lr_scale = plateau_update(
                    PlateauState(**progress.plateau), loss, schedule_gamma=recipe.schedule_gamma
                )
                progress.plateau = asdict(state)
            if recipe.patience is not None:
                self._watch(number, epoch, loss, recipe.patience)

    def _judge(self, outputs: list[np.ndarray], y: np.ndarray) -> tuple[list[float], list[float]]:
        """Returns the losses and scores of several members' outputs, worked out in stacks."""
        losses: list[float] = []
        scores: list[float] = []
        size = max(1, STACK_SIZE // outputs[0].size)
        for start in range(0, len(outputs), size):
            stacked = np.stack(outputs[start : start + size])
            losses += kernel_losses(self.task.loss, stacked, y).tolist()
            scores += evaluate_metric(self.task, stacked, y).tolist()
        return losses, scores

    def _watch(self, number: int, epoch: int, loss: float, patience: int) -> None:
        """Early stopping: keeps the best state, and restores it when the wait is over or the run ends."""
        progress, pace = self._progress[number], self.pace(number)
        if loss < progress.best_loss:
            progress.best_loss, progress.best_epoch = loss, epoch
            progress.best = self.snapshot(number)
        step = self.step(number)
        if epoch - progress.best_epoch >= patience:
            progress.stopped_at = step
        if progress.stopped_at >= 0 or step >= pace.total_steps:
            self._settle(number)

    def _settle(self, number: int) -> None:
        """Restores the best state of a member whose training is over; its counters stay where it ended."""
        progress = self._progress[number]
        cohort, local = self._place[number]
        program = self.programs[cohort]
        if progress.best is not None and progress.best_loss < float("inf"):
            step, diverged = program.step[local], program.diverged_at[local]
            program.restore(local, progress.best)
            program.step[local], program.diverged_at[local] = step, diverged
        progress.best = None

    # ---- results ------------------------------------------------------------------------------------------------

    def outputs(self, which: Sequence[int], x: np.ndarray) -> list[np.ndarray]:
        """Returns per member the outputs (before the link) for rows x, (n, K)."""
        found: dict[int, np.ndarray] = {}
        for cohort, program in enumerate(self.programs):
            numbers = [n for n in which if self._place[n][0] == cohort]
            outputs = program.outputs([self._place[n][1] for n in numbers], x)
            found.update(zip(numbers, outputs, strict=True))
        return [found[n] for n in which]

    def score(self, out: np.ndarray, y: np.ndarray) -> float:
        """Returns the task's metric for outputs (n, K) against their targets."""
        return float(evaluate_metric(self.task, out, y))

    def loss(self, out: np.ndarray, y: np.ndarray) -> float:
        """Returns the mean loss of outputs (n, K) against their targets, without label smoothing."""
        return float(kernel_losses(self.task.loss, out[None], y)[0])

    def snapshot(self, number: int) -> Snapshot:
        """Returns a copy of a member's state, from which forks start."""
        cohort, local = self._place[number]
        return self.programs[cohort].snapshot(local)

    def snapshots(self, which: Sequence[int]) -> list[Snapshot]:
        """Returns a copy of the state of members."""
        found: dict[int, Snapshot] = {}
        for cohort, program in enumerate(self.programs):
            numbers = [n for n in which if self._place[n][0] == cohort]
            states = program.snapshots([self._place[n][1] for n in numbers])
            found.update(zip(numbers, states, strict=True))
        return [found[n] for n in which]

    def eval_params(self, number: int) -> dict[str, np.ndarray]:
        """Returns a copy of the parameters that a member predicts with."""
        cohort, local = self._place[number]
        return self.programs[cohort].eval_params(local)

    def release(self, which: Sequence[int]) -> None:
        """Lets the memory of members go that will not run again."""
        for number in which:
            progress = self._progress[number]
            if not progress.released:
                cohort, local = self._place[number]
                self.programs[cohort].release(local)
                progress.released, progress.best = True, None

    def probes(self, number: int) -> list[MemberProbe]:
        """Returns what was seen of a member, in the order of its steps."""
        return [MemberProbe(**probe) for probe in self._progress[number].probes]

    def last_record(self, number: int, *, epochs: int | None = None) -> Record | None:
        """Returns the latest evaluation of a member (within so many epochs), or None before the first."""
        records = self._records.get(number, [])
        return next((r for r in reversed(records) if epochs is None or r.epoch <= epochs), None)

    def standing(self, number: int, *, epochs: int | None = None) -> Record | None:
        """Returns the evaluation of the state that a member has to show (within so many epochs), or None.

        That is its latest one; with early stopping the one with the least validation loss, whose state is restored.
        """
        if self.members[number].recipe.patience is None:
            return self.last_record(number, epochs=epochs)
        known = [r for r in self._records.get(number, []) if epochs is None or r.epoch <= epochs]
        return min(known, key=lambda record: record.validation_loss, default=None)

    def _add_record(self, record: Record) -> None:
        self.history.append(record)
        self._records.setdefault(record.member, []).append(record)

    # ---- state on disk ------------------------------------------------------------------------------------------

    def progress_json(self, number: int) -> dict[str, Any]:
        """Returns what the run loop knows about a member, as plain data; `restore_member` takes it."""
        progress = self._progress[number]
        about = {f.name: getattr(progress, f.name) for f in fields(progress) if f.name != "best"}
        about["losses"], about["probes"] = progress.losses.tolist(), list(progress.probes)
        return {**about, "step": self.step(number), "diverged_at": self.diverged_at(number)}

    def best_snapshot(self, number: int) -> Snapshot | None:
        """Returns the best state so far of a member that stops early, or None."""
        return self._progress[number].best

    def restore_member(self, number: int, about: dict[str, Any], state: Snapshot | None, best: Snapshot | None) -> None:
        """Sets a member to what `progress_json` and `snapshot` said of it; without a state it stays at its start."""
        about = {"probes": [], **about}  # of a run that was begun before members were looked at
        progress = _Progress(**{f.name: about[f.name] for f in fields(_Progress) if f.name != "best"})
        progress.losses = array("d", about["losses"])
        progress.best = best
        cohort, local = self._place[number]
        program = self.programs[cohort]
        self._progress[number] = progress
        if about["released"]:
            program.release(local)
        elif state is not None:
            program.restore(local, state)
        program.step[local] = about["step"]
        program.diverged_at[local] = -1 if about["diverged_at"] is None else about["diverged_at"]

    def restore_history(self, records: Sequence[Record]) -> None:
        """Sets the history to records that were saved."""
        self.history.clear()
        self._records.clear()
        for record in records:
            self._add_record(record)
