"""Random draws of users' modules from counter-based streams, in place of torch's generator.

A user's module draws where it likes: `nn.Dropout`, `torch.randn`, attention with dropout. Inside `Reroute` each such
call is a pure function of (seed, step, number of the call, element): the same in every program, alone and in company.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

from thalweg.population._cpu_layers import convolve_by_lane, pool_fast
from thalweg.population._draws import Draws
from thalweg.population._products import aligned_linear, aligned_matmul


class Reroute(TorchFunctionMode):
    """Answers the random functions of torch, and attention, while it is entered.

    Draws have 24 bits in every precision. What is not in `_DRAWING` (`multinomial`, the dropout inside `nn.LSTM`, an
    operator of one's own) still asks torch's generator, which vmap refuses and the loop seeds.

    Args:
        draws: Of (seed, step).
        stacked: Whether it runs under vmap. Products then have the same bits in every lane, and attention, of which
            the fused kernels have no rule for vmap, is spelled out.
    """

    def __init__(self, draws: Draws, *, stacked: bool = False) -> None:
        super().__init__()
        self.draws, self.stacked, self.num_calls = draws, stacked, 0

    def uniform(self, shape: Any) -> torch.Tensor:
        """Returns the draws in [0, 1) of the next call, float32."""
        self.num_calls += 1
        return self.draws.uniform(self.num_calls - 1, shape)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        handler = _ANSWERED.get(func) or (_PRODUCTS.get(func) if self.stacked else None)
        if handler is None:
            return func(*args, **(kwargs or {}))
        return handler(self, *args, **(kwargs or {}))


def _keep(mode: Reroute, shape: Any, p: float, like: torch.Tensor) -> torch.Tensor:
    return (mode.uniform(shape) >= p).to(like.dtype)


def _dropout(
    mode: Reroute, input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> torch.Tensor:
    return _scaled_mask(mode, input, input.shape, p, training, inplace)


def _channel_dropout(num_dims: int) -> Callable[..., torch.Tensor]:
    """Returns dropout of whole channels for rows with `num_dims` dims after the channel, as torch counts them."""

    def drop(
        mode: Reroute, input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> torch.Tensor:
        # torch takes one dim less for an input without a batch, but for dropout2d, which takes it for (B, C, L)
        whole = input.dim() == num_dims + 2 or num_dims == 2
        shape = input.shape[:2] if whole else input.shape[:1]
        shape = (*shape, *(1,) * (input.dim() - len(shape)))
        return _scaled_mask(mode, input, shape, p, training, inplace)

    return drop


def _scaled_mask(
    mode: Reroute, input: torch.Tensor, shape: Any, p: float, training: bool, inplace: bool
) -> torch.Tensor:
    if not training or p == 0:
        return input
    mask = _keep(mode, shape, p, input)
    scaled = mask / (1.0 - p) if p < 1 else mask
    return input.mul_(scaled) if inplace else input * scaled


def _alpha_dropout(
    mode: Reroute, input: torch.Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> torch.Tensor:
    # Klambauer et al., Self-normalizing neural networks, 2017, section 3: dropped units take SELU's lower limit
    if not training or p == 0:
        return input
    limit = -1.7580993408473766
    keep = _keep(mode, input.shape, p, input)
    a = ((1 - p) * (1 + p * limit**2)) ** -0.5 if p < 1 else 0.0
    out = a * (input * keep + limit * (1 - keep)) - a * p * limit
    return input.copy_(out) if inplace else out


def _made(options: dict[str, Any]) -> tuple[torch.dtype, torch.device | None]:
    return options.get("dtype") or torch.get_default_dtype(), options.get("device")


def _shape(sizes: tuple[Any, ...], options: dict[str, Any]) -> tuple[int, ...]:
    found = sizes or (options.get("size", ()),)
    return tuple(found[0]) if len(found) == 1 and not isinstance(found[0], int) else found


def _normal(uniform: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    # 2u - 1 plus half a place is exact in float32 and never 1, where the inverse is infinite
    wide = dtype if dtype in (torch.float32, torch.float64) else torch.float32
    return (math.sqrt(2.0) * torch.erfinv(2.0 * uniform.to(wide) - (1.0 - 2.0**-24))).to(dtype)


def _rand(mode: Reroute, *sizes: Any, **options: Any) -> torch.Tensor:
    dtype, device = _made(options)
    return mode.uniform(_shape(sizes, options)).to(device=device, dtype=dtype)


def _randn(mode: Reroute, *sizes: Any, **options: Any) -> torch.Tensor:
    dtype, device = _made(options)
    return _normal(mode.uniform(_shape(sizes, options)), dtype).to(device=device)


def _rand_like(mode: Reroute, input: torch.Tensor, **options: Any) -> torch.Tensor:
    return mode.uniform(input.shape).to(options.get("dtype") or input.dtype)


def _randn_like(mode: Reroute, input: torch.Tensor, **options: Any) -> torch.Tensor:
    return _normal(mode.uniform(input.shape), options.get("dtype") or input.dtype)


def _whole(uniform: torch.Tensor, low: int, high: int) -> torch.Tensor:
    return (uniform.double() * (high - low)).floor().long() + low


def _randint(mode: Reroute, *args: Any, **options: Any) -> torch.Tensor:
    # (high, size) or (low, high, size), by place or by name
    shape = options["size"] if "size" in options else args[-1]
    limits = [a for a in args if isinstance(a, int)]
    limits += [options[name] for name in ("low", "high") if name in options]
    low, high = (0, *limits)[-2:]
    return _whole(mode.uniform(shape), low, high).to(options.get("dtype") or torch.int64)


def _randint_like(mode: Reroute, input: torch.Tensor, *limits: int, **options: Any) -> torch.Tensor:
    numbers = [options[name] for name in ("low", "high") if name in options]
    low, high = (0, *limits, *numbers)[-2:]
    return _whole(mode.uniform(input.shape), low, high).to(options.get("dtype") or input.dtype)


def _randperm(mode: Reroute, n: int, **options: Any) -> torch.Tensor:
    return mode.uniform((n,)).argsort(stable=True).to(options.get("dtype") or torch.int64)


def _bernoulli(mode: Reroute, input: torch.Tensor, p: float | None = None, **options: Any) -> torch.Tensor:
    rate = input if p is None else p
    return (mode.uniform(input.shape) < rate).to(input.dtype)


def _torch_normal(mode: Reroute, mean: Any = 0.0, std: Any = 1.0, size: Any = None, **options: Any) -> torch.Tensor:
    like = mean if isinstance(mean, torch.Tensor) else std
    if not isinstance(like, torch.Tensor):
        return mean + std * _randn(mode, size, **options)
    shape = torch.broadcast_shapes(*(v.shape for v in (mean, std) if isinstance(v, torch.Tensor)))
    return mean + std * _normal(mode.uniform(shape), like.dtype)


def _fill_uniform(mode: Reroute, self: torch.Tensor, a: float = 0.0, b: float = 1.0, **options: Any) -> torch.Tensor:
    return self.copy_(options.get("from", a) + (options.get("to", b) - options.get("from", a)) * _rand_like(mode, self))


def _fill_normal(
    mode: Reroute, self: torch.Tensor, mean: float = 0.0, std: float = 1.0, **options: Any
) -> torch.Tensor:
    return self.copy_(mean + std * _randn_like(mode, self))


def _fill_exponential(mode: Reroute, self: torch.Tensor, lambd: float = 1.0, **options: Any) -> torch.Tensor:
    # in float64, where u plus half a place of 24 bits is neither 0 nor 1
    return self.copy_(-(mode.uniform(self.shape).double() + 2.0**-25).log() / lambd)


def _fill_bernoulli(mode: Reroute, self: torch.Tensor, p: Any = 0.5, **options: Any) -> torch.Tensor:
    return self.copy_((mode.uniform(self.shape) < p).to(self.dtype))


def _attention(
    mode: Reroute,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    if dropout_p == 0 and not mode.stacked:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if enable_gqa:
        share = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(share, -3), value.repeat_interleave(share, -3)
    product = aligned_matmul if mode.stacked else torch.matmul
    scores = product(query, key.mT) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return product(_dropout(mode, scores.softmax(-1), dropout_p), value)


def _inside(func: Any) -> Callable[..., Any]:
    """Returns a handler that runs the body of a function of `torch.nn.functional` with its draws rerouted.

    A mode is left while it answers, so that calling the function as it is would hide the draws inside. Entered again,
    the function would ask the mode again, for ever: its body is run with that question answered by no.
    """
    no = {name: lambda *_: False for name in func.__globals__ if name.startswith("has_torch_function")}
    body = FunctionType(func.__code__, {**func.__globals__, **no}, func.__name__, func.__defaults__)
    body.__kwdefaults__ = func.__kwdefaults__

    def run(mode: Reroute, *args: Any, **kwargs: Any) -> Any:
        with mode:
            return body(*args, **kwargs)

    return run


def _in_weight_precision(norm: Any) -> Callable[..., Any]:
    """Returns a handler of a norm in the precision of its weight: under vmap torch mixes no precisions."""

    def run(mode: Reroute, input: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        weight = kwargs.get("weight")
        return norm(input if weight is None else input.to(weight.dtype), *args, **kwargs)

    return run


def _batch_norm(
    mode: Reroute,
    input: torch.Tensor,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> torch.Tensor:
    # vmap makes one batch norm of the channels of all lanes, of which the last ones round otherwise (Ioffe and Szegedy,
    # 2015, algorithm 1; running statistics as torch keeps them, with the unbiased variance)
    x = input if weight is None else input.to(weight.dtype)
    spread = (1, -1, *(1,) * (x.dim() - 2))
    if training or running_mean is None or running_var is None:
        var, mean = torch.var_mean(x, [0, *range(2, x.dim())], correction=0)
        if training and running_mean is not None and running_var is not None:
            num = x.numel() // x.shape[1]
            running_mean.mul_(1 - momentum).add_(mean.detach() * momentum)
            running_var.mul_(1 - momentum).add_(var.detach() * (momentum * num / max(num - 1, 1)))
    else:
        mean, var = running_mean, running_var
    x = (x - mean.reshape(spread)) * (var + eps).rsqrt().reshape(spread)
    if weight is not None:
        x = x * weight.reshape(spread)
    return x if bias is None else x + bias.reshape(spread)


_DRAWING: dict[Any, Callable[..., Any]] = {
    F.dropout: _dropout,
    torch.dropout: lambda mode, input, p, train: _dropout(mode, input, p, train),
    F.dropout1d: _channel_dropout(1),
    F.dropout2d: _channel_dropout(2),
    F.dropout3d: _channel_dropout(3),
    F.alpha_dropout: _alpha_dropout,
    F.scaled_dot_product_attention: _attention,
    F.multi_head_attention_forward: _inside(F.multi_head_attention_forward),
    F.gumbel_softmax: _inside(F.gumbel_softmax),
    torch.rand: _rand,
    torch.randn: _randn,
    torch.rand_like: _rand_like,
    torch.randn_like: _randn_like,
    torch.randint: _randint,
    torch.randint_like: _randint_like,
    torch.randperm: _randperm,
    torch.bernoulli: _bernoulli,
    torch.Tensor.bernoulli: _bernoulli,
    torch.Tensor.bernoulli_: _fill_bernoulli,
    torch.normal: _torch_normal,
    torch.Tensor.uniform_: _fill_uniform,
    torch.Tensor.normal_: _fill_normal,
    torch.Tensor.exponential_: _fill_exponential,
}

_ANSWERED: dict[Any, Callable[..., Any]] = {
    **_DRAWING,
    F.max_pool2d: lambda mode, *args, **kwargs: pool_fast(*args, **kwargs),
    torch.max_pool2d: lambda mode, *args, **kwargs: pool_fast(*args, **kwargs),
}

_PRODUCTS: dict[Any, Callable[..., Any]] = {
    F.batch_norm: _batch_norm,
    **{norm: _in_weight_precision(norm) for norm in (F.layer_norm, F.group_norm)},
    F.conv2d: lambda mode, *args, **kwargs: convolve_by_lane(*args, **kwargs),
    F.linear: lambda mode, *args, **kwargs: aligned_linear(*args, **kwargs),
    torch.matmul: lambda mode, a, b: aligned_matmul(a, b),
    torch.Tensor.matmul: lambda mode, a, b: aligned_matmul(a, b),
    torch.Tensor.__matmul__: lambda mode, a, b: aligned_matmul(a, b),
    torch.bmm: lambda mode, a, b: aligned_matmul(a, b),
    torch.Tensor.bmm: lambda mode, a, b: aligned_matmul(a, b),
}
