"""Optuna: TPE with Hyperband pruning over trials of sequential eager PyTorch."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import optuna  # pyright: ignore[reportMissingImports]
import torch
from optuna.storages.journal import JournalFileBackend  # pyright: ignore[reportMissingImports]
from torch import nn
from torch.nn import functional

from contenders.timeline import Timeline, best_of
from thalweg.models import ACTIVATIONS
from thalweg.recipes import Axis, Recipe
from thalweg.tasks import Task

KINDS: dict[str, dict[str, bool]] = {
    "fused": {"fused": True},
    "foreach": {"foreach": True},
    "single": {"foreach": False},
}
ACTIVATION_MODULES: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU}


class OutOfTimeError(Exception):
    """The wall clock of the study is over; the trial in progress is cut."""


@dataclass(frozen=True, kw_only=True)
class TorchSetting:
    """How the sequential side trains: what a probe found fastest on this machine."""

    threads: int
    kinds: dict[str, str]
    """Optimizer of the recipe -> implementation of torch.optim: fused, foreach or single."""


class TorchData:
    """The rows of a task as flat tensors in memory."""

    def __init__(self, task: Task) -> None:
        self.x = torch.from_numpy(task.train.x).flatten(1)
        self.y = torch.from_numpy(task.train.y)
        self.x_validation = torch.from_numpy(task.validation.x).flatten(1)
        self.y_validation = torch.from_numpy(task.validation.y)
        self.num_classes = task.output_size


def build_model(recipe: Recipe, data: TorchData) -> nn.Sequential:
    """Returns the recipe's network at our `he` start: normal, variance gain^2 / fan_in, biases 0."""
    layers: list[nn.Module] = []
    width = data.x.shape[1]
    found = ACTIVATIONS[recipe.activation]
    gain = found.gain(found.parameter or 0.0)
    for units in recipe.widths:
        layers += [make_linear(width, units, gain), ACTIVATION_MODULES[recipe.activation]()]
        width = units
    return nn.Sequential(*layers, make_linear(width, data.num_classes, 1.0))


def make_linear(fan_in: int, fan_out: int, gain: float) -> nn.Linear:
    layer = nn.Linear(fan_in, fan_out, device="meta").to_empty(device="cpu")
    nn.init.normal_(layer.weight, 0.0, gain / fan_in**0.5)
    nn.init.zeros_(layer.bias)
    return layer


def build_optimizer(recipe: Recipe, model: nn.Module, kind: str) -> torch.optim.Optimizer:
    shared: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay, **KINDS[kind]}
    if recipe.optimizer in ("sgd", "momentum"):
        momentum = recipe.momentum if recipe.optimizer == "momentum" else 0.0
        return torch.optim.SGD(model.parameters(), momentum=momentum, **shared)
    rule = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    return rule(model.parameters(), betas=(recipe.beta1, recipe.beta2), eps=recipe.eps, **shared)


