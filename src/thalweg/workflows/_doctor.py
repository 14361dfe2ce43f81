"""`doctor`: what is wrong with a training script, and what mends it?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from thalweg.core import InputError, check_number
from thalweg.doctor import rerun_script, watch_script
from thalweg.store import RunFolder, check_new
from thalweg.workflows._files import write_result
from thalweg.workflows._results import DoctorResult
from thalweg.workflows._watched import watch_run

_OFFER = "With --rerun, remedies are tried in whole runs of the script"


def doctor(
    script: str | Path,
    arguments: Sequence[str] = (),
    *,
    seeds: int = 8,
    seconds: float = 5.0,
    rerun: bool = False,
    told: Callable[[str], None] = lambda line: None,
    out: str | Path | None = None,
) -> DoctorResult:
    """Runs a training script as it is, and returns what is wrong with its loop and what mends it.

    Args:
        script: A Python file, or the folder of a run: then its `train.py` trains the saved model again.
        arguments: What the file reads from the command line; a run takes none.
        seeds: Pairs of forks for each remedy; 0 tries none.
        seconds: For all forks together, about.
        rerun: Whether remedies are tried in whole runs of the script in place of forks, whatever time these take.
        told: Is given a line before each of these runs.
        out: Run folder to write, new or empty; None writes nothing.

    Raises:
        InputError: where an argument does not fit; nothing is run or written then.
        RunError: where the script trained nothing that could be seen.
    """
    started = time.monotonic()
    if seeds != 0:
        check_number("seeds", seeds, least=2, integer=True)
        check_number("seconds", seconds, above=0)
    if rerun and seeds == 0:
        raise InputError("seeds", "at least 2 with --rerun", seeds, "Leave --rerun out to try no remedy.")
    if out is not None:
        check_new(out)
    if Path(script).is_dir():
        if rerun:
            raise InputError("rerun", "left out for a run", script, "Its train.py is replayed.")
        if arguments:
            raise InputError("arguments", "left out for a run", " ".join(arguments), f"Run {script}/train.py itself.")
        watched = watch_run(script)
    else:
        watched = watch_script(script, arguments, keeps=True)
    if seeds == 0:
        diagnosis = watched.diagnosis()
    elif rerun:
        diagnosis = rerun_script(watched, script, arguments, seeds=seeds, told=told)
    else:
        diagnosis = watched.prove(seeds=seeds, seconds=seconds)
        if diagnosis.refused is not None and diagnosis.findings and not Path(script).is_dir():
            diagnosis = replace(diagnosis, notes=(*diagnosis.notes, _OFFER))
    folder = None
    if out is not None:
        request = {
            "script": str(script),
            "arguments": list(arguments),
            "seeds": seeds,
            "seconds": seconds,
            "rerun": rerun,
        }
        folder = RunFolder.create(out, "doctor", request)
    result = DoctorResult(
        script=str(script),
        arguments=tuple(arguments),
        diagnosis=diagnosis,
        seconds=time.monotonic() - started,
        run=None if folder is None else folder.path,
    )
    if folder is not None:
        write_result(folder, result, {})
    return result
