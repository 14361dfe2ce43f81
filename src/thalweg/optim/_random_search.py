"""Random search: keep a random change of the weights if the objective falls."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core import Purpose, derive_key, draw_uniform
from thalweg.optim._rule import Hyper, Tree, register_rule

#: the success rate at which the scale stays as it is
TARGET_SUCCESS = 0.2


def draw_proposals(seed: int, step: int, num_proposals: int, num_params: int) -> np.ndarray:
    """Returns the standard normal directions of one step, (num_proposals, num_params) float64.

    Box-Muller on the stream (seed, PROPOSAL, step): uniforms 2i and 2i + 1 give direction i of the table read
    row by row, so that more proposals leave the first ones as they are.

    Example:
        >>> few, many = draw_proposals(0, 1, 2, 5), draw_proposals(0, 1, 3, 5)
        >>> bool((few == many[:2]).all())
        True
    """
    uniform = draw_uniform(derive_key(seed, Purpose.PROPOSAL, step), 2 * num_proposals * num_params)
    radius = np.sqrt(-2.0 * np.log1p(-uniform[0::2]))  # 1 - u lies in (0, 1], so the logarithm is finite
    return (radius * np.cos(2.0 * math.pi * uniform[1::2])).reshape(num_proposals, num_params)


def adapt_scale(scale: float, num_success: int, num_proposals: int, num_params: int) -> float:
    """Returns the scale for the next step: larger if more than one proposal in five was better, else smaller.

    scale * exp((success rate - 1/5) / (1 - 1/5) / d), with d = 1 + num_params / (2 * num_proposals).

    References:
        Rechenberg, Evolutionsstrategie, 1973 (the 1/5 success rule).
        Igel, Hansen and Roth, Covariance matrix adaptation for multi-objective optimization, 2007, section
        2.1 (the form and the damping d; we do not smooth the rate, for it is already a mean over the
        proposals).
    """
    damping = 1.0 + num_params / (2.0 * num_proposals)
    rate = num_success / num_proposals
    return scale * math.exp((rate - TARGET_SUCCESS) / (1.0 - TARGET_SUCCESS) / damping)


@dataclass(frozen=True, kw_only=True)
class RandomSearch:
    """Random search by normal noise, of a scale that adapts by the 1/5 success rule.

    A step evaluates w + scale * e_i for `proposals` normal directions e_i and moves to the best of them if it
    is better than w on the same batch. `lr` is the first scale; no gradient is taken. It is written for one
    member.

    References:
        Rechenberg, Evolutionsstrategie, 1973.
    """

    name: str = "random_search"
    doc: str = (
        "w + s * normal noise, kept if the objective falls; s starts at lr and grows if more than 1 in 5 of "
        "`proposals` is better (Rechenberg, 1973, the 1/5 success rule); takes no gradient"
    )
    hyper: tuple[str, ...] = ("lr", "proposals", "seed")
    needs: frozenset[str] = frozenset({"evaluate"})
    lr_range: tuple[float, float] = (1e-3, 1.0)
    proximal: bool = False

    def init(self, params: Tree) -> dict[str, Any]:
        """Returns the state before the first step: no scale yet (`lr` gives it) and `step` = 0."""
        return {"scale": None, "step": 0}

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
        """Returns params and state after one step; the arguments are not changed.

        Args:
            params: Parameter name -> tensor of one member.
            grads: Not read.
            state: `scale` and `step`.
            hyper: `lr`, `proposals` and `seed`, numbers.
            evaluate: Parameters stacked as (N, ...) -> losses (N,), the penalty included. Row 0 is the
                current point and the others are the proposals, all on the same batch.
            metric: Not read.
        Raises:
            ValueError: if `evaluate` is not given.
        """
        if evaluate is None:
            raise ValueError("evaluate must be given to random_search: it takes no gradient.")
        import torch  # only here: the registry must not load torch

        t = state["step"] + 1
        num_proposals = int(hyper["proposals"])
        num_params = sum(w.numel() for w in params.values())
        scale = float(hyper["lr"]) if state["scale"] is None else state["scale"]
        noise = scale * draw_proposals(int(hyper["seed"]), t, num_proposals, num_params)
        stacked: Tree = {}
        start = 0
        for name, w in params.items():
            change = torch.as_tensor(noise[:, start : start + w.numel()], dtype=w.dtype, device=w.device)
            proposals = w + change.reshape(num_proposals, *w.shape)
            stacked[name] = torch.cat([w.unsqueeze(0), proposals])
            start += w.numel()
        losses = torch.as_tensor(evaluate(stacked)).detach()
        losses = torch.where(torch.isnan(losses), math.inf, losses)  # a proposal that fails is no better
        num_success = int((losses[1:] < losses[0]).sum())
        best = int(losses.argmin()) if num_success else 0
        new_params = {name: w[best].clone() for name, w in stacked.items()}
        return new_params, {"scale": adapt_scale(scale, num_success, num_proposals, num_params), "step": t}

    def eval_params(self, params: Tree, state: dict[str, Any], hyper: Hyper) -> Tree:
        """Returns `params`: this rule predicts with what it trains."""
        return params


RANDOM_SEARCH = register_rule(RandomSearch())
