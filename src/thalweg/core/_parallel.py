"""Work that threads share out among them, each with BLAS to itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

from threadpoolctl import ThreadpoolController

_Work = TypeVar("_Work")


def share_out(work: Callable[[_Work], None], items: Sequence[_Work], threads: int) -> None:
    """Calls `work` with every item, on so many threads; each has one BLAS thread, since the cores are shared out.

    It pays for work that lets the interpreter go, as compiled functions with `nogil` do.

    Args:
        work: What is done with an item.
        items: Taken in their order.
        threads: At least 1.

    Example:
        >>> found = []
        >>> share_out(found.append, [1, 2, 3], threads=1)
        >>> found
        [1, 2, 3]
    """
    with products_by_caller():
        if threads == 1 or len(items) < 2:
            for item in items:
                work(item)
            return
        waiting = iter(items)  # each thread takes the next one, which costs less than a future for each

        def drain(thread: int) -> None:
            for item in waiting:
                work(item)

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(drain, range(threads)))


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Lets torch work with one thread: sums of several would round in other places on another machine.

    Example:
        >>> import torch
        >>> with one_torch_thread():
        ...     torch.get_num_threads()
        1
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def products_by_numpy() -> AbstractContextManager[object]:
    """Leaves all cores to NumPy's BLAS, where SciPy has a BLAS of its own, as in the wheels of both.

    The threads of each library wait for more work after a product, and keep a core busy from which the other library
    then waits for an answer. Compiled functions call SciPy's.

    Example:
        >>> import numpy as np
        >>> with products_by_numpy():
        ...     np.eye(2) @ np.ones(2)
        array([1., 1.])
    """
    own = [each.filepath for each in _blas().lib_controllers if _is_of_scipy(Path(each.filepath))]
    return _blas().select(filepath=own).limit(limits=1)


def products_by_caller() -> AbstractContextManager[object]:
    """Leaves every product to the thread that calls for it, as `share_out` does, before and between its calls too.

    The threads of a product that BLAS shared out wait for more work for some 20 ms, and keep the cores from those of
    `share_out` meanwhile.

    Example:
        >>> import numpy as np
        >>> with products_by_caller():
        ...     np.ones(2) @ np.ones(2)
        np.float64(2.0)
    """
    return _blas().limit(limits=1, user_api="blas")


def _is_of_scipy(library: Path) -> bool:
    return any(folder.name.startswith("scipy") for folder in list(library.parents)[:2])


@cache
def _blas() -> ThreadpoolController:
    # looks through the libraries that are loaded, which takes milliseconds: once a process, after SciPy's BLAS, which
    # numba calls, is there
    import scipy.linalg.cython_blas  # noqa: F401

    return ThreadpoolController()
