"""The compiled elementary functions in float32, against SciPy in float64."""

import numpy as np
import pytest
import scipy
from numba import njit

from thalweg.core import erf, exp, expm1, sigmoid, tanh

TRUE = {exp: np.exp, expm1: np.expm1, tanh: np.tanh, erf: scipy.special.erf, sigmoid: scipy.special.expit}
RANGES = {exp: (-87.2, 88.3), expm1: (-20, 88.3), tanh: (-12, 12), erf: (-5, 5), sigmoid: (-87, 87)}


def in_a_loop(function):
    """Returns the function over an array, compiled as the kernel compiles its pieces."""

    @njit(fastmath={"contract", "nsz", "arcp", "reassoc"}, error_model="numpy")
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    def call(x):
        out = np.empty_like(x)
        loop(x, out)
        return out

    return call


@pytest.mark.parametrize("function", TRUE, ids=lambda function: function.__name__)
def test_float32_is_within_3_units_in_the_last_place(function):
    rng = np.random.default_rng()
    low, high = RANGES[function]
    signs = rng.choice([-1, 1], 200_000)
    x = np.concatenate([rng.uniform(low, high, 200_000), signs * np.geomspace(1e-30, 1.3, 200_000)])
    x = x.astype(np.float32)
    expected = TRUE[function](x.astype(np.float64))
    unit = np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
    assert np.max(np.abs(in_a_loop(function)(x) - expected) / unit) < 3


@pytest.mark.parametrize("function", TRUE, ids=lambda function: function.__name__)
def test_special_numbers(function):
    x = np.array([np.inf, -np.inf, np.nan, 0.0, 1000.0, -1000.0], np.float32)
    with np.errstate(over="ignore"):
        expected = TRUE[function](x.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(in_a_loop(function)(x), expected)


@pytest.mark.parametrize("function", TRUE, ids=lambda function: function.__name__)
def test_float64_keeps_its_precision(function):
    x = np.random.default_rng().uniform(-20, 20, 1000)
    np.testing.assert_allclose(in_a_loop(function)(x), TRUE[function](x), rtol=1e-14, atol=1e-300)
