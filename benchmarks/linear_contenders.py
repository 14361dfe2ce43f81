"""The solvers that `linear.py` compares, each as its experts use it; libraries are imported when they are first asked.

A path takes a `Problem`, a tolerance in the units of its library (None: the library's default) and a number of threads,
and returns coefficients, (L, p) or (L, C, p), and intercepts, (L,) or (L, C). A cross-validation takes the same and
returns the (L,) mean squared errors, averaged over the folds.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from linear_cases import NUM_FOLDS, Problem
from scipy import sparse

Fit = tuple[np.ndarray, np.ndarray]
Path = Callable[[Problem, float | None, int], Fit]
CrossValidation = Callable[[Problem, float | None, int], np.ndarray]
#: what a limit on rounds is set to, so that the tolerance alone ends a fit
_ENOUGH = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A solver.

    Args:
        package: Whose solver it is, by the name that it is installed by.
        path: Fits a path, or None where another program does.
        cv: Cross-validates, or None.
        tolerances: Tried in turn until the gap is small enough.
        kinds: Of problems that it solves.
        takes: "any" inputs, "dense" or "sparse" ones.
        narrow: Whether it is for fewer inputs than rows only.
        questions: That it answers.
        like: Whose tolerance a cross-validation takes that has no path of its own.
        comparable: Whether its cross-validation has the folds and strengths of all others.
    """

    package: str
    tolerances: Sequence[float]
    path: Path | None = None
    cv: CrossValidation | None = None
    kinds: Sequence[str] = field(default=("gaussian",))
    takes: str = "any"
    narrow: bool = False
    questions: Sequence[str] = ("path", "cv")
    like: str | None = None
    comparable: bool = True

    def answers(self, question: str) -> bool:
        """Whether it can be asked."""
        return question in self.questions

    def suits(self, problem: Problem) -> bool:
        """Whether it solves such a problem."""
        inputs = "sparse" if sparse.issparse(problem.x) else "dense"
        fits = self.takes in ("any", inputs) and problem.kind in self.kinds
        return fits and (not self.narrow or problem.x.shape[1] < problem.x.shape[0])


# ---- ours


def ours_path(problem: Problem, tol: float | None, threads: int) -> Fit:
    """Fits by `fit_path`, its checks of the input included."""
    from thalweg.linear import fit_path

    found = fit_path(problem.x, problem.y, family=problem.kind, lambda_=problem.lambdas, threads=threads, **_given(tol))
    return found.coef, found.intercept


def ours_fast(problem: Problem, tol: float | None, threads: int) -> Fit:
    """Fits by `fit_path` in its fast mode; other tolerances are not asked for."""
    from thalweg.linear import fit_path

    found = fit_path(problem.x, problem.y, family=problem.kind, lambda_=problem.lambdas, threads=threads, tol="fast")
    return found.coef, found.intercept


def ours_cv(problem: Problem, tol: float | None, threads: int) -> np.ndarray:
    """Cross-validates by `cross_validate`, its checks of the input included; the path of all rows is fitted too."""
    from thalweg.linear import cross_validate

    every = np.arange(len(problem.y))
    folds = [(np.delete(every, fold), fold) for fold in problem.folds]
    given: dict[str, Any] = {"family": problem.kind, "lambda_": problem.lambdas, "folds": folds, "threads": threads}
    return cross_validate(problem.x, problem.y, **given, **_given(tol)).curve.mean


# ---- what several peers need


@dataclass(frozen=True)
class _Centred:
    """A problem without an intercept: dense inputs are centred, of sparse ones the means are kept apart."""

    x: Any
    y: np.ndarray
    mean: np.ndarray
    target: float

    @classmethod
    def of(cls, problem: Problem) -> _Centred:
        x, y = problem.x, problem.y
        mean, target = np.asarray(x.mean(0)).ravel(), float(y.mean())
        return cls(x if sparse.issparse(x) else np.asfortranarray(x - mean), y - target, mean, target)

    def offsets(self) -> dict[str, np.ndarray]:
        """What scikit-learn and celer call the means of sparse inputs."""
        return {"X_offset": self.mean, "X_scale": np.ones_like(self.mean)} if sparse.issparse(self.x) else {}

    def intercept(self, coef: np.ndarray) -> np.ndarray:
        return self.target - coef @ self.mean


