"""The loss on straight lines between the members of a landscape."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

from thalweg.core import Chart, Series, Table
from thalweg.landscape import Line, align_units, line_between
from thalweg.models import ACTIVATIONS
from thalweg.studies._landscape_paths import Paths


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Lines between every two members.

    Args:
        seeds: Of the members.
        plain: Places of two members -> the line between them.
        aligned: Likewise with the hidden units of the second in the order that fits the first best; empty for models
            whose units cannot be put in another order.
    """

    seeds: tuple[int, ...]
    plain: dict[tuple[int, int], Line]
    aligned: dict[tuple[int, int], Line]

    @property
    def headline(self) -> str:
        """The barriers."""
        after = f"; with hidden units aligned, {_range(self.aligned)}" if self.aligned else ""
        return (
            f"On the straight line between two members the loss rises above the chord by {_range(self.plain)}{after}."
        )

    def table(self) -> Table:
        """Returns the losses at both ends and the barriers."""
        rows = []
        for (i, j), line in self.plain.items():
            row = [f"{self.seeds[i]} and {self.seeds[j]}", f"{line.loss[0]:.4g}", f"{line.loss[-1]:.4g}"]
            barriers = [found[i, j].barrier for found in (self.plain, self.aligned) if found]
            rows.append([*row, *(f"{barrier:.3g}" for barrier in barriers)])
        head = ["seeds", "training loss of the first", "of the second", "barrier", "barrier, units aligned"]
        return Table(title="Between two members", head=head[: len(rows[0])], rows=rows)

    def chart(self) -> Chart:
        """Returns the losses along the lines."""
        return Chart(
            name="lines",
            title="The loss on the straight line between two members",
            caption="Blue: as they are. Orange: hidden units of the second in the order that fits the first best.",
            x="from one (0) to the other (1)",
            y="training loss",
            series=[
                Series(name=name, x=line.t.tolist(), y=line.loss.tolist(), style="line", role=role)
                for name, role, found in (
                    ("as they are", "main", self.plain),
                    ("units aligned", "second", self.aligned),
                )
                for line in found.values()
            ],
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the lines as plain data."""
        return {
            name: [
                {"between": [self.seeds[i], self.seeds[j]], "barrier": line.barrier, "loss": line.loss.tolist()}
                for (i, j), line in found.items()
            ]
            for name, found in (("lines", self.plain), ("aligned", self.aligned))
        }


def measure_lines(paths: Paths, rows: int) -> Lines:
    """Returns the lines between every two members, over some training rows."""
    recipe = paths.recipe
    can_align = recipe.model == "mlp" and recipe.norm != "batch" and ACTIVATIONS[recipe.activation].pieces == 1
    plain, aligned = {}, {}
    for i, j in itertools.combinations(range(len(paths.seeds)), 2):
        scorer = paths.scorer(i, "train", rows)
        first, second = paths.ends[i], paths.ends[j]
        plain[i, j] = line_between(scorer, first, second)
        if can_align:
            aligned[i, j] = line_between(scorer, first, align_units(first, second, len(recipe.widths)))
    return Lines(seeds=paths.seeds, plain=plain, aligned=aligned)


def _range(lines: dict[tuple[int, int], Line]) -> str:
    barriers = [line.barrier for line in lines.values()]
    low, high = min(barriers), max(barriers)
    return f"{low:.3g}" if math.isclose(low, high, rel_tol=1e-3, abs_tol=1e-12) else f"{low:.3g} to {high:.3g}"
