"""Exercises: a fault, or none, in a loop of the gallery; trained, written as a script, or drawn in secret."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from thalweg.core import InputError, check_choice, check_number, nearest
from thalweg.doctor._diagnosis import Diagnosis, Watch
from thalweg.doctor._gallery._code import code_of, difference
from thalweg.doctor._gallery._faults import FAULTS
from thalweg.doctor._gallery._healthy import DATA, MODELS, QUANTITIES, healthy
from thalweg.doctor._gallery._loop import Loop
from thalweg.doctor._gallery._words import FAULT_GROUPS, LOOKS
from thalweg.doctor._proof._score import to_labels
from thalweg.doctor._record._device import kept_random
from thalweg.doctor._view import View

#: of the exercises that are drawn, the share without a fault
_HEALTHY = 1 / 6
#: faults among which one guesses, and how many of them look like the one that was planted
_CHOICES, _ALIKE = 4, 2
#: places and names that an error tells, at most
_NAMED = 4


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What a loop prints after an epoch.

    Args:
        training: Mean loss of its steps. validation: loss after it.
        score: On the rows of validation: the share of right answers; of quantities R2.
        lr: At its last step.
    """

    training: float
    validation: float
    score: float
    lr: float


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A loop that was trained.

    Args:
        epochs: What it printed.
        settings: What its author would say of it, by name.
        watched: The doctor's record.
    """

    epochs: Sequence[Epoch]
    settings: dict[str, str]
    watched: Watch

    def diagnosis(self, *, seeds: int, seconds: float) -> Diagnosis:
        """Returns what the doctor finds, who is not told of any fault.

        Args:
            seeds: Pairs of forks for each remedy; 0 tries none. seconds: for all forks together, about.
        """
        with _apart():
            return self.watched.diagnosis() if seeds == 0 else self.watched.prove(seeds=seeds, seconds=seconds)


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """A loop of the gallery.

    Args:
        fault: That is planted, of `FAULTS`; "" for none.
        data: Of `DATA`. model: of `MODELS`. seed: of all that is drawn.
        optimizer: Of the loop without a fault: adam or sgd. Some faults bring their own.
    """

    fault: str
    data: str
    model: str
    seed: int
    optimizer: str = "adam"

    @property
    def score(self) -> str:
        """What the score is: accuracy or R2."""
        return "R2" if self.data in QUANTITIES else "accuracy"

    def loop(self) -> Loop | None:
        """Returns it, ready to run; None where the network does not take the data, or the fault makes no sense."""
        loop = healthy(self.data, self.model, self.seed, optimizer=self.optimizer)
        return loop if loop is None or not self.fault else FAULTS[self.fault](loop)

    def without(self) -> Loop:
        """Returns the same loop without the fault; where the fault is in fine-tuning, that loop fine-tunes too."""
        loop, planted = replace(self, fault="").loop(), self.loop()
        assert loop is not None
        assert planted is not None
        if planted.pretrain:
            loop.pretrain, loop.epochs = planted.pretrain, planted.epochs
        return loop

    def train(self, *, fault: bool = True) -> Trial:
        """Trains it, under the recorder.

        Args:
            fault: Whether with the fault.
        """
        with _apart():
            loop = self.loop() if fault else self.without()
            assert loop is not None
            return _train(loop, self.data, self.model)

    def script(self, *, fault: bool = True, weights: str = "pretrained.safetensors") -> str:
        """Returns it as a plain PyTorch script, which does not tell the fault by name.

        Args:
            fault: Whether with the fault.
            weights: Name of the file beside the script that holds `weights`; read only where there are such.
        """
        with _apart():
            loop = self.loop() if fault else self.without()
            assert loop is not None
            return code_of(loop, self.fault if fault else "", self.data, self.model, self.seed, weights=weights)

    def change(self) -> list[str]:
        """Returns the lines that the fault takes from the script ("- ") and puts into it ("+ ")."""
        return difference(self.script(fault=False), self.script())

    def weights(self) -> dict[str, torch.Tensor] | None:
        """Returns the weights from which a loop that fine-tunes starts; None for other loops."""
        with _apart():
            loop = self.loop()
            assert loop is not None
            if not loop.pretrain:
                return None
            loop.learn_before()
            return {name: value.detach().clone() for name, value in loop.model.state_dict().items()}


def find_exercise(fault: str, data: str | None = None, model: str | None = None, seed: int = 0) -> Exercise:
    """Returns the exercise of a fault.

    Args:
        fault: Its name.
        data: Of `DATA`; None for the first in which it makes sense. model: of `MODELS`; likewise.
        seed: Of all that is drawn.

    Raises:
        InputError: for names that are not known, and where the fault makes no sense in that loop.
    """
    if fault not in FAULTS:
        parts = [name for name in FAULTS if fault and fault in name]
        meant = f"Did you mean {' or '.join(parts)}?" if 0 < len(parts) <= _NAMED else nearest(fault, FAULTS)
        raise InputError("FAULT", "a known name", fault, meant)
    _check(data, model, seed)
    found = next(_fitting(fault, data, model, seed), None)
    if found is not None:
        return found
    sense = f"{fault} makes sense"
    if model is not None and (others := _names("model", fault, data, None, seed)):
        on = f" on {data}" if data else ""
        raise InputError("model", f"one in which {sense}{on}", model, f"It does in {', '.join(others)}.")
    if data is not None and (others := _names("data", fault, None, model, seed)):
        inside = f" in {model}" if model else ""
        raise InputError("data", f"data on which {sense}{inside}", data, f"It does on {', '.join(others)}.")
    pairs = [f"{each.data} with {each.model}" for each in _fitting(fault, None, None, seed)]
    told = ", ".join(pairs[:_NAMED])
    raise InputError("data and model", f"a pair with which {sense}", f"{data} with {model}", f"It does on {told}.")


def draw_exercise(seed: int, data: str | None = None, model: str | None = None) -> Exercise:
    """Returns an exercise that is drawn: each fault is as likely as any other, and one in six has none.

    Args:
        seed: The same seed draws the same.
        data: Of `DATA`; None for any. model: of `MODELS`; None for any.

    Raises:
        InputError: for names that are not known, and networks that do not take the data.
    """
    _check(data, model, seed)
    draw = np.random.default_rng(seed)
    names = [""] if draw.random() < _HEALTHY else [str(each) for each in draw.permutation(list(FAULTS))]
    optimizer = str(draw.choice(["adam", "sgd"]))
    for name in names:
        found = next(_fitting(name, data, model, seed, draw), None)
        if found is not None:
            return found if name else replace(found, optimizer=optimizer)
    taken = _names("model", "", data, None, seed)
    raise InputError("model", f"one that takes {data}", model, f"These do: {', '.join(taken)}.")


def choices_of(exercise: Exercise) -> list[str]:
    """Returns the faults among which one guesses: the planted one, some that look like it, and others.

    All make sense in that loop. The same exercise has the same choices.

    Args:
        exercise: Any.
    """
    draw, fault = np.random.default_rng([exercise.seed, 1]), exercise.fault
    others = [str(each) for each in draw.permutation([name for name in FAULTS if name != fault])]
    with _apart():
        others = [each for each in others if replace(exercise, fault=each).loop() is not None]
    looks = {each for look in LOOKS if fault in look for each in look}
    group = {each for group in FAULT_GROUPS.values() if fault in group for each in group}
    alike = [each for each in others if each in looks][:_ALIKE]
    near = [each for each in others if each in group and each not in alike][:1]
    first = [fault] if fault else []
    chosen = list(dict.fromkeys([*first, *alike, *near, *others]))
    return [str(each) for each in draw.permutation(chosen[:_CHOICES])]


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """Leaves the caller's random numbers alone, and uses one thread: more cost time, and change the last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with kept_random():
            yield
    finally:
        torch.set_num_threads(before)


