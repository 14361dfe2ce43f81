"""Forks that run side by side: in copies of this process, each with one thread of torch."""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import torch
from torch import nn

from thalweg.doctor._record._device import device_of
from thalweg.population import available_memory

_T = TypeVar("_T")

#: numbers for each one of a model: itself, its gradient, and two that an optimizer such as Adam keeps
_HELD = 4
#: of the memory that is free, copies of the process may take this share: batches and what a model computes need more
_SHARE = 0.25


def most_beside(model: nn.Module, threads: int) -> int:
    """Returns how many copies of this process may train a copy of the model each, of so many threads and the memory.

    It is 1 where a process cannot be copied as it is: other systems than Linux, and what works with a GPU.
    """
    here = sys.platform == "linux" and device_of(model).type == "cpu" and not torch.cuda.is_initialized()
    if not here or multiprocessing.current_process().daemon:  # a daemon has no children
        return 1
    size = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    return max(1, min(threads, int(_SHARE * available_memory() / (_HELD * max(size, 1)))))


def run_beside(work: Callable[[int], _T], num: int, *, workers: int, seconds: float) -> list[_T] | None:
    """Returns what a function answers for 0 ... num - 1, in copies of this process; None where one of them failed.

    A copy of a process has its memory but none of its other threads: it may wait for ever for what one of them held.

    Args:
        work: Answers with what can be pickled. num: how often it is called.
        workers: Copies of the process that share the calls out. seconds: to wait for the answers.

    Example:
        >>> run_beside(lambda k: k * k, 4, workers=2, seconds=60.0)
        [0, 1, 4, 9]
    """
    context = multiprocessing.get_context("fork")
    found: dict[int, _T] = {}
    with contextlib.ExitStack() as stack:
        answers: list[Connection] = []
        for worker in range(min(workers, num)):
            answer, given = context.Pipe(duplex=False)
            stack.callback(answer.close)
            process = context.Process(target=_work, args=(work, range(worker, num, workers), given), daemon=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of what the docstring says
                process.start()
            stack.callback(_end, process)
            given.close()  # the end of the copy is then the end of the pipe
            answers.append(answer)
        until = time.monotonic() + seconds
        for answer in answers:
            if not answer.poll(max(0.0, until - time.monotonic())):
                return None
            try:
                found |= answer.recv()
            except EOFError:
                return None
    return [found[number] for number in range(num)]


def _work(work: Callable[[int], Any], numbers: Iterable[int], given: Connection) -> None:
    with contextlib.suppress(BaseException):  # whoever asked does the work again, and meets the error
        torch.set_num_threads(1)
        given.send({number: work(number) for number in numbers})


def _end(process: Any) -> None:
    process.kill()
    process.join()
