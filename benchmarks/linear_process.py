"""The process in which one contender of `linear.py` fits, seen from outside."""

from __future__ import annotations

import argparse
import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_HERE = Path(__file__).parent
#: seconds until a contender must be ready, compilation included
_READY = 300.0


class NoAnswerError(Exception):
    """A contender gave no answer; says why."""


class Process:
    """A contender that waits for questions.

    Args:
        name: Of the contender. package: Whose it is.
        folder: With the problem.
        given: The options of the program.
    """

    def __init__(self, name: str, package: str, folder: Path, given: argparse.Namespace) -> None:
        self.started: dict[str, object] = {}
        self.failure: str | None = None
        self._process: subprocess.Popen[str] | None = None
        if package == "glmnet":
            program, script = shutil.which("Rscript"), "linear_glmnet.R"
        else:
            program, script = given.adelie if package == "adelie" else sys.executable, "linear_worker.py"
        if program is None or not Path(program).exists():
            self.failure = f"not installed: no {program or 'Rscript'}"
            return
        self._out = tempfile.TemporaryDirectory(prefix="linear-")
        command = [program, str(_HERE / script), name, str(folder), str(given.threads), self._out.name]
        self._log = Path(self._out.name) / "log.txt"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
                start_new_session=True,
                env=_environment(given.threads),
            )
        try:
            imported, first, version = self._answer("ready", _READY)
            self.started = {
                "version": version,
                "import_seconds": round(float(imported), 3),
                "first_seconds": round(float(first), 3),
            }
        except NoAnswerError as error:
            self.failure = str(error)
            self.end()

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process is not None and self._process.poll() is None

    def ask(
        self, question: str, tol: float | None, limit: float, shapes: Sequence[tuple[int, ...]] | None
    ) -> tuple[float, list[np.ndarray]]:
        """Returns the seconds that a fit took, and its numbers in the shapes that are given.

        Args:
            question: "path" or "cv". tol: In the units of the contender; None is its default.
            limit: Seconds after which it is stopped.
            shapes: Of coefficients and intercepts, or of errors; None: the numbers are not read.

        Raises:
            NoAnswerError: if there is no answer in time.
        """
        if not self.alive:
            raise NoAnswerError("ended before")
        assert self._process is not None
        assert self._process.stdin is not None
        print(question, "default" if tol is None else repr(tol), file=self._process.stdin, flush=True)
        (seconds,) = self._answer("ok", limit)
        names = ("coef", "intercept") if question == "path" else ("error",)
        numbers = (np.fromfile(Path(self._out.name) / f"{name}.bin") for name in names)
        return float(seconds), [] if shapes is None else [
            part.reshape(shape) for part, shape in zip(numbers, shapes, strict=True)
        ]

    def end(self) -> None:
        """Ends the process and removes what it left."""
        if self._process is None:
            return
        self._stop()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process = None
        self._out.cleanup()

    def _answer(self, wanted: str, limit: float) -> list[str]:
        assert self._process is not None
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as ready:
            ready.register(self._process.stdout, selectors.EVENT_READ)
            if not ready.select(limit):
                self._stop()
                raise NoAnswerError(f"no answer within {limit:g} s")
        line = self._process.stdout.readline().split()
        if not line or line[0] != wanted:
            raise NoAnswerError(" ".join(line[1:]) or f"ended: {self._last_words()}")
        return line[1:]

    def _stop(self) -> None:
        """Ends it with all that it started."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _last_words(self) -> str:
        return " ".join(self._log.read_text().split())[-300:]


def _environment(threads: int) -> dict[str, str]:
    pools = ("OMP", "OPENBLAS", "MKL", "NUMBA", "RAYON")
    return {**os.environ, **{f"{pool}_NUM_THREADS": str(threads) for pool in pools}, "PYTHONWARNINGS": "ignore"}
