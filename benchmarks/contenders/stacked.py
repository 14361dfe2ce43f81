"""PyTorch, members stacked: the `torch.func` way of model ensembling, and a first layer as one large product."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch.func import functional_call, grad, stack_module_state, vmap

from contenders.sequential import STEPS, build, update_
from contenders.work import Contender, MlpData, MlpWork


class Ensemble(Contender):
    """`vmap(grad(functional_call))` over `stack_module_state`; the batch is shared."""

    name = "torch.func ensemble, eager"
    compiled = False

    def __init__(self, work: MlpWork, data: MlpData) -> None:
        super().__init__(work, data)
        self.x, self.y = torch.from_numpy(data.x), torch.from_numpy(data.y)
        self.batches = torch.from_numpy(data.batches)
        self.lr = torch.from_numpy(data.lr)
        self.model = build(work, data)
        torch._dynamo.reset()
        self._step = torch.compile(self._advance, dynamic=False) if self.compiled else self._advance
        self.reset()

    def reset(self) -> None:
        params, buffers = stack_module_state([build(self.work, self.data) for _ in range(self.work.P)])  # type: ignore[arg-type]
        self.params = {name: p.detach() for name, p in params.items()}
        self.buffers = buffers
        self.m = {name: torch.zeros_like(p) for name, p in self.params.items()}
        self.v = {name: torch.zeros_like(p) for name, p in self.params.items()}

    def _advance(self, params, buffers, m, v, lr, x, y, rows, t):
        def loss_of(one, own, inputs, target):
            return F.cross_entropy(functional_call(self.model, (one, own), (inputs,)), target)

        each = vmap(grad(loss_of), in_dims=(0, 0, None, None), randomness="different")
        grads = each(params, buffers, x[rows], y[rows])
        update_(params.values(), grads.values(), m.values(), v.values(), lr, t)

    def run(self) -> None:
        torch.set_num_threads(2)
        with torch.no_grad():
            for s in range(self.work.steps):
                self._step(
                    self.params, self.buffers, self.m, self.v, self.lr, self.x, self.y, self.batches[s], STEPS[s]
                )

    def first_layer(self) -> np.ndarray:
        return self.params["0.weight"].numpy().transpose(0, 2, 1)


class CompiledEnsemble(Ensemble):
    """The same, compiled as a whole."""

    name = "torch.func ensemble, compiled"
    compiled = True


class Flat(Contender):
    """Written by hand and compiled: the shared batch meets all first layers in one product, (B, d) @ (d, P * h)."""

    name = "stacked by hand, compiled"

    def __init__(self, work: MlpWork, data: MlpData) -> None:
        super().__init__(work, data)
        self.x, self.y = torch.from_numpy(data.x), torch.from_numpy(data.y)
        self.batches = torch.from_numpy(data.batches)
        self.lr = torch.from_numpy(data.lr)
        torch._dynamo.reset()
        self._step = torch.compile(self._advance, dynamic=False)
        self.reset()

    def reset(self) -> None:
        P = self.work.P
        W1, b1, W2, b2 = (torch.from_numpy(a) for a in self.data.start)
        # W1 as (d, P, h), the rest with members first
        self.params = [W1[:, None].repeat(1, P, 1), *(p.repeat(P, *(1,) * p.dim()) for p in (b1, W2, b2))]
        self.m, self.v = ([torch.zeros_like(p) for p in self.params] for _ in range(2))

    def _advance(self, params, m, v, lr, x, y, rows, t):
        P, B = self.work.P, self.work.B
        target = y[rows].repeat(P)

        def loss_of(W1, b1, W2, b2):
            hidden = F.relu((x[rows] @ W1.flatten(1)).view(B, P, -1) + b1)
            out = torch.bmm(hidden.transpose(0, 1), W2) + b2[:, None]
            return F.cross_entropy(out.flatten(0, 1), target, reduction="sum") / B

        grads = torch.func.grad(loss_of, argnums=(0, 1, 2, 3))(*params)
        update_(params[1:], grads[1:], m[1:], v[1:], lr, t)
        first = [[tree[0].transpose(0, 1)] for tree in (params, grads, m, v)]
        update_(first[0], first[1], first[2], first[3], lr, t)

    def run(self) -> None:
        torch.set_num_threads(2)
        with torch.no_grad():
            for s in range(self.work.steps):
                self._step(self.params, self.m, self.v, self.lr, self.x, self.y, self.batches[s], STEPS[s])

    def first_layer(self) -> np.ndarray:
        return self.params[0].numpy().transpose(1, 0, 2)
