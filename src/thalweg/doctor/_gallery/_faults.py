"""Faults, each planted into a healthy loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from thalweg.doctor._gallery._loop import Loop

#: name -> changes a healthy loop; None where the fault makes no sense in it
FAULTS: dict[str, Callable[[Loop], Loop | None]] = {}
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def fault(name: str) -> Callable[[Callable[[Loop], Loop | None]], Callable[[Loop], Loop | None]]:
    """Registers a fault; its name is that of the cause."""

    def register(plant: Callable[[Loop], Loop | None]) -> Callable[[Loop], Loop | None]:
        FAULTS[name] = plant
        return plant

    return register


def _adam(loop: Loop, **settings: Any) -> None:
    loop.optimizer = lambda module: torch.optim.Adam(module.parameters(), **settings)


def _sgd(loop: Loop, **settings: Any) -> None:
    loop.optimizer = lambda module: torch.optim.SGD(module.parameters(), **settings)


def _ending(loop: Loop, *more: nn.Module) -> nn.Sequential:
    return nn.Sequential(*loop.model, *more)


def _one_hot(loop: Loop) -> None:
    loop.y, loop.y_held = (F.one_hot(y, loop.num_classes).float() for y in (loop.y, loop.y_held))


def _swapped(model: nn.Sequential, old: type[nn.Module], new: Callable[[], nn.Module]) -> nn.Sequential:
    return nn.Sequential(*[new() if isinstance(each, old) else each for each in model])


def _has(loop: Loop, *kinds: type[nn.Module]) -> bool:
    return any(isinstance(each, kinds) for each in loop.model.modules())


def _is_table(loop: Loop) -> bool:
    return loop.x.is_floating_point()


# ---- loss and head


@fault("softmax_before_cross_entropy")
def _softmax(loop: Loop) -> Loop | None:
    if not loop.has_classes:
        return None
    loop.model = _ending(loop, nn.Softmax(dim=1))
    return loop


@fault("sigmoid_with_squared_error")
def _sigmoid_squared(loop: Loop) -> Loop | None:
    if not loop.has_classes:
        return None
    _one_hot(loop)
    loop.model, loop.criterion = _ending(loop, nn.Sigmoid()), F.mse_loss
    return loop


@fault("squared_error_on_logits")
def _squared_logits(loop: Loop) -> Loop | None:
    if not loop.has_classes:
        return None
    _one_hot(loop)
    loop.criterion = F.mse_loss
    return loop


@fault("binary_loss_on_softmax")
def _binary_softmax(loop: Loop) -> Loop | None:
    if not loop.has_classes:
        return None
    _one_hot(loop)
    loop.model, loop.criterion = _ending(loop, nn.Softmax(dim=1)), F.binary_cross_entropy
    return loop


@fault("sigmoid_before_logits_loss")
def _sigmoid_twice(loop: Loop) -> Loop | None:
    if not loop.has_classes:
        return None
    _one_hot(loop)
    loop.model, loop.criterion = _ending(loop, nn.Sigmoid()), F.binary_cross_entropy_with_logits
    return loop


@fault("likelihood_of_logits")
def _likelihood(loop: Loop) -> Loop | None:
    if not loop.has_classes:
        return None
    loop.criterion = F.nll_loss
    return loop


@fault("summed_loss")
def _summed(loop: Loop) -> Loop | None:
    if not _is_table(loop):
        return None
    _sgd(loop, lr=0.05, momentum=0.9)
    own = loop.criterion
    loop.criterion = lambda o, t: own(o, t, reduction="sum")  # type: ignore[call-arg]
    return loop


@fault("labels_off_by_one")
def _off_by_one(loop: Loop) -> Loop | None:
    if not loop.has_classes or loop.num_classes < 3:
        return None
    loop.y, loop.y_held = loop.y + 1, loop.y_held + 1
    last = loop.model[-1]
    assert isinstance(last, nn.Linear)
    loop.model[-1] = nn.Linear(last.in_features, last.out_features + 1)
    return loop


@fault("unscaled_target")
def _unscaled_target(loop: Loop) -> Loop | None:
    if not loop.y.is_floating_point():
        return None
    loop.y, loop.y_held = 77 * loop.y + 152, 77 * loop.y_held + 152
    return loop


@fault("target_broadcast")
def _broadcast(loop: Loop) -> Loop | None:
    if not loop.y.is_floating_point():
        return None
    loop.y, loop.y_held = loop.y[:, 0], loop.y_held[:, 0]
    return loop


@fault("no_activation")
def _linear_only(loop: Loop) -> Loop | None:
    if not _has(loop, nn.ReLU) or _has(loop, nn.Conv2d, nn.BatchNorm1d):
        return None
    loop.model = nn.Sequential(*[each for each in loop.model if not isinstance(each, nn.ReLU)])
    return loop


# ---- optimizer


@fault("missing_zero_grad")
def _no_zero(loop: Loop) -> Loop | None:
    loop.zero = False
    return loop


@fault("parameters_not_in_optimizer")
def _head_only(loop: Loop) -> Loop | None:
    own = loop.optimizer

    def make(module: nn.Module) -> torch.optim.Optimizer:
        assert isinstance(module, nn.Sequential)
        return own(module[-1])

    loop.optimizer = make
    return loop


@fault("parameters_frozen")
def _frozen(loop: Loop) -> Loop | None:
    first = next((name for name, each in loop.model.named_children() if isinstance(each, nn.Linear | nn.Conv2d)), None)
    if first is None or loop.model[int(first)].weight.numel() < 100:  # pyright: ignore[reportCallIssue]
        return None
    loop.frozen = (first,)
    return loop


@fault("lr_too_high")
def _high(loop: Loop) -> Loop | None:
    _adam(loop, lr=0.3)
    return loop


@fault("lr_too_low")
def _low(loop: Loop) -> Loop | None:
    _sgd(loop, lr=1e-5)
    return loop


@fault("momentum_too_high")
def _momentum(loop: Loop) -> Loop | None:
    _sgd(loop, lr=0.05, momentum=0.995)
    return loop


@fault("clipping_too_tight")
def _tight(loop: Loop) -> Loop | None:
    _sgd(loop, lr=0.05)
    loop.clip = 1e-3
    return loop


@fault("decay_too_strong")
def _decay(loop: Loop) -> Loop | None:
    _sgd(loop, lr=0.02 if loop.has_classes else 0.01, momentum=0.9, weight_decay=0.3)
    return loop


@fault("coupled_decay_with_adam")
def _coupled(loop: Loop) -> Loop | None:
    _adam(loop, lr=2e-3, weight_decay=0.05)
    return loop


@fault("schedule_ends_early")
def _early(loop: Loop) -> Loop | None:
    loop.schedule = lambda share: max(1e-3, 1 - 10 * share) if share < 0.1 else 1e-3
    return loop


# ---- start and signals


@fault("zero_initialisation")
def _zeros(loop: Loop) -> Loop | None:
    for p in loop.model.parameters():
        nn.init.zeros_(p)
    return loop


@fault("initial_weights_too_large")
def _large(loop: Loop) -> Loop | None:
    if not _has(loop, nn.ReLU) or _has(loop, *_NORMS):
        return None
    loop.model = _swapped(loop.model, nn.ReLU, nn.Tanh)
    for p in loop.model.parameters():
        if p.ndim > 1:
            nn.init.normal_(p, std=2.0)
    return loop


@fault("dead_units")
def _dead(loop: Loop) -> Loop | None:
    hidden = [each for each in loop.model if isinstance(each, nn.Linear | nn.Conv2d)][:-1]
    if not hidden or not _has(loop, nn.ReLU) or _has(loop, *_NORMS):
        return None
    for each in hidden:
        assert each.bias is not None
        nn.init.constant_(each.bias, -6.0)
    return loop


@fault("off_centre_activations")
def _always_on(loop: Loop) -> Loop | None:
    pairs = [(a, b) for part in loop.model.modules() if isinstance(part, nn.Sequential) for a, b in pairwise(part)]
    hidden = [a for a, b in pairs if isinstance(a, nn.Linear) and isinstance(b, nn.ReLU | nn.GELU)]
    if not hidden:
        return None
    for each in hidden:
        nn.init.constant_(each.bias, 8.0)
    return loop


@fault("vanishing_gradients")
def _vanishing(loop: Loop) -> Loop | None:
    if sum(isinstance(each, nn.Linear) for each in loop.model) < 5:
        return None
    loop.model = _swapped(loop.model, nn.ReLU, nn.Sigmoid)
    for p in loop.model.parameters():
        if p.ndim > 1:
            nn.init.xavier_uniform_(p)
    return loop


@fault("exploding_signals")
def _exploding(loop: Loop) -> Loop | None:
    layers = [each for each in loop.model if isinstance(each, nn.Linear)]
    if len(layers) < 5:
        return None
    for each in layers:
        nn.init.normal_(each.weight, std=6.0 / each.in_features**0.5)
    return loop


@fault("off_centre_inputs")
def _off_centre(loop: Loop) -> Loop | None:
    if not _is_table(loop):
        return None
    loop.x, loop.x_held = loop.x + 8, loop.x_held + 8
    return loop


# ---- data


@fault("unscaled_inputs")
def _unscaled(loop: Loop) -> Loop | None:
    if not _is_table(loop):
        return None
    loop.x, loop.x_held = 100 * loop.x + 50, 100 * loop.x_held + 50
    return loop


@fault("sorted_batches")
def _sorted(loop: Loop) -> Loop | None:
    if not loop.has_classes:
        return None
    order = loop.y.argsort(stable=True)
    loop.x, loop.y, loop.shuffle = loop.x[order], loop.y[order], False
    return loop


@fault("shuffled_labels")
def _shuffled_labels(loop: Loop) -> Loop | None:
    if not _is_table(loop):
        return None
    loop.y = loop.y[torch.randperm(len(loop.y), generator=loop.generator)]
    return loop


@fault("label_noise")
def _label_noise(loop: Loop) -> Loop | None:
    if not loop.has_classes:
        return None
    loop.y = loop.y.clone()
    wrong = torch.rand(len(loop.y), generator=loop.generator) < 0.3
    shift = torch.randint(1, loop.num_classes, (int(wrong.sum()),), generator=loop.generator)
    loop.y[wrong] = (loop.y[wrong] + shift) % loop.num_classes
    return loop


@fault("class_collapse")
def _collapse(loop: Loop) -> Loop | None:
    if not loop.has_classes:
        return None
    last = loop.model[-1]
    assert isinstance(last, nn.Linear)
    loop.model[-1] = nn.Linear(last.in_features, 2)
    for part in ("", "_held"):
        x, y = getattr(loop, f"x{part}"), (getattr(loop, f"y{part}") == 0).long()
        ones = y.nonzero()[:, 0]
        kept = torch.cat([(y == 0).nonzero()[:, 0], ones[: max(2, len(y) // 50)]]).sort().values
        setattr(loop, f"x{part}", x[kept])
        setattr(loop, f"y{part}", y[kept])
    _sgd(loop, lr=0.01)
    return loop


@fault("rows_in_both_splits")
def _both(loop: Loop) -> Loop | None:
    if not _is_table(loop):
        return None
    num = len(loop.x_held) // 2
    loop.x, loop.y = torch.cat([loop.x, loop.x_held[:num]]), torch.cat([loop.y, loop.y_held[:num]])
    return loop


@fault("leaking_feature")
def _leak(loop: Loop) -> Loop | None:
    if not _is_table(loop) or loop.x.shape[1] > 100:
        return None
    for part in ("", "_held"):
        x, y = getattr(loop, f"x{part}").clone(), getattr(loop, f"y{part}").float()
        x[:, 0] = y.flatten() / loop.y.float().abs().max()
        setattr(loop, f"x{part}", x)
    return loop


@fault("broken_features")
def _broken(loop: Loop) -> Loop | None:
    if not _is_table(loop):
        return None
    loop.x, loop.x_held = loop.x.clone(), loop.x_held.clone()
    for x in (loop.x, loop.x_held):
        x[torch.rand(len(x), generator=loop.generator) < 0.1, x.shape[1] // 2] = -999.0
    return loop


@fault("not_finite_inputs")
def _nan(loop: Loop) -> Loop | None:
    if not _is_table(loop):
        return None
    loop.x = loop.x.clone()
    loop.x[len(loop.x) // 2, 0] = math.nan
    return loop


@fault("batch_too_small")
def _tiny_batches(loop: Loop) -> Loop | None:
    if not loop.has_classes or loop.num_classes < 5 or _has(loop, *_NORMS):
        return None
    _sgd(loop, lr=0.02, momentum=0.9)
    loop.batch_size, loop.epochs = 1, 4
    return loop


@fault("batch_too_large")
def _huge_batches(loop: Loop) -> Loop | None:
    if not _is_table(loop):
        return None
    _sgd(loop, lr=0.02, momentum=0.9)
    loop.batch_size, loop.epochs = len(loop.x), 8
    return loop


@fault("preprocessing_differs")
def _prepared(loop: Loop) -> Loop | None:
    if not _is_table(loop):
        return None
    loop.x_held = 3 * loop.x_held + 1
    return loop


# ---- regularisation and modes


@fault("overfitting")
def _overfitting(loop: Loop) -> Loop | None:
    if not _is_table(loop) or _has(loop, nn.Dropout) or (loop.has_classes and loop.num_classes < 5):
        return None
    loop.x, loop.y, loop.epochs = loop.x[:40], loop.y[:40], 200
    _adam(loop, lr=3e-3)
    return loop


@fault("dropout_too_strong")
def _dropout(loop: Loop) -> Loop | None:
    if not _has(loop, nn.ReLU):
        return None
    layers: list[nn.Module] = []
    for each in loop.model:
        layers += [each, nn.Dropout(0.9)] if isinstance(each, nn.ReLU) else [each]
    loop.model = nn.Sequential(*layers)
    return loop


@fault("other_terms_too_strong")
def _penalty(loop: Loop) -> Loop | None:
    loop.penalty = 1.0
    return loop


@fault("missing_eval")
def _no_eval(loop: Loop) -> Loop | None:
    if not _has(loop, nn.Dropout, *_NORMS):
        return None
    loop.evaluates = False
    return loop


@fault("missing_train")
def _no_train(loop: Loop) -> Loop | None:
    if not _has(loop, nn.Dropout, *_NORMS):
        return None
    loop.trains = False
    return loop


@fault("batch_norm_on_tiny_batches")
def _tiny(loop: Loop) -> Loop | None:
    if not _has(loop, *_NORMS):
        return None
    rows = min(600, len(loop.x) // 2 * 2)
    loop.batch_size, loop.x, loop.y = 2, loop.x[:rows], loop.y[:rows]
    return loop


@fault("frozen_batch_norm_drifts")
def _drift(loop: Loop) -> Loop | None:
    norms = tuple(name for name, each in loop.model.named_children() if isinstance(each, _NORMS))
    if not norms:
        return None
    loop.frozen, loop.pretrain, loop.epochs = norms, 4, 6
    loop.x, loop.x_held = loop.x.clone(), loop.x_held + 0.5
    loop.x[len(loop.x) // 2 :] += 0.5  # what it is tuned on is not quite what it was trained on
    return loop


# ---- fine-tuning


@fault("pretrained_weights_forgotten")
def _forgotten(loop: Loop) -> Loop | None:
    loop.pretrain, loop.epochs = 10, max(4, loop.epochs // 2)
    _adam(loop, lr=0.03)
    return loop


class Adapted(nn.Module):
    """A frozen layer with a low-rank adapter beside it."""

    def __init__(self, base: nn.Linear, rank: int = 4) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_a = nn.Parameter(torch.zeros(rank, base.in_features))
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the sum of both."""
        return self.base(x) + x @ self.lora_a.T @ self.lora_b.T


