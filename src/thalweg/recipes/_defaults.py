"""What varies where the user names no axis, and the recipe that the search starts from."""

from __future__ import annotations

from typing import Any

from thalweg.recipes._axis import Axis
from thalweg.recipes._recipe import Recipe, parse_model

_OPTIMIZERS = ("sgd", "momentum", "adam", "adamw")
_ACTIVATIONS = ("relu", "tanh", "gelu", "silu")


def default_recipe(num_rows: int, *, model: str = "mlp", **changes: Any) -> Recipe:
    """Returns the recipe that a search starts from.

    Args:
        num_rows: Training rows; the epochs are chosen so that small data is passed over more often.
        model: A `--model` text.
        changes: Fields to set.

    Example:
        >>> default_recipe(4000).epochs, default_recipe(100).epochs
        (24, 200)
    """
    fields = parse_model(model)
    epochs = int(min(200, max(8, round(96_000 / max(num_rows, 1)))))
    batch_size = min(64, _batch_sizes(num_rows)[-1])
    return Recipe(
        **{
            "epochs": epochs,
            "batch_size": batch_size,
            "init": "keep" if ":" in fields["model"] else "he",
            **fields,
            **changes,
        }
    )


def default_axes(recipe: Recipe, num_rows: int) -> list[Axis]:
    """Returns the axes that are searched where the user names none.

    An MLP varies optimizer, lr (its range depends on the optimizer), activation, batch size, weight decay and width; a
    CNN the same with fewer widths; a linear model and a user's own module what does not change the model: optimizer,
    lr, batch size and weight decay.

    Args:
        recipe: Where the search starts.
        num_rows: Training rows; batches hold at most a quarter of them.
    """
    from thalweg.optim import RULES

    optimizers = _OPTIMIZERS
    axes = [
        Axis(field="optimizer", values=optimizers),
        Axis(
            field="lr",
            scale="log",
            given="optimizer",
            cases={name: RULES[name].lr_range for name in optimizers},
        ),
        Axis(field="weight_decay", values=(0.0, 1e-4, 1e-3, 1e-2)),
    ]
    sizes = _batch_sizes(num_rows)
    if len(sizes) > 1:
        axes.append(Axis(field="batch_size", values=sizes))
    if recipe.model in ("mlp", "cnn"):
        axes.append(Axis(field="activation", values=_ACTIVATIONS))
        axes.append(Axis(field="widths", values=_widths(recipe)))
    return axes


def _batch_sizes(num_rows: int) -> tuple[int, ...]:
    """Returns the largest five powers of 2, from 8 to 256, of which four batches fit into the rows."""
    fitting = tuple(size for size in (8, 16, 32, 64, 128, 256) if size * 4 <= num_rows)
    return fitting[-5:] or (max(1, num_rows // 4),)


def _widths(recipe: Recipe) -> tuple[tuple[int, ...], ...]:
    """Half, once and twice the given widths: the ratio of layers stays."""
    half = tuple(max(1, w // 2) for w in recipe.widths)
    twice = tuple(w * 2 for w in recipe.widths)
    return tuple(dict.fromkeys((half, recipe.widths, twice)))
