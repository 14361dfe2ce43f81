"""Does `tune` find recipes as good as Optuna's in the same time, and sooner? Side by side on the same splits.

    python benchmarks/tune_vs_optuna.py                                      # 10 repeats, goes on where it stopped
    python benchmarks/tune_vs_optuna.py --repeats 1 --budget 130000steps --out scratch.json

benchmarks/README.md says what is compared, and how each side was set up.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna  # pyright: ignore[reportMissingImports]
import torch
from machine import hardware, today, versions
from torch import nn
from torch.nn import functional

import thalweg as tw
from thalweg.core import paired_difference, write_text
from thalweg.models import ACTIVATIONS
from thalweg.population import Control, Plan, Population, Session, default_plan
from thalweg.recipes import Axis, Recipe, default_axes, default_recipe
from thalweg.studies import Budget, parse_budget, plan_search, search
from thalweg.tasks import Task

DATA = "fashion-mnist"
CONFIRMATION_SEEDS = 10
#: the worst difference in test accuracy that still counts as "as good"
MARGIN = -0.005
#: repeats that the claim speaks of
WANTED_REPEATS = 10
#: seeds of two repeats are this far apart, so that no stage of one shares a seed with a stage of another
SEED_STRIDE = 1000
KINDS: dict[str, dict[str, bool]] = {
    "fused": {"fused": True},
    "foreach": {"foreach": True},
    "single": {"foreach": False},
}
ACTIVATION_MODULES: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU}


# ---- what both sides keep --------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Timeline:
    """The best validation accuracy of any model so far, by the clock of one side."""

    started: float = field(default_factory=time.perf_counter)
    steps: list[tuple[float, float]] = field(default_factory=list)
    best: float = float("-inf")

    def now(self) -> float:
        return time.perf_counter() - self.started

    def add(self, score: float) -> None:
        if score > self.best:
            self.best = score
            self.steps.append((round(self.now(), 3), score))

    def reached(self, score: float) -> float | None:
        """Returns the seconds until a model first had this score, or None where none had."""
        return next((seconds for seconds, best in self.steps if best >= score), None)


def recipe_text(recipe: Recipe, axes: Sequence[Axis]) -> dict[str, Any]:
    return {axis.field: getattr(recipe, axis.field) for axis in axes}


# ---- our side --------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Ours:
    seconds: float
    decided: float
    stages: dict[str, float]
    timeline: Timeline
    recipe: Recipe
    first_confirmation_seed: int
    validation: float
    test: tuple[float, ...]
    screened: int
    steps: int


def run_ours(task: Task, base: Recipe, axes: list[Axis], *, budget: Budget, plan: Plan, seed: int) -> Ours:
    """Runs the search that `tune(task, seed=seed)` runs, and looks at its clock after every segment.

    `tune` keeps its session to itself, and a history has no clock: so this makes the calls that `tune` makes without a
    folder. A score counts from the end of its segment, which is up to 0.2 s late: never in our favour.
    """
    timeline = Timeline()
    seen: dict[str, int] = {}
    stages: dict[str, float] = {}
    first_look: dict[str, float] = {}

    def look() -> None:
        name = next(reversed(session.populations))
        history = session.populations[name].history
        for record in history[seen.get(name, 0) :]:
            timeline.add(record.validation_score)
        seen[name] = len(history)
        stages[name] = timeline.now()
        first_look.setdefault(name, stages[name])

    planned = plan_search(task, base, axes, budget=budget, seeds=CONFIRMATION_SEEDS, seed=seed, plan=plan)
    session = Session(task, planned.plan, Control(on_segment=look))
    found = search(session, base, axes, size=planned.size, seeds=CONFIRMATION_SEEDS, seed=seed)
    seconds = timeline.now()
    if found is None or found.validation is None or found.test is None:
        raise RuntimeError("our search ended without a confirmed recipe")
    return Ours(
        seconds=seconds,
        decided=first_look["confirmation"],
        stages={name: round(end, 2) for name, end in stages.items()},
        timeline=timeline,
        recipe=found.recommended,
        first_confirmation_seed=session.populations["confirmation"].members[0].seed,
        validation=found.validation.over_seeds.mean,
        test=found.test.values,
        screened=len(found.screened),
        steps=sum(num_steps(population) for population in session.populations.values()),
    )


def num_steps(population: Population) -> int:
    return sum(population.step(number) for number in range(len(population)))


# ---- sequential PyTorch ----------------------------------------------------------------------------------------------


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


# ---- Optuna's side ---------------------------------------------------------------------------------------------------


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


def run_optuna(
    task: Task, base: Recipe, axes: list[Axis], *, seconds: float, setting: TorchSetting, seed: int
) -> Theirs:
    """Runs TPE with Hyperband pruning for so many seconds of wall clock."""
    torch.set_num_threads(setting.threads)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    timeline = Timeline()
    deadline = timeline.started + seconds
    data = TorchData(task)
    spent, steps = 0.0, 0

    def objective(trial: optuna.Trial) -> float:
        nonlocal spent, steps
        recipe = base.changed(**suggest(trial, axes))
        kind = setting.kinds[recipe.optimizer]
        score = float("nan")
        epochs = train_epochs(recipe, data, kind, seed=seed, deadline=deadline)
        for epoch in range(1, recipe.epochs + 1):
            started = time.perf_counter()
            try:
                score = next(epochs)
            finally:
                spent += time.perf_counter() - started
            steps += len(data.x) // (recipe.batch_size or len(data.x))
            timeline.add(score)
            trial.report(score if np.isfinite(score) else 0.0, epoch)
            if not np.isfinite(score) or trial.should_prune():
                raise optuna.TrialPruned
        return score

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(multivariate=True, group=True, seed=seed),
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=base.epochs, reduction_factor=3),
    )
    completed_at: dict[int, float] = {}

    def note(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        completed_at[trial.number] = timeline.now()

    study.optimize(objective, timeout=seconds, catch=(OutOfTimeError,), callbacks=[note])
    counts = {
        state.name.lower(): sum(trial.state == state for trial in study.trials)
        for state in (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.FAIL)
    }
    if not counts["complete"]:
        raise RuntimeError(f"Optuna completed no trial in {seconds:.1f} s; give a larger --budget.")
    best = study.best_trial
    return Theirs(
        seconds=timeline.now(),
        decided=completed_at[best.number],
        timeline=timeline,
        recipe=base.changed(**suggest(optuna.trial.FixedTrial(best.params), axes)),  # type: ignore[arg-type]
        score=study.best_value,
        counts=counts,
        training_seconds=spent,
        steps=steps,
    )


# ---- one repeat ------------------------------------------------------------------------------------------------------


def run_repeat(repeat: int, *, budget: Budget, plan: Plan, setting: TorchSetting) -> dict[str, Any]:
    """Returns one row: both sides on one split, and both recipes scored by the same code on the same fresh seeds."""
    task = tw.load_task(DATA, seed=repeat)
    base = default_recipe(len(task.train))
    axes = default_axes(base, len(task.train))
    seed = repeat * SEED_STRIDE
    torch.set_num_threads(plan.threads)
    ours = run_ours(task, base, axes, budget=budget, plan=plan, seed=seed)
    theirs = run_optuna(task, base, axes, seconds=ours.seconds, setting=setting, seed=seed)
    torch.set_num_threads(plan.threads)
    confirmed = tw.train(task, theirs.recipe, seeds=CONFIRMATION_SEEDS, seed=ours.first_confirmation_seed, plan=plan)
    if confirmed.test is None or confirmed.validation is None:
        raise RuntimeError(f"Optuna's recipe of repeat {repeat} diverged on all confirmation seeds: {theirs.recipe}")
    ours_test, theirs_test = float(np.mean(ours.test)), confirmed.test.over_seeds.mean
    reached, aim = ours.timeline.reached(theirs.score), theirs.timeline.reached(theirs.score)
    assert aim is not None  # its own end score is in its own timeline
    as_good = ours_test >= theirs_test
    return {
        "repeat": repeat,
        "seconds": ours.seconds,
        "test_difference": ours_test - theirs_test,
        "ours": {
            "test": ours_test,
            "test_values": list(ours.test),
            "validation": ours.validation,
            "recipe": recipe_text(ours.recipe, axes),
            "screened": ours.screened,
            "steps": ours.steps,
            "stage_ends": ours.stages,
            "decided_at": round(ours.decided, 3),
            "best_validation_so_far": ours.timeline.steps,
        },
        "optuna": {
            "test": theirs_test,
            "test_values": list(confirmed.test.values),
            "validation": confirmed.validation.over_seeds.mean,
            "diverged_seeds": len(confirmed.diverged),
            "recipe": recipe_text(theirs.recipe, axes),
            "end_score": theirs.score,
            "trials": theirs.counts,
            "steps": theirs.steps,
            "seconds": theirs.seconds,
            "training_seconds": theirs.training_seconds,
            "decided_at": round(theirs.decided, 3),
            "best_validation_so_far": theirs.timeline.steps,
        },
        "to_end_score": {"ours": reached, "optuna": aim, "ratio": None if reached is None else reached / aim},
        "to_recipe": {
            "ours": ours.decided if as_good else None,
            "optuna": theirs.decided,
            "ratio": ours.decided / theirs.decided if as_good else None,
        },
    }


# ---- the summary -----------------------------------------------------------------------------------------------------


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the paired difference in test accuracy, the time ratios, and whether each claim holds."""
    difference = paired_difference([row["ours"]["test"] for row in rows], [row["optuna"]["test"] for row in rows])
    enough = len(rows) >= WANTED_REPEATS
    sooner = summarise_ratios([row["to_end_score"]["ratio"] for row in rows])
    recipe_sooner = summarise_ratios([row["to_recipe"]["ratio"] for row in rows])
    median = sooner["median"]
    return {
        "repeats": len(rows),
        "seconds_a_side": statistics.median(row["seconds"] for row in rows),
        "test_difference": bounded(difference.to_json()),
        "time_to_optunas_end_score": sooner,
        "time_to_a_recipe_as_good": recipe_sooner,
        "claims": {
            "as_good": {
                "text": "the lower end of the 95% interval of the paired difference is above -0.5 points",
                "holds": difference.low > MARGIN if enough else None,
            },
            "sooner": {
                "text": "the median ratio of the times to the score at which Optuna ends is below 1",
                "holds": (median is not None and median < 1) if enough else None,
            },
        },
    }


