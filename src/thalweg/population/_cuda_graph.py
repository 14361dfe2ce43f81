"""A step as a CUDA graph: captured once, replayed with one launch."""

from __future__ import annotations

from collections.abc import Callable

import torch

#: eager runs before capture, in which libraries choose their kernels and take their workspace
_WARM_UP = 3


class Replay:
    """Calls a step that reads and writes tensors of fixed place: the first call captures it, later ones replay.

    Args:
        step: Takes nothing, returns nothing, and never waits for the device. Warming up and capturing run it a few
            times; the caller sets back what that moves.

    References:
        NVIDIA, CUDA programming guide, section on CUDA graphs; torch.cuda.CUDAGraph.
    """

    def __init__(self, step: Callable[[], None]) -> None:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                step()
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            step()

    def __call__(self) -> None:
        self._graph.replay()