def _given(tol: float | None, **more: Any) -> dict[str, Any]:
    """Returns the tolerance and what goes with it; nothing where all defaults are meant."""
    return {} if tol is None else {"tol": tol, **more}


def _fold_error(path: Path, problem: Problem, k: int, tol: float | None, threads: int) -> np.ndarray:
    warnings.simplefilter("ignore")  # "not converged", which the gap says too
    test = problem.folds[k]
    train = np.delete(np.arange(len(problem.y)), test)
    rows: Any = problem.x.tocsr() if sparse.issparse(problem.x) else problem.x
    x = rows[train].tocsc() if sparse.issparse(problem.x) else np.asfortranarray(rows[train])
    part = Problem(x=x, y=problem.y[train], lambdas=problem.lambdas, kind=problem.kind)
    coef, intercept = path(part, tol, threads)
    return ((problem.y[test, None] - rows[test] @ coef.T - intercept) ** 2).mean(0)


def by_folds(path: Path) -> CrossValidation:
    """Returns a cross-validation whose folds are shared out over processes that stay alive between calls."""

    def cv(problem: Problem, tol: float | None, threads: int) -> np.ndarray:
        from joblib import Parallel, delayed

        jobs = (delayed(_fold_error)(path, problem, k, tol, 1) for k in range(NUM_FOLDS))
        found: Any = Parallel(n_jobs=threads)(jobs)
        return np.mean(found, axis=0)

    return cv


# ---- scikit-learn


def sklearn_path(problem: Problem, tol: float | None, threads: int, *, precompute: bool) -> Fit:
    """Fits by `lasso_path`."""
    from sklearn.linear_model import lasso_path

    part = _Centred.of(problem)
    more = {**_given(tol, max_iter=_ENOUGH), **part.offsets()}
    fit: Any = lasso_path
    _, coef, _ = fit(part.x, part.y, alphas=problem.lambdas, precompute=precompute, copy_X=False, **more)
    return coef.T, part.intercept(coef.T)


def sklearn_cv(problem: Problem, tol: float | None, threads: int, *, precompute: bool) -> np.ndarray:
    """Cross-validates by `LassoCV`."""
    from sklearn.linear_model import LassoCV

    more: dict[str, Any] = {"alphas": problem.lambdas, "precompute": precompute, **_given(tol, max_iter=_ENOUGH)}
    model = LassoCV(cv=NUM_FOLDS, n_jobs=threads, **more)
    return np.asarray(model.fit(problem.x, problem.y).mse_path_).mean(1)


def sklearn_logistic(problem: Problem, tol: float | None, threads: int, *, solver: str) -> Fit:
    """Fits by `LogisticRegression`, each strength from the solution of the one before."""
    from sklearn.linear_model import LogisticRegression

    more = _given(tol, max_iter=20_000)
    if solver == "liblinear" and more:
        more["intercept_scaling"] = 1e4  # it penalises the intercept, less the larger this is
    model: Any = LogisticRegression(l1_ratio=1, solver=solver, warm_start=True, random_state=0, **more)
    found = []
    for strength in problem.lambdas:
        model.set_params(C=1 / (len(problem.y) * strength)).fit(problem.x, problem.y)
        found.append((model.coef_.copy(), model.intercept_.copy()))
    coef, intercept = (np.array(part) for part in zip(*found, strict=True))
    return (coef[:, 0], intercept[:, 0]) if problem.kind == "binomial" else (coef, intercept)


# ---- celer


