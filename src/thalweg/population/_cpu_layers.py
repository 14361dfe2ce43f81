"""Max pooling and convolution as a CPU does them fast: the values and gradients of torch's own."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from numba import njit

from thalweg.population._kernel_cache import kept_in_cache
from thalweg.population._kernel_conv import pool, unpool

with kept_in_cache():
    _pool_planes = njit(nogil=True, cache=True)(pool.py_func)
    _unpool_planes = njit(nogil=True, cache=True)(unpool.py_func)


def _planes(t: torch.Tensor) -> Any:
    return t.contiguous().reshape(-1, *t.shape[-2:]).numpy()


class MaxPool2x2(torch.autograd.Function):
    """Max pooling of disjoint 2 x 2 windows over the last two dims, on a CPU.

    torch's own takes 2.4 ms forward for (64, 8, 28, 28) on one core where this takes 0.12. On ties the first place in
    the order of rows gets the gradient, as in torch; an odd last row or column gets none.
    """

    @staticmethod
    def forward(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the maxima (..., H // 2, W // 2) and the place of each in its window."""
        shape = (*x.shape[:-2], x.shape[-2] // 2, x.shape[-1] // 2)
        out, place = x.new_empty(shape), x.new_empty(shape, dtype=torch.uint8)
        _pool_planes(_planes(x), _planes(out), _planes(place))
        return out, place

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keeps the places of the maxima."""
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])
        ctx.size = tuple(inputs[0].shape[-2:])

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor, _: Any) -> Any:  # type: ignore[override]
        """Returns the gradient of x: that of each maximum at its place."""
        return MaxPool2x2Gradient.apply(grad, *ctx.saved_tensors, ctx.size)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: torch.Tensor) -> Any:
        """Returns the lanes' maxima: planes are planes."""
        return MaxPool2x2.apply(x.movedim(in_dims[0], 0)), (0, 0)


class MaxPool2x2Gradient(torch.autograd.Function):
    """The gradient of `MaxPool2x2`."""

    @staticmethod
    def forward(grad: torch.Tensor, place: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Returns the gradient of the input, (..., H, W)."""
        shape = (*grad.shape[:-2], *size)
        odd = size[0] % 2 or size[1] % 2
        found = grad.new_zeros(shape) if odd else grad.new_empty(shape)
        _unpool_planes(_planes(grad), _planes(place), _planes(found))
        return found

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keeps nothing: second derivatives are not taken in training."""

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # type: ignore[override]
        """Raises: there are no second derivatives."""
        raise NotImplementedError("max pooling of the CPU has no second derivative")

    @staticmethod
    def vmap(info: Any, in_dims: Any, grad: torch.Tensor, place: torch.Tensor, size: tuple[int, int]) -> Any:
        """Returns the lanes' gradients."""
        return MaxPool2x2Gradient.apply(grad.movedim(in_dims[0], 0), place.movedim(in_dims[1], 0), size), 0


class LaneConvolution(torch.autograd.Function):
    """A convolution that under vmap runs lane by lane, where torch would make one convolution of many groups.

    Few channels a group are what a CPU's convolutions are worst at: 16 lanes of 1 -> 8 channels on 28 x 28 take five
    times as long as one group as lane by lane.
    """

    @staticmethod
    def forward(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, options: Any) -> torch.Tensor:
        """Returns the convolution; `options` are (stride, padding, dilation, groups)."""
        return F.conv2d(x, weight, bias, *options)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keeps what the gradients need."""
        x, weight, bias, ctx.options = inputs
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:  # type: ignore[override]
        """Returns the gradients of x, weight and bias."""
        needed = (ctx.needs_input_grad[0], True, ctx.has_bias)
        found = LaneConvolutionGradients.apply(grad, *ctx.saved_tensors, needed, ctx.options)
        gradients = iter(found)
        return *(next(gradients) if need else None for need in needed), None

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Any, weight: Any, bias: Any, options: Any) -> Any:
        """Returns the lanes' convolutions, one after another."""
        lanes = _lanes_first(info.batch_size, in_dims[:3], (x, weight, bias))
        return torch.stack([LaneConvolution.apply(*lane, options) for lane in lanes]), 0


class LaneConvolutionGradients(torch.autograd.Function):
    """The gradients of a convolution; under vmap lane by lane."""

    @staticmethod
    def forward(grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, needed: Any, options: Any) -> Any:
        """Returns those gradients of (x, weight, bias) that are needed."""
        stride, padding, dilation, groups = options
        pairs = [[v, v] if isinstance(v, int) else list(v) for v in (stride, padding, dilation)]
        sizes = [weight.shape[0]]
        found = torch.ops.aten.convolution_backward(grad, x, weight, sizes, *pairs, False, [0, 0], groups, list(needed))
        return tuple(g for g, need in zip(found, needed, strict=True) if need)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keeps nothing: second derivatives are not taken in training."""

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # type: ignore[override]
        """Raises: there are no second derivatives."""
        raise NotImplementedError("a convolution by lanes has no second derivative")

    @staticmethod
    def vmap(info: Any, in_dims: Any, grad: Any, x: Any, weight: Any, needed: Any, options: Any) -> Any:
        """Returns the lanes' gradients, one after another."""
        lanes = _lanes_first(info.batch_size, in_dims[:3], (grad, x, weight))
        found = [LaneConvolutionGradients.apply(*lane, needed, options) for lane in lanes]
        return tuple(torch.stack(parts) for parts in zip(*found, strict=True)), (0,) * sum(needed)


def _lanes_first(num: int, in_dims: Any, tensors: Any) -> list[tuple[Any, ...]]:
    """Returns per lane its part of each tensor; what all lanes share is given to each."""
    parts = [
        [tensor] * num if dim is None else tensor.movedim(dim, 0).unbind()
        for dim, tensor in zip(in_dims, tensors, strict=True)
    ]
    return list(zip(*parts, strict=True))


def pool_fast(
    x: torch.Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Returns `torch.nn.functional.max_pool2d`, on a CPU compiled where the windows are 2 x 2 and disjoint."""
    plain = all(_pair(v) == (2, 2) for v in (kernel_size, stride or kernel_size)) and _pair(padding) == (0, 0)
    real = x.dtype in (torch.float32, torch.float64)
    if real and x.device.type == "cpu" and plain and _pair(dilation) == (1, 1) and not (ceil_mode or return_indices):
        return MaxPool2x2.apply(x)[0]
    return F.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode=ceil_mode, return_indices=return_indices)


def convolve_by_lane(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Returns `torch.nn.functional.conv2d`, on a CPU lane by lane under vmap."""
    if x.device.type != "cpu" or isinstance(padding, str):
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    return LaneConvolution.apply(x, weight, bias, (stride, padding, dilation, groups))


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])
