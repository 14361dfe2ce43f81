"""Which program runs which members: decided once, stored with the run, replayed by resume."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from thalweg.core import InputError, check_choice
from thalweg.optim import RULES, ElementwiseRule
from thalweg.population._batched_program import BatchedProgram
from thalweg.population._cluster import ClusterProgram
from thalweg.population._contract import Program, Settings
from thalweg.population._kernel_program import KernelProgram
from thalweg.population._loop_program import LoopProgram
from thalweg.population._ray_pool import check_address
from thalweg.population._sizes import step_cost
from thalweg.population._vmap_program import VmapProgram
from thalweg.recipes import Member, Recipe
from thalweg.tasks import Task

PROGRAMS: dict[str, type[Program]] = {
    "kernel": KernelProgram,
    "batched": BatchedProgram,
    "vmap": VmapProgram,
    "loop": LoopProgram,
}
#: device -> programs in the order of preference: on a CPU lanes must show that they pay
PREFERENCE = {"cpu": ("kernel", "loop", "batched", "vmap"), "cuda": ("batched", "vmap", "loop")}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The program of the recipes of one structure, as it was chosen.

    Args:
        structure: What the recipes share (see `structure_of`).
        program: The name of the program.
        why: A clause, with numbers where programs were measured.
        step_seconds: Of one member-step in company, measured; None where nothing had to be measured.
        member_bytes: What a member keeps between its steps.
        alone: Whether every other program refuses; `why` is then the reason of the one that takes most.
    """

    structure: str
    program: str
    why: str
    step_seconds: float | None
    member_bytes: int
    alone: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan(Settings):
    """How members run. Under one plan a member gives the same bits alone, in company, permuted and resumed.

    Args:
        program: "auto", or the name of one program for all members.
        cluster: None for this machine; `local`, or HOST:PORT of a Ray cluster, for workers of one core each.
        choices: What `make_plan` chose under "auto". Recipes of another structure are run by the first program, in the
            order of preference, that does not refuse them.

    Raises:
        InputError: for a program that there is not, a cluster that is no address or has workers of several threads,
            and for what `Settings` refuses.
    """

    program: str = "auto"
    cluster: str | None = None
    choices: tuple[Choice, ...] = ()

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

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """Returns the plan that `to_json` described."""
        return cls(**{**data, "choices": tuple(Choice(**choice) for choice in data.get("choices", ()))})

    def program_for(self, task: Task, recipe: Recipe) -> tuple[str, str]:
        """Returns (program, why).

        Raises:
            InputError: where the program that was asked for, or every program, refuses the recipe.
        """
        if self.program != "auto":
            refusal = PROGRAMS[self.program].refuses(task, recipe, self)
            if refusal is not None:
                raise InputError("program", f"one that can run the recipe ({refusal})", self.program, "Use auto.")
            return self.program, "asked for"
        choice = self._choice(task, recipe)
        if choice is not None:
            return choice.program, choice.why
        return first_choice(task, recipe, self)

    def _choice(self, task: Task, recipe: Recipe) -> Choice | None:
        structure = structure_of(task, recipe, self) if self.choices else ""
        for choice in self.choices:
            if choice.structure == structure and PROGRAMS[choice.program].refuses(task, recipe, self) is None:
                return choice
        return None

    def slow(self, task: Task, recipe: Recipe) -> str | None:
        """Returns a line that says why a recipe runs in the loop where every other program refuses it, or None."""
        choice = self._choice(task, recipe)
        if choice is None or choice.program != "loop" or not choice.alone:
            return None
        what = f"{recipe.model} with {recipe.optimizer}" if recipe.model in ("linear", "mlp") else recipe.model
        return f"{what} runs in the loop: {choice.why}."

    def in_full_precision(self) -> Plan:
        """Returns the plan of members whose scores or weights are reported: products are not rounded to fewer bits."""
        return self if self.precision == "float64" else replace(self, precision="float32")

    def of_saved_model(self, recipe: Recipe) -> Plan:
        """Returns the plan of the one member whose weights are saved: the loop on a CPU, in float64.

        In float32 the rounding of two programs grows over a long run until up to 2% of predictions differ (measured:
        MLP of 128 units, 24 epochs of Fashion-MNIST). In float64 `train.py` repeats the saved model on any machine. A
        user's own module keeps the precision it was made for.

        A dense network gets one thread: beside other work, two of torch wait at the barriers of its small products
        (docs/log.md).
        """
        precision = self.in_full_precision().precision if ":" in recipe.model else "float64"
        threads = 1 if recipe.model in ("linear", "mlp") else self.threads
        return Plan(program="loop", precision=precision, threads=threads)


def first_choice(task: Task, recipe: Recipe, settings: Settings) -> tuple[str, str]:
    """Returns the first program that does not refuse a recipe, and why it is the first.

    Raises:
        InputError: where all refuse, with the last reason.
    """
    why = "the first in the order of preference"
    for name in PREFERENCE[settings.device]:
        refusal = PROGRAMS[name].refuses(task, recipe, settings)
        if refusal is None:
            return name, why
        why = refusal
    raise InputError("model", f"one that the settings fit ({why})", recipe.model)


def structure_of(task: Task, recipe: Recipe, settings: Settings) -> str:
    """Returns what the recipes of one choice share: model, size of a step, kind of update rule.

    Recipes that differ in activation, elementwise rule or a little in size run alike, so one measurement serves them.
    """
    size = round(math.log10(step_cost(task, recipe)))
    rule = "elementwise" if isinstance(RULES[recipe.optimizer], ElementwiseRule) else recipe.optimizer
    return f"{recipe.model}, {rule}, 1e{size} operations, {settings.precision} on {settings.device}"


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