def train_epochs(
    recipe: Recipe, data: TorchData, kind: str, *, seed: int, deadline: float = float("inf")
) -> Iterator[float]:
    """Trains a recipe and gives the validation accuracy after each epoch, NaN once the outputs are not finite.

    The rows are gathered once an epoch, so that a batch is a view; nothing reads a number back within an epoch.

    Raises:
        OutOfTimeError: at the deadline.
    """
    torch.manual_seed(seed)
    model = build_model(recipe, data)
    optimizer = build_optimizer(recipe, model, kind)
    size = recipe.batch_size or len(data.x)
    for _ in range(recipe.epochs):
        order = torch.randperm(len(data.x))[: len(data.x) // size * size]
        for x, y in zip(data.x[order].split(size), data.y[order].split(size), strict=True):
            loss = functional.cross_entropy(model(x), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if time.perf_counter() > deadline:
                raise OutOfTimeError
        with torch.inference_mode():
            out = model(data.x_validation)
            right = (out.argmax(1) == data.y_validation).double().mean().item()
            finite = bool(out.isfinite().all())
        yield right if finite else float("nan")  # out of the block: a suspended generator would leave the mode on


def probe_torch(task: Task, base: Recipe, *, max_threads: int) -> tuple[TorchSetting, list[dict[str, Any]]]:
    """Returns the fastest setting for one epoch at three places of the space, summed, and all that was measured."""
    data = TorchData(task)
    places = [(16, 128), (64, 64), (256, 256)]
    measured: list[dict[str, Any]] = []
    for threads in range(1, max_threads + 1):
        torch.set_num_threads(threads)
        for optimizer in ("sgd", "momentum", "adam", "adamw"):
            for kind in KINDS:
                seconds = 0.0
                for batch_size, width in places:
                    recipe = base.changed(
                        optimizer=optimizer,
                        lr=1e-3,
                        batch_size=batch_size,
                        widths=(width,),
                        epochs=4,
                        activation="relu",
                    )
                    times = [time.perf_counter()]
                    times += [time.perf_counter() for _ in train_epochs(recipe, data, kind, seed=0)]
                    seconds += min(np.diff(times)[1:])
                row = {"threads": threads, "optimizer": optimizer, "kind": kind, "seconds": round(float(seconds), 4)}
                measured.append(row)
    best: dict[int, dict[str, dict[str, Any]]] = {}
    for row in sorted(measured, key=lambda row: row["seconds"]):
        best.setdefault(row["threads"], {}).setdefault(row["optimizer"], row)
    threads = min(best, key=lambda threads: sum(row["seconds"] for row in best[threads].values()))
    kinds = {name: str(row["kind"]) for name, row in best[threads].items()}
    return TorchSetting(threads=threads, kinds=kinds), measured


@dataclass(kw_only=True)
class Theirs:
    seconds: float
    decided: float
    timeline: Timeline
    recipe: Recipe
    score: float
    counts: dict[str, int]
    training_seconds: float
    steps: int


def suggest(trial: optuna.Trial, axes: Sequence[Axis]) -> dict[str, Any]:
    """Returns a point of exactly our axes; lists of numbers are suggested by place, so that TPE sees their order."""
    fields: dict[str, Any] = {}
    for axis in sorted(axes, key=lambda axis: axis.given is not None):
        if axis.values and not isinstance(axis.values[0], str):
            fields[axis.field] = axis.values[trial.suggest_int(axis.field, 0, len(axis.values) - 1)]
        elif axis.values:
            fields[axis.field] = trial.suggest_categorical(axis.field, axis.values)
        else:
            assert axis.cases is not None
            case = fields[axis.given or ""]
            low, high = axis.cases[case]
            fields[axis.field] = trial.suggest_float(f"{axis.field}_{case}", low, high, log=axis.scale == "log")
    return fields


class Objective:
    """Trains a trial and reports its validation accuracy after every epoch.

    Args:
        task: What is optimised.
        base: The recipe whose other fields stay.
        axes: What varies.
        setting: How sequential PyTorch trains.
        seed: Of every trial.
        timeline: Its clock runs; scores are added.
        seconds: On that clock, when the trial in progress is cut.

    Attributes:
        training_seconds: Spent in training and evaluation, the sampler and the pruner left out.
        steps: Optimizer steps.
        completed: (seconds, validation accuracy, recipe) of trials that came to their end.
        counts: Trials that were completed, pruned and cut.
    """

    def __init__(
        self,
        task: Task,
        base: Recipe,
        axes: Sequence[Axis],
        *,
        setting: TorchSetting,
        seed: int,
        timeline: Timeline,
        seconds: float,
    ) -> None:
        self.base, self.axes, self.setting, self.seed = base, axes, setting, seed
        self.timeline, self.seconds = timeline, seconds
        self.data = TorchData(task)
        self.training_seconds, self.steps = 0.0, 0
        self.completed: list[tuple[float, float, Recipe]] = []
        self.counts = {"complete": 0, "pruned": 0, "fail": 0}

    def __call__(self, trial: optuna.Trial) -> float:
        recipe = self.base.changed(**suggest(trial, self.axes))
        kind = self.setting.kinds[recipe.optimizer]
        deadline = self.timeline.started + self.seconds
        score = float("nan")
        epochs = train_epochs(recipe, self.data, kind, seed=self.seed, deadline=deadline)
        for epoch in range(1, recipe.epochs + 1):
            started = time.perf_counter()
            try:
                score = next(epochs)
            finally:
                self.training_seconds += time.perf_counter() - started
            self.steps += len(self.data.x) // (recipe.batch_size or len(self.data.x))
            self.timeline.add(score)
            trial.report(score if np.isfinite(score) else 0.0, epoch)
            if not np.isfinite(score) or trial.should_prune():
                raise optuna.TrialPruned
        return score

    def run(self, study: optuna.Study) -> None:
        """Runs trials until the time is over."""

        def note(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            self.counts[trial.state.name.lower()] += 1
            if trial.state == optuna.trial.TrialState.COMPLETE:
                assert trial.value is not None
                recipe = self.base.changed(**suggest(optuna.trial.FixedTrial(trial.params), self.axes))  # type: ignore[arg-type]
                self.completed.append((self.timeline.now(), trial.value, recipe))

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        left = self.timeline.started + self.seconds - time.perf_counter()
        study.optimize(self, timeout=left, catch=(OutOfTimeError,), callbacks=[note])


def run_optuna(
    task: Task, base: Recipe, axes: list[Axis], *, seconds: float, setting: TorchSetting, seed: int
) -> Theirs:
    """Runs TPE with Hyperband pruning for so many seconds of wall clock."""
    torch.set_num_threads(setting.threads)
    timeline = Timeline()
    objective = Objective(task, base, axes, setting=setting, seed=seed, timeline=timeline, seconds=seconds)
    objective.run(
        optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(multivariate=True, group=True, seed=seed),
            pruner=make_pruner(base),
        )
    )
    if not objective.completed:
        raise RuntimeError(f"Optuna completed no trial in {seconds:.1f} s; give a larger --budget.")
    decided, score, recipe = best_of(objective.completed)[-1]
    return Theirs(
        seconds=timeline.now(),
        decided=decided,
        timeline=timeline,
        recipe=recipe,
        score=score,
        counts=objective.counts,
        training_seconds=objective.training_seconds,
        steps=objective.steps,
    )


def make_pruner(base: Recipe) -> optuna.pruners.HyperbandPruner:
    return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=base.epochs, reduction_factor=3)


# ---- several processes -----------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Shared:
    """What processes that share a study found."""

    best: list[tuple[float, float, Recipe]]
    counts: dict[str, int]
    training_seconds: float
    steps: int


def run_optuna_in_processes(
    task: Task, base: Recipe, axes: list[Axis], *, seconds: float, setting: TorchSetting, seed: int, processes: int
) -> Shared:
    """Runs one study in so many processes of one thread, through a journal file; their start is not on the clock."""
    with TemporaryDirectory() as folder, get_context("spawn").Manager() as manager:
        journal = str(Path(folder) / "journal")
        optuna.create_study(study_name="study", direction="maximize", storage=open_journal(journal))
        barrier = manager.Barrier(processes)
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            jobs = [
                pool.submit(_take_part, task, base, axes, seconds, setting, seed, number, journal, barrier)
                for number in range(processes)
            ]
            objectives = [job.result() for job in jobs]
    completed, counts, training, steps = zip(*objectives, strict=True)
    return Shared(
        best=best_of([row for rows in completed for row in rows]),
        counts={name: sum(each[name] for each in counts) for name in counts[0]},
        training_seconds=sum(training),
        steps=sum(steps),
    )


def open_journal(path: str) -> optuna.storages.JournalStorage:
    return optuna.storages.JournalStorage(JournalFileBackend(path))


def _take_part(
    task: Task,
    base: Recipe,
    axes: list[Axis],
    seconds: float,
    setting: TorchSetting,
    seed: int,
    number: int,
    journal: str,
    barrier: Any,
) -> tuple[list[tuple[float, float, Recipe]], dict[str, int], float, int]:
    """One process of a study. Each draws by its own seed; `constant_liar` keeps them from drawing the same."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    study = optuna.load_study(
        study_name="study",
        storage=open_journal(journal),
        sampler=optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed + number),
        pruner=make_pruner(base),
    )
    barrier.wait()
    objective = Objective(task, base, axes, setting=setting, seed=seed, timeline=Timeline(), seconds=seconds)
    objective.run(study)
    return objective.completed, objective.counts, objective.training_seconds, objective.steps


def describe_optuna(
    setting: TorchSetting, probe: list[dict[str, Any]], base_epochs: int, *, processes: int = 1
) -> dict[str, Any]:
    apart = "constant_liar=True, seed=repeat's seed + number of the process" if processes > 1 else "seed=repeat's seed"
    return {
        "sampler": f"TPESampler(multivariate=True, group=True, {apart}), other options as they are",
        "pruner": f"HyperbandPruner(min_resource=1, max_resource={base_epochs}, reduction_factor=3)",
        "value": "validation accuracy after the last epoch; the best completed trial is the recipe",
        "training": "sequential eager PyTorch, tensors in memory, one gather an epoch",
        "processes": processes,
        "threads": setting.threads,
        "optimizer_kinds": setting.kinds,
        "probe": probe,
    }
