"""A training loss as a function of one flat vector of parameters."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, jvp, vmap

from thalweg.tasks import per_example

#: rows times directions of one derivative at a time, and rows at least
_MOST_ROWS, _LEAST_ROWS = 4096, 64


class Surface:
    """The mean loss of a model over rows, L(w) = (1/n) sum_i loss(f(x_i; w), y_i) + (l2/2) ||w_weights||^2.

    The model is in evaluation mode: no dropout, running statistics in place of a batch's. So L is one function, and
    what is found is of the network as it predicts.

    Args:
        module: The model; its parameters are not changed.
        params: Name -> array: the point at which the surface is centred, and the order of the flat vector.
        buffers: Name -> array: running statistics and frozen parameters.
        x: (n, ...) rows. y: their targets, as a `Split` holds them.
        loss: A key of `LOSSES`.
        label_smoothing: As in the recipe.
        l2: Strength of the squared penalty on weights (matrices and kernels), 0 for none.
        dtype: Of the arithmetic; float64 makes eigenvalues trustworthy to many digits.

    Attributes:
        size: N, the number of parameters.
        centre: (N,) the flat vector of `params`.
    """

    def __init__(
        self,
        module: nn.Module,
        params: Mapping[str, np.ndarray],
        buffers: Mapping[str, np.ndarray],
        x: np.ndarray,
        y: np.ndarray,
        loss: str,
        *,
        label_smoothing: float = 0.0,
        l2: float = 0.0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.module = module.to(dtype).eval()
        self.dtype, self.loss, self.label_smoothing, self.l2 = dtype, loss, label_smoothing, l2
        self._shapes = {name: tuple(value.shape) for name, value in params.items()}
        self.size = sum(math.prod(shape) for shape in self._shapes.values())
        self._buffers = {name: torch.as_tensor(value).to(dtype) for name, value in buffers.items()}
        self.centre = self.flatten(params)
        self._x = torch.as_tensor(x).to(dtype)
        found = torch.as_tensor(y)
        self._y = found if not found.is_floating_point() else found.to(dtype)

    def flatten(self, params: Mapping[str, np.ndarray]) -> torch.Tensor:
        """Returns parameters as one vector, (N,)."""
        return torch.cat(
            [torch.as_tensor(np.asarray(params[name])).to(self.dtype).reshape(-1) for name in self._shapes]
        )

    def unflatten(self, vector: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns views of a vector (N,) by parameter name."""
        parts = vector.split([math.prod(shape) for shape in self._shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)}

    def outputs(self, vector: torch.Tensor, x: torch.Tensor | None = None) -> torch.Tensor:
        """Returns the outputs (n, K) at a point, for the surface's own rows or others."""
        rows = self._x if x is None else x
        return functional_call(self.module, {**self.unflatten(vector), **self._buffers}, (rows,))

    def value(self, vector: torch.Tensor) -> torch.Tensor:
        """Returns the loss at a point (N,), a scalar."""
        total = sum(self._part(vector, x, y) for x, y in self._chunks())
        assert isinstance(total, torch.Tensor)
        return total + self._penalty(vector)

    def gradient(self, vector: torch.Tensor) -> torch.Tensor:
        """Returns the gradient at a point, (N,)."""
        found = self._penalty_gradient(vector)
        for x, y in self._chunks():
            found = found + grad(self._part)(vector, x, y)
        return found

    def hessian_products(self, vector: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
        """Returns the products of the Hessian at a point with k vectors at once, (N, k) -> (N, k).

        Forward over reverse: the derivative of the gradient along each direction (Pearlmutter, Fast exact
        multiplication by the Hessian, 1994), for all directions in one program.
        """
        found = self._penalty_products(directions)
        for x, y in self._chunks(directions.shape[1]):

            def product(v: torch.Tensor, x: torch.Tensor = x, y: torch.Tensor = y) -> torch.Tensor:
                return jvp(lambda w: grad(self._part)(w, x, y), (vector,), (v,))[1]

            with _forward_mode():
                found = found + vmap(product, in_dims=1, out_dims=1)(directions)
        return found

    @property
    def num_rows(self) -> int:
        """Rows of the loss."""
        return len(self._x)

    def row_gradients(self, vector: torch.Tensor, rows: int) -> Iterator[torch.Tensor]:
        """Yields the gradients of every row's own loss, (rows, N) at a time."""

        def one(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return grad(lambda w: self._row_losses(w, x[None], y[None])[0])(vector)

        with torch.no_grad():
            for x, y in zip(self._x.split(rows), self._y.split(rows), strict=True):
                yield vmap(one)(x, y)

    def row_slopes(self, vector: torch.Tensor, directions: np.ndarray) -> np.ndarray:
        """Returns the slope of every row's own loss along k directions, (N, k) -> (n, k)."""
        towards = torch.as_tensor(np.ascontiguousarray(directions)).to(self.dtype)
        found = []
        with torch.no_grad(), _forward_mode():
            for x, y in self._chunks():

                def slope(v: torch.Tensor, x: torch.Tensor = x, y: torch.Tensor = y) -> torch.Tensor:
                    return jvp(lambda w: self._row_losses(w, x, y), (vector,), (v,))[1]

                found.append(vmap(slope, in_dims=1, out_dims=1)(towards))
        return torch.cat(found).double().numpy()

    def _row_losses(self, vector: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        out = self.outputs(vector, x)
        return per_example(self.loss, out, y, label_smoothing=self.label_smoothing)

    def _part(self, vector: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self._row_losses(vector, x, y).sum() / len(self._x)

    def _chunks(self, directions: int = 1) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yields inputs and targets of so many rows that they, times the directions that are side by side, fit."""
        rows = max(_LEAST_ROWS, _MOST_ROWS // directions)
        return zip(self._x.split(rows), self._y.split(rows), strict=True)

    @cached_property
    def _penalised(self) -> torch.Tensor:
        """(D,): 1 at weights, 0 at biases and scales."""
        parts = [
            torch.full((math.prod(shape),), float(len(shape) >= 2), dtype=self.dtype) for shape in self._shapes.values()
        ]
        return torch.cat(parts)

    def _penalty(self, vector: torch.Tensor) -> torch.Tensor:
        return self.l2 / 2 * (self._penalised * vector).square().sum()

    def _penalty_gradient(self, vector: torch.Tensor) -> torch.Tensor:
        return self.l2 * self._penalised * vector

    def _penalty_products(self, directions: torch.Tensor) -> torch.Tensor:
        return self.l2 * self._penalised[:, None] * directions


@contextmanager
def _forward_mode() -> Iterator[None]:
    """Keeps to itself that torch loads its own rules for forward mode by a way that it calls deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=DeprecationWarning)
        yield
