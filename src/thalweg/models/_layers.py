"""The modules that torch has not: dropout from counter-based draws, maxout, and an activation by its
definition."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import nn

from thalweg.core import Purpose, RunError, derive_key, draw_uniform
from thalweg.models._activations import ACTIVATIONS

#: (x, layer, rate) -> x with dropped coordinates
DropoutSource = Callable[[torch.Tensor, int, float], torch.Tensor]

_SOURCE: ContextVar[DropoutSource | None] = ContextVar("thalweg_dropout", default=None)


@contextmanager
def drop_by(source: DropoutSource) -> Iterator[None]:
    """Says, for the forward passes inside, how `Dropout` layers drop: for programs that hold their own draws.

    Args:
        source: (x, layer, rate) -> x with dropped coordinates, scaled.
    """
    token = _SOURCE.set(source)
    try:
        yield
    finally:
        _SOURCE.reset(token)


@contextmanager
def draws(seed: int, step: int) -> Iterator[None]:
    """Says, for the forward passes inside, of which stream and step the random draws are.

    Args:
        seed: Of the member's stream.
        step: Of the member.
    Example:
        >>> layer = Dropout(0.5)
        >>> with draws(0, 1):
        ...     first, again = layer(torch.ones(2, 3)), layer(torch.ones(2, 3))
        >>> bool((first == again).all())
        True
    """

    def drop(x: torch.Tensor, layer: int, rate: float) -> torch.Tensor:
        keep = dropout_uniform(seed, step, layer, tuple(x.shape)) >= rate
        return x * keep.to(x) / (1.0 - rate)

    with drop_by(drop):
        yield


def dropout_uniform(seed: int, step: int, layer: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Returns the uniform draws of one dropout layer in one step, of `shape`, float64.

    A coordinate is kept where its draw is at least the rate, so that members of one seed and different rates
    share draws: what a higher rate keeps, a lower one keeps too.

    Args:
        seed: Of the stream.
        step: Of the member.
        layer: Index of the dropout layer.
        shape: (B, ...), filled row by row.
    """
    num = 1
    for size in shape:
        num *= size
    key = derive_key(seed, Purpose.DROPOUT, step, layer)
    return torch.from_numpy(draw_uniform(key, num)).reshape(shape)


class Dropout(nn.Module):
    """Dropout whose mask is a pure function of (seed, step, layer), given by `draws`.

    In training mode: x / (1 - p) where the draw is at least p, else 0; in evaluation mode: x.

    Args:
        p: Rate, 0 <= p < 1.
        layer: Index of this dropout layer in its model, part of the key of its draws.
    References:
        Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, 2014 (in the
        inverted form, which scales in training).
    """

    def __init__(self, p: float = 0.5, layer: int = 0) -> None:
        super().__init__()
        self.p, self.layer = float(p), layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns x with dropped coordinates, same shape.

        Raises:
            RunError: in training mode outside `draws(seed, step)`.
        """
        if not self.training or self.p == 0:
            return x
        source = _SOURCE.get()
        if source is None:
            raise RunError(
                "dropout has no random stream. Run the forward pass inside `with draws(seed, step):`, or "
                "call module.eval() to predict."
            )
        return source(x, self.layer, self.p)

    def extra_repr(self) -> str:
        """Returns what `repr` shows between the parentheses."""
        return f"p={self.p}, layer={self.layer}"


class Maxout(nn.Module):
    """The largest of each `pieces` neighbouring units along dim 1.

    Args:
        pieces: Units for each output.
    References:
        Goodfellow et al., Maxout networks, 2013, section 3.
    """

    def __init__(self, pieces: int = 2) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the winners: (B, out * pieces, ...) -> (B, out, ...)."""
        return x.unflatten(1, (-1, self.pieces)).max(dim=2).values

    def extra_repr(self) -> str:
        """Returns what `repr` shows between the parentheses."""
        return f"pieces={self.pieces}"


class ElementwiseActivation(nn.Module):
    """An activation of the registry that torch has no module for, by its own definition.

    Args:
        name: A name of `ACTIVATIONS`.
        parameter: Its parameter, trained if the activation says so.
    """

    def __init__(self, name: str, parameter: float | None) -> None:
        super().__init__()
        self.name = name
        if ACTIVATIONS[name].learned:
            self.weight = nn.Parameter(torch.tensor([float(parameter or 0.0)]))
        else:
            self.parameter = parameter

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the activation of x, same shape."""
        p = self.weight if ACTIVATIONS[self.name].learned else self.parameter
        return ACTIVATIONS[self.name].value(x, p)


_TORCH_MODULES: dict[str, Callable[[float], nn.Module]] = {
    "identity": lambda p: nn.Identity(),
    "sigmoid": lambda p: nn.Sigmoid(),
    "tanh": lambda p: nn.Tanh(),
    "relu": lambda p: nn.ReLU(),
    "leaky_relu": lambda p: nn.LeakyReLU(p),
    "prelu": lambda p: nn.PReLU(init=p),
    "elu": lambda p: nn.ELU(p),
    "gelu": lambda p: nn.GELU(),
    "silu": lambda p: nn.SiLU(),
}


def activation_module(name: str, parameter: float | None = None) -> nn.Module:
    """Returns the module of an activation: torch's own where it has one.

    Args:
        name: A name of `ACTIVATIONS`.
        parameter: Its parameter; None for the default.
    """
    activation = ACTIVATIONS[name]
    p = activation.parameter if parameter is None else float(parameter)
    if activation.pieces > 1:
        return Maxout(activation.pieces if parameter is None else int(parameter))
    if name in _TORCH_MODULES:
        return _TORCH_MODULES[name](0.0 if p is None else p)
    return ElementwiseActivation(name, p)


#: modules of torch's activation file that are no elementwise activations
_NOT_ELEMENTWISE = (nn.MultiheadAttention, nn.Softmax, nn.Softmin, nn.LogSoftmax, nn.Softmax2d, nn.GLU)


def is_activation(module: nn.Module) -> bool:
    """Returns whether a module is an activation: one of ours, or an elementwise one of torch.

    Example:
        >>> is_activation(nn.ReLU()), is_activation(nn.Linear(2, 2))
        (True, False)
    """
    if isinstance(module, Maxout | ElementwiseActivation | nn.Identity):
        return True
    return type(module).__module__ == "torch.nn.modules.activation" and not isinstance(module, _NOT_ELEMENTWISE)