def summarise_ratios(ratios: Sequence[float | None]) -> dict[str, Any]:
    """Returns the median of ours / Optuna's; a repeat in which ours never got there counts as above every ratio."""
    values = [float("inf") if ratio is None else ratio for ratio in ratios]
    median = statistics.median(values)
    return {
        "median": median if np.isfinite(median) else None,
        "below_1": sum(value < 1 for value in values),
        "never_reached": sum(ratio is None for ratio in ratios),
        "ratios": list(ratios),
    }


def bounded(data: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in data.items()}


def print_row(row: dict[str, Any]) -> None:
    ours, theirs = row["ours"], row["optuna"]
    ratios = [
        "never" if row[key]["ratio"] is None else f"{row[key]['ratio']:.2f}" for key in ("to_end_score", "to_recipe")
    ]
    print(
        f"{row['repeat']:6}  {row['seconds']:7.1f}  {ours['test']:.4f}  {theirs['test']:.4f}  "
        f"{100 * row['test_difference']:+6.2f}  {theirs['end_score']:9.3f}  {ratios[0]:>8}  {ratios[1]:>9}  "
        f"{ours['screened']:5}  {theirs['trials']['complete']:4} + {theirs['trials']['pruned']}",
        flush=True,
    )


HEADER = "repeat  seconds    ours  Optuna   points  end score  to score  to recipe  screened; trials + pruned"


