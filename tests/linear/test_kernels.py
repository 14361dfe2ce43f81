"""Pieces of the compiled solvers, alone."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.linear._kernel_lapack import factorise, solve_factored
from thalweg.linear._kernel_sparse_columns import Columns, two_products
from thalweg.linear._kernel_sparse_path import _kept


@pytest.mark.parametrize("size", [1, 2, 17, 90])
def test_factors_are_those_of_numpy(size):
    rng = np.random.default_rng(size)
    root = rng.standard_normal((size, size + 2))
    matrix, right = root @ root.T, rng.standard_normal(size)
    factor = np.where(np.tri(size, dtype=bool), matrix, np.nan)  # nothing above the diagonal is read
    assert factorise(factor)
    np.testing.assert_allclose(np.tril(factor), np.linalg.cholesky(matrix), rtol=1e-9, atol=1e-12)
    found = right.copy()
    solve_factored(factor, found)
    np.testing.assert_allclose(matrix @ found, right, rtol=1e-6, atol=1e-8)


def test_what_has_no_factor_is_said():
    assert not factorise(np.array([[1.0, 0.0], [2.0, 1.0]]))


def test_two_products_are_those_of_the_columns():
    rng = np.random.default_rng(0)
    dense = rng.standard_normal((5, 3)) * (rng.random((5, 3)) < 0.5)
    places = [np.flatnonzero(column) for column in dense.T]
    columns = Columns(
        data=np.concatenate([column[rows] for column, rows in zip(dense.T, places, strict=True)]),
        indices=np.concatenate(places).astype(np.int32),
        indptr=np.cumsum([0, *map(len, places)]),
        side=np.zeros((3, 0)),
        norms=(dense**2).sum(0),
    )
    first, second = rng.standard_normal((2, 5))
    found = np.empty((3, 2))
    two_products(columns, first, second, found)
    np.testing.assert_allclose(found, dense.T @ np.stack([first, second], axis=1))


def test_an_array_grows_with_what_is_kept():
    values, expected = np.empty(0), np.empty(0)
    for size in (0, 3, 1, 50):
        new = np.arange(size) + 0.5
        values = _kept(values, len(expected), new)
        expected = np.concatenate([expected, new])
        np.testing.assert_array_equal(values[: len(expected)], expected)
