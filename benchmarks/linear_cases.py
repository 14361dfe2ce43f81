"""The problems that `linear.py` times, and the duality gap by which everybody's answers are measured.

It imports nothing of ours: peers read it in processes with other versions.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from scipy.signal import lfilter
from scipy.special import softmax, xlogy

NUM_LAMBDAS, NUM_FOLDS = 100, 10


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A path to fit: 1/n sum of losses + lambda ||b||_1 with an intercept; nothing is standardised.

    Args:
        x: (n, p) float64 by columns: in Fortran order, or a sparse matrix in CSC format.
        y: (n,) targets, or classes 0, 1, ..., C - 1.
        lambdas: (L,), falling from the smallest at which all coefficients are 0.
        kind: "gaussian" (half the squared error), "binomial" or "multinomial".
    """

    x: Any
    y: np.ndarray
    lambdas: np.ndarray
    kind: str

    @property
    def folds(self) -> list[np.ndarray]:
        """The rows that each fold holds out: stretches of about the same length."""
        return np.array_split(np.arange(len(self.y)), NUM_FOLDS)


def dense(n: int, p: int, *, rho: float, support: int, snr: float, ratio: float, seed: int) -> Problem:
    """Returns columns that are a stationary AR(1) series in every row, and a target at a signal-to-noise ratio.

    Neighbouring columns have correlation rho. The coefficients that are not 0 lie evenly among the columns and are
    standard normal.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p))
    x[:, 1:] *= np.sqrt(1 - rho**2)
    x = np.asfortranarray(lfilter([1.0], [1.0, -rho], x, axis=1))
    return _gaussian(x, _coefficients(rng, p, support), snr, ratio, rng)


def sparse_gaussian(n: int, p: int, *, density: float, support: int, snr: float, ratio: float, seed: int) -> Problem:
    """Returns standard normal entries at random places, and a target at a signal-to-noise ratio."""
    rng = np.random.default_rng(seed)
    x = sparse.random_array((n, p), density=density, format="csc", rng=rng, data_sampler=rng.standard_normal)
    return _gaussian(x, _coefficients(rng, p, support), snr, ratio, rng)


def sparse_binomial(n: int, p: int, *, density: float, support: int, ratio: float, seed: int) -> Problem:
    """Returns sparse inputs as above, and classes drawn from a logistic model with logits of standard deviation 3."""
    rng = np.random.default_rng(seed)
    x = sparse.random_array((n, p), density=density, format="csc", rng=rng, data_sampler=rng.standard_normal)
    logits = x @ _coefficients(rng, p, support)
    y = (rng.random(n) < 1 / (1 + np.exp(-3 * logits / logits.std()))).astype(np.float64)
    return _with_lambdas(x, y, "binomial", ratio)


def breast_cancer(ratio: float) -> Problem:
    """Returns the breast cancer data of scikit-learn, 569 x 30, with columns of mean 0 and variance 1."""
    from sklearn.datasets import load_breast_cancer

    found: Any = load_breast_cancer()
    return _with_lambdas(_unit(found.data), found.target.astype(np.float64), "binomial", ratio)


def khan(ratio: float) -> Problem:
    """Returns the training rows of Khan's tumours, 63 x 2308 and 4 classes, with columns of mean 0 and variance 1."""
    with np.load(_given_data("regression/khan_srbct.npz")) as found:
        x, y = found["X_train"].astype(np.float64), found["y_train"].astype(np.float64)
    return _with_lambdas(_unit(x), y - y.min(), "multinomial", ratio)


def meats(ratio: float) -> Problem:
    """Returns the share of fat in meats and their near-infrared spectra, 215 x 100, in columns of variance 1."""
    with np.load(_given_data("regression/meats_nir.npz")) as found:
        return _with_lambdas(_unit(found["X"].astype(np.float64)), found["Y"][:, 1], "gaussian", ratio)


def hitters(ratio: float) -> Problem:
    """Returns the logarithm of the salaries of 263 baseball players and 19 inputs, in columns of variance 1."""
    lines = _given_data("regression/hitters.csv").read_text().splitlines()
    names, *rows = (line.split(",") for line in lines)
    target = names.index("Salary")
    rows = [row for row in rows if row[target]]
    first = rows[0]  # of the words, each column has two
    x = [[float(v) if _is_number(v) else float(v == first[k]) for k, v in enumerate(row)] for row in rows]
    inputs = np.delete(np.array(x), target, axis=1)
    return _with_lambdas(_unit(inputs), np.log([float(row[target]) for row in rows]), "gaussian", ratio)


def diabetes(ratio: float) -> Problem:
    """Returns the diabetes data of scikit-learn, 442 x 10, with columns of mean 0 and variance 1."""
    from sklearn.datasets import load_diabetes

    found: Any = load_diabetes()
    return _with_lambdas(_unit(found.data), found.target, "gaussian", ratio)