def print_summary(summary: dict[str, Any]) -> None:
    found = summary["test_difference"]
    ends = ["unbounded" if found[end] is None else f"{100 * found[end]:+.2f}" for end in ("low", "high")]
    print(f"test accuracy, ours - Optuna: {100 * found['mean']:+.2f} points, 95% interval {ends[0]} to {ends[1]}")
    for key in ("time_to_optunas_end_score", "time_to_a_recipe_as_good"):
        part = summary[key]
        median = "not reached" if part["median"] is None else f"{part['median']:.2f}"
        print(
            f"{key.replace('_', ' ')}: median ratio {median}, below 1 in {part['below_1']} of {summary['repeats']}, "
            f"never reached in {part['never_reached']}"
        )
    for claim in summary["claims"].values():
        verdict = {True: "holds", False: "DOES NOT HOLD", None: f"needs {WANTED_REPEATS} repeats"}[claim["holds"]]
        print(f"claim: {claim['text']}: {verdict}")


# ---- the machine -----------------------------------------------------------------------------------------------------

_START = """
import time, thalweg as tw
task = tw.load_task("fashion-mnist")
times = [time.perf_counter()]
for _ in range(2):
    tw.train(task, tw.Recipe(epochs=1), seeds=1)
    times.append(time.perf_counter())
print(times[1] - times[0] - (times[2] - times[1]))
"""


