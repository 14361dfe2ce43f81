"""Loops with one fault each, and healthy ones: for teaching, and to see whether the doctor names the fault."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from thalweg.doctor._diagnosis import Watch

Criterion = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(kw_only=True)
class Loop:
    """A training loop as people write it, in pieces that a fault can change.

    Args:
        x: (n, ...) inputs of training. y: their targets. x_held: of validation. y_held: likewise.
        model: What is trained.
        optimizer: Makes the optimizer, of the model. criterion: the loss.
        batch_size: Rows of a step. epochs: how often all rows are seen.
        shuffle: Whether rows are drawn anew in every epoch. zero: whether gradients are set to zero.
        clip: Norm to which gradients are clipped; None for none. schedule: factor on the rate at a share of training.
        evaluates: Whether model.eval() is called before validation.
        generator: Of the order of the rows.
    """

    x: torch.Tensor
    y: torch.Tensor
    x_held: torch.Tensor
    y_held: torch.Tensor
    model: nn.Module
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    criterion: Criterion
    batch_size: int = 32
    epochs: int = 20
    shuffle: bool = True
    zero: bool = True
    clip: float | None = None
    schedule: Callable[[float], float] | None = None
    evaluates: bool = True
    generator: torch.Generator = field(default_factory=torch.Generator)

    def run(self) -> Watch:
        """Trains, under the recorder."""
        model, optimizer = self.model, self.optimizer(self.model)
        rates = [group["lr"] for group in optimizer.param_groups]
        steps = self.epochs * math.ceil(len(self.x) / self.batch_size)
        step = 0
        with Watch(model, optimizer) as watched:
            for _ in range(self.epochs):
                model.train()
                for x, y in self._batches():
                    if self.zero:
                        optimizer.zero_grad()
                    loss = self.criterion(model(x), y)
                    loss.backward()
                    if self.clip is not None:
                        nn.utils.clip_grad_norm_(model.parameters(), self.clip)
                    for group, rate in zip(optimizer.param_groups, rates, strict=True):
                        group["lr"] = rate * (1.0 if self.schedule is None else self.schedule(step / steps))
                    optimizer.step()
                    step += 1
                if self.evaluates:
                    model.eval()
                with torch.no_grad():
                    self.criterion(model(self.x_held), self.y_held)
        return watched

    def _batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = torch.randperm(len(self.x), generator=self.generator) if self.shuffle else torch.arange(len(self.x))
        for rows in order.split(self.batch_size):
            yield self.x[rows], self.y[rows]


#: name -> changes a healthy loop; None where the fault makes no sense in it
FAULTS: dict[str, Callable[[Loop], Loop | None]] = {}
DATA = ("digits", "wine", "breast_cancer", "diabetes")
MODELS = ("mlp", "deep", "cnn")


def fault(name: str) -> Callable[[Callable[[Loop], Loop | None]], Callable[[Loop], Loop | None]]:
    """Registers a fault."""

    def register(plant: Callable[[Loop], Loop | None]) -> Callable[[Loop], Loop | None]:
        FAULTS[name] = plant
        return plant

    return register


def healthy(data: str, model: str, seed: int, *, optimizer: str = "adam") -> Loop | None:
    """Returns a loop without a fault; None where the model does not take the data.

    Args:
        data: Of `DATA`. model: of `MODELS`. seed: of all that is drawn.
        optimizer: "adam" or "sgd".
    """
    torch.manual_seed(seed)
    x, y, kind = _load(data)
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], y[order]
    held = len(x) // 4
    built = _build(model, x, kind, int(y.max()) + 1 if kind == "classes" else 1)
    if built is None:
        return None
    criterion: Criterion = F.cross_entropy if kind == "classes" else (lambda o, t: F.mse_loss(o, t))

    def make(module: nn.Module) -> torch.optim.Optimizer:
        if optimizer == "sgd":
            return torch.optim.SGD(module.parameters(), lr=0.02 if kind == "classes" else 0.01, momentum=0.9)
        return torch.optim.Adam(module.parameters(), lr=2e-3)

    return Loop(
        x=x[held:],
        y=y[held:],
        x_held=x[:held],
        y_held=y[:held],
        model=built,
        optimizer=make,
        criterion=criterion,
        epochs=8 if data == "digits" else 20,
        generator=torch.Generator().manual_seed(seed),
    )


def _load(name: str) -> tuple[torch.Tensor, torch.Tensor, str]:
    import sklearn.datasets

    found: Any = getattr(sklearn.datasets, f"load_{name}")()
    x = found.data.astype(np.float32)
    if name == "digits":
        x = (x - x.mean()) / x.std()
    else:
        x = (x - x.mean(0)) / x.std(0)
    if name == "diabetes":
        y = (found.target - found.target.mean()) / found.target.std()
        return torch.from_numpy(x), torch.from_numpy(y.astype(np.float32))[:, None], "regression"
    return torch.from_numpy(x), torch.from_numpy(found.target.astype(np.int64)), "classes"


def _build(name: str, x: torch.Tensor, kind: str, outputs: int) -> nn.Module | None:
    size = x.shape[1]
    if name == "mlp":
        return nn.Sequential(nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs))
    if name == "deep":
        layers: list[nn.Module] = [nn.Linear(size, 48), nn.ReLU()]
        for _ in range(4):
            layers += [nn.Linear(48, 48), nn.ReLU()]
        model = nn.Sequential(*layers, nn.Linear(48, outputs))
        for p in model.parameters():
            if p.ndim > 1:
                nn.init.kaiming_uniform_(p, nonlinearity="relu")
        return model
    if size != 64:
        return None
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(512, outputs),
    )


def _is_classes(loop: Loop) -> bool:
    return not loop.y.is_floating_point()


def _ending(loop: Loop, *more: nn.Module) -> nn.Module:
    return nn.Sequential(*loop.model.children(), *more)


def _one_hot(y: torch.Tensor, num: int) -> torch.Tensor:
    return F.one_hot(y, num).float()


@fault("softmax_before_cross_entropy")
def _softmax(loop: Loop) -> Loop | None:
    if not _is_classes(loop):
        return None
    loop.model = _ending(loop, nn.Softmax(dim=1))
    return loop


@fault("sigmoid_with_squared_error")
def _sigmoid_squared(loop: Loop) -> Loop | None:
    if not _is_classes(loop):
        return None
    num = int(loop.y.max()) + 1
    loop.model = _ending(loop, nn.Sigmoid())
    loop.y, loop.y_held = _one_hot(loop.y, num), _one_hot(loop.y_held, num)
    loop.criterion = F.mse_loss
    return loop


@fault("squared_error_on_logits")
def _squared_logits(loop: Loop) -> Loop | None:
    if not _is_classes(loop):
        return None
    num = int(loop.y.max()) + 1
    loop.y, loop.y_held = _one_hot(loop.y, num), _one_hot(loop.y_held, num)
    loop.criterion = F.mse_loss
    return loop


@fault("binary_loss_on_softmax")
def _binary_softmax(loop: Loop) -> Loop | None:
    if not _is_classes(loop):
        return None
    num = int(loop.y.max()) + 1
    loop.model = _ending(loop, nn.Softmax(dim=1))
    loop.y, loop.y_held = _one_hot(loop.y, num), _one_hot(loop.y_held, num)
    loop.criterion = F.binary_cross_entropy
    return loop


@fault("summed_loss")
def _summed(loop: Loop) -> Loop | None:
    loop.optimizer = lambda m: torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9)
    if _is_classes(loop):
        loop.criterion = lambda o, t: F.cross_entropy(o, t, reduction="sum")
    else:
        loop.criterion = lambda o, t: F.mse_loss(o, t, reduction="sum")
    return loop


@fault("labels_off_by_one")
def _off_by_one(loop: Loop) -> Loop | None:
    if not _is_classes(loop) or int(loop.y.max()) < 2:
        return None
    loop.y, loop.y_held = loop.y + 1, loop.y_held + 1
    last = list(loop.model.children())[-1]
    assert isinstance(last, nn.Linear)
    loop.model = nn.Sequential(*list(loop.model.children())[:-1], nn.Linear(last.in_features, last.out_features + 1))
    return loop


@fault("unscaled_target")
def _unscaled_target(loop: Loop) -> Loop | None:
    if _is_classes(loop):
        return None
    loop.y, loop.y_held = 77 * loop.y + 152, 77 * loop.y_held + 152
    return loop


@fault("no_activation")
def _linear_only(loop: Loop) -> Loop | None:
    kept = [each for each in loop.model.children() if not isinstance(each, nn.ReLU)]
    if any(isinstance(each, nn.Conv2d) for each in kept):
        return None
    loop.model = nn.Sequential(*kept)
    return loop


@fault("missing_zero_grad")
def _no_zero(loop: Loop) -> Loop | None:
    loop.zero = False
    return loop


@fault("parameters_not_in_optimizer")
def _head_only(loop: Loop) -> Loop | None:
    own = loop.optimizer

    def make(module: nn.Module) -> torch.optim.Optimizer:
        last = list(module.children())[-1]
        return own(last)

    loop.optimizer = make
    return loop


@fault("lr_too_high")
def _high(loop: Loop) -> Loop | None:
    loop.optimizer = lambda m: torch.optim.Adam(m.parameters(), lr=0.3)
    return loop


@fault("lr_too_low")
def _low(loop: Loop) -> Loop | None:
    loop.optimizer = lambda m: torch.optim.SGD(m.parameters(), lr=1e-5)
    return loop


@fault("momentum_too_high")
def _momentum(loop: Loop) -> Loop | None:
    loop.optimizer = lambda m: torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.995)
    return loop


@fault("clipping_too_tight")
def _tight(loop: Loop) -> Loop | None:
    loop.optimizer = lambda m: torch.optim.SGD(m.parameters(), lr=0.05)
    loop.clip = 1e-3
    return loop


@fault("decay_too_strong")
def _decay(loop: Loop) -> Loop | None:
    loop.optimizer = lambda m: torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9, weight_decay=0.3)
    return loop


@fault("coupled_decay_with_adam")
def _coupled(loop: Loop) -> Loop | None:
    loop.optimizer = lambda m: torch.optim.Adam(m.parameters(), lr=2e-3, weight_decay=0.05)
    return loop


@fault("schedule_ends_early")
def _early(loop: Loop) -> Loop | None:
    loop.schedule = lambda share: max(1e-3, 1 - 10 * share) if share < 0.1 else 1e-3
    return loop


@fault("zero_initialisation")
def _zeros(loop: Loop) -> Loop | None:
    for p in loop.model.parameters():
        nn.init.zeros_(p)
    return loop


@fault("initial_weights_too_large")
def _large(loop: Loop) -> Loop | None:
    loop.model = _swapped(loop.model, nn.ReLU, nn.Tanh)
    for p in loop.model.parameters():
        if p.ndim > 1:
            nn.init.normal_(p, std=2.0)
    return loop


@fault("dead_units")
def _dead(loop: Loop) -> Loop | None:
    hidden = [each for each in loop.model.children() if isinstance(each, nn.Linear | nn.Conv2d)][:-1]
    if not hidden or any(isinstance(each, nn.BatchNorm2d) for each in loop.model.children()):
        return None
    for each in hidden:
        assert each.bias is not None
        nn.init.constant_(each.bias, -6.0)
    return loop


@fault("vanishing_gradients")
def _vanishing(loop: Loop) -> Loop | None:
    if sum(isinstance(each, nn.Linear) for each in loop.model.children()) < 5:
        return None
    loop.model = _swapped(loop.model, nn.ReLU, nn.Sigmoid)
    for p in loop.model.parameters():
        if p.ndim > 1:
            nn.init.xavier_uniform_(p)
    return loop


@fault("unscaled_inputs")
def _unscaled(loop: Loop) -> Loop | None:
    loop.x, loop.x_held = 100 * loop.x + 50, 100 * loop.x_held + 50
    return loop


@fault("sorted_batches")
def _sorted(loop: Loop) -> Loop | None:
    if not _is_classes(loop):
        return None
    order = loop.y.argsort()
    loop.x, loop.y, loop.shuffle = loop.x[order], loop.y[order], False
    return loop


@fault("not_finite_inputs")
def _nan(loop: Loop) -> Loop | None:
    loop.x = loop.x.clone()
    loop.x[len(loop.x) // 2, 0] = math.nan
    return loop


@fault("missing_eval")
def _no_eval(loop: Loop) -> Loop | None:
    if not any(isinstance(each, nn.Dropout | nn.BatchNorm2d) for each in loop.model.modules()):
        return None
    loop.evaluates = False
    return loop


@fault("batch_norm_on_tiny_batches")
def _tiny(loop: Loop) -> Loop | None:
    if not any(isinstance(each, nn.BatchNorm2d) for each in loop.model.modules()):
        return None
    loop.batch_size, loop.x, loop.y = 2, loop.x[:600], loop.y[:600]
    return loop


def _swapped(model: nn.Module, old: type[nn.Module], new: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(*[new() if isinstance(each, old) else each for each in model.children()])
