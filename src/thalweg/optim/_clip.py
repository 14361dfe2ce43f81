"""Gradient clipping by the global norm."""

from __future__ import annotations

from typing import Any

from thalweg.optim._rule import Tree

#: torch adds it to the norm before it divides
_EPS = 1e-6


def clip_factor(norm: Any, max_norm: Any) -> Any:
    """Returns what gradients of the global norm `norm` are multiplied by: min(1, max_norm / (norm + 1e-6)).

    Args:
        norm: A number, or (P,).
        max_norm: Above 0; a number, or (P,).
    Returns:
        The factor; NaN where the norm is NaN, so that a member that has diverged shows.
    Example:
        >>> clip_factor(0.5, 1.0), round(clip_factor(4.0, 1.0), 6)
        (1.0, 0.25)
    """
    factor = max_norm / (norm + _EPS)
    return factor.clamp(max=1.0) if hasattr(factor, "clamp") else (1.0 if factor > 1.0 else factor)


def clip_gradients(grads: Tree, max_norm: Any, *, stacked: bool = False) -> tuple[Tree, Any]:
    """Returns the gradients scaled to a global norm of at most `max_norm`, and their norm before.

    It is torch.nn.utils.clip_grad_norm_ for one member, without changing its arguments.

    Args:
        grads: Parameter name -> gradient, at least one; (P, ...) where stacked.
        max_norm: Above 0; a number, or (P,).
        stacked: Whether dim 0 is the member, which then has a norm of its own.
    Returns:
        grads, parameter name -> scaled gradient; norm, 0-d or (P,).
    References:
        Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013, algorithm
        1.
    """
    norm: Any = None
    for g in grads.values():
        flat = g.reshape(g.shape[0], -1) if stacked else g.reshape(-1)
        own = flat.norm(dim=-1)
        norm = own if norm is None else norm.hypot(own)  # a square alone may overflow where the norm does not
    factor = clip_factor(norm, max_norm)
    spread = {k: factor.reshape(-1, *(1,) * (g.ndim - 1)) if stacked else factor for k, g in grads.items()}
    return {k: g * spread[k] for k, g in grads.items()}, norm
