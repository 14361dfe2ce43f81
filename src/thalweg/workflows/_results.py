"""Results as plain data: what a run found, and what its files say."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from thalweg.core import Answer, Interval, render
from thalweg.doctor import Diagnosis
from thalweg.linear import PathOptions
from thalweg.population import Plan, Record, Scores
from thalweg.recipes import Recipe, recipe_to_text
from thalweg.search import AxisEffect, Fate, Tuning
from thalweg.tasks import Task


@dataclass(frozen=True, kw_only=True)
class TuneResult:
    """What `tune` found.

    Args:
        task: What was optimised.
        base: The recipe that the search started from.
        plan: How members ran.
        tuning: The search: recommended recipe, scores, effects.
        history: Every evaluation, by population: screening, choice-1, choice-2, ..., confirmation.
        seconds: Wall-clock time, all sittings together.
        complete: False where the search was interrupted.
        model_seed: Seed of the saved model; None before the confirmation.
        diagnosis: What the doctor saw in the loop of the saved model; None where it did not look.
        run: The run folder, or None.
    """

    kind: ClassVar[str] = "tune"

    task: Task
    base: Recipe
    plan: Plan
    tuning: Tuning
    history: dict[str, list[Record]]
    seconds: float
    complete: bool
    model_seed: int | None = None
    diagnosis: Diagnosis | None = None
    run: Path | None = None

    @property
    def recipe(self) -> Recipe:
        """The recommended recipe."""
        return self.tuning.recommended

    @property
    def script_seed(self) -> int | None:
        """The seed that `train.py` trains: that of the saved model."""
        return self.model_seed

    def to_json(self) -> dict[str, Any]:
        """Returns the object that `--json` prints; docs/reference/tune-json.md describes it."""
        found = self.tuning
        runner_up = None
        if found.runner_up is not None:
            runner_up = {
                "recipe": recipe_json(found.runner_up),
                "validation": scores_json(found.runner_up_validation),
                "difference": None if found.difference is None else found.difference.to_json(),
                "told_apart": None if found.difference is None else found.difference.told_apart,
                "seeds_to_tell": found.seeds_to_tell,
            }
        return {
            "task": task_json(self.task),
            "complete": self.complete,
            "recommended": {
                "recipe": recipe_json(found.recommended),
                "screening_score": _finite(found.screening_score),
                "validation": scores_json(found.validation),
                "test": scores_json(found.test),
            },
            "runner_up": runner_up,
            "axes": {effect.axis: effect_json(effect) for effect in found.effects},
            "screened": len(found.screened),
            "diverged": [{"member": d.member, "step": d.step, "recipe": d.recipe} for d in found.diverged],
            "fates": [fate.to_json() for fate in found.fates],
            "notes": list(found.notes),
            "steps": found.size.steps,
            "model_seed": self.model_seed,
            "diagnosis": None if self.diagnosis is None else self.diagnosis.to_json(),
            "seconds": round(self.seconds, 3),
            "run": None if self.run is None else str(self.run),
        }

    def __str__(self) -> str:
        return render(self, "text")

    def _repr_html_(self) -> str:
        return render(self, "notebook")


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What `train` found: one recipe on several seeds.

    Args:
        task: What was optimised.
        recipe: How.
        plan: How members ran.
        seeds: The seeds, in order.
        diverged: seed -> step at which its loss stopped being finite.
        fates: What became of the seeds, by symptom.
        validation: Scores on the validation rows; None where fewer than 2 seeds finished.
        test: Scores on the test rows; None likewise.
        history: Every evaluation.
        seconds: Wall-clock time.
        complete: False where it was interrupted.
        model_seed: Seed of the saved model; None where none finished.
        diagnosis: What the doctor saw in the loop of the saved model; None where it did not look.
        run: The run folder, or None.
    """

    kind: ClassVar[str] = "train"

    task: Task
    recipe: Recipe
    plan: Plan
    seeds: tuple[int, ...]
    history: dict[str, list[Record]]
    seconds: float
    complete: bool
    diverged: dict[int, int] = field(default_factory=dict)
    fates: tuple[Fate, ...] = ()
    validation: Scores | None = None
    test: Scores | None = None
    model_seed: int | None = None
    diagnosis: Diagnosis | None = None
    run: Path | None = None

    @property
    def script_seed(self) -> int | None:
        """The seed that `train.py` trains: that of the saved model; where every seed diverged, the first."""
        return self.seeds[0] if len(self.diverged) == len(self.seeds) else self.model_seed

    def to_json(self) -> dict[str, Any]:
        """Returns the object that `--json` prints."""
        return {
            "task": task_json(self.task),
            "complete": self.complete,
            "recipe": recipe_json(self.recipe),
            "seeds": list(self.seeds),
            "diverged": [{"seed": seed, "step": step} for seed, step in self.diverged.items()],
            "fates": [fate.to_json() for fate in self.fates],
            "validation": scores_json(self.validation),
            "test": scores_json(self.test),
            "model_seed": self.model_seed,
            "diagnosis": None if self.diagnosis is None else self.diagnosis.to_json(),
            "seconds": round(self.seconds, 3),
            "run": None if self.run is None else str(self.run),
        }

    def __str__(self) -> str:
        return render(self, "text")

    def _repr_html_(self) -> str:
        return render(self, "notebook")


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """What a study found.

    Args:
        name: Of the study.
        question: What it asked.
        task: What was optimised.
        recipe: The user's, at the length that fitted into the budget.
        plan: How members ran.
        seeds: On which every level was trained.
        answer: Sentences, tables, charts and data.
        history: Every evaluation, by population.
        seconds: Wall-clock time, all sittings together.
        run: The run folder, or None.
    """

    kind: ClassVar[str] = "study"
    complete: ClassVar[bool] = True

    name: str
    question: str
    task: Task
    recipe: Recipe
    plan: Plan
    seeds: tuple[int, ...]
    answer: Answer
    history: dict[str, list[Record]]
    seconds: float
    run: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the object that `--json` prints; docs/reference/study-json.md describes it."""
        return {
            "study": self.name,
            "question": self.question,
            "task": task_json(self.task),
            "recipe": recipe_json(self.recipe),
            "seeds": list(self.seeds),
            **self.answer.to_json(),
            "seconds": round(self.seconds, 3),
            "run": None if self.run is None else str(self.run),
        }

    def __str__(self) -> str:
        return render(self, "text")

    def _repr_html_(self) -> str:
        return render(self, "notebook")


@dataclass(frozen=True, kw_only=True)
class PathResult:
    """What `path` found.

    Args:
        task: The data.
        options: What was asked.
        answer: Sentences, tables, charts and data.
        recipe: Says that the model is linear.
        params: The chosen solution, as `predict` reads it: the state of a linear module.
        test: Score on the test rows, with an interval over them.
        num_rows: Rows of the cross-validation: those of training and validation.
        model_seed: Seed of folds and halves.
        seconds: Wall-clock time.
        run: The run folder, or None.
    """

    kind: ClassVar[str] = "path"
    complete: ClassVar[bool] = True

    task: Task
    options: PathOptions
    answer: Answer
    recipe: Recipe
    params: dict[str, np.ndarray]
    test: Interval
    num_rows: int
    model_seed: int
    seconds: float
    run: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the object that `--json` prints; docs/reference/path-json.md describes it."""
        return {
            "task": task_json(self.task),
            "options": self.options.to_json(),
            **self.answer.to_json(),
            "test": {"metric": self.task.metric, **self.test.to_json()},
            "rows": self.num_rows,
            "seed": self.model_seed,
            "seconds": round(self.seconds, 3),
            "run": None if self.run is None else str(self.run),
        }

    def __str__(self) -> str:
        return render(self, "text")

    def _repr_html_(self) -> str:
        return render(self, "notebook")


