"""A process in which one contender of `linear.py` fits one problem as often as it is asked to.

    python benchmarks/linear_worker.py CONTENDER FOLDER THREADS OUT

It answers lines: "path TOL" or "cv TOL", with "default" for a library's own, by "ok SECONDS" or "error REASON", and
leaves numbers in the folder. The first line that it writes is "ready IMPORT FIRST VERSION": the seconds of the imports
and of the first fit, of a small problem, and the version of the package.
"""

from __future__ import annotations

import importlib
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from linear_cases import Problem, load, small
from linear_contenders import CONTENDERS, Contender
from scipy import sparse

_MODULES = {"scikit-learn": "sklearn.linear_model", "skein-glm": "skein_glm", "thalweg": "thalweg.linear._rows"}


def fit(contender: Contender, question: str, problem: Problem, tol: float | None, threads: int) -> list[np.ndarray]:
    if question == "cv":
        assert contender.cv is not None
        return [contender.cv(problem, tol, threads)]
    assert contender.path is not None
    return list(contender.path(problem, tol, threads))


def main() -> None:
    name, folder, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore")  # "not converged", which the gap says too
    contender, out = CONTENDERS[name], Path(sys.argv[4])
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer

    def answer(*words: object) -> None:
        print(*words, file=answers, flush=True)

    try:
        started = time.perf_counter()
        importlib.import_module(_MODULES.get(contender.package, contender.package))
        imported = time.perf_counter()
        problem = load(folder)
        num_classes = int(problem.y.max()) + 1 if problem.kind != "gaussian" else 0
        tiny = small(problem.kind, sparse.issparse(problem.x), num_classes)
        begun = time.perf_counter()
        fit(contender, "cv" if contender.path is None else "path", tiny, None, threads)
        first = time.perf_counter() - begun
    except Exception as error:
        answer("error", f"{type(error).__name__}: {error}".replace("\n", " ")[:400])
        return
    answer("ready", imported - started, first, version(contender.package))
    warm = {"path"} if contender.path is not None else {"cv"}
    for line in sys.stdin:
        question, given = line.split()
        tol = None if given == "default" else float(given)
        try:
            if question not in warm:  # worker processes of the library are started
                fit(contender, question, tiny, tol, threads)
                warm.add(question)
            begun = time.perf_counter()
            found = fit(contender, question, problem, tol, threads)
            seconds = time.perf_counter() - begun
            for part, numbers in zip(("coef", "intercept") if question == "path" else ("error",), found, strict=True):
                np.ascontiguousarray(numbers, np.float64).tofile(out / f"{part}.bin")
        except Exception as error:
            answer("error", f"{type(error).__name__}: {error}".replace("\n", " ")[:400])
        else:
            answer("ok", seconds)


if __name__ == "__main__":
    main()
