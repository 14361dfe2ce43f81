"""The cases: faults planted in loops of several networks on several data, and healthy loops."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from thalweg.doctor._gallery import DATA, FAULTS, KINDS, MODELS, Loop, healthy

FAULT_SEEDS, HEALTHY_SEEDS = 3, 5
#: data and networks of a fault, at most
_SETTINGS = 9
#: data that only faults get which make sense on too few of the others
_MORE, _FEWEST_DATA = ("flavanoids", "smoothness"), 3
#: what the rules may be tuned on; all else is held out
_TUNED_DATA, _TUNED_MODELS = ("digits", "wine", "diabetes", "sums"), ("mlp", "deep", "cnn", "attention")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A loop.

    Args:
        fault: That was planted; "" for none.
        data: Of the loop; of a healthy one, its kind. model: "" for a healthy one.
        seed: Of all that is drawn.
    """

    fault: str
    data: str
    model: str
    seed: int

    @property
    def name(self) -> str:
        """A key."""
        return "/".join([self.fault or "healthy", self.data, self.model, str(self.seed)])

    @property
    def cluster(self) -> str:
        """Cases that differ only in the seed are no independent ones."""
        return "/".join([self.fault or "healthy", self.data, self.model])

    @property
    def split(self) -> str:
        """Returns "tuned" for what rules were tuned on, "apart" where data, network and seed are new, else "other"."""
        if not self.fault:
            return "tuned" if self.seed == 0 else "other"
        new = self.seed > 0, self.data not in _TUNED_DATA, self.model not in _TUNED_MODELS
        return "apart" if all(new) else "other" if any(new) else "tuned"

    def loop(self) -> Loop:
        """Returns it, ready to run."""
        if not self.fault:
            return KINDS[self.data](self.seed)
        planted = FAULTS[self.fault](self.without())
        assert planted is not None
        return planted

    def without(self) -> Loop:
        """Returns the same loop without the fault."""
        loop = healthy(self.data, self.model, self.seed)
        assert loop is not None
        return loop

    def to_json(self) -> dict[str, Any]:
        """Returns plain data."""
        return asdict(self)


def cases() -> list[Case]:
    """Returns all."""
    found = [Case(fault="", data=kind, model="", seed=seed) for kind in KINDS for seed in range(HEALTHY_SEEDS)]
    for fault in FAULTS:
        for data, model in settings(fault):
            found += [Case(fault=fault, data=data, model=model, seed=seed) for seed in range(FAULT_SEEDS)]
    return found


def settings(fault: str) -> list[tuple[str, str]]:
    """Returns data and networks in which a fault makes sense: as different ones as there are, in turn."""
    fits = [(d, m) for d in DATA for m in MODELS if (loop := healthy(d, m, 0)) is not None and FAULTS[fault](loop)]
    if len({data for data, _ in fits if data not in _MORE}) >= _FEWEST_DATA:
        fits = [(data, model) for data, model in fits if data not in _MORE]
    chosen: list[tuple[str, str]] = []
    while fits and len(chosen) < _SETTINGS:
        uses = {pair: sum((pair[0] == d) + (pair[1] == m) for d, m in chosen) for pair in fits}
        chosen.append(min(fits, key=lambda pair: uses[pair]))
        fits.remove(chosen[-1])
    return chosen
