"""Paths of penalised least squares with sparse inputs, compiled: working sets, and which columns need a look.

For the lasso the residual moves along a line between the strengths at which a column joins or leaves (Osborne, Presnell
and Turlach, A new approach to variable selection in least squares problems, 2000). So what a column's product with the
residual must be is known from two earlier strengths, up to what the residual has strayed from its line.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from thalweg.linear._kernel import MATH, kept_in_cache
from thalweg.linear._kernel_quadratic import kkt_violation, quadratic_gap
from thalweg.linear._kernel_sparse import Limits, solve_within
from thalweg.linear._kernel_sparse_columns import Columns, add_sizes, fresh_residual, products, two_products

#: the gap to reach within a working set, as a share of what is left to reach over all columns
_INNER = 0.3
#: columns join when their product is predicted to come so near to its limit
_NEAR = 0.93
#: columns that a working set may grow by at once, where its support is small
_FEW = 100
#: all columns are looked at where more than this share of them would have to be
_MANY = 0.1


class Line(NamedTuple):
    """What all columns' products with the residual are when the residual moves along a line.

    Args:
        up: (p,) 1 / l1 at strength 1, and 0 where b may not be above 0. down: (p,) the same below.
        norm: (p,) 2-norms of the columns of X. total: (p,) 1-norms of those of A.
        at: (1,) the strength where the line begins.
        corr: (p,) products there. slope: (p,) how they change, by the strength.
        residual: (n,) there. along: (n,) how it changes.
        bound: (p,) room for bounds of the products, as shares of their limits. near: (p,) room for columns.
    """

    up: np.ndarray
    down: np.ndarray
    norm: np.ndarray
    total: np.ndarray
    at: np.ndarray
    corr: np.ndarray
    slope: np.ndarray
    residual: np.ndarray
    along: np.ndarray
    bound: np.ndarray
    near: np.ndarray

    @classmethod
    def of(cls, x: Columns, limits: Limits, y: np.ndarray, q: np.ndarray) -> Line:
        """Returns the point at b = 0.

        Args:
            x: The columns. limits: Of all, at strength 1.
            y: (n,) orthogonal to the basis. q: (p,) X'y.
        """
        size, total = len(q), np.zeros(len(q))
        add_sizes(x.data, x.indptr, total)
        with np.errstate(divide="ignore"):
            inverse = 1.0 / limits.l1
        return cls(
            up=np.where(limits.upper > 0, inverse, 0.0),
            down=np.where(limits.lower < 0, inverse, 0.0),
            norm=np.sqrt(x.norms),
            total=total,
            at=np.zeros(1),
            corr=q.copy(),
            slope=np.zeros(size),
            residual=y.copy(),
            along=np.zeros(len(y)),
            bound=np.zeros(size),
            near=np.zeros(size, np.int64),
        )


with kept_in_cache():

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _bound(line, strength, stray, strayed):
        """Writes bounds of all products, where the residual is off the line by so much in the 2-norm, and in a row."""
        ahead = strength - line.at[0]
        for j in range(line.bound.size):
            c, a, b = line.corr[j] + ahead * line.slope[j], line.norm[j] * stray, line.total[j] * strayed
            off = a if a < b else b
            high, low = (off + c) * line.up[j], (off - c) * line.down[j]
            line.bound[j] = high if high > low else low

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _off_line(line, strength, residual):
        """Returns how far a residual is from the line, in the 2-norm and in the row where it is farthest."""
        ahead, squares, most = strength - line.at[0], 0.0, 0.0
        for i in range(residual.size):
            away = abs(residual[i] - line.residual[i] - ahead * line.along[i])
            squares += away * away
            most = max(most, away)
        return np.sqrt(squares), most

    @njit(cache=True, nogil=True, error_model="numpy")
    def _join(line, strength, which, inside):
        """Takes into the working set what is predicted to come near its limit, at most so many, the steepest first."""
        _bound(line, strength, 0.0, 0.0)
        line.bound[which] = 0.0
        _take_steepest(np.flatnonzero(line.bound > _NEAR * strength), line.bound, which.size, inside)

    @njit(cache=True, nogil=True, error_model="numpy")
    def _take_steepest(wanted, steep, support, inside):
        most = max(_FEW, support)
        if wanted.size > most:
            wanted = wanted[np.argsort(-steep[wanted], kind="mergesort")[:most]]
        inside[wanted] = True

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _begin_line(x, line, strength, residual, before, last):
        """Looks at all columns, and lays the line through the residuals at two strengths; they may be the same one."""
        found = np.empty((line.corr.size, 2))
        two_products(x, residual, last, found)
        share = 1.0 / (strength - before) if strength != before else 0.0
        line.at[0] = strength
        for j in range(line.corr.size):
            line.corr[j], line.slope[j] = found[j, 0], share * (found[j, 0] - found[j, 1])
        for i in range(residual.size):
            line.residual[i], line.along[i] = residual[i], share * (residual[i] - last[i])

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _survey(x, line, strength, residual, before, last, which):
        """Finds the columns outside a working set whose products are beyond their limits.

        Args:
            x: Columns. line: Of them; it begins anew where it does not serve any longer.
            strength: lambda. residual: (n,) there, orthogonal to the basis.
            before: An earlier strength. last: (n,) the residual there.
            which: The working set.

        Returns:
            A bound of what all products outside are as shares of their limits at strength 1, and the columns that
            are beyond the limit, with their shares in `line.bound`.
        """
        for _ in range(2):
            _bound(line, strength, *_off_line(line, strength, residual))
            line.bound[which] = 0.0
            most, num = 0.0, 0
            for j in range(line.bound.size):
                line.near[num] = j  # written in any case, and kept by the count: a branch would be mispredicted
                num += line.bound[j] >= strength
            if num <= _MANY * line.bound.size or line.at[0] == strength:
                break
            _begin_line(x, line, strength, residual, before, last)
        beyond = 0
        for s in range(num):
            j, found = line.near[s], 0.0
            for t in range(x.indptr[j], x.indptr[j + 1]):
                found += x.data[t] * residual[x.indices[t]]
            line.bound[j] = max(found * line.up[j], -found * line.down[j])
            line.near[beyond] = j
            beyond += line.bound[j] > strength
        for j in range(line.bound.size):
            most = line.bound[j] if line.bound[j] > most else most
        return most, line.near[:beyond]

    @njit(cache=True, nogil=True)
    def _kept(values, num, new):
        """Returns an array whose first entries are those of values, followed by new; it has room for more."""
        if num + new.size > values.size:
            wider = np.empty(2 * (num + new.size), values.dtype)
            wider[:num] = values[:num]
            values = wider
        values[num : num + new.size] = new
        return values

    @njit(cache=True, nogil=True, error_model="numpy")
    def sparse_path(x, y, basis, q, line, strengths, limits, tol, max_rounds, coef, gaps, kkts):
        """Returns the solutions for falling strengths, each from the one before.

        Args:
            x: Of p columns over n rows.
            y: (n,) orthogonal to the basis. basis: (k, n) Q'. q: (p,) X'y.
            line: At b = 0; changed.
            strengths: (L,) what l1 and l2 are multiplied by.
            limits: Of (p,), at strength 1.
            tol: In units of the objective.
            max_rounds: For every strength.
            coef: (p,) where to start; changed.
            gaps: (L,) written. kkts: (L,) written.

        Returns:
            The coefficients that are not 0, in CSR format: values, columns and (L + 1,) starts.

        References:
            Massias, Gramfort and Salmon, Celer: a fast solver for the lasso with dual extrapolation, 2018.
        """
        square, inside = np.dot(y, y), coef != 0.0
        rest, residual, beside = y.copy(), y.copy(), np.zeros(basis.shape[0])
        values, columns, starts = np.empty(0), np.empty(0, np.int64), np.zeros(strengths.size + 1, np.int64)
        which = np.flatnonzero(inside)
        if which.size > 0:
            fresh_residual(x, y, basis, coef[which], which, rest, beside, residual)
            _begin_line(x, line, strengths[0], residual, strengths[0], residual)
        before, last = strengths[0], residual.copy()
        for t in range(strengths.size):
            s, left, inner = strengths[t], max_rounds, _INNER * tol
            _join(line, s, which, inside)
            while True:
                which = np.flatnonzero(inside)
                part = Limits(s * limits.l1[which], s * limits.l2[which], limits.lower[which], limits.upper[which])
                limit = (part.l1, part.l2, part.lower, part.upper)
                b, q_in, corr_in = coef[which], q[which], np.empty(which.size)
                left -= solve_within(x, which, q_in, b, square, part, inner, left, rest, beside)
                fresh_residual(x, y, basis, b, which, rest, beside, residual)
                products(x, which, rest, beside, corr_in)
                coef[which] = b
                most, beyond = _survey(x, line, s, residual, before, last, which)
                gap = quadratic_gap(q_in, corr_in, b, square, *limit, most / s)
                if gap <= tol or left <= 0:
                    break
                if beyond.size == 0:
                    inner *= 0.1
                _take_steepest(beyond, line.bound, which.size, inside)
                left -= 1
            gaps[t] = gap
            kkts[t] = kkt_violation(corr_in, b, *limit, np.ones(b.size))
            for j in beyond:
                kkts[t] = max(kkts[t], (line.bound[j] - s) * limits.l1[j])
            kept = np.flatnonzero(b)
            values, columns = _kept(values, starts[t], b[kept]), _kept(columns, starts[t], which[kept])
            starts[t + 1] = starts[t] + kept.size
            which = which[kept]
            inside[:] = False
            inside[which] = True
            before, last[:] = s, residual
        return values[: starts[-1]], columns[: starts[-1]], starts
