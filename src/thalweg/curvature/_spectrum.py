"""Eigenvalues at the ends, trace and density of a symmetric operator, from products alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.linalg import LinearOperator, eigsh

from thalweg.core import Interval, Purpose, check_number, derive_key, interval_of_mean

#: operators up to this size are made dense: exact, and no slower
_DENSE = 64


@dataclass(frozen=True, kw_only=True)
class Eigenpairs:
    """Eigenvalues with their vectors and how exact each is.

    Args:
        values: (k,) from the largest to the smallest.
        vectors: (N, k), of norm 1.
        residuals: (k,) norm of A v - value v: a true eigenvalue lies so near.
    """

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Density:
    """How the eigenvalues are spread, as weighted points.

    Args:
        values: (M,) places, ascending.
        weights: (M,) shares of all eigenvalues, of sum 1.
    """

    values: np.ndarray
    weights: np.ndarray

    def smoothed(self, places: np.ndarray, width: float) -> np.ndarray:
        """Returns the density at places, each point spread as a Gaussian of a standard deviation."""
        distance = (places[:, None] - self.values[None]) / width
        return (self.weights * np.exp(-0.5 * distance**2)).sum(1) / (width * np.sqrt(2 * np.pi))


def extreme_eigenvalues(operator: LinearOperator, k: int = 5, *, tol: float = 1e-6) -> Eigenpairs:
    """Returns the k largest eigenvalues, by implicitly restarted Lanczos (ARPACK through SciPy).

    Args:
        operator: Symmetric, (N, N).
        k: How many; all of them where N is smaller.
        tol: Relative accuracy of the eigenvalues.

    Raises:
        InputError: where k is below 1.

    References:
        Lehoucq, Sorensen and Yang, ARPACK users' guide, 1998.

    Example:
        >>> from scipy.sparse.linalg import aslinearoperator
        >>> extreme_eigenvalues(aslinearoperator(np.diag([3.0, 1.0, -2.0])), 2).values
        array([3., 1.])
    """
    check_number("k", k, least=1, integer=True)
    size = operator.shape[0]
    if size <= max(_DENSE, k + 1):
        values, vectors = np.linalg.eigh(_dense(operator))
        values, vectors = values[-k:], vectors[:, -k:]
    else:
        rng = np.random.default_rng(derive_key(0, Purpose.SPACE))
        v0 = rng.standard_normal(size)
        values, vectors = eigsh(operator, k=k, which="LA", tol=tol, v0=v0)  # pyright: ignore[reportArgumentType]
    order = np.argsort(-values)
    values, vectors = values[order], vectors[:, order]
    residuals = np.linalg.norm(operator.matmat(vectors) - vectors * values, axis=0)
    return Eigenpairs(values=values, vectors=vectors, residuals=residuals)


def extreme_pair(operator: LinearOperator, *, tol: float = 1e-6) -> Eigenpairs:
    """Returns the largest and the smallest eigenvalue.

    The smallest is looked for as the largest of `largest - A`: its accuracy is a share of the spread. Asked for by
    itself, in a crowd of eigenvalues near zero, it would have to be exact to a share of almost nothing.

    Args:
        operator: Symmetric, (N, N).
        tol: Accuracy of both, as a share of the largest |eigenvalue|.
    """
    top = extreme_eigenvalues(operator, 1, tol=tol)
    above = float(top.values[0])

    def turned_over(vectors: np.ndarray) -> np.ndarray:
        columns = vectors.reshape(len(vectors), -1)
        return (above * columns - operator.matmat(columns)).reshape(vectors.shape)

    turned = LinearOperator(operator.shape, matvec=turned_over, matmat=turned_over, dtype=operator.dtype)  # pyright: ignore[reportCallIssue]
    bottom = extreme_eigenvalues(turned, 1, tol=tol)
    return Eigenpairs(
        values=np.array([above, above - float(bottom.values[0])]),
        vectors=np.concatenate([top.vectors, bottom.vectors], 1),
        residuals=np.concatenate([top.residuals, bottom.residuals]),
    )


def hutchinson_trace(operator: LinearOperator, probes: int = 32, *, seed: int = 0) -> Interval:
    """Returns the trace: the mean of v'Av over random signs v, with its 95% interval over probes.

    Args:
        operator: Symmetric, (N, N).
        probes: How many vectors of random signs, at least 2.
        seed: Of the signs.

    References:
        Hutchinson, A stochastic estimator of the trace of the influence matrix, 1990.
    """
    check_number("probes", probes, least=2, integer=True)
    signs = _signs(operator.shape[0], probes, seed)
    return interval_of_mean(np.einsum("nk,nk->k", signs, operator.matmat(signs)))


def spectral_density(operator: LinearOperator, *, steps: int = 60, probes: int = 4, seed: int = 0) -> Density:
    """Returns the spread of the eigenvalues by stochastic Lanczos quadrature.

    Of every probe, Lanczos with full reorthogonalisation gives a tridiagonal matrix; its eigenvalues are places, the
    squares of the first components of its eigenvectors their weights (Gauss quadrature of the spectral measure).

    Args:
        operator: Symmetric, (N, N).
        steps: Products of every probe; so many places.
        probes: How many random starts.
        seed: Of the starts.

    References:
        Golub and Welsch, Calculation of Gauss quadrature rules, 1969; Lin, Saad and Yang, Approximating spectral
        densities of large matrices, 2016, section 3.2; Ghorbani, Krishnan and Xiao, An investigation into neural net
        optimization via Hessian eigenvalue density, 2019.
    """
    check_number("steps", steps, least=1, integer=True)
    check_number("probes", probes, least=1, integer=True)
    size = operator.shape[0]
    starts = _signs(size, probes, seed) / np.sqrt(size)
    values, weights = [], []
    for alpha, beta in _lanczos(operator, starts, min(steps, size)):
        places, vectors = eigh_tridiagonal(alpha, beta)
        values.append(places)
        weights.append(vectors[0] ** 2 / probes)
    flat, shares = np.concatenate(values), np.concatenate(weights)
    order = np.argsort(flat)
    return Density(values=flat[order], weights=shares[order] / shares.sum())


def _lanczos(operator: LinearOperator, starts: np.ndarray, steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns per start the diagonal and the off-diagonal of the tridiagonal matrix; all starts share each product."""
    size, probes = starts.shape
    basis = np.zeros((steps, size, probes))
    basis[0] = starts / np.linalg.norm(starts, axis=0)
    alpha, beta = np.zeros((steps, probes)), np.zeros((steps, probes))
    ends = np.full(probes, steps)
    for k in range(steps):
        w = operator.matmat(basis[k])
        alpha[k] = np.einsum("np,np->p", basis[k], w)
        for _ in range(2):  # twice is enough (Giraud, Langou and Rozloznik, 2005)
            w -= np.einsum("jnp,jp->np", basis[: k + 1], np.einsum("jnp,np->jp", basis[: k + 1], w))
        beta[k] = np.linalg.norm(w, axis=0)
        if k + 1 == steps:
            break
        alive = beta[k] > 1e-10 * max(np.abs(alpha[: k + 1]).max(), 1e-300)
        ends = np.where(~alive & (ends == steps), k + 1, ends)  # the Krylov space is whole: the rest would be rounding
        basis[k + 1] = np.where(alive, w / np.where(alive, beta[k], 1), 0)
    return [(alpha[: ends[p], p], beta[: ends[p] - 1, p]) for p in range(probes)]


def _signs(size: int, num: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(derive_key(seed, Purpose.SPACE))
    return rng.integers(0, 2, (size, num)) * 2.0 - 1.0


def _dense(operator: LinearOperator) -> np.ndarray:
    found = operator.matmat(np.eye(operator.shape[0]))
    return (found + found.T) / 2
