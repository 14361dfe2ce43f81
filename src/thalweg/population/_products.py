"""Matrix products whose bits do not depend on the lane.

In a batched product the lanes lie one after another. Where a lane's size is no multiple of the vector width, lanes
start at different places within a vector, and BLAS then adds in another order: of 120 random shapes 26 differed. With
feature dims padded to multiples of 16 none did.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

_ALIGN = 16


def _padding(size: int) -> int:
    return -size % _ALIGN


def aligned_matmul(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Returns a @ b, (..., M, N), with the inner and the last dim padded by zeros for the product."""
    if a.dim() < 2 or b.dim() < 2 or not a.is_floating_point():
        return torch.matmul(a, b)
    inner, last = _padding(a.shape[-1]), _padding(b.shape[-1])
    if not (inner or last):
        return torch.matmul(a, b)
    product = torch.matmul(F.pad(a, (0, inner)), F.pad(b, (0, last, 0, inner)))
    return product[..., : b.shape[-1]]


def aligned_linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Returns x W' + b, (..., out), with the feature dims padded by zeros for the product.

    Args:
        x: (..., in).
        weight: (out, in).
        bias: (out,).
    """
    out_dim = weight.shape[0]
    inner, last = _padding(weight.shape[1]), _padding(out_dim)
    if not (inner or last):
        return F.linear(x, weight, bias)
    padded = F.pad(bias, (0, last)) if bias is not None else None
    return F.linear(F.pad(x, (0, inner)), F.pad(weight, (0, inner, 0, last)), padded)[..., :out_dim]


def stacked_linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Returns x W' + b for each lane, (L, B, out), with the feature dims padded by zeros for the product.

    Args:
        x: (L, B, in).
        weight: (L, out, in).
        bias: (L, out).
    """
    out_dim = weight.shape[1]
    inner, last = _padding(weight.shape[2]), _padding(out_dim)
    if not (inner or last):
        return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)
    padded = F.pad(weight, (0, inner, 0, last)).mT
    return torch.baddbmm(F.pad(bias, (0, last)).unsqueeze(1), F.pad(x, (0, inner)), padded)[..., :out_dim]