def celer_path(problem: Problem, tol: float | None, threads: int, *, prune: bool) -> Fit:
    """Fits by `celer_path`."""
    from celer import celer_path as fit  # pyright: ignore[reportMissingImports]

    part = _Centred.of(problem)
    more = {**_given(tol, max_iter=1000), **part.offsets()}
    _, coef, _ = fit(part.x, part.y, "lasso", alphas=problem.lambdas, prune=prune, **more)
    return coef.T, part.intercept(coef.T)


def celer_cv(problem: Problem, tol: float | None, threads: int) -> np.ndarray:
    """Cross-validates by celer's `LassoCV`."""
    from celer import LassoCV  # pyright: ignore[reportMissingImports]

    more = _given(tol, max_iter=1000)
    model = LassoCV(alphas=problem.lambdas, cv=NUM_FOLDS, n_jobs=threads, **more)
    return model.fit(problem.x, problem.y).mse_path_.mean(1)


# ---- skglm


def skglm_path(problem: Problem, tol: float | None, threads: int, *, strategy: str) -> Fit:
    """Fits by `AndersonCD.path`; the intercept is a coordinate where inputs are sparse."""
    from skglm.datafits import Quadratic  # pyright: ignore[reportMissingImports]
    from skglm.penalties import L1  # pyright: ignore[reportMissingImports]
    from skglm.solvers import AndersonCD  # pyright: ignore[reportMissingImports]

    part, is_sparse = _Centred.of(problem), sparse.issparse(problem.x)
    solver = AndersonCD(ws_strategy=strategy, fit_intercept=is_sparse, **_given(tol, max_iter=1000))
    _, coef, _ = solver.path(part.x, part.y, Quadratic(), L1(1.0), alphas=problem.lambdas)
    if is_sparse:
        return coef[:-1].T, coef[-1] + part.target
    return coef.T, part.intercept(coef.T)


def skglm_gram(problem: Problem, tol: float | None, threads: int, *, greedy: bool) -> Fit:
    """Fits by `GramCD`, which has no path of its own and takes X'X anew for every strength."""
    from skglm.penalties import L1  # pyright: ignore[reportMissingImports]
    from skglm.solvers import GramCD  # pyright: ignore[reportMissingImports]

    part = _Centred.of(problem)
    more = _given(tol, max_iter=_ENOUGH)
    solver = GramCD(greedy_cd=greedy, use_acc=not greedy, fit_intercept=False, **more)
    coef = np.zeros((len(problem.lambdas), part.x.shape[1]))
    last = np.zeros(part.x.shape[1])
    for k, strength in enumerate(problem.lambdas):
        last = solver.solve(part.x, part.y, None, L1(strength), w_init=last)[0]
        coef[k] = last
    return coef, part.intercept(coef)


def skglm_logistic(problem: Problem, tol: float | None, threads: int) -> Fit:
    """Fits by `ProxNewton` with an intercept, each strength from the solution of the one before."""
    from skglm.datafits import Logistic  # pyright: ignore[reportMissingImports]
    from skglm.penalties import L1  # pyright: ignore[reportMissingImports]
    from skglm.solvers import ProxNewton  # pyright: ignore[reportMissingImports]

    solver = ProxNewton(fit_intercept=True, **_given(tol, max_iter=200))
    y, p = 2 * problem.y - 1, problem.x.shape[1]
    coef, last, fitted = np.zeros((len(problem.lambdas), p + 1)), np.zeros(p + 1), np.zeros(len(y))
    for k, strength in enumerate(problem.lambdas):
        last = solver.solve(problem.x, y, Logistic(), L1(strength), w_init=last, Xw_init=fitted)[0]
        fitted = problem.x @ last[:-1] + last[-1]
        coef[k] = last
    return coef[:, :-1], coef[:, -1]


# ---- skein-glm


