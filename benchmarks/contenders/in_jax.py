"""JAX: one jitted `lax.scan` over the steps of a `vmap` over members, state donated; the batch is shared."""

from __future__ import annotations

from typing import Any

import jax  # pyright: ignore[reportMissingImports]
import jax.numpy as jnp  # pyright: ignore[reportMissingImports]
import numpy as np

from contenders.work import BETA1, BETA2, EPS, WEIGHT_DECAY, Contender, MlpData, MlpWork


class Jax(Contender):
    """`jit(scan(vmap(step)))`; the first step size counts from 1 in each stretch."""

    name = "JAX vmap + scan + jit"

    def __init__(self, work: MlpWork, data: MlpData) -> None:
        super().__init__(work, data)
        self.x, self.y, self.batches, self.lr = (jnp.asarray(a) for a in (data.x, data.y, data.batches, data.lr))
        self._run = jax.jit(self._stretch, donate_argnums=(0, 1, 2))
        self.reset()

    def reset(self) -> None:
        P = self.work.P
        self.params = [jnp.asarray(np.repeat(a[None], P, 0)) for a in self.data.start]
        self.m, self.v = ([jnp.zeros_like(p) for p in self.params] for _ in range(2))

    @staticmethod
    def _stretch(params, m, v, lr, x, y, batches):
        def loss_of(params, inputs, target):
            W1, b1, W2, b2 = params
            out = jax.nn.relu(inputs @ W1 + b1) @ W2 + b2
            return -jnp.take_along_axis(jax.nn.log_softmax(out), target[:, None], 1).mean()

        def step(params, m, v, lr, inputs, target, t):
            grads = jax.grad(loss_of)(params, inputs, target)
            m = [BETA1 * a + (1 - BETA1) * g for a, g in zip(m, grads, strict=True)]
            v = [BETA2 * b + (1 - BETA2) * g * g for b, g in zip(v, grads, strict=True)]
            c1, c2 = 1 - BETA1**t, 1 - BETA2**t
            params = [
                w * (1 - lr * WEIGHT_DECAY) - lr * (a / c1) / (jnp.sqrt(b / c2) + EPS)
                for w, a, b in zip(params, m, v, strict=True)
            ]
            return params, m, v

        each: Any = jax.vmap(step, in_axes=(0, 0, 0, 0, None, None, None))

        def one(state, at):
            rows, t = at
            return each(*state, lr, x[rows], y[rows], t), None

        t = jnp.arange(1, len(batches) + 1, dtype=jnp.float32)
        return jax.lax.scan(one, (params, m, v), (batches, t))[0]

    def run(self) -> None:
        state = self._run(self.params, self.m, self.v, self.lr, self.x, self.y, self.batches)
        self.params, self.m, self.v = jax.block_until_ready(state)

    def first_layer(self) -> np.ndarray:
        return np.asarray(self.params[0])
