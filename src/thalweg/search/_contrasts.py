"""Least squares with errors that stay right where the spread differs from member to member (HC3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# A member with more leverage than this is fitted exactly: it has no residual to estimate a spread from.
_EXACT = 1 - 1e-9


@dataclass(frozen=True, kw_only=True)
class Contrasts:
    """Estimates of K linear combinations of the coefficients; NaN where the data cannot give one."""

    estimates: np.ndarray
    """c' beta, (K,)."""
    errors: np.ndarray
    """HC3 standard errors, (K,)."""
    dfs: np.ndarray
    """Degrees of freedom of each error, (K,)."""
    shares: np.ndarray
    """The largest part of each squared error that one member brings, (K,)."""
    members: np.ndarray
    """Which member that is, (K,)."""


def hc3_contrasts(X: np.ndarray, y: np.ndarray, C: np.ndarray) -> Contrasts:
    """Returns C @ beta of the least-squares fit of y on X, with HC3 standard errors.

    With l = c' pinv(X), leverages h and residuals e, the squared error of c' beta is
    sum_i l_i^2 e_i^2 / (1 - h_i)^2. X may be rank-deficient; a combination outside its row space, and one
    that leans on a member that is fitted exactly, is NaN. The degrees of freedom are Satterthwaite's for
    that quadratic form under equal spread, with W = diag(l_i^2 / (1 - h_i)^2) and M = I - H:
    tr(W M)^2 / tr(W M W M); for a level with three members it comes out near 2, where N - rank would promise
    far too much.

    Args:
        X: Design, (N, Q).
        y: Response, (N,).
        C: Combinations, (K, Q).

    References:
        MacKinnon and White, Some heteroskedasticity-consistent covariance matrix estimators with improved
        finite sample properties, 1985 (HC3; the form without the factor (N - 1)/N).
        Bell and McCaffrey, Bias reduction in standard errors for linear regression with multi-stage samples,
        2002. Imbens and Kolesar, Robust standard errors in small samples: some practical advice, 2016. Both
        take the degrees of freedom for HC2; we take the same formula for HC3.
    """
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    rank = int((s > s.max(initial=0.0) * max(X.shape) * np.finfo(np.float64).eps).sum())
    U, s, Vt = U[:, :rank], s[:rank], Vt[:rank]
    inside = C @ Vt.T
    estimable = np.linalg.norm(C - inside @ Vt, axis=1) <= 1e-8 * np.linalg.norm(C, axis=1)
    L = (inside / s) @ U.T
    leverage = np.minimum((U**2).sum(axis=1), 1.0)
    residual = y - U @ (U.T @ y)
    exact = leverage > _EXACT
    leans = (L[:, exact] ** 2).sum(axis=1) > 1e-18 * (L**2).sum(axis=1)
    W = np.where(exact, 0.0, L**2 / np.where(exact, 1.0, 1 - leverage) ** 2)
    parts = W * residual**2
    squared = parts.sum(axis=1)
    trace = W @ (1 - leverage)
    # H_ij^2 summed over i, j is a Frobenius norm of a (rank, rank) matrix, so that (N, N) never exists.
    cross = np.array([np.sum(((U * w[:, None]).T @ U) ** 2) for w in W])
    trace_of_square = (W**2) @ (1 - 2 * leverage) + cross
    known = estimable & ~leans & (trace_of_square > 1e-18 * (W**2).sum(axis=1)) & (len(y) > rank)
    with np.errstate(divide="ignore", invalid="ignore"):
        dfs = np.where(known, trace**2 / trace_of_square, np.nan)
        shares = np.where(squared > 0, parts.max(axis=1, initial=0.0) / squared, 0.0)
    return Contrasts(
        estimates=np.where(estimable, L @ y, np.nan),
        errors=np.where(known, np.sqrt(squared), np.nan),
        dfs=dfs,
        shares=shares,
        members=parts.argmax(axis=1),
    )
