"""`gallery`, `quiz` and `faults`: training loops with one planted fault, to teach and to learn with."""

from __future__ import annotations

import time
from pathlib import Path

import safetensors.torch

from thalweg.core import InputError, check_choice, check_number, write_atomically, write_text
from thalweg.doctor import (
    CAUSES,
    DATA_WORDS,
    FAULT_GROUPS,
    MODEL_WORDS,
    Exercise,
    choices_of,
    draw_exercise,
    find_exercise,
)
from thalweg.store import RunFolder, check_new
from thalweg.workflows._files import write_result
from thalweg.workflows._gallery_results import NOTHING, FaultList, GalleryResult, Guess, Quiz


def faults() -> FaultList:
    """Returns the faults of the gallery in their groups, and the data and networks that they are planted in.

    Example:
        >>> faults().groups["fit"]["dropout_too_strong"]
        'dropout that is too strong'
    """
    groups = {group: {name: CAUSES[name].title for name in names} for group, names in FAULT_GROUPS.items()}
    return FaultList(groups=groups, data=DATA_WORDS, models=MODEL_WORDS)


def gallery(
    fault: str,
    *,
    data: str | None = None,
    model: str | None = None,
    seed: int = 0,
    seeds: int = 8,
    seconds: float = 5.0,
    out: str | Path | None = None,
) -> GalleryResult:
    """Trains a loop with a fault and the same loop without it, and returns both with what the doctor found.

    Args:
        fault: Its name, of `faults()`.
        data: Name of the data; None for the first on which the fault makes sense. model: of the network; likewise.
        seed: Of all that is drawn.
        seeds: Pairs of forks for each remedy that the doctor tries; 0 tries none.
        seconds: For all forks together, about.
        out: Run folder to write, new or empty; None writes nothing.

    Raises:
        InputError: where an argument does not fit; nothing is run or written then.
    """
    _check(seeds, seconds, out)
    return _shown(find_exercise(fault, data, model, seed), seeds=seeds, seconds=seconds, out=out)


def quiz(*, data: str | None = None, model: str | None = None, seed: int | None = None) -> Quiz:
    """Draws a fault in secret, or none, trains, and returns what can be seen, with faults to choose from.

    `answer_quiz` takes the guess.

    Args:
        data: Name of the data; None for any. model: of the network; None for any.
        seed: The same seed draws the same quiz; None for a new one, which the quiz names.

    Raises:
        InputError: where an argument does not fit.
    """
    exercise = draw_exercise(_number(seed), data, model)
    titles = {name: CAUSES[name].title for name in choices_of(exercise)}
    return Quiz(
        exercise=exercise,
        asked={"data": data, "model": model},
        trial=exercise.train(),
        choices={**titles, NOTHING: "nothing is wrong"},
    )


def check_guess(asked: Quiz, guess: str | int) -> str:
    """Returns the name of the fault that a guess means.

    Args:
        asked: The quiz.
        guess: A name among its choices, or the number of one.

    Raises:
        InputError: where it is neither.
    """
    names = list(asked.choices)
    guess = str(guess)
    if guess.isdecimal():
        if not 1 <= int(guess) <= len(names):
            raise InputError("guess", f"from 1 to {len(names)}", guess, "Or name a fault.")
        return names[int(guess) - 1]
    return check_choice("guess", guess, names)


def answer_quiz(
    asked: Quiz, guess: str | int, *, seeds: int = 8, seconds: float = 5.0, out: str | Path | None = None
) -> GalleryResult:
    """Returns whether a guess was right, and what the doctor found.

    Args:
        asked: The quiz.
        guess: A name among its choices, or the number of one.
        seeds: Pairs of forks for each remedy that the doctor tries; 0 tries none.
        seconds: For all forks together, about.
        out: Run folder to write, new or empty; None writes nothing.

    Raises:
        InputError: where an argument does not fit; nothing is run or written then.
    """
    _check(seeds, seconds, out)
    told = Guess(choices=asked.choices, guess=check_guess(asked, guess), truth=asked.exercise.fault or NOTHING)
    return _shown(asked.exercise, seeds=seeds, seconds=seconds, out=out, quiz=asked, guess=told)


def gallery_script(
    path: str | Path,
    fault: str | None = None,
    *,
    data: str | None = None,
    model: str | None = None,
    seed: int | None = None,
) -> tuple[Exercise, list[Path]]:
    """Writes a loop of the gallery as a plain PyTorch script that does not tell its fault, and trains nothing.

    Returns what was written, and the files: a loop that fine-tunes reads its first weights beside the script.

    Args:
        path: The script, a new file.
        fault: Its name; None for one that is drawn as `quiz` draws it.
        data: Name of the data. model: of the network. seed: of all that is drawn; None as in `gallery` or `quiz`.

    Raises:
        InputError: where an argument does not fit, or a file is there already; nothing is written then.
    """
    if fault is None:
        exercise = draw_exercise(_number(seed), data, model)
    else:
        exercise = find_exercise(fault, data, model, seed or 0)
    return exercise, _write_script(exercise, Path(path))


def _number(seed: int | None) -> int:
    """Returns the seed of a quiz: the given one, or a new one that is short enough to be said aloud."""
    return time.time_ns() // 1_000_000 % 10_000 if seed is None else seed


def _write_script(exercise: Exercise, path: Path) -> list[Path]:
    if path.suffix != ".py":
        raise InputError("--script", "a file that ends in .py", str(path))
    if not path.parent.is_dir():
        raise InputError("--script", "in a folder that exists", str(path), "Make the folder first.")
    weights, beside = exercise.weights(), path.with_suffix(".safetensors")
    written = [path] if weights is None else [path, beside]
    for each in written:
        if each.exists():
            raise InputError("--script", "a file that is not there yet", str(each), "Choose another name.")
    if weights is not None:
        write_atomically(beside, lambda temporary: safetensors.torch.save_file(weights, temporary))
    write_text(path, exercise.script(weights=beside.name))
    return written


def _check(seeds: int, seconds: float, out: str | Path | None) -> None:
    if seeds != 0:
        check_number("seeds", seeds, least=2, integer=True)
        check_number("seconds", seconds, above=0)
    if out is not None:
        check_new(out)


def _shown(
    exercise: Exercise,
    *,
    seeds: int,
    seconds: float,
    out: str | Path | None,
    quiz: Quiz | None = None,
    guess: Guess | None = None,
) -> GalleryResult:
    started = time.monotonic()
    trial = exercise.train() if quiz is None else quiz.trial
    without = exercise.train(fault=False) if exercise.fault else None
    diagnosis = trial.diagnosis(seeds=seeds, seconds=seconds)
    folder = None
    if out is not None:
        request = {"fault": exercise.fault, "data": exercise.data, "model": exercise.model, "seed": exercise.seed}
        folder = RunFolder.create(out, "gallery", {**request, "seeds": seeds, "seconds": seconds})
        _write_script(exercise, folder.path / "loop.py")
    result = GalleryResult(
        exercise=exercise,
        title=CAUSES[exercise.fault].title if exercise.fault else "nothing is wrong",
        trial=trial,
        without=without,
        change=exercise.change() if exercise.fault else [],
        diagnosis=diagnosis,
        guess=guess,
        seconds=time.monotonic() - started,
        run=None if folder is None else folder.path,
    )
    if folder is not None:
        write_result(folder, result, {})
    return result
