"""`thalweg gallery`."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from thalweg.cli._running import run_path, show_result

if TYPE_CHECKING:
    from thalweg.workflows import Quiz


@click.command("gallery")
@click.argument("fault", required=False)
@click.option("--data", help="Data of the loop. Default: the first on which the fault makes sense; drawn with --quiz.")
@click.option("--model", help="Its network, likewise.")
@click.option("--seed", type=int, help="Of all that is drawn. Default: 0; a new one with --quiz.")
@click.option("--quiz", "as_quiz", is_flag=True, help="Draw a fault in secret, or none, and ask for it.")
@click.option("--guess", metavar="NAME", help="Answer to --quiz: a name or the number of a choice. Asked by default.")
@click.option("--script", metavar="FILE", help="Write the loop as a plain PyTorch script and do nothing else.")
@click.option("--seeds", default=8, show_default=True, help="Pairs of forks for each remedy; 0 tries none.")
@click.option("--seconds", default=5.0, show_default=True, help="For all forks together, about.")
@click.option("--out", metavar="FOLDER", help="Run folder to write. Default: a new one under runs/.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    fault: str | None,
    data: str | None,
    model: str | None,
    seed: int | None,
    as_quiz: bool,
    guess: str | None,
    script: str | None,
    seeds: int,
    seconds: float,
    out: str | None,
    as_json: bool,
) -> int:
    """Train a loop with the planted FAULT beside one without it, and show what the doctor finds.

    Without FAULT: list the faults, the data and the networks. With --quiz: guess the fault from what the loop prints.
    """
    from thalweg.core import InputError
    from thalweg.workflows import answer_quiz, faults, gallery, quiz

    if fault is not None and as_quiz:
        raise InputError("FAULT", "left out with --quiz, which draws one", fault)
    if guess is not None and (not as_quiz or script is not None):
        raise InputError("--guess", "given with --quiz, and without --script", guess)
    if script is not None and out is not None:
        raise InputError("--out", "left out with --script, which trains nothing", out)
    if fault is None and not as_quiz:
        given = {"--data": data, "--model": model, "--seed": seed, "--script": script, "--out": out}
        for name, value in given.items():
            if value is not None:
                raise InputError(name, "given with FAULT or --quiz", value, "thalweg gallery lists the faults.")
        return show_result(faults(), as_json=as_json)
    place: dict[str, Any] = {"data": data, "model": model}
    if script is not None:
        return _write(script, fault, seed, place, as_json=as_json)
    proof: dict[str, Any] = {"seeds": seeds, "seconds": seconds}
    if fault is not None:
        result = gallery(fault, **place, seed=seed or 0, **proof, out=run_path(out, f"gallery-{fault}"))
        return show_result(result, as_json=as_json)
    asked = quiz(**place, seed=seed)
    if guess is None:
        if as_json:
            return show_result(asked, as_json=True)
        click.echo(f"{asked}\n")
        guess = _ask(asked)
    if guess is None:
        click.echo(f"Answer with: {_answer(asked.exercise.seed, place)}")
        return 0
    path = run_path(out, f"gallery-quiz-{asked.exercise.seed}")
    return show_result(answer_quiz(asked, guess, **proof, out=path), as_json=as_json)


def _ask(asked: Quiz) -> str | None:
    """Returns the guess that is typed, a name or a number among the choices; None where nothing is."""
    from thalweg.core import InputError
    from thalweg.workflows import check_guess

    while True:
        click.echo(f"Your guess (1 to {len(asked.choices)}): ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line.strip():
            click.echo("", err=True)
            return None
        try:
            found = check_guess(asked, line.strip())
        except InputError as error:
            if not sys.stdin.isatty():
                raise
            click.echo(str(error), err=True)
            continue
        return found


def _write(script: str, fault: str | None, seed: int | None, place: dict[str, Any], *, as_json: bool) -> int:
    """Writes the script of a fault, or of a quiz where `fault` is None, and says what to do with it."""
    from thalweg.workflows import gallery_script

    exercise, written = gallery_script(script, fault, **place, seed=seed)
    files = [str(path) for path in written]
    if as_json:
        about = {"fault": fault, "data": exercise.data, "model": exercise.model, "seed": exercise.seed, "files": files}
        click.echo(json.dumps(about))
        return 0
    name = shlex.quote(files[0])
    click.echo(f"Wrote {' and '.join(files)}")
    click.echo(f"Run it:          python {name}")
    click.echo(f"Ask the doctor:  thalweg doctor {name}")
    if fault is None:
        click.echo(f"Symptoms, truth: {_answer(exercise.seed, place, guess='')}")
    return 0


def _answer(seed: int, place: dict[str, Any], guess: str = " --guess NAME") -> str:
    """Returns the command that asks a quiz again."""
    more = "".join(f" --{name} {value}" for name, value in place.items() if value is not None)
    return f"thalweg gallery --quiz --seed {seed}{more}{guess}"