def measure_start() -> dict[str, float]:
    """Returns what the first training of a process costs extra: with an empty kernel cache, then with a filled one."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        found = {}
        for name in ("compiled", "cached"):
            done = subprocess.run(
                [sys.executable, "-c", _START], env=environment, capture_output=True, text=True, check=True
            )
            found[name] = round(float(done.stdout), 2)
    return found


def describe(budget: str | None, plan: Plan) -> dict[str, Any]:
    """Returns what must not change between the repeats of one file."""
    task = tw.load_task(DATA, seed=0)
    base = default_recipe(len(task.train))
    return {
        "hardware": hardware(),
        "versions": versions("optuna", "torch", "numba", "numpy"),
        "task": {"name": DATA, "train": len(task.train), "validation": len(task.validation), "test": len(task.test)},
        "ours": {"budget": budget or "default", "plan": asdict(plan), "confirmation_seeds": CONFIRMATION_SEEDS},
        "base_recipe": asdict(base),
        "axes": [str(axis) for axis in default_axes(base, len(task.train))],
    }


def describe_optuna(setting: TorchSetting, probe: list[dict[str, Any]], base_epochs: int) -> dict[str, Any]:
    return {
        "sampler": "TPESampler(multivariate=True, group=True, seed=repeat's seed), other options as they are",
        "pruner": f"HyperbandPruner(min_resource=1, max_resource={base_epochs}, reduction_factor=3)",
        "value": "validation accuracy after the last epoch; the best completed trial is the recipe",
        "training": "sequential eager PyTorch, tensors in memory, one gather an epoch",
        "threads": setting.threads,
        "optimizer_kinds": setting.kinds,
        "probe": probe,
    }


def load_report(path: Path, about: dict[str, Any]) -> dict[str, Any] | None:
    """Returns what an earlier call wrote, or None; ends the program where it was another measurement."""
    if not path.exists():
        return None
    report = json.loads(path.read_text())
    about = json.loads(json.dumps(about))
    changed = [key for key, value in about.items() if report["config"].get(key) != value]
    if changed:
        sys.exit(f"{path} was measured with another {', '.join(changed)}; move it away, or give another --out.")
    return report


def save_report(path: Path, report: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(report, indent=1, allow_nan=False) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare tune with Optuna at the same wall clock.")
    parser.add_argument("--repeats", type=int, default=WANTED_REPEATS)
    parser.add_argument("--budget", help="of our side, as in `thalweg tune --budget`; default is its default")
    parser.add_argument("--threads", type=int, default=default_plan().threads, help="cores of our side, most of theirs")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "tune_vs_optuna.json")
    given = parser.parse_args()
    plan = Plan(threads=given.threads)
    budget = parse_budget(given.budget) if given.budget else Budget()
    about = describe(given.budget, plan)
    report = load_report(given.out, about)
    if report is None:
        task = tw.load_task(DATA, seed=0)
        base = default_recipe(len(task.train))
        setting, probe = probe_torch(task, base, max_threads=given.threads)
        report = {
            "date": today(),
            "config": {**about, "optuna": describe_optuna(setting, probe, base.epochs)},
            "first_training_extra_seconds": measure_start(),
            "rows": [],
        }
        save_report(given.out, report)
    chosen = report["config"]["optuna"]
    setting = TorchSetting(threads=chosen["threads"], kinds=chosen["optimizer_kinds"])
    print(f"PyTorch: {setting.threads} threads, {setting.kinds}")
    print(f"first training of a process, extra seconds: {report['first_training_extra_seconds']}")
    tw.train(tw.load_task(DATA, seed=0), Recipe(epochs=1), seeds=2, plan=plan)  # loads the kernel, outside the clocks
    print(HEADER)
    done = {row["repeat"]: row for row in report["rows"]}
    for repeat in range(given.repeats):
        if repeat not in done:
            row = run_repeat(repeat, budget=budget, plan=plan, setting=setting)
            report["rows"].append(row)
            report["summary"] = summarise(report["rows"])
            save_report(given.out, report)
        else:
            row = done[repeat]
        print_row(row)
    print_summary(report["summary"])
    return 1 if False in [claim["holds"] for claim in report["summary"]["claims"].values()] else 0


if __name__ == "__main__":
    sys.exit(main())
