"""The diagnosis of a recorded loop: findings, ranked by their evidence, and what their remedies did."""

from __future__ import annotations

import contextlib
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, ClassVar, Self

import torch
from torch import nn

from thalweg.core import Answer, Chart, RunError, render
from thalweg.doctor._causes import CAUSES
from thalweg.doctor._finding import Finding
from thalweg.doctor._proof._prove import prove
from thalweg.doctor._ranking import ranked
from thalweg.doctor._record._timing import SHARE
from thalweg.doctor._record._watch import Recorder
from thalweg.doctor._telling import answer_of, charts_of, title_of, verdict_lines
from thalweg.doctor._view import View

_WIDTH = 100
#: findings that are told in full
_TOLD = 3


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What is wrong with a loop.

    Args:
        findings: The likeliest first; none where nothing speaks for any cause.
        num_steps: Steps that were watched.
        replayed: Of the first passes, how many gave the recorded loss to the bit, and how many were replayed; None
            where no replay was tried.
        refused: Why the loop cannot be replayed; None where it can.
        notes: What else the reader should know.
        charts: The course of the loop.
    """

    findings: Sequence[Finding]
    num_steps: int
    replayed: tuple[int, int] | None = None
    refused: str | None = None
    notes: Sequence[str] = ()
    charts: Sequence[Chart] = ()

    kind: ClassVar[str] = "diagnosis"

    @property
    def answer(self) -> Answer:
        """The same as sentences, tables and charts."""
        notes = [f"No remedy was tried: {self.refused}."] if self.refused is not None else []
        notes += [f"{note}." for note in self.notes]
        if self.replayed is not None:
            equal, num = self.replayed
            notes.append(f"Replayed unchanged, {equal:,} of {num:,} passes gave the recorded loss to the bit.")
        return answer_of(self.findings, self.charts, self.num_steps, notes, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Returns plain data; docs/reference/doctor-json.md describes it."""
        return {
            "steps": self.num_steps,
            "replayed": None if self.replayed is None else {"equal": self.replayed[0], "of": self.replayed[1]},
            "refused": self.refused,
            "notes": list(self.notes),
            "findings": [_finding_json(each) for each in self.findings],
        }

    def __str__(self) -> str:
        if not self.findings:
            return "\n".join([f"Nothing wrong was found in {self.num_steps:,} steps.", *self.notes])
        lines: list[str] = []
        for number, finding in enumerate(self.findings[:_TOLD], start=1):
            lines += _lines(number, finding)
        others = [title_of(each.cause) for each in self.findings[_TOLD:]]
        if others:
            lines += _wrap(f"Weaker evidence: {', '.join(others)}.", "")
        if self.refused is not None:
            lines += _wrap(f"No remedy was tried: {self.refused}.", "")
        for note in self.notes:
            lines += _wrap(f"{note}.", "")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return render(self, "notebook")


class Watch(Recorder):
    """A loop under the recorder, with its diagnosis; `watch` makes one."""

    #: of the loop among those of its script
    number = 0

    def __enter__(self) -> Self:
        self._view: View | None = None
        return super().__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        super().__exit__(kind, error, at)
        if self.recording.num_steps > 0:
            self._view = View(self.recording)

    def diagnosis(self) -> Diagnosis:
        """Returns what the recording speaks for.

        Raises:
            RunError: where no step was watched, or the loop still runs.
        """
        view = self.view()
        with _quiet():
            found, notes = _look(view)
        return Diagnosis(
            findings=ranked(found),
            num_steps=self.recording.num_steps,
            refused=view.replay.refused(),
            notes=(*self.recording.notes, *notes),
            charts=charts_of(view),
        )

    def prove(self, *, seeds: int = 8, seconds: float = 5.0) -> Diagnosis:
        """Returns the diagnosis with verdicts: forks of the loop with the likeliest remedies, beside unchanged ones.

        Args:
            seeds: Pairs of forks for each remedy, at least 2. seconds: for all forks together, about.

        Raises:
            InputError: for fewer than 2 seeds, or no time.
            RunError: where no step was watched, or the loop still runs.
        """
        view, plain = self.view(), self.diagnosis()
        if plain.refused is not None or not plain.findings:
            return plain
        with _quiet():
            try:
                pairs = view.replay.recorded()
            except Exception as error:  # the user's own model and optimizer run here
                return replace(plain, refused=f"a copy of it fails ({type(error).__name__}: {error})")
            equal = sum(a == b or (a != a and b != b) for a, b in pairs)
            findings, notes = prove(view, plain.findings, seeds=seeds, seconds=seconds)
        return replace(plain, findings=findings, replayed=(equal, len(pairs)), notes=(*plain.notes, *notes))

    def view(self) -> View:
        """Returns what causes ask of the recording.

        Raises:
            RunError: where no step was watched, or the loop still runs.
        """
        if getattr(self, "_view", None) is None:
            raise RunError("No step was watched. Run the loop inside the `with` block, and ask after it.")
        assert self._view is not None
        return self._view