@fault("parameters_without_gradient")
def _adapters(loop: Loop) -> Loop | None:
    if sum(isinstance(each, nn.Linear) for each in loop.model) < 2:
        return None
    last = len(loop.model) - 1
    loop.model = nn.Sequential(
        *[Adapted(e) if isinstance(e, nn.Linear) and k < last else e for k, e in enumerate(loop.model)]
    )
    own = loop.optimizer
    loop.optimizer = lambda module: own(_Trained(module))
    return loop


class _Trained(nn.Module):
    """The parameters of a module that are trained, as a module of their own."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.trained = nn.ParameterList([p for p in module.parameters() if p.requires_grad])


@fault("accumulation_not_normalised")
def _accumulated(loop: Loop) -> Loop | None:
    _sgd(loop, lr=0.05, momentum=0.9)
    loop.batch_size, loop.passes, loop.averaged = 8, 8, False
    return loop


@fault("prompt_not_masked")
def _unmasked(loop: Loop) -> Loop | None:
    if _is_table(loop):
        return None
    for part in ("", "_held"):
        x = getattr(loop, f"x{part}")
        y = torch.full_like(x, -100)
        y[:, :-1] = torch.where(x[:, 1:] == 0, -100, x[:, 1:])
        setattr(loop, f"y{part}", y)
    return loop


@fault("first_answer_token_lost")
def _first_lost(loop: Loop) -> Loop | None:
    if _is_table(loop):
        return None
    for part in ("", "_held"):
        y = getattr(loop, f"y{part}").clone()
        y[torch.arange(len(y)), (y != -100).int().argmax(1)] = -100
        setattr(loop, f"y{part}", y)
    return loop
