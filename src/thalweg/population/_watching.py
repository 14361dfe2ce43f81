"""Members that are looked at on their way: statistics on one fixed batch, at steps that are told by counting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thalweg.population._population import Population


@dataclass(frozen=True, kw_only=True)
class MemberProbe:
    """What one look at a member saw, on the same rows for all members, in training mode without dropout.

    Args:
        step: Steps that the member had done.
        loss: Mean loss of the rows, without label smoothing and penalty.
        dead: Largest share of the units of a layer whose slope is 0 on every row.
        saturated: Largest share of slopes below 5% of the steepest possible one, of a squashing layer.
        first_to_last: RMS gradient at the outputs of the first activation over that at the last one's; None with fewer
            than three activations, or where no gradient arrives at the last.
    """

    step: int
    loss: float
    dead: float
    saturated: float
    first_to_last: float | None


@dataclass(frozen=True, kw_only=True)
class Watching:
    """When the members of a population are looked at, and by whom.

    Each is looked at before its first step, wherever `Population.run` was asked to stop or it stopped early, and at the
    powers of two from `first` on. Looking changes nothing of a member.

    Args:
        look: (population, members) -> what is seen of each.
        first: The first of the powers.
    """

    look: Callable[[Population, Sequence[int]], list[MemberProbe]]
    first: int

    def next_look(self, step: int) -> int:
        """Returns the next power of two after a step at which a member is looked at.

        Example:
            >>> watching = Watching(look=lambda population, which: [], first=4)
            >>> [watching.next_look(step) for step in (0, 3, 4, 7, 8)]
            [4, 4, 8, 8, 16]
        """
        return max(self.first, 1 << step.bit_length())