def _check(data: str | None, model: str | None, seed: int) -> None:
    if data is not None:
        check_choice("data", data, DATA)
    if model is not None:
        check_choice("model", model, MODELS)
    check_number("seed", seed, least=0, integer=True)


def _fitting(
    fault: str, data: str | None, model: str | None, seed: int, draw: np.random.Generator | None = None
) -> Iterator[Exercise]:
    """Yields the exercises of a fault, in the order of the lists or in one that is drawn."""
    pairs = [(d, m) for d in DATA for m in MODELS if data in (None, d) and model in (None, m)]
    for k in range(len(pairs)) if draw is None else draw.permutation(len(pairs)):
        found = Exercise(fault=fault, data=pairs[k][0], model=pairs[k][1], seed=seed)
        with _apart():
            if found.loop() is not None:
                yield found


def _names(part: str, fault: str, data: str | None, model: str | None, seed: int) -> list[str]:
    return list(dict.fromkeys(getattr(each, part) for each in _fitting(fault, data, model, seed)))


def _train(loop: Loop, data: str, model: str) -> Trial:
    seen: list[tuple[float, float]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some name the fault
        watched = loop.run(each_epoch=lambda output, loss: seen.append((loss, _score(output, loop.y_held))))
    assert isinstance(watched, Watch)
    recording = watched.recording
    view = View(recording)
    num = recording.num_steps // len(seen)
    epochs = [
        Epoch(
            training=float(np.mean(view.losses[k * num : (k + 1) * num])),
            validation=loss,
            score=score,
            lr=recording.rates[(k + 1) * num - 1][0],
        )
        for k, (loss, score) in enumerate(seen)
    ]
    size = sum(p.numel() for p in loop.model.parameters())
    inputs = f"{loop.x.shape[1]} {'inputs' if loop.x.is_floating_point() else 'characters'}"
    settings = {
        "data": f"{data}: {len(loop.x):,} rows of training, {len(loop.x_held):,} of validation, {inputs}",
        "network": f"{model}: {size:,} weights, {loop.num_classes} output{'s' if loop.num_classes > 1 else ''}",
        "loss": "unknown" if view.call is None else view.call.name,
        "optimizer": f"{type(recording.optimizer).__name__}, lr {recording.rates[0][0]:g}",
        "batches": f"{loop.batch_size} rows" + (f", a step after {loop.passes} of them" if loop.passes > 1 else ""),
        "length": f"{len(seen)} epochs of {num:,} steps",
    }
    null = view.null_loss()
    if null is not None:
        settings["best constant answer"] = f"a loss of {null:.4g}"
    return Trial(epochs=epochs, settings=settings, watched=watched)


def _score(output: torch.Tensor, target: torch.Tensor) -> float:
    """Returns the share of right answers; of quantities R2."""
    if target.is_floating_point() and len(target) == target.numel():
        output = output.reshape(target.shape)
        error, spread = (output - target).double().square().sum(), (target - target.mean()).double().square().sum()
        return float(1 - error / spread)
    if not bool(output.isfinite().all()):
        return math.nan
    if target.ndim == 2 and not target.is_floating_point():
        asked = target != -100
        return float((output.argmax(2)[asked] == target[asked]).double().mean())
    return float((output.argmax(1) == to_labels(target)).double().mean())
