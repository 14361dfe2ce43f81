"""Muon: orthogonalised momentum for hidden weight matrices, AdamW for everything else."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from thalweg.optim._adamw import ADAMW
from thalweg.optim._rule import Hyper, Tree, register_rule

#: the quintic iteration's coefficients, chosen for a steep slope at zero
_A, _B, _C = 3.4445, -4.7750, 2.0315
_NUM_ITERATIONS = 5
_SMALLEST_NORM = 1e-7


def orthogonalize(matrix: Any) -> Any:
    """Returns `matrix` with its singular values brought near 1 (between about 0.7 and 1.2).

    Five Newton-Schulz iterations X <- a X + b (X X') X + c (X X')^2 X from X = matrix / |matrix|_F. They run
    in the matrix's own precision, where torch.optim.Muon casts to bfloat16: the two agree to bfloat16's 2-3
    digits.

    Args:
        matrix: (..., rows, columns); leading dims are matrices of their own.
    Returns:
        The orthogonalised matrix, same shape.
    References:
        Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024.
    """
    rows, columns = matrix.shape[-2:]
    x = matrix.mT if rows > columns else matrix  # the Gram matrix of the shorter side is the smaller one
    x = x / (x * x).sum((-2, -1), keepdim=True).sqrt().clamp(min=_SMALLEST_NORM)
    for _ in range(_NUM_ITERATIONS):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * (gram @ gram)) @ x
    return x.mT if rows > columns else x


@dataclass(frozen=True, kw_only=True)
class Muon:
    """Muon for hidden weight matrices and AdamW for the rest, under one lr.

    For a matrix of shape (rows, columns):
    m = momentum * m + (1 - momentum) * grad; u = (1 - momentum) * grad + momentum * m;
    w = (1 - lr * weight_decay) * w - lr * 0.2 * sqrt(max(rows, columns)) * orthogonalize(u).

    The factor gives the step the root mean square of an AdamW step (Liu et al., 2025, equation 4;
    `adjust_lr_fn="match_rms_adamw"` of torch.optim.Muon), so that one lr serves both halves.

    Hidden weight matrices are the parameters named `*weight` with at least two rows and columns, but for the
    last `*weight` of the tree, the output layer. A convolution's kernel counts as (out, in * height * width).
    A linear model has no hidden matrix, so there Muon is AdamW.

    Args:
        stacked: Whether every parameter has a leading member dim, (P, ...).
    References:
        Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024.
        Liu et al., Muon is scalable for LLM training, 2025.
    """

    name: str = "muon"
    doc: str = (
        "orthogonalised momentum for hidden weight matrices, AdamW for the rest (Jordan et al., 2024; step "
        "size of Liu et al., 2025, equation 4; torch.optim.Muon, which rounds to bfloat16 where this does "
        "not)"
    )
    hyper: tuple[str, ...] = ("lr", "momentum", "beta1", "beta2", "eps", "weight_decay")
    needs: frozenset[str] = frozenset({"grad"})
    lr_range: tuple[float, float] = (1e-4, 1e-1)
    proximal: bool = False
    stacked: bool = False

    def matrices(self, params: Tree) -> tuple[str, ...]:
        """Returns the names of the parameters that are orthogonalised; AdamW has the others.

        Example:
            >>> import torch
            >>> shapes = {"linear1.weight": (8, 4), "linear1.bias": (8,), "output.weight": (3, 8)}
            >>> Muon().matrices({name: torch.zeros(shape) for name, shape in shapes.items()})
            ('linear1.weight',)
        """
        weights = [name for name in params if name.endswith("weight")]
        return tuple(name for name in weights[:-1] if min(self._matrix_shape(params[name])) > 1)

    def _matrix_shape(self, w: Any) -> tuple[int, int]:
        shape = tuple(w.shape)[1 if self.stacked else 0 :]
        return (shape[0], math.prod(shape[1:])) if len(shape) > 1 else (1, 1)

    def init(self, params: Tree) -> dict[str, Any]:
        """Returns the state before the first step: momentum of the matrices, AdamW's slots of the others."""
        matrices = self.matrices(params)
        state = ADAMW.init({name: w for name, w in params.items() if name not in matrices})
        state["momentum"] = {name: params[name] * 0 for name in matrices}
        return state

    def step(
        self,
        params: Tree,
        grads: Tree,
        state: dict[str, Any],
        hyper: Hyper,
        *,
        evaluate: Callable[[Tree], Any] | None = None,
        metric: Any = None,
    ) -> tuple[Tree, dict[str, Any]]:
        """Returns params and state after one step; the arguments are not changed."""
        matrices = state["momentum"]
        others = {name: w for name, w in params.items() if name not in matrices}
        moved, new_state = ADAMW.step(others, grads, state, hyper)
        lr, momentum = hyper["lr"], hyper["momentum"]
        new_state["momentum"] = {}
        for name, m in matrices.items():
            w, g = params[name], grads[name]
            m = momentum * m + (1 - momentum) * g
            update = (1 - momentum) * g + momentum * m
            rows, columns = self._matrix_shape(w)
            flat = update.reshape(*((w.shape[0],) if self.stacked else ()), rows, columns)
            scale = 0.2 * math.sqrt(max(rows, columns))
            moved[name] = (1 - lr * hyper["weight_decay"]) * w - lr * scale * orthogonalize(flat).reshape(w.shape)
            new_state["momentum"][name] = m
        return {name: moved[name] for name in params}, new_state

    def eval_params(self, params: Tree, state: dict[str, Any], hyper: Hyper) -> Tree:
        """Returns `params`: this rule predicts with what it trains."""
        return params


MUON = register_rule(Muon())
