"""Cholesky factors, by LAPACK in place: compiled functions of NumPy's own would take fresh memory for each."""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from numba import njit, types
from numba.extending import get_cython_function_address

from thalweg.linear._kernel import kept_in_cache


def _lapack(name: str, num: int) -> Any:
    """Returns a routine of so many pointers, by name: so what calls it can be kept in a cache."""
    symbol = f"thalweg_{name}"
    llvmlite.binding.add_symbol(symbol, get_cython_function_address("scipy.linalg.cython_lapack", name))
    return types.ExternalFunction(symbol, types.void(*[types.voidptr] * num))


_potrf, _potrs = _lapack("dpotrf", 5), _lapack("dpotrs", 8)

with kept_in_cache():

    @njit(cache=True, nogil=True)
    def factorise(matrix):
        """Writes the Cholesky factor L over the lower triangle of a matrix (m, m); returns whether there is one."""
        # LAPACK reads by columns: for it, the lower triangle is the upper one
        upper, size, info = np.full(1, ord("U"), np.uint8), np.full(1, matrix.shape[0], np.int32), np.zeros(1, np.int32)
        _potrf(upper.ctypes, size.ctypes, matrix.ctypes, size.ctypes, info.ctypes)
        return info[0] == 0

    @njit(cache=True, nogil=True)
    def solve_factored(factor, right):
        """Solves L L' x = right in place; L is in the lower triangle of factor (m, m), right is (m,)."""
        upper, size, info = np.full(1, ord("U"), np.uint8), np.full(1, right.size, np.int32), np.zeros(1, np.int32)
        one = np.ones(1, np.int32)
        _potrs(
            upper.ctypes, size.ctypes, one.ctypes, factor.ctypes, size.ctypes, right.ctypes, size.ctypes, info.ctypes
        )
