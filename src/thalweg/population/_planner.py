"""Which program runs which members: decided once, stored with the run, replayed by resume."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from thalweg.core import InputError, check_choice
from thalweg.optim import RULES
from thalweg.population._batched_program import BatchedProgram
from thalweg.population._cluster import ClusterProgram
from thalweg.population._contract import Program, Settings
from thalweg.population._kernel_program import KernelProgram
from thalweg.population._loop_program import LoopProgram
from thalweg.population._ray_pool import check_address
from thalweg.population._vmap_program import VmapProgram
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task

#: in the order of preference
PROGRAMS: dict[str, type[Program]] = {
    "kernel": KernelProgram,
    "batched": BatchedProgram,
    "vmap": VmapProgram,
    "loop": LoopProgram,
}
#: what `auto` may take
AUTOMATIC = ("kernel", "loop")


@dataclass(frozen=True, kw_only=True)
class Plan(Settings):
    """How members run. Under one plan a member gives the same bits alone, in company, permuted and resumed.

    Args:
        program: Recipe structure -> name of the program is decided by `program_for`; "auto", or one name for all.
        cluster: None for this machine; `local`, or HOST:PORT of a Ray cluster, for workers of one core each.

    Raises:
        InputError: for a program that there is not, a cluster that is no address or has workers of several threads,
            and for what `Settings` refuses.
    """

    program: str = "auto"
    cluster: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("program", self.program, ["auto", *PROGRAMS])
        if self.cluster is not None:
            check_address(self.cluster)
            if self.threads != 1:
                raise InputError("threads", "1 with a cluster, whose workers have one core each", self.threads)

    def open(self, name: str, task: Task, members: Sequence[Member]) -> Program:
        """Returns a program for some members, on this machine or shared out over the cluster."""
        if self.cluster is None:
            return PROGRAMS[name](task, members, self)
        return ClusterProgram(PROGRAMS[name], task, members, self, self.cluster)

    def to_json(self) -> dict[str, Any]:
        """Returns plain data."""
        return asdict(self)

    def program_for(self, task: Task, recipe: Recipe) -> tuple[str, str]:
        """Returns (program, why).

        Raises:
            InputError: where the program that was asked for cannot run the recipe.
        """
        if self.program != "auto":
            refusal = PROGRAMS[self.program].refuses(task, recipe, self)
            if refusal is not None:
                raise InputError("program", f"one that can run the recipe ({refusal})", self.program, "Use auto.")
            return self.program, "asked for"
        refusals = []
        for name in AUTOMATIC:
            refusal = PROGRAMS[name].refuses(task, recipe, self)
            if refusal is None:
                return name, refusals[0] if refusals else "a dense network with built-in pieces"
            refusals.append(refusal)
        raise InputError("model", f"one that the settings fit ({refusals[-1]})", recipe.model)


def default_plan() -> Plan:
    """Returns a plan that uses every core this process may use."""
    return Plan(threads=len(os.sched_getaffinity(0)))


def check_members(task: Task, members: Sequence[Member]) -> None:
    """Checks what only shows when a recipe meets its task.

    Raises:
        InputError: for a batch larger than the data, batch norm on batches of one row, a penalty that the rule cannot
            take, early stopping or reduce-on-plateau without validation rows.
    """
    num_rows = len(task.train.rows)
    for recipe in {member.recipe for member in members}:
        if recipe.batch_size is not None and recipe.batch_size > num_rows:
            raise InputError(
                "batch_size",
                f"at most the {num_rows} training rows",
                recipe.batch_size,
                "Take a smaller batch, or full for all rows.",
            )
        if recipe.norm == "batch" and recipe.batch_size == 1:
            raise InputError("batch_size", "at least 2 with batch norm", 1, "One row has no batch statistics.")
        rule = RULES[recipe.optimizer]
        if recipe.alpha * recipe.l1_ratio > 0 and not rule.proximal and "evaluate" not in rule.needs:
            raise InputError(
                "l1_ratio",
                f"0 with {recipe.optimizer}, which takes no proximal step",
                recipe.l1_ratio,
                "Set l1_ratio=0, or use sgd or adam.",
            )
        if recipe.patience is not None and len(task.validation.rows) == 0:
            raise InputError("patience", "off without validation rows", recipe.patience)
        if recipe.schedule == "plateau" and len(task.validation.rows) == 0:
            raise InputError("schedule", "one that needs no validation rows", recipe.schedule)
        if recipe.label_smoothing > 0 and task.loss not in ("cross_entropy", "bce"):
            remedy = "Only cross_entropy and bce have classes to spread over."
            raise InputError("label_smoothing", f"0 with the loss {task.loss}", recipe.label_smoothing, remedy)
        if ":" in recipe.model and recipe.dropout > 0:
            remedy = "Your own module drops units where it has nn.Dropout."
            raise InputError("dropout", f"0 with the model {recipe.model}", recipe.dropout, remedy)
        if recipe.activation == "maxout" and recipe.activation_parameter is not None:
            pieces = recipe.activation_parameter
            if pieces != int(pieces) or pieces < 2:
                raise InputError("activation_parameter", "2 pieces or more with maxout", pieces)
