"""Penalised quadratics, compiled: coordinate descent, Newton steps on the support, and the gap on which they stop.

The objective is 1/2 (t - 2 q'b + b'Gb) + sum_j l1_j |b_j| + l2_j b_j^2 / 2 with lower <= b <= upper, where t = y'y,
q = X'y and G = X'X of a least-squares problem, or of the quadratic model of another loss. Beside b the gradient is
kept: `corr` = q - G b.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from thalweg.linear._kernel import MATH, kept_in_cache
from thalweg.linear._kernel_lapack import factorise, solve_factored
from thalweg.optim import soft_threshold

#: added to the diagonal for a Newton step, as a share of it; what has no gradient does not move by it
_RIDGE = 1e-9
#: sweeps over the candidates before a Newton step, and where there can be none
_SWEEPS, _SWEEPS_ALONE = 2, 30
#: rounds after which inputs join one at a time
_PATIENCE = 12

_shrink = njit(soft_threshold, inline="always")

with kept_in_cache():

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def sweep(gram, corr, coef, l1, l2, lower, upper, which):
        """Minimises over some coordinates in turn; changes coef and corr.

        Args:
            gram: (m, m). corr: (m,). coef: (m,).
            l1: (m,). l2: (m,). lower: (m,). upper: (m,).
            which: Coordinates.
        """
        for j in which:
            curvature = gram[j, j] + l2[j]
            if curvature <= 0.0:
                continue
            old = coef[j]
            new = _shrink(corr[j] + gram[j, j] * old, l1[j]) / curvature
            new = min(max(new, lower[j]), upper[j])
            if new != old:
                coef[j] = new
                moved, row = new - old, gram[j]
                for i in range(corr.size):
                    corr[i] -= moved * row[i]

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def quadratic_gap(q, corr, coef, square, l1, l2, lower, upper, outside):
        """Returns primal minus dual objective; the best b is nowhere better by more.

        Two dual points are tried. One is that of the lasso with sqrt(l2) added to X as rows, scaled until it is
        feasible: |s (X'r - l2 b)_j| <= l1_j. The other is r itself, feasible where every l2 > 0. A finite bound of b
        stands in for a constraint.

        Args:
            q: (m,). corr: (m,). coef: (m,).
            square: t.
            l1: (m,). l2: (m,). lower: (m,). upper: (m,).
            outside: The largest |corr_j| / l1_j over coordinates that are 0 and not among these.

        References:
            Fercoq, Gramfort and Salmon, Mind the duality gap, 2015, equation 7.
        """
        with_target, rest, penalty, squares = square, 0.0, 0.0, 0.0
        steepest, conjugate, smooth = outside, 0.0, outside <= 1.0
        for j in range(coef.size):
            b = coef[j]
            if b != 0.0:
                with_target -= q[j] * b
                rest -= corr[j] * b
                penalty += l1[j] * abs(b) + 0.5 * l2[j] * b * b
                squares += l2[j] * b * b
            v = corr[j] - l2[j] * b
            if (v > 0.0 and upper[j] == np.inf) or (v < 0.0 and lower[j] == -np.inf):
                steepest = max(steepest, abs(v) / l1[j])  # numpy's division: l1 of 0 gives infinity
            over = _shrink(corr[j], l1[j])
            if over != 0.0:
                best = min(max(over / l2[j], lower[j]), upper[j])
                smooth = smooth and abs(best) < np.inf
                conjugate += abs(over * best) - 0.5 * l2[j] * best * best
        residual = rest + with_target
        whole = residual + squares
        scale = max(with_target / whole, 0.0) if whole > 0.0 else 0.0
        if steepest > 0.0:
            scale = min(scale, 1.0 / steepest)
        dual = scale * with_target - 0.5 * scale * scale * whole
        for j in range(coef.size):
            v = scale * (corr[j] - l2[j] * coef[j])
            if v > l1[j] and upper[j] < np.inf:
                dual -= upper[j] * (v - l1[j])
            elif v < -l1[j] and lower[j] > -np.inf:
                dual -= lower[j] * (v + l1[j])
        if smooth:
            dual = max(dual, with_target - 0.5 * residual - conjugate)
        return 0.5 * residual + penalty - dual

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def subtract_columns(gram, which, by, corr):
        """Subtracts gram[:, which] @ by from corr, four rows at a time; gram is symmetric."""
        t, num = 0, which.size
        while t + 4 <= num:
            a, b, c, d = by[t], by[t + 1], by[t + 2], by[t + 3]
            row_a, row_b, row_c, row_d = gram[which[t]], gram[which[t + 1]], gram[which[t + 2]], gram[which[t + 3]]
            for i in range(corr.size):
                corr[i] -= a * row_a[i] + b * row_b[i] + c * row_c[i] + d * row_d[i]
            t += 4
        while t < num:
            a, row_a = by[t], gram[which[t]]
            for i in range(corr.size):
                corr[i] -= a * row_a[i]
            t += 1

    @njit(cache=True, nogil=True)
    def _support(coef, lower, upper):
        """Returns what is not 0 and not at a bound."""
        found = np.empty(coef.size, np.int64)
        num = 0
        for j in range(coef.size):
            if coef[j] != 0.0 and lower[j] < coef[j] < upper[j]:
                found[num] = j
                num += 1
        return found[:num]

    @njit(cache=True, nogil=True)
    def _candidates(coef, corr, l1):
        """Returns what is not 0 or violates its condition at 0."""
        found = np.empty(coef.size, np.int64)
        num = 0
        for j in range(coef.size):
            if coef[j] != 0.0 or abs(corr[j]) > l1[j]:
                found[num] = j
                num += 1
        return found[:num]

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _room_left(at, move, l1, lower, upper):
        """Returns the share of a move after which a coordinate is at a kink or a bound; infinite where it never is."""
        if move == 0.0:
            return np.inf
        if at * move < 0.0 and (l1 > 0.0 or lower == 0.0 or upper == 0.0):
            return -at / move
        return ((upper if move > 0.0 else lower) - at) / move

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _squared(factor, by):
        """Returns the squared norm of L'by."""
        found = np.zeros(by.size)
        for s in range(by.size):
            for t in range(s + 1):
                found[t] += factor[s, t] * by[s]
        return np.dot(found, found)

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def newton(gram, corr, coef, l1, l2, lower, upper, tangent, room):
        """Moves the support to the minimum of its quadratic, or to the first sign or bound on the way.

        Coordinates that would change sign stop at 0, all of them where that lowers the objective, else the first alone.

        Args:
            gram: (m, m). corr: (m,). coef: (m,). l1: (m,). l2: (m,). lower: (m,). upper: (m,).
            tangent: (m,) Written: how b moves where l1 and l2 fall in proportion, by their share.
            room: At least the square of the support's size, for its factor: fresh memory each time would cost as much.

        Returns:
            Whether a step was made: not for an empty support, or one whose Gram matrix has no Cholesky factor.
        """
        tangent[:] = 0.0
        support = _support(coef, lower, upper)
        num = support.size
        if num == 0:
            return False
        factor = room[: num * num].reshape((num, num))
        for s in range(num):
            row = gram[support[s]]
            for t in range(s + 1):
                factor[s, t] = row[support[t]]
            factor[s, s] += l2[support[s]]
            factor[s, s] *= 1.0 + _RIDGE
        if not factorise(factor):
            return False
        right = np.empty(num)
        for s in range(num):
            j = support[s]
            right[s] = corr[j] - l2[j] * coef[j] - (l1[j] if coef[j] > 0.0 else -l1[j])
        move = right.copy()
        solve_factored(factor, move)
        until, first = np.empty(num), np.inf
        for s in range(num):
            j = support[s]
            until[s] = _room_left(coef[j], move[s], l1[j], lower[j], upper[j])
            first = min(first, until[s])
        if first < 1.0:
            stopped = move * np.minimum(until, 1.0)
            lowers = 0.5 * _squared(factor, stopped) < np.dot(right, stopped)
            for s in range(num):
                j = support[s]
                share = min(until[s], 1.0) if lowers else first
                end = coef[j] + share * move[s]
                if until[s] <= share:  # exactly there, not by rounding
                    end = 0.0 if coef[j] * move[s] < 0.0 else (upper[j] if move[s] > 0.0 else lower[j])
                move[s] = end - coef[j]
                coef[j] = end
        else:
            for s in range(num):
                j = support[s]
                coef[j] += move[s]
                right[s] = l2[j] * coef[j] + (l1[j] if coef[j] > 0.0 else -l1[j])
            solve_factored(factor, right)
            for s in range(num):
                tangent[support[s]] = right[s]
        subtract_columns(gram, support, move, corr)
        return True

    @njit(cache=True, nogil=True, fastmath=MATH, error_model="numpy")
    def _best_newcomer(gram, corr, coef, l1, l2, lower, upper):
        """Returns the coordinate, of those that are 0 or at a bound, whose own minimum is lowest; or none, or (1,)."""
        best, most = 0, 0.0
        for j in range(coef.size):
            curvature, old = gram[j, j] + l2[j], coef[j]
            if curvature > 0.0 and (old == 0.0 or old == lower[j] or old == upper[j]):
                new = _shrink(corr[j] + gram[j, j] * old, l1[j]) / curvature
                move = min(max(new, lower[j]), upper[j]) - old
                gain = curvature * move * move
                if gain > most:
                    best, most = j, gain
        return np.full(1 if most > 0.0 else 0, best)

    @njit(cache=True, nogil=True)
    def solve_quadratic(gram, q, corr, coef, square, l1, l2, lower, upper, outside, tol, max_rounds, tangent, room):
        """Lowers the objective until the gap is at most `tol`, or for so many rounds; returns the gap.

        A round is two sweeps over the candidates and a Newton step on the support. Where inputs are so alike that
        sweeps let in many that must leave again, one at a time joins, and Newton steps go on until none leaves: so no
        support comes twice.

        Args:
            gram: (m, m). q: (m,). corr: (m,) changed with b. coef: (m,) changed. square: t.
            l1: (m,). l2: (m,). lower: (m,). upper: (m,).
            outside: As in `quadratic_gap`.
            tol: In units of the objective.
            max_rounds: At most so many.
            tangent: (m,) As in `newton`; 0 where the last step ended early. room: As in `newton`.
        """
        gap = quadratic_gap(q, corr, coef, square, l1, l2, lower, upper, outside)
        for used in range(max_rounds):
            if gap <= tol:
                break
            if used < _PATIENCE:
                for _ in range(_SWEEPS):
                    sweep(gram, corr, coef, l1, l2, lower, upper, _candidates(coef, corr, l1))
            else:
                sweep(gram, corr, coef, l1, l2, lower, upper, _best_newcomer(gram, corr, coef, l1, l2, lower, upper))
            gap = quadratic_gap(q, corr, coef, square, l1, l2, lower, upper, outside)
            if gap <= tol:
                break
            if used >= _PATIENCE:
                for _ in range(coef.size):  # at most one coordinate leaves the support in each
                    if not newton(gram, corr, coef, l1, l2, lower, upper, tangent, room) or tangent.any():
                        break
            elif not newton(gram, corr, coef, l1, l2, lower, upper, tangent, room):
                for _ in range(_SWEEPS_ALONE):
                    sweep(gram, corr, coef, l1, l2, lower, upper, _candidates(coef, corr, l1))
            gap = quadratic_gap(q, corr, coef, square, l1, l2, lower, upper, outside)
        return gap

    @njit(cache=True, nogil=True)
    def extrapolate(gram, corr, coef, lower, upper, tangent, share):
        """Moves b along its tangent where the strengths fall by a share; a sign or a bound ends a coordinate's move."""
        support = np.flatnonzero(tangent)
        move = np.empty(support.size)
        for s in range(support.size):
            j = support[s]
            end = coef[j] + share * tangent[j]
            if end * coef[j] <= 0.0:
                end = 0.0
            end = min(max(end, lower[j]), upper[j])
            move[s] = end - coef[j]
            coef[j] = end
        subtract_columns(gram, support, move, corr)

    @njit(cache=True, nogil=True)
    def quadratic_stretch(
        gram, q, corr, coef, square, before, strengths, l1, l2, lower, upper, tol, max_rounds, tangent, room, coefs
    ):
        """Writes the solutions for falling strengths, each from the tangent of the one before.

        Args:
            gram: (m, m) at least; what is beyond m is not read. q: (m,). square: t.
            corr: (m,) changed with b. coef: (m,) where to start; changed.
            before: The strength at which coef is; not read where tangent is 0.
            strengths: (S,) what l1 and l2 are multiplied by.
            l1: (m,). l2: (m,). lower: (m,). upper: (m,).
            tol: In units of the objective.
            max_rounds: For every strength.
            tangent: (m,) at coef, or 0; changed. room: As in `newton`.
            coefs: (S, m) written.
        """
        for t in range(strengths.size):
            s = strengths[t]
            extrapolate(gram, corr, coef, lower, upper, tangent, 1.0 - s / before)
            tangent *= s / before  # by the strength, so by its share it shrinks; it serves where no step is needed
            limits = (s * l1, s * l2, lower, upper)
            solve_quadratic(gram, q, corr, coef, square, *limits, 0.0, tol, max_rounds, tangent, room)
            coefs[t] = coef
            before = s

    @njit(cache=True, nogil=True)
    def kkt_violation(corr, coef, l1, l2, lower, upper, scale):
        """Returns the largest distance of 0 from the subgradient of a scaled coordinate; at an optimum it is 0.

        Args:
            corr: (m,). coef: (m,). l1: (m,). l2: (m,). lower: (m,). upper: (m,).
            scale: (m,) of the inputs.
        """
        most = 0.0
        for j in range(coef.size):
            b, slope = coef[j], corr[j] - l2[j] * coef[j]
            if b < upper[j]:
                most = max(most, (slope - (l1[j] if b >= 0.0 else -l1[j])) / scale[j])
            if b > lower[j]:
                most = max(most, (-slope - (l1[j] if b <= 0.0 else -l1[j])) / scale[j])
        return most
