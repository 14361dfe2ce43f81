"""Results of the fault gallery as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from thalweg.core import Answer, Chart, Series, Table, known, render
from thalweg.doctor import Diagnosis, Exercise, Trial

#: the guess that a loop has no fault
NOTHING = "nothing"
#: rows of a table of epochs, at most
_ROWS = 8
#: layers that are shown, at most
_LAYERS = 6


@dataclass(frozen=True, kw_only=True)
class FaultList:
    """The parts of the gallery.

    Args:
        groups: Where faults sit -> name -> title.
        data: Name -> what it is. models: likewise, of networks.
    """

    kind: ClassVar[str] = "faults"
    complete: ClassVar[bool] = True

    groups: Mapping[str, Mapping[str, str]]
    data: Mapping[str, str]
    models: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Returns the object that `--json` prints; docs/reference/gallery-json.md describes it."""
        return {
            "faults": [
                {"name": name, "title": title, "group": group}
                for group, titles in self.groups.items()
                for name, title in titles.items()
            ],
            "data": dict(self.data),
            "models": dict(self.models),
        }

    def __str__(self) -> str:
        return render(self, "text")


@dataclass(frozen=True, kw_only=True)
class Quiz:
    """A loop whose fault is to be guessed.

    Args:
        exercise: The loop, with the truth.
        asked: Restrictions with which it was drawn: `data` and `model`, or None.
        trial: The loop as it was trained.
        choices: Name -> title of the faults among which one guesses; the last is that nothing is wrong.
    """

    kind: ClassVar[str] = "quiz"
    complete: ClassVar[bool] = True

    exercise: Exercise
    asked: Mapping[str, str | None]
    trial: Trial
    choices: Mapping[str, str]

    @property
    def answer(self) -> Answer:
        """What can be seen, as sentences, tables and charts; nothing in it tells the fault."""
        trial, score = self.trial, self.exercise.score
        last = trial.epochs[-1]
        return Answer(
            headline=f"The loop ends with a validation {score} of {show_score(score, last.score)}. What is wrong?",
            tables=[_course_table(trial, score), _layer_table(trial)],
            charts=_course_charts(score, {"the loop": trial}),
            data=self.to_json(),
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the object that `--json` prints without a guess; docs/reference/gallery-json.md describes it."""
        return {
            "seed": self.exercise.seed,
            **self.asked,
            "score": self.exercise.score,
            "loop": _trial_json(self.trial),
            "choices": [{"name": name, "title": title} for name, title in self.choices.items()],
        }

    def __str__(self) -> str:
        return render(self, "text")

    def _repr_html_(self) -> str:
        return render(self, "notebook")


@dataclass(frozen=True, kw_only=True)
class Guess:
    """An answer to a quiz.

    Args:
        choices: Name -> title of what it was made among. guess: the name that was said. truth: the name of the fault.
    """

    choices: Mapping[str, str]
    guess: str
    truth: str

    @property
    def right(self) -> bool:
        """Whether it was the planted fault."""
        return self.guess == self.truth

    def to_json(self) -> dict[str, Any]:
        """Returns plain data."""
        return {"choices": list(self.choices), "guess": self.guess, "truth": self.truth, "right": self.right}


@dataclass(frozen=True, kw_only=True)
class GalleryResult:
    """A loop with a fault, the same loop without it, and what the doctor found in the first.

    Args:
        exercise: Which.
        title: Of the fault, in words.
        trial: The loop with the fault. without: the loop without; None where a quiz had no fault.
        change: Lines that the fault takes from the script of the loop ("- ") and puts into it ("+ ").
        diagnosis: Of the loop with the fault. The doctor was not told which it is.
        guess: Of a quiz; None where there was none.
        seconds: Wall-clock time, without that of a quiz.
        run: The run folder, or None.
    """

    kind: ClassVar[str] = "gallery"
    complete: ClassVar[bool] = True

    exercise: Exercise
    title: str
    trial: Trial
    without: Trial | None
    change: Sequence[str]
    diagnosis: Diagnosis
    guess: Guess | None = None
    seconds: float
    run: Path | None = None

    @property
    def rank(self) -> int | None:
        """The place of the fault among the doctor's findings, from 1; None where it is not among them."""
        causes = [each.cause for each in self.diagnosis.findings]
        return causes.index(self.exercise.fault) + 1 if self.exercise.fault in causes else None

    @property
    def proven(self) -> bool:
        """Whether a remedy of the planted fault helped beyond chance."""
        return self.rank is not None and self.diagnosis.findings[self.rank - 1].proof is not None

    @property
    def answer(self) -> Answer:
        """Both loops as sentences, tables and charts; the diagnosis has an answer of its own."""
        score, last = self.exercise.score, self.trial.epochs[-1]
        told = show_score(score, last.score)
        if self.without is None:
            headline = f"Nothing is wrong with this loop: it ends with a validation {score} of {told}."
            trials = {"the loop": self.trial}
        else:
            other = show_score(score, self.without.epochs[-1].score)
            title = self.title[0].upper() + self.title[1:]
            headline = f"{title}: validation {score} {told}, without this fault {other}."
            trials = {"with the fault": self.trial, "without it": self.without}
        return Answer(
            headline=headline,
            findings=[self._doctor()],
            tables=[
                _course_table(self.trial, score)
                if self.without is None
                else _both_table(self.trial, self.without, score)
            ],
            charts=_course_charts(score, trials),
            data={},
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the object that `--json` prints; docs/reference/gallery-json.md describes it."""
        exercise = self.exercise
        return {
            "fault": exercise.fault or None,
            "title": self.title,
            "data": exercise.data,
            "model": exercise.model,
            "seed": exercise.seed,
            "score": exercise.score,
            "loop": _trial_json(self.trial),
            "without": None if self.without is None else _trial_json(self.without),
            "change": list(self.change),
            "rank": self.rank,
            "proven": self.proven,
            "diagnosis": self.diagnosis.to_json(),
            "quiz": None if self.guess is None else self.guess.to_json(),
            "headline": self.answer.headline,
            "seconds": round(self.seconds, 3),
            "run": None if self.run is None else str(self.run),
        }

    def __str__(self) -> str:
        return render(self, "text")

    def _repr_html_(self) -> str:
        return render(self, "notebook")

    def _doctor(self) -> str:
        """Returns how the doctor, who sees the loop alone, did."""
        found, rank = self.diagnosis.findings, self.rank
        if not self.exercise.fault:
            return "The doctor finds nothing either." if not found else "The doctor raises a false alarm."
        if rank is None:
            return "The doctor does not name it." if found else "The doctor finds nothing: it misses this fault."
        place = "first" if rank == 1 else f"as number {rank} of its {len(found)} findings"
        proof = " and proves a remedy" if self.proven else ""
        tried = bool(found[rank - 1].verdicts)
        rest = "; no remedy that it tried is proven to help" if tried and not self.proven else ""
        return f"The doctor, who was not told, names it {place}{proof}{rest}."


def show_score(score: str, value: float) -> str:
    """Returns a score as text.

    Example:
        >>> show_score("accuracy", 0.9443), show_score("R2", 0.5)
        ('94.4%', '0.500')
    """
    if not math.isfinite(value):
        return "not finite"
    return f"{value:.1%}" if score == "accuracy" else f"{value:.3f}"


def _trial_json(trial: Trial) -> dict[str, Any]:
    names = ("training", "validation", "score", "lr")
    return {
        "settings": trial.settings,
        "epochs": {name: known([getattr(each, name) for each in trial.epochs]) for name in names},
    }


def _chosen(num: int) -> list[int]:
    """Returns numbers of epochs from 1, close together at the start, with the last."""
    return sorted({round(k) for k in np.geomspace(1, num, min(num, _ROWS))})


def _loss(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "not finite"


def _course_table(trial: Trial, score: str) -> Table:
    rows = []
    for number in _chosen(len(trial.epochs)):
        each = trial.epochs[number - 1]
        cells = [_loss(each.training), _loss(each.validation), show_score(score, each.score), f"{each.lr:.3g}"]
        rows.append([str(number), *cells])
    head = ("epoch", "training loss", "validation loss", f"validation {score}", "learning rate")
    return Table(title="What the loop prints", head=head, rows=rows)


def _both_table(trial: Trial, without: Trial, score: str) -> Table:
    rows = []
    for number in sorted({*_chosen(len(trial.epochs)), *_chosen(len(without.epochs))}):
        row = [str(number)]
        for told in (
            lambda each: _loss(each.training),
            lambda each: _loss(each.validation),
            lambda each: show_score(score, each.score),
        ):
            row += [told(each.epochs[number - 1]) if number <= len(each.epochs) else "" for each in (trial, without)]
        rows.append(row)
    names = ("training loss", "validation loss", f"validation {score}")
    head = ["epoch", *(each for name in names for each in (name, "without"))]
    return Table(title="What both loops print: with the fault, and without", head=head, rows=rows)


def _layer_table(trial: Trial) -> Table:
    """Returns the gradients and steps of the weights at the first and the last step that was measured."""
    probes = trial.watched.recording.probes
    first, last = probes[0], probes[-1]
    pairs = [(a, b) for a, b in zip(first.params, last.params, strict=True) if a.name.endswith("weight") and a.size > 1]
    places = sorted({round(k) for k in np.linspace(0, len(pairs) - 1, min(len(pairs), _LAYERS))})

    def share(update: float | None, norm: float) -> str:
        return f"{update / norm:.2g}" if update is not None and norm > 0 else "none"

    def size(gradient: float | None) -> str:
        return "none" if gradient is None else _loss(gradient)

    rows = [
        [a.name, size(a.gradient), size(b.gradient), share(a.update, a.norm), share(b.update, b.norm)]
        for a, b in (pairs[k] for k in places)
    ]
    when = f"step {first.step + 1:,} and step {last.step + 1:,}"
    title = f"Weights at {when}: norm of the gradient, and of the step as a share of the weights"
    return Table(title=title, head=("weights", "gradient", "later", "share", "later"), rows=rows)


def _course_charts(score: str, trials: Mapping[str, Trial]) -> list[Chart]:
    """Returns the losses of training and the scores of validation, of each loop."""
    roles = dict(zip(trials, ("bad", "third") if len(trials) > 1 else ("main",), strict=True))
    single = len(trials) == 1

    def line(label: str, trial: Trial, name: str, role: str) -> Series:
        values = known([getattr(each, name) for each in trial.epochs])
        style = "both" if len(values) <= 40 else "line"
        return Series(name=label, x=list(range(1, len(values) + 1)), y=values, style=style, role=role)

    losses = [line("training" if single else label, each, "training", roles[label]) for label, each in trials.items()]
    if single:
        losses += [line("validation", each, "validation", "second") for each in trials.values()]
    scores = [line(label, each, "score", roles[label]) for label, each in trials.items()]
    values = [y for each in losses for y in each.y if y]  # a logarithm knows no 0, and a chart draws none there
    caption = "Means over each epoch."
    if not single and len({each.settings["loss"] for each in trials.values()}) > 1:
        caption += " The two loops have different losses: compare how they fall, not how large they are."
    return [
        Chart(
            name="course",
            title="Loss" if single else "Training loss",
            caption=caption,
            x="epoch",
            y="loss",
            series=losses,
            log_y=bool(values) and max(values) > 20 * min(values),
        ),
        Chart(
            name="scores",
            title=f"Validation {score}",
            caption="After each epoch, as the loop itself measures it.",
            x="epoch",
            y=score,
            series=scores,
        ),
    ]