def text(kind: str, ratio: float) -> Problem:
    """Returns passages of 20 lines from seven plays of Shakespeare, by the logarithms of their words' counts.

    Args:
        kind: "gaussian": how many question and exclamation marks they hold; "binomial": whether they are from the
            first play, Romeo and Juliet.
        ratio: Of the last strength and the first.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    lines = _given_data("text/shakespeare_7plays.txt").read_text().splitlines()
    passages = ["\n".join(lines[k : k + 20]) for k in range(0, len(lines) - 19, 20)]
    counts: Any = CountVectorizer(min_df=2).fit_transform(passages)
    x = sparse.csc_array(counts.astype(np.float64).log1p())
    if kind == "gaussian":
        y = np.array([float(sum(map(passage.count, "?!"))) for passage in passages])
    else:  # a play begins with its first act
        second = [k for k, line in enumerate(lines) if line.startswith("ACT I.")][1]
        y = (20 * np.arange(len(passages)) < second).astype(np.float64)
    return _with_lambdas(x, y, kind, ratio)


#: name -> the problem; the settings are what the results record
CASES: dict[str, tuple[Callable[..., Problem], dict[str, Any]]] = {
    "a": (dense, {"n": 100_000, "p": 100, "rho": 0.5, "support": 30, "snr": 3.0, "ratio": 1e-3, "seed": 1}),
    "b": (dense, {"n": 2000, "p": 5000, "rho": 0.9, "support": 100, "snr": 3.0, "ratio": 1e-2, "seed": 2}),
    "c": (dense, {"n": 500, "p": 20_000, "rho": 0.0, "support": 50, "snr": 10.0, "ratio": 1e-2, "seed": 3}),
    "d": (
        sparse_gaussian,
        {"n": 20_000, "p": 50_000, "density": 1e-3, "support": 100, "snr": 10.0, "ratio": 1e-2, "seed": 4},
    ),
    "khan": (khan, {"ratio": 1e-2}),
    "meats": (meats, {"ratio": 1e-4}),
    "hitters": (hitters, {"ratio": 1e-3}),
    "diabetes": (diabetes, {"ratio": 1e-3}),
    "text": (text, {"kind": "gaussian", "ratio": 1e-2}),
    "text-classes": (text, {"kind": "binomial", "ratio": 1e-2}),
    "breast-cancer": (breast_cancer, {"ratio": 1e-3}),
    "sparse-logistic": (
        sparse_binomial,
        {"n": 5000, "p": 20_000, "density": 2e-3, "support": 50, "ratio": 1e-2, "seed": 5},
    ),
}


def make(case: str, scale: float = 1.0) -> Problem:
    """Returns a problem.

    Args:
        case: Its name.
        scale: Factor on numbers of rows and columns, to see whether all works.
    """
    call, settings = CASES[case]
    sizes = {name: max(20, round(settings[name] * scale)) for name in ("n", "p") if name in settings}
    if "support" in settings:
        sizes["support"] = min(settings["support"], sizes["p"] // 2)
    return call(**{**settings, **sizes})


def small(kind: str, is_sparse: bool, num_classes: int) -> Problem:
    """Returns a problem of a kind that takes no time, for first calls."""
    rng = np.random.default_rng(0)
    # more rows than columns, and more than joblib hands over in a file
    x = np.asfortranarray(rng.standard_normal((4000, 50)))
    y = x[:, :5].sum(1) + rng.standard_normal(len(x))
    if kind != "gaussian":
        y = np.clip(np.floor((y - y.min()) / np.ptp(y) * num_classes), 0, num_classes - 1)
    return _with_lambdas(sparse.csc_array(np.where(abs(x) > 1, x, 0)) if is_sparse else x, y, kind, 0.1)


def gaps(problem: Problem, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """Returns the (L,) duality gaps of a path, primal - dual, as shares of the objective at b = 0.

    Args:
        problem: With L strengths.
        coef: (L, p), or (L, C, p) of a multinomial. intercept: (L,), or (L, C).
    """
    return (_gaussian_gaps if problem.kind == "gaussian" else _class_gaps)(problem, coef, intercept)


def _gaussian_gaps(problem: Problem, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """See `gaps`. The dual point is the residual less its mean, times the best factor that keeps it feasible."""
    x, y, lambdas, n = problem.x, problem.y, problem.lambdas, len(problem.y)
    residual = y[:, None] - x @ coef.T - intercept
    primal = (residual**2).sum(0) / (2 * n) + lambdas * abs(coef).sum(1)
    centred, point = y - y.mean(), residual - residual.mean(0)
    most = lambdas * n / np.maximum(abs(x.T @ point).max(0), 1e-300)
    factor = np.clip(centred @ point / np.maximum((point**2).sum(0), 1e-300), -most, most)
    null = centred @ centred / (2 * n)
    dual = null - ((centred[:, None] - factor * point) ** 2).sum(0) / (2 * n)
    return (primal - dual) / null


def _class_gaps(problem: Problem, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """See `gaps`. The dual point is the share of every class, moved towards the truth until it is feasible.

    The primal is at the given intercept; the dual point is taken at the best one, as its means must be those of the
    truth. With P the chances, Y the truth and Q = Y + s (P - Y), the dual is the mean entropy of the rows of Q
    wherever max |X'(Q - Y)| / n is at most lambda.
    """
    x, n = problem.x, len(problem.y)
    truth = np.eye(int(problem.y.max()) + 1)[problem.y.astype(int)]
    shares = truth.mean(0)
    null = -xlogy(shares, shares).sum()
    found = np.zeros(len(problem.lambdas))
    for k, strength in enumerate(problem.lambdas):
        b, b0 = np.atleast_2d(coef[k]), np.atleast_1d(intercept[k])
        logits = x @ b.T + b0
        if problem.kind == "binomial":
            logits = np.hstack([np.zeros((n, 1)), logits])
        loss = (np.logaddexp.reduce(logits, axis=1) - (logits * truth).sum(1)).mean()
        chances = softmax(_best_intercept(logits, truth), axis=1)
        off = chances - truth
        largest = abs(x.T @ (off[:, 1:] if problem.kind == "binomial" else off)).max() / n
        q = truth + min(1.0, strength / max(largest, 1e-300)) * off
        found[k] = (loss + strength * abs(b).sum() + xlogy(q, q).sum() / n) / null
    return found


def _best_intercept(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Returns logits at the intercepts under which the mean chances are those of the truth, by Newton's method."""
    n, num = logits.shape
    for _ in range(50):
        chances = softmax(logits, axis=1)
        slope = (chances - truth).mean(0)
        if abs(slope).max() < 1e-15:
            break
        curvature = np.diag(chances.mean(0)) - chances.T @ chances / n
        logits = logits - np.linalg.lstsq(curvature + np.full((num, num), 1.0 / num), slope, rcond=None)[0]
    return logits


