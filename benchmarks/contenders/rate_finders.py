"""Step sizes by the range tests of fastai, Lightning and torch-lr-finder, on the task and the network of a recipe.

fastai and Lightning are not installed: their rules are a few lines each, written here from their documentation, on
curves made as theirs are. torch-lr-finder is the package itself.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from contenders.in_optuna import build_optimizer
from thalweg.population import build_module
from thalweg.recipes import Recipe
from thalweg.tasks import Task, per_example

#: share of the mean of losses that stays, in all three
_BETA = 0.98


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A range test: the smoothed loss at each step size.

    Args:
        rates: (M,) ascending. losses: (M,).
    """

    rates: np.ndarray
    losses: np.ndarray


def range_test(
    task: Task, recipe: Recipe, seed: int, *, low: float, high: float, steps: int = 100, stop: float = 4.0
) -> Curve:
    """Returns the curve of a range test: the step size rises by one factor each step.

    It stops where the smoothed loss is `stop` times the least one so far.
    """
    model = build_module(task, recipe, seed).train()
    optimizer = build_optimizer(recipe, model, "single")
    batches = batches_of(task, recipe, seed)
    mean, least = 0.0, math.inf
    rates, losses = [], []
    for step in range(steps):
        lr = low * (high / low) ** (step / (steps - 1))
        for group in optimizer.param_groups:
            group["lr"] = lr
        x, y = next(batches)
        loss = per_example(task.loss, model(x), y).mean()
        mean = _BETA * mean + (1 - _BETA) * loss.item()
        smooth = mean / (1 - _BETA ** (step + 1))
        if not math.isfinite(smooth) or (step > 1 and smooth > stop * least):
            break
        least = min(least, smooth)
        rates.append(lr)
        losses.append(smooth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Curve(rates=np.array(rates), losses=np.array(losses))


def batches_of(task: Task, recipe: Recipe, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    x, y = torch.from_numpy(task.train.x), torch.from_numpy(task.train.y)
    generator = torch.Generator().manual_seed(seed)
    size = recipe.batch_size or len(x)
    while True:
        for rows in torch.randperm(len(x), generator=generator).split(size):
            yield x[rows], y[rows]


def fastai_rates(task: Task, recipe: Recipe, seed: int) -> dict[str, float]:
    """Returns fastai's suggestions: valley (its default), steepest, and a tenth of the least loss's.

    From 1e-7 to 10; the first tenth and the last five points are left out (fastai, Learner.lr_find).
    """
    curve = range_test(task, recipe, seed, low=1e-7, high=10.0)
    rates, losses = curve.rates[10:-5], curve.losses[10:-5]
    slopes = np.diff(losses) / np.diff(np.log(rates))
    return {
        "fastai valley": float(rates[_valley(losses)]),
        "fastai steepest": float(rates[int(slopes.argmin())]),
        "fastai minimum / 10": float(rates[int(losses.argmin())] / 10),
    }


def _valley(losses: np.ndarray) -> int:
    """Returns the middle of the middle third of the longest falling subsequence, by its places."""
    longest = np.ones(len(losses), int)
    end = 0
    for i in range(1, len(losses)):
        below = longest[:i][losses[:i] > losses[i]]
        longest[i] = 1 + below.max(initial=0)
        if longest[i] > longest[end]:
            end = i
    start = max(0, end - int(longest[end]))
    third = (end - start) / 3
    return start + int(third) + int(third / 2)


def lightning_rates(task: Task, recipe: Recipe, seed: int) -> dict[str, float]:
    """Returns Lightning's suggestion: where the smoothed loss falls most from step to step.

    From 1e-8 to 1, without the first ten points and the last (Tuner.lr_find).
    """
    curve = range_test(task, recipe, seed, low=1e-8, high=1.0)
    slopes = np.gradient(curve.losses[10:-1])
    return {"Lightning steepest": float(curve.rates[10:-1][int(slopes.argmin())])}


def torch_lr_finder_rates(task: Task, recipe: Recipe, seed: int) -> dict[str, float]:
    """Returns the suggestion of torch-lr-finder: the steepest place of its curve, from 1e-7 to 10."""
    from torch_lr_finder import LRFinder  # pyright: ignore[reportMissingImports]

    torch.manual_seed(seed)
    model = build_module(task, recipe, seed)
    optimizer = build_optimizer(recipe.changed(lr=1e-7), model, "single")
    data = TensorDataset(torch.from_numpy(task.train.x), torch.from_numpy(task.train.y))
    generator = torch.Generator().manual_seed(seed)
    loader = DataLoader(data, batch_size=recipe.batch_size or len(data), shuffle=True, generator=generator)

    class Loss(nn.Module):
        def forward(self, out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return per_example(task.loss, out, y).mean()

    said = io.StringIO()  # its progress bar
    with warnings.catch_warnings(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        warnings.simplefilter("ignore")
        finder = LRFinder(model, optimizer, Loss(), device="cpu")
        finder.range_test(loader, end_lr=10, num_iter=100, step_mode="exp", smooth_f=0.05, diverge_th=5)
    rates, losses = (np.array(finder.history[name]) for name in ("lr", "loss"))
    rates, losses = rates[10:-5], losses[10:-5]  # as its plot does
    return {"torch-lr-finder steepest": float(rates[int(np.gradient(losses).argmin())])}