def watch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: Callable[[Any, Any], torch.Tensor] | None = None,
    *,
    memory: int = 256 << 20,
    share: float | None = SHARE,
) -> Watch:
    """Returns what records a training loop of any kind while it is entered, without a change to the loop.

    Steps, losses, batches and rare statistics of the layers are kept; batches are kept by reference, not copied.
    A loop that is entered again is watched on, as if it had not been left.

    Args:
        model: What is trained.
        optimizer: What trains it.
        criterion: The loss of output and target; needed only where it is none of torch's functions.
        memory: Bytes of batches that are kept, at most.
        share: Of the loop's time, for statistics; None takes them at the same steps in every run, whatever they cost.

    Raises:
        InputError: where an argument is of another kind.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(dim=1))
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> with watch(model, optimizer) as run:
        ...     for _ in range(5):
        ...         x, y = torch.randn(8, 4), torch.randint(3, (8,))
        ...         optimizer.zero_grad()
        ...         torch.nn.functional.cross_entropy(model(x), y).backward()
        ...         optimizer.step()
        >>> run.diagnosis().findings[0].cause
        'softmax_before_cross_entropy'
    """
    return Watch(model, optimizer, criterion, memory=memory, share=share)


def _look(view: View) -> tuple[list[Finding], list[str]]:
    """Returns what speaks for a cause, and which causes could not be looked for: the user's own code runs here."""
    found: list[Finding] = []
    failed: dict[str, list[str]] = {}
    for cause in CAUSES.values():
        try:
            finding = cause.look(view)
        except Exception as error:
            failed.setdefault(f"{type(error).__name__}: {error}", []).append(cause.title)
        else:
            found += [finding] if finding is not None else []
    return found, [f"Not looked for, as a copy of the loop fails ({why}): {', '.join(t)}" for why, t in failed.items()]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps warnings back that the loop itself has given, and code that is compiled from being compiled anew."""
    with warnings.catch_warnings(), contextlib.ExitStack() as undo:
        warnings.simplefilter("ignore")
        if "torch._dynamo" in sys.modules:
            undo.enter_context(torch.compiler.set_stance("force_eager"))
        yield


def _lines(number: int, finding: Finding) -> list[str]:
    lines = _wrap(f"{number}. {finding.says}", "   ", hanging=True)
    lines += _wrap(f"Evidence: {' '.join(finding.evidence)}", "   ")
    remedy = finding.advice
    if remedy is not None:
        lines += _wrap(f"Do: {remedy.says}", "   ")
        lines += [f"     - {line}" for line in remedy.before.splitlines()]
        lines += [f"     + {line}" for line in remedy.after.splitlines()]
    for line in verdict_lines(finding):
        lines += _wrap(line, "   ")
    return lines


def _wrap(text: str, indent: str, *, hanging: bool = False) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="" if hanging else indent, subsequent_indent=indent)


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "cause": finding.cause,
        "says": finding.says,
        "weight": finding.weight,
        "evidence": list(finding.evidence),
        "rows": list(finding.rows),
        "remedies": [{"says": r.says, "before": r.before, "after": r.after} for r in finding.remedies],
        "verdicts": [
            {
                "remedy": v.remedy.says,
                "effect": v.effect.to_json(),
                "measure": v.measure,
                "unchanged": v.unchanged,
                "changed": v.changed,
                "begins": v.begins,
                "steps": v.steps,
                "proven": v.proven,
                "diverged": {"unchanged": v.diverged[0], "changed": v.diverged[1]},
            }
            for v in finding.verdicts
        ],
    }
