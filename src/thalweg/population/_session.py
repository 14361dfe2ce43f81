"""How a question runs its populations: one plan, one control, and a folder where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from thalweg.population._checkpoint import Allowance, Checkpointer, write_history
from thalweg.population._control import Control
from thalweg.population._kernel_cache import is_compiled
from thalweg.population._planner import Plan
from thalweg.population._population import Population, Record
from thalweg.population._watching import Watching
from thalweg.recipes import Member
from thalweg.store import RunFolder
from thalweg.tasks import Task


class Session:
    """Opens and runs the populations of one run, and keeps them on disk where the run has a folder.

    A question calls the same populations in the same order each time it is asked with the same options. So a resumed
    run asks again, and every population that the folder knows goes on from where it was.

    Args:
        task: What is optimised.
        plan: How members run.
        control: Pause, cancel, progress.
        folder: The run, or None to keep everything in memory.
    """

    def __init__(self, task: Task, plan: Plan, control: Control | None = None, folder: RunFolder | None = None) -> None:
        self.task, self.plan, self.folder = task, plan, folder
        self.control = control or Control()
        self.populations: dict[str, Population] = {}
        self._checkpoints: dict[str, Checkpointer] = {}
        self._allowance = Allowance()
        self._said: set[str] = set()

    def open(
        self,
        name: str,
        members: Sequence[Member],
        plan: Plan | None = None,
        *,
        task: Task | None = None,
        watching: Watching | None = None,
    ) -> Population:
        """Returns a population under a name, where the run knows it in the state it had.

        Args:
            name: Unique within the run.
            members: What trains.
            plan: How, in place of the run's.
            task: On what, in place of the run's: the same data in another form.
            watching: When members are looked at; None is never.
        """
        population = Population(task or self.task, members, plan or self.plan, watching=watching)
        self.populations[name] = population
        if "kernel" in population.reasons and not is_compiled():
            self._note("Compiling the kernel, once for this machine and version: about a minute.")
        for recipe in dict.fromkeys(member.recipe for member in members):
            self._note(population.plan.slow(population.task, recipe))
        if self.folder is not None:
            self._checkpoints[name] = Checkpointer(population, self.folder, name, self._allowance)
            done = sum(population.step(n) for n in range(len(population)))
            if done and self.control.on_progress is not None:
                self.control.on_progress(done)
        return population

    def _note(self, text: str | None) -> None:
        """Says a sentence to who waits, once."""
        if text is not None and text not in self._said and self.control.on_note is not None:
            self._said.add(text)
            self.control.on_note(text)

    def run(self, name: str, *, which: Sequence[int] | None = None, epochs: int | None = None) -> bool:
        """Advances a population; returns False where the run was cancelled before all were there."""
        checkpoint = self._checkpoints.get(name)

        def on_segment() -> None:
            if checkpoint is not None:
                checkpoint.save_if_due()
            if self.control.on_segment is not None:
                self.control.on_segment()

        self.populations[name].run(replace(self.control, on_segment=on_segment), which=which, epochs=epochs)
        if checkpoint is not None and self.control.cancelled:
            checkpoint.save()
        return not self.control.cancelled

    def close(self, name: str, keep: Sequence[int] = ()) -> None:
        """Saves a population that is done, without the members that are not needed again."""
        population = self.populations[name]
        kept = set(keep)
        population.release([n for n in range(len(population)) if n not in kept])
        if name in self._checkpoints:
            self._checkpoints[name].save()

    @property
    def checkpoint_seconds(self) -> float:
        """The time that saving took."""
        return self._allowance.spent

    def announce(self, steps: int) -> None:
        """Tells the control how many member-steps the whole run will take."""
        if self.control.on_size is not None:
            self.control.on_size(steps)

    def log(self, kind: str, **detail: object) -> None:
        """Writes an event to the run's log, where there is one."""
        if self.folder is not None:
            self.folder.log(kind, dict(detail))

    def history(self, name: str) -> list[Record]:
        """Returns the history of a population by member and step: the same however the segments fell."""
        return sorted(self.populations[name].history, key=lambda record: (record.member, record.step))

    def merge_history(self) -> None:
        """Writes `history.parquet`: all populations, in the order in which they were opened."""
        assert self.folder is not None
        write_history(self.folder.path / "history.parquet", {name: self.history(name) for name in self.populations})