def save(problem: Problem, folder: Path) -> None:
    """Writes a problem as raw numbers that any program can read."""
    is_sparse = sparse.issparse(problem.x)
    x = problem.x
    nums = [*x.shape, len(problem.lambdas), int(is_sparse), int(x.nnz) if is_sparse else 0, NUM_FOLDS]
    (folder / "sizes.txt").write_text(" ".join(map(str, nums)) + f" {problem.kind}\n")
    if is_sparse:
        x.data.tofile(folder / "values.bin")
        x.indices.astype(np.int32).tofile(folder / "rows.bin")
        x.indptr.astype(np.int32).tofile(folder / "starts.bin")
    else:
        x.T.tofile(folder / "x.bin")
    problem.y.tofile(folder / "y.bin")
    problem.lambdas.tofile(folder / "lambdas.bin")


def load(folder: Path) -> Problem:
    """Returns what `save` wrote."""
    *numbers, kind = (folder / "sizes.txt").read_text().split()
    n, p, _, is_sparse, _, _ = map(int, numbers)
    if is_sparse:
        parts = (np.fromfile(folder / f"{name}.bin", dtype) for name, dtype in _SPARSE.items())
        x: Any = sparse.csc_array(tuple(parts), shape=(n, p))
    else:
        x = np.fromfile(folder / "x.bin").reshape(p, n).T
    return Problem(x=x, y=np.fromfile(folder / "y.bin"), lambdas=np.fromfile(folder / "lambdas.bin"), kind=kind)


_SPARSE = {"values": np.float64, "rows": np.int32, "starts": np.int32}


def _given_data(name: str) -> Path:
    folder = os.environ.get("THALWEG_DATA")
    if folder is None:
        raise FileNotFoundError(f"THALWEG_DATA must name the folder that holds {name}")
    return Path(folder) / name


def _is_number(word: str) -> bool:
    return word.removeprefix("-").replace(".", "", 1).isdigit()


def _coefficients(rng: np.random.Generator, p: int, support: int) -> np.ndarray:
    coef = np.zeros(p)
    coef[np.linspace(0, p - 1, support).astype(int)] = rng.standard_normal(support)
    return coef


def _gaussian(x: Any, coef: np.ndarray, snr: float, ratio: float, rng: np.random.Generator) -> Problem:
    signal = x @ coef
    y = 1.0 + signal + signal.std() / np.sqrt(snr) * rng.standard_normal(len(signal))
    return _with_lambdas(x, y, "gaussian", ratio)


def _with_lambdas(x: Any, y: np.ndarray, kind: str, ratio: float) -> Problem:
    target = y[:, None] if kind == "gaussian" else np.eye(int(y.max()) + 1)[y.astype(int)]
    largest = abs(x.T @ (target - target.mean(0))).max() / len(y)
    return Problem(x=x, y=y, lambdas=largest * np.geomspace(1, ratio, NUM_LAMBDAS), kind=kind)


def _unit(x: np.ndarray) -> np.ndarray:
    return np.asfortranarray((x - x.mean(0)) / np.maximum(x.std(0), 1e-12))