def skein_path(problem: Problem, tol: float | None, threads: int, *, screening: str) -> Fit:
    """Fits by the function behind `ElasticNetPathRegressor`."""
    import skein_glm  # pyright: ignore[reportMissingImports]

    more = {"alpha": 1.0, "lambdas": problem.lambdas, "screening": screening, **_given(tol, max_iter=_ENOUGH)}
    if sparse.issparse(problem.x):
        coef, intercept, *_ = skein_glm.solve_elastic_net_ls_path_sparse(*_parts(problem.x), problem.y, **more)
    else:
        coef, intercept, *_ = skein_glm.solve_elastic_net_ls_path(np.ascontiguousarray(problem.x), problem.y, **more)
    return np.asarray(coef), np.asarray(intercept)


def skein_logistic(problem: Problem, tol: float | None, threads: int) -> Fit:
    """Fits by the function behind `LogisticLassoPathRegressor`."""
    import skein_glm  # pyright: ignore[reportMissingImports]

    more = {"lambdas": problem.lambdas, **_given(tol, max_iter=100_000, max_outer=1000, outer_tol=tol)}
    if sparse.issparse(problem.x):
        fit, given = skein_glm.solve_logistic_elastic_net_path_sparse, _parts(problem.x)
    else:
        fit, given = skein_glm.solve_logistic_elastic_net_path, (np.ascontiguousarray(problem.x),)
    coef, intercept, *_ = fit(*given, problem.y, alpha=1.0, **more)
    return np.asarray(coef), np.asarray(intercept)


def _parts(x: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int]:
    return x.data, x.indices.astype(np.int64), x.indptr.astype(np.int64), *x.shape


# ---- adelie


def adelie_path(problem: Problem, tol: float | None, threads: int) -> Fit:
    """Fits by `grpnet` on the inputs."""
    import adelie  # pyright: ignore[reportMissingImports]

    if sparse.issparse(problem.x):
        x = adelie.matrix.sparse(sparse.csc_matrix(problem.x), method="naive", n_threads=threads)
    else:
        x = adelie.matrix.dense(problem.x, method="naive", n_threads=threads)
    more = _given(tol)
    if problem.kind == "gaussian":
        glm = adelie.glm.gaussian(problem.y)
    else:
        glm = adelie.glm.binomial(problem.y)
        more = {**more, **({} if tol is None else {"irls_tol": tol})}
    state = adelie.grpnet(
        x, glm, lmda_path=problem.lambdas, early_exit=False, n_threads=threads, progress_bar=False, **more
    )
    return state.betas.toarray(), np.asarray(state.intercepts)


def adelie_covariance(problem: Problem, tol: float | None, threads: int) -> Fit:
    """Fits by `gaussian_cov` on X'X."""
    import adelie  # pyright: ignore[reportMissingImports]

    part = _Centred.of(problem)
    n = len(part.y)
    gram = adelie.matrix.dense(np.asfortranarray(part.x.T @ part.x / n), method="cov", n_threads=threads)
    state = adelie.solver.gaussian_cov(
        gram,
        part.x.T @ part.y / n,
        lmda_path=problem.lambdas,
        early_exit=False,
        rdev_tol=0,
        n_threads=threads,
        progress_bar=False,
        **_given(tol),
    )
    coef = state.betas.toarray()
    return coef, part.intercept(coef)


def adelie_cv(problem: Problem, tol: float | None, threads: int) -> np.ndarray:
    """Cross-validates by `cv_grpnet`: folds drawn at random, strengths of its own (as many, to the same ratio)."""
    import adelie  # pyright: ignore[reportMissingImports]

    dense = not sparse.issparse(problem.x)
    x = problem.x if dense else adelie.matrix.sparse(sparse.csc_matrix(problem.x), n_threads=threads)
    found = adelie.cv.cv_grpnet(
        x,
        adelie.glm.gaussian(problem.y),
        n_threads=threads,
        n_folds=NUM_FOLDS,
        min_ratio=problem.lambdas[-1] / problem.lambdas[0],
        lmda_path_size=len(problem.lambdas),
        seed=0,
        progress_bar=False,
        **_given(tol),
    )
    return np.asarray(found.avg_losses)


