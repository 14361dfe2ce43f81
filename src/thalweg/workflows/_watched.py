"""The model of a run under the recorder: its `train.py` runs once more, and the doctor looks on."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from thalweg.core import InputError, one_torch_thread
from thalweg.doctor import Diagnosis, Watch, watch_script
from thalweg.population import Pace, step_cost
from thalweg.recipes import Recipe
from thalweg.store import RunFolder
from thalweg.tasks import Task

#: seconds of a loop that is watched unasked, at most, or share of the steps of the search before it: a step of plain
#: PyTorch in float64 on one core takes some ten times as long, so that this is about a tenth of the search's time
_SECONDS, _SHARE = 4.0, 0.01
#: seconds of a step of plain PyTorch, beside its arithmetic
_STEP = 1e-3
#: arithmetic of a second, in float64 on one core
_RATE = 1e10


def watch_run(folder: str | Path) -> Watch:
    """Returns the record of a run's `train.py`, which trains the saved model again.

    Statistics are taken at the same steps every time, by one thread: the same run gives the same findings.

    Args:
        folder: Of a run.

    Raises:
        InputError: where the run wrote no `train.py`.
        RunError: where it trained nothing.
    """
    script = Path(folder) / "train.py"
    if not script.is_file():
        remedy = "`thalweg train` and `tune` write one for models of built-in pieces."
        raise InputError("script", "a Python file, or the folder of a run with its train.py", str(folder), remedy)
    with tempfile.TemporaryDirectory() as place, one_torch_thread(), contextlib.redirect_stdout(io.StringIO()):
        return watch_script(script, ["--out", str(Path(place) / "predictions.npz")], share=None)


def diagnose_saved_model(folder: RunFolder, task: Task, recipe: Recipe, *, searched: int) -> Diagnosis | None:
    """Returns what is wrong with the loop of a run's saved model; None where it is too long to be watched unasked.

    What is too long is told by counting, not by the clock: the same run is watched on a slow machine and a fast one.

    Args:
        folder: Of the run, with its `train.py`. task: what was optimised. recipe: of the saved model.
        searched: Steps of the search that found it; 0 without one.
    """
    steps = Pace.of(recipe, len(task.train)).total_steps
    if steps > _SHARE * searched and steps * (_STEP + step_cost(task, recipe) / _RATE) > _SECONDS:
        return None
    try:
        with one_torch_thread():
            return watch_run(folder.path).diagnosis()
    except Exception as error:  # as where it diverged at once; what the run found is not lost for that
        folder.log("not watched", {"reason": f"{type(error).__name__}: {error}"})
        return None
