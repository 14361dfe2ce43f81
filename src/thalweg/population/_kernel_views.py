"""Views of flat arrays in compiled code, made from addresses.

numba's slices and reshapes count references atomically and call into C, which took a third of the time of a small
network's step. Whoever calls the kernel holds the arrays.
"""

from __future__ import annotations

from typing import Any

from numba import carray, njit, types  # pyright: ignore[reportPrivateImportUsage]
from numba.extending import intrinsic


def _address(typingctx: Any, array: Any, start: Any) -> Any:
    """Returns the address of element `start` of a contiguous array."""
    pointer = types.CPointer(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.gep(data, [args[1]])

    return pointer(array, types.intp), generate


_address_of: Any = intrinsic(_address)


@njit(inline="always")
def stretch(array, start, size):
    """Returns the `size` elements that begin at `start` of a contiguous array."""
    return carray(_address_of(array, start), (size,))


@njit(inline="always")
def view(array, start, rows, columns):
    """Returns the (rows, columns) matrix that begins at element `start` of a contiguous array."""
    return carray(_address_of(array, start), (rows, columns))


@njit(inline="always")
def cube(array, start, planes, rows, columns):
    """Returns the (planes, rows, columns) array that begins at element `start` of a contiguous array."""
    return carray(_address_of(array, start), (planes, rows, columns))