def _ladder(first: int, last: int) -> list[float]:
    return [10.0**-k for k in range(first, last + 1)]


def _all() -> dict[str, Contender]:
    found = {
        "ours": Contender(
            package="thalweg",
            path=ours_path,
            cv=ours_cv,
            tolerances=[1e-6],
            kinds=("gaussian", "binomial", "multinomial"),
        )
    }
    found["ours, fast"] = Contender(
        package="thalweg",
        path=ours_fast,
        tolerances=[1e-3],
        kinds=("gaussian", "binomial", "multinomial"),
        questions=("path",),
    )
    for precompute in (True, False):
        found[f"scikit-learn, precompute={precompute}"] = Contender(
            package="scikit-learn",
            path=partial(sklearn_path, precompute=precompute),
            cv=partial(sklearn_cv, precompute=precompute),
            tolerances=_ladder(4, 9),
        )
    for solver, kinds in (("saga", ("binomial", "multinomial")), ("liblinear", ("binomial",))):
        path = partial(sklearn_logistic, solver=solver)
        found[f"scikit-learn, {solver}"] = Contender(
            package="scikit-learn", path=path, tolerances=_ladder(3, 8), kinds=kinds
        )
    for prune in (True, False):
        path = partial(celer_path, prune=prune)
        found[f"celer, prune={prune}"] = Contender(
            package="celer", path=path, cv=by_folds(path), tolerances=_ladder(4, 9)
        )
    found["celer, LassoCV"] = Contender(
        package="celer", cv=celer_cv, tolerances=[], questions=("cv",), like="celer, prune=True"
    )
    for strategy in ("subdiff", "fixpoint"):
        path = partial(skglm_path, strategy=strategy)
        found[f"skglm, AndersonCD, {strategy}"] = Contender(
            package="skglm", path=path, cv=by_folds(path), tolerances=_ladder(3, 9)
        )
    for greedy in (True, False):
        path = partial(skglm_gram, greedy=greedy)
        found[f"skglm, GramCD, {'greedy' if greedy else 'cyclic'}"] = Contender(
            package="skglm", path=path, cv=by_folds(path), tolerances=_ladder(3, 9), takes="dense", narrow=True
        )
    found["skglm, ProxNewton"] = Contender(
        package="skglm", path=skglm_logistic, tolerances=_ladder(3, 9), kinds=("binomial",)
    )
    for screening in ("strong", "gap_safe"):
        path = partial(skein_path, screening=screening)
        found[f"skein-glm, {screening}"] = Contender(
            package="skein-glm", path=path, cv=by_folds(path), tolerances=_ladder(4, 10)
        )
    found["skein-glm, logistic"] = Contender(
        package="skein-glm", path=skein_logistic, tolerances=_ladder(4, 9), kinds=("binomial",)
    )
    found["adelie, grpnet"] = Contender(
        package="adelie",
        path=adelie_path,
        cv=by_folds(adelie_path),
        tolerances=_ladder(7, 16),
        kinds=("gaussian", "binomial"),
    )
    found["adelie, covariance"] = Contender(
        package="adelie",
        path=adelie_covariance,
        cv=by_folds(adelie_covariance),
        tolerances=_ladder(7, 16),
        takes="dense",
        narrow=True,
    )
    found["adelie, cv_grpnet"] = Contender(
        package="adelie",
        cv=adelie_cv,
        tolerances=[],
        questions=("cv",),
        like="adelie, grpnet",
        comparable=False,
    )
    for kind in ("covariance", "naive"):
        found[f"glmnet, {kind}"] = Contender(package="glmnet", tolerances=_ladder(7, 16))
    for kind in ("Newton", "modified.Newton"):
        found[f"glmnet, {kind}"] = Contender(
            package="glmnet", tolerances=_ladder(7, 14), kinds=("binomial", "multinomial")
        )
    return found


CONTENDERS = _all()
