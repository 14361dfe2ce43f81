"""The Hessian of a training loss as a linear operator: products only, no matrix."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator

from thalweg.curvature._surface import Surface


class Hessian(LinearOperator):
    """The Hessian of a surface at a point, (N, N), or that seen by a preconditioned method.

    With a scale d it is diag(d)^(1/2) H diag(d)^(1/2): the matrix whose largest eigenvalue bounds the step size of
    a method that moves along diag(d) g, as Adam does with d = 1 / (sqrt(v) + eps) (Cohen et al., Adaptive gradient
    methods at the edge of stability, 2022, section 2).

    It has the products that SciPy's and curvlinops's functions ask of an operator: `@`, `matvec`, `matmat`.

    Args:
        surface: The loss.
        point: (N,) where; default is the surface's centre.
        scale: (N,) positive numbers, or None.

    Example:
        >>> import numpy as np, torch
        >>> from torch import nn
        >>> model = nn.Linear(2, 1, bias=False)
        >>> x, y = np.eye(2), np.zeros((2, 1))
        >>> surface = Surface(model, {"weight": np.zeros((1, 2))}, {}, x, y, "mse")
        >>> Hessian(surface) @ np.array([1.0, 0.0])  # (1/n) sum (w x - y)^2 has Hessian (2/n) X'X
        array([1., 0.])
    """

    def __init__(self, surface: Surface, point: torch.Tensor | None = None, scale: np.ndarray | None = None) -> None:
        super().__init__(np.dtype(np.float64), (surface.size, surface.size))
        self.surface = surface
        self.point = surface.centre if point is None else point.to(surface.dtype)
        self._root = None if scale is None else np.sqrt(scale)

    def _matmat(self, X: np.ndarray) -> np.ndarray:
        directions = X if self._root is None else self._root[:, None] * X
        with torch.no_grad():
            found = self.surface.hessian_products(
                self.point, torch.from_numpy(np.ascontiguousarray(directions)).to(self.surface.dtype)
            )
        result = found.double().numpy()
        return result if self._root is None else self._root[:, None] * result

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        return self._matmat(x.reshape(-1, 1))[:, 0]

    def _adjoint(self) -> Hessian:
        return self
