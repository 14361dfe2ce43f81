"""PyTorch, one member after another: eager with the fused optimizer, and the whole step compiled."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from contenders.work import BETA1, BETA2, DROPOUT, EPS, WEIGHT_DECAY, Contender, MlpData, MlpWork


def build(work: MlpWork, data: MlpData) -> nn.Sequential:
    W1, b1, W2, b2 = data.start
    first, last = nn.Linear(work.d, work.h), nn.Linear(work.h, work.c)
    with torch.no_grad():
        for layer, W, b in ((first, W1, b1), (last, W2, b2)):
            layer.weight.copy_(torch.from_numpy(W.T.copy()))
            layer.bias.copy_(torch.from_numpy(b))
    if work.norm_and_dropout:
        return nn.Sequential(first, nn.BatchNorm1d(work.h), nn.ReLU(), nn.Dropout(DROPOUT), last)
    return nn.Sequential(first, nn.ReLU(), last)


class Sequential(Contender):
    """A sample of the members, one after another; the rest would take as long each.

    Attributes:
        threads: Inside each operation.
    """

    threads = 1

    def __init__(self, work: MlpWork, data: MlpData) -> None:
        super().__init__(work, data)
        self.share = work.sample / work.P
        self.x, self.y = torch.from_numpy(data.x), torch.from_numpy(data.y)
        self.batches = torch.from_numpy(data.batches)
        # evenly over the step sizes, so that none is easier by its numbers
        self.which = np.linspace(0, work.P - 1, work.sample).astype(int)
        self.members: list[Any] = []
        self.reset()


class Eager(Sequential):
    """`torch.optim.AdamW(fused=True)`, one gather a step."""

    name = "sequential eager"

    def build(self) -> nn.Module:
        return build(self.work, self.data)

    def reset(self) -> None:
        self.members = []
        for k in self.which:
            model = self.build()
            self.members.append(
                (
                    model,
                    torch.optim.AdamW(
                        model.parameters(),
                        lr=float(self.data.lr[k]),
                        betas=(BETA1, BETA2),
                        eps=EPS,
                        weight_decay=WEIGHT_DECAY,
                        fused=True,
                    ),
                )
            )

    def run(self) -> None:
        torch.set_num_threads(self.threads)
        for model, optimizer in self.members:
            for rows in self.batches:
                loss = F.cross_entropy(model(self.x[rows]), self.y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    def first_layer(self) -> np.ndarray:
        return np.stack([model[0].weight.detach().numpy().T for model, _ in self.members])


class EagerTwoThreads(Eager):
    """The same with two threads inside each operation."""

    name = "sequential eager, 2 threads"
    threads = 2


class Compiled(Sequential):
    """One compiled function holds gather, forward, backward and AdamW; it serves every member."""

    name = "sequential torch.compile"

    def __init__(self, work: MlpWork, data: MlpData) -> None:
        torch._dynamo.reset()
        self._step = torch.compile(self._advance, dynamic=False)
        super().__init__(work, data)

    def reset(self) -> None:
        self.members = []
        for k in self.which:
            params = [torch.from_numpy(a.copy()) for a in self.data.start]
            state = [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params]
            self.members.append((params, *state, torch.tensor(self.data.lr[k])))

    def _advance(self, params, m, v, lr, x, y, rows, t):
        def loss_of(W1, b1, W2, b2):
            return F.cross_entropy(F.relu(x[rows] @ W1 + b1) @ W2 + b2, y[rows])

        grads = torch.func.grad(loss_of, argnums=(0, 1, 2, 3))(*params)
        update_(params, grads, m, v, lr, t)

    def run(self) -> None:
        torch.set_num_threads(self.threads)  # before the first run: the compiled code is for so many
        with torch.no_grad():
            for params, m, v, lr in self.members:
                for s in range(self.work.steps):
                    self._step(params, m, v, lr, self.x, self.y, self.batches[s], STEPS[s])

    def first_layer(self) -> np.ndarray:
        return np.stack([params[0].numpy() for params, *_ in self.members])


class CompiledTwoThreads(Compiled):
    """The same with two threads inside each operation."""

    name = "sequential torch.compile, 2 threads"
    threads = 2


#: step counts as tensors, so that a compiled function is not compiled again for each
STEPS = [torch.tensor(float(t)) for t in range(1, 5001)]


def update_(params: Any, grads: Any, m: Any, v: Any, lr: Any, t: Any) -> None:
    """AdamW in place, for one member or stacked ones (lr of a shape that broadcasts)."""
    c1, c2 = 1 - BETA1**t, 1 - BETA2**t
    for w, g, a, b in zip(params, grads, m, v, strict=True):
        rate = lr.view(-1, *(1,) * (w.dim() - 1)) if lr.dim() else lr
        a.copy_(BETA1 * a + (1 - BETA1) * g)
        b.copy_(BETA2 * b + (1 - BETA2) * g * g)
        w.copy_(w * (1 - rate * WEIGHT_DECAY) - rate * (a / c1) / ((b / c2).sqrt() + EPS))


class EagerTwoProcesses(Contender):
    """Two processes of one thread, each with half of the members: what a user would do by hand."""

    name = "sequential eager, 2 processes"
    alone: ClassVar[type[Eager]] = Eager

    def __init__(self, work: Any, data: Any) -> None:
        super().__init__(work, data)
        self.share = 2 * work.sample / work.P
        self._pool = ProcessPoolExecutor(2, get_context("spawn"), initializer=_begin, initargs=(self.alone, work))

    def reset(self) -> None:
        """Nothing to go back to: its members are the ones of `Eager`."""

    def run(self) -> None:
        list(self._pool.map(_go_on, range(2)))

    def first_layer(self) -> np.ndarray:
        raise NotImplementedError("its members live in other processes")

    def close(self) -> None:
        self._pool.shutdown()


_eager: Eager | None = None


def _begin(kind: type[Eager], work: Any) -> None:
    global _eager
    torch.set_num_threads(1)
    _eager = kind(work, work.data())


def _go_on(part: int) -> None:
    assert _eager is not None
    _eager.run()