@dataclass(frozen=True, kw_only=True)
class DoctorResult:
    """What the doctor found in a training script.

    Args:
        script: Its path. arguments: what it was run with.
        diagnosis: Findings and verdicts.
        seconds: Wall-clock time, with that of the script.
        run: The run folder, or None.
    """

    kind: ClassVar[str] = "doctor"
    complete: ClassVar[bool] = True

    script: str
    arguments: tuple[str, ...]
    diagnosis: Diagnosis
    seconds: float
    run: Path | None = None

    @property
    def answer(self) -> Answer:
        """Sentences, tables, charts and data."""
        return self.diagnosis.answer

    def to_json(self) -> dict[str, Any]:
        """Returns the object that `--json` prints; docs/reference/doctor-json.md describes it."""
        return {
            "script": self.script,
            "arguments": list(self.arguments),
            **self.diagnosis.to_json(),
            "headline": self.answer.headline,
            "seconds": round(self.seconds, 3),
            "run": None if self.run is None else str(self.run),
        }

    def __str__(self) -> str:
        return render(self, "text")

    def _repr_html_(self) -> str:
        return render(self, "notebook")


def task_json(task: Task) -> dict[str, Any]:
    """Returns what a result says about its task."""
    return {
        "name": task.name,
        "kind": task.kind,
        "loss": task.loss,
        "metric": task.metric,
        "inputs": list(task.input_shape),
        "outputs": task.output_size,
        "classes": list(task.classes),
        "rows": {"train": len(task.train), "validation": len(task.validation), "test": len(task.test)},
        "notes": list(task.notes),
    }


def recipe_json(recipe: Recipe) -> dict[str, Any]:
    """Returns a recipe as the table of its TOML form."""
    import tomllib

    return tomllib.loads(recipe_to_text(recipe))["recipe"]


def scores_json(scores: Scores | None) -> dict[str, Any] | None:
    """Returns the mean over seeds with its interval, and the two other intervals under their names."""
    if scores is None:
        return None
    return {
        "metric": scores.metric,
        "mean": scores.over_seeds.mean,
        "low": _finite(scores.over_seeds.low),
        "high": _finite(scores.over_seeds.high),
        "seeds": list(scores.seeds),
        "values": list(scores.values),
        "intervals": {
            "mean_over_seeds": scores.over_seeds.to_json(),
            "rows_included": scores.over_rows.to_json(),
            "next_run": scores.next_run.to_json(),
        },
    }


def scores_from_json(data: dict[str, Any] | None) -> Scores | None:
    """Returns the scores that `scores_json` described."""
    if data is None:
        return None
    return Scores(
        metric=data["metric"],
        values=tuple(data["values"]),
        seeds=tuple(data["seeds"]),
        over_seeds=Interval.from_json(data["intervals"]["mean_over_seeds"]),
        over_rows=Interval.from_json(data["intervals"]["rows_included"]),
        next_run=Interval.from_json(data["intervals"]["next_run"]),
    )


def effect_json(effect: AxisEffect) -> dict[str, Any]:
    """Returns the effect of an axis: its mean with the ends of its interval, and what stands behind it."""
    data = effect.to_json()
    interval = data.pop("effect")
    ends = interval or {"mean": None, "low": None, "high": None}
    return {**data, "effect": ends["mean"], "low": ends["low"], "high": ends["high"], "interval": interval}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
