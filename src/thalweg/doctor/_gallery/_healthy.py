"""Healthy loops of many kinds, on real data: what faults are planted in, and what must not be blamed."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from thalweg.doctor._gallery._loop import Loop, MakeOptimizer

DATA = ("digits", "wine", "breast_cancer", "diabetes", "fashion", "sums", "flavanoids", "smoothness")
MODELS = ("mlp", "deep", "norm", "residual", "cnn", "attention")
#: data -> table, and its column that is predicted from the others
COLUMNS = {"flavanoids": ("wine", 6), "smoothness": ("breast_cancer", 4)}
#: data whose target is a number
QUANTITIES = ("diabetes", *COLUMNS)
#: rows of the pictures that are used
_PICTURES = 1_200


def healthy(data: str, model: str, seed: int, *, optimizer: str = "adam") -> Loop | None:
    """Returns a loop without a fault; None where the model does not take the data.

    Args:
        data: Of `DATA`. model: of `MODELS`. seed: of all that is drawn.
        optimizer: "adam" or "sgd".
    """
    torch.manual_seed(seed)
    if (data == "sums") != (model == "attention" and data == "sums"):
        return None
    if data == "sums":
        return _sums(seed)
    x, y = _load(data)
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], y[order]
    held, classes = len(x) // 4, not y.is_floating_point()
    built = _build(model, x, int(y.max()) + 1 if classes else 1)
    if built is None:
        return None

    def make(module: nn.Module) -> torch.optim.Optimizer:
        if optimizer == "sgd":
            return torch.optim.SGD(module.parameters(), lr=0.02 if classes else 0.01, momentum=0.9)
        return torch.optim.Adam(module.parameters(), lr=2e-3)

    return Loop(
        x=x[held:],
        y=y[held:],
        x_held=x[:held],
        y_held=y[:held],
        model=built,
        optimizer=make,
        criterion=F.cross_entropy if classes else F.mse_loss,
        epochs=8 if len(x) > 1_000 else 20,
        generator=torch.Generator().manual_seed(seed),
    )


@cache
def _load(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    if name == "fashion":
        from thalweg.tasks import load_task

        train = load_task("fashion-mnist").train
        x = train.x[:_PICTURES].reshape(-1, 784)
        return torch.from_numpy((x - x.mean()) / x.std()), torch.from_numpy(train.y[:_PICTURES])
    import sklearn.datasets

    table, column = COLUMNS.get(name, (name, None))
    found: Any = getattr(sklearn.datasets, f"load_{table}")()
    x, y = found.data.astype(np.float32), found.target
    if column is not None:
        x, y = np.delete(x, column, axis=1), found.data[:, column]
    x = (x - x.mean()) / x.std() if name == "digits" else (x - x.mean(0)) / x.std(0)
    if name in QUANTITIES:
        y = (y - y.mean()) / y.std()
        return torch.from_numpy(x), torch.from_numpy(y.astype(np.float32))[:, None]
    return torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))


def _build(name: str, x: torch.Tensor, outputs: int) -> nn.Sequential | None:
    size = x.shape[1]
    side = math.isqrt(size)
    if name in ("cnn", "attention") and (side < 8 or side * side != size):
        return None
    return _MODELS[name](size, side, outputs)


def _mlp(size: int, side: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs))


def _deep(size: int, side: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(size, 48), nn.ReLU()]
    for _ in range(4):
        layers += [nn.Linear(48, 48), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(48, outputs))
    for p in model.parameters():
        if p.ndim > 1:
            nn.init.kaiming_uniform_(p, nonlinearity="relu")
    return model


def _norm(size: int, side: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(size, 64),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(64, 64),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Linear(64, outputs),
    )


class Residual(nn.Module):
    """x + layers(x)."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the sum."""
        return x + self.layers(x)


def _residual(size: int, side: int, outputs: int) -> nn.Sequential:
    blocks = [Residual(nn.LayerNorm(64), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64)) for _ in range(2)]
    return nn.Sequential(nn.Linear(size, 64), *blocks, nn.LayerNorm(64), nn.Linear(64, outputs))


def _cnn(size: int, side: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Unflatten(1, (1, side, side)),
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(32 * (side // 2) ** 2, outputs),
    )


class Attention(nn.Module):
    """Self-attention of one head or more over places; causal if asked for."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns (B, T, D), of such."""
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.mix(x).chunk(3, dim=2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Places(nn.Module):
    """Adds what is learnt of each place."""

    def __init__(self, num: int, width: int) -> None:
        super().__init__()
        self.places = nn.Parameter(0.1 * torch.randn(num, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns (B, T, D), of such."""
        return x + self.places[: x.shape[1]]


def _block(width: int, *, causal: bool) -> list[nn.Module]:
    return [
        Residual(nn.LayerNorm(width), Attention(width, 2, causal=causal)),
        Residual(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)),
    ]


def _attention(size: int, side: int, outputs: int) -> nn.Sequential:
    rows = [nn.Unflatten(1, (side, side)), nn.Linear(side, 32), Places(side, 32), *_block(32, causal=False)]
    return nn.Sequential(*rows, nn.Flatten(), nn.LayerNorm(32 * side), nn.Linear(32 * side, outputs))


_MODELS: dict[str, Callable[[int, int, int], nn.Sequential]] = {
    "mlp": _mlp,
    "deep": _deep,
    "norm": _norm,
    "residual": _residual,
    "cnn": _cnn,
    "attention": _attention,
}

#: characters of the sums; the first one fills up
LETTERS = "_0123456789+=#A:.?"


def _sums(seed: int) -> Loop:
    """Questions and answers, `#37+58=?A:95.`, of which the answers are learnt."""
    draw, rows = np.random.default_rng(seed), []
    for a, b in zip(draw.integers(0, 100, 640), draw.integers(0, 100, 640), strict=True):
        rows.append((f"#{a}+{b}=?A:", f"{a + b}."))
    width = max(len(q) + len(a) for q, a in rows)
    ids, targets = np.zeros((len(rows), width), np.int64), np.full((len(rows), width), -100)
    for k, (question, answer) in enumerate(rows):
        text = [LETTERS.index(c) for c in question + answer]
        ids[k, : len(text)] = text
        targets[k, len(question) - 1 : len(text) - 1] = text[len(question) :]
    x, y, held = torch.from_numpy(ids), torch.from_numpy(targets), len(rows) // 4
    return Loop(
        x=x[held:],
        y=y[held:],
        x_held=x[:held],
        y_held=y[:held],
        model=nn.Sequential(
            nn.Embedding(len(LETTERS), 32), Places(width, 32), *_block(32, causal=True), nn.Linear(32, len(LETTERS))
        ),
        optimizer=lambda m: torch.optim.AdamW(m.parameters(), lr=3e-3),
        criterion=token_loss,
        epochs=30,
        generator=torch.Generator().manual_seed(seed),
    )


def token_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Returns the cross-entropy of (B, T, V) logits, where targets are not -100."""
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


#: name -> what makes a healthy loop of this kind, of a seed
KINDS: dict[str, Callable[[int], Loop]] = {}


def kind(name: str) -> Callable[[Callable[[int], Loop]], Callable[[int], Loop]]:
    """Registers a kind of healthy loop."""

    def register(make: Callable[[int], Loop]) -> Callable[[int], Loop]:
        KINDS[name] = make
        return make

    return register


def _base(data: str, model: str, seed: int, **changed: Any) -> Loop:
    loop = healthy(data, model, seed)
    assert loop is not None
    for name, value in changed.items():
        setattr(loop, name, value)
    return loop


def _optimizer(kind: type[torch.optim.Optimizer], **settings: Any) -> MakeOptimizer:
    return lambda module: kind(module.parameters(), **settings)  # pyright: ignore[reportCallIssue]


def _activated(data: str, activation: type[nn.Module], seed: int, **changed: Any) -> Loop:
    loop = _base(data, "mlp", seed, **changed)
    loop.model = nn.Sequential(*[activation() if isinstance(each, nn.ReLU) else each for each in loop.model])
    return loop


def _plain(data: str, model: str, optimizer: str) -> Callable[[int], Loop]:
    def make(seed: int) -> Loop:
        loop = healthy(data, model, seed, optimizer=optimizer)
        assert loop is not None
        return loop

    return make


for _name, _data, _model, _by in (
    ("Adam, digits", "digits", "mlp", "adam"),
    ("SGD with momentum, wine", "wine", "mlp", "sgd"),
    ("SGD with momentum, digits, deep", "digits", "deep", "sgd"),
    ("batch norm and dropout", "breast_cancer", "norm", "adam"),
    ("CNN", "digits", "cnn", "adam"),
    ("CNN, SGD, pictures", "fashion", "cnn", "sgd"),
    ("attention over rows of pixels", "digits", "attention", "adam"),
    ("residual, layer norm", "wine", "residual", "adam"),
    ("regression", "diabetes", "mlp", "adam"),
    ("regression, SGD, residual", "diabetes", "residual", "sgd"),
    ("regression, few rows", "flavanoids", "mlp", "adam"),
    ("regression, SGD, batch norm", "smoothness", "norm", "sgd"),
    ("a language model that learns answers", "sums", "attention", "adam"),
    ("pictures", "fashion", "mlp", "adam"),
):
    KINDS[_name] = _plain(_data, _model, _by)


@kind("plain SGD")
def _sgd(seed: int) -> Loop:
    return _base("breast_cancer", "mlp", seed, optimizer=_optimizer(torch.optim.SGD, lr=0.1))


@kind("tanh")
def _tanh(seed: int) -> Loop:
    return _activated("breast_cancer", nn.Tanh, seed)


@kind("shallow sigmoid")
def _sigmoid(seed: int) -> Loop:
    loop = _base("wine", "mlp", seed, optimizer=_optimizer(torch.optim.Adam, lr=1e-2))
    loop.model = nn.Sequential(nn.Linear(13, 32), nn.Sigmoid(), nn.Linear(32, 3))
    return loop


@kind("leaky ReLU, RMSprop")
def _leaky(seed: int) -> Loop:
    return _activated("digits", nn.LeakyReLU, seed, optimizer=_optimizer(torch.optim.RMSprop, lr=1e-3))


@kind("AdamW, cosine schedule")
def _cosine(seed: int) -> Loop:
    return _base(
        "digits",
        "mlp",
        seed,
        optimizer=_optimizer(torch.optim.AdamW, lr=3e-3, weight_decay=0.05),
        schedule=lambda share: 0.5 * (1 + math.cos(math.pi * share)),
    )


@kind("warm-up and clipping at 1")
def _clipped(seed: int) -> Loop:
    return _base("digits", "attention", seed, clip=1.0, schedule=lambda share: min(1.0, 10 * share + 0.05))


@kind("small data with early stopping")
def _stopped(seed: int) -> Loop:
    loop = _base("breast_cancer", "mlp", seed, patience=5, epochs=100)
    loop.x, loop.y = loop.x[:80], loop.y[:80]
    return loop


@kind("imbalanced but fine")
def _imbalanced(seed: int) -> Loop:
    loop = _base("digits", "mlp", seed)
    loop.y, loop.y_held = (loop.y == 0).long(), (loop.y_held == 0).long()
    loop.model[-1] = nn.Linear(64, 2)
    return loop


@kind("noisy but fine")
def _noisy(seed: int) -> Loop:
    loop = _base("digits", "mlp", seed)
    for name in ("x", "x_held"):
        value = getattr(loop, name)
        setattr(loop, name, value + 0.7 * torch.randn(value.shape, generator=loop.generator))
    return loop


@kind("a noisy target but fine")
def _noisy_target(seed: int) -> Loop:
    loop = _base("diabetes", "mlp", seed, epochs=10)
    for name in ("y", "y_held"):
        value = getattr(loop, name)
        setattr(loop, name, 0.7 * value + 0.7 * torch.randn(value.shape, generator=loop.generator))
    return loop


@kind("fine-tuning")
def _tuned(seed: int) -> Loop:
    return _base("digits", "mlp", seed, pretrain=6, optimizer=_optimizer(torch.optim.Adam, lr=3e-4), epochs=6)


@kind("a new head on frozen layers")
def _head(seed: int) -> Loop:
    loop = _base("digits", "mlp", seed, pretrain=8, epochs=12, frozen=("0", "2"))
    trained = nn.Sequential(*loop.model)

    def make(module: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam([p for p in module.parameters() if p.requires_grad], lr=5e-3)

    loop.model, loop.optimizer = trained, make
    return loop


@kind("a robust loss")
def _robust(seed: int) -> Loop:
    return _base("diabetes", "deep", seed, criterion=F.smooth_l1_loss)


@kind("two classes, one logit")
def _one_logit(seed: int) -> Loop:
    loop = _base("breast_cancer", "mlp", seed, criterion=F.binary_cross_entropy_with_logits)
    loop.y, loop.y_held = loop.y.float()[:, None], loop.y_held.float()[:, None]
    loop.model[-1] = nn.Linear(64, 1)
    return loop


@kind("gradients of four passes")
def _passes(seed: int) -> Loop:
    return _base("digits", "mlp", seed, batch_size=8, passes=4)


@kind("label smoothing")
def _smoothed(seed: int) -> Loop:
    return _base("fashion", "mlp", seed, criterion=lambda o, y: F.cross_entropy(o, y, label_smoothing=0.1))


@kind("large batches that serve")
def _large(seed: int) -> Loop:
    return _base("digits", "mlp", seed, batch_size=128, optimizer=_optimizer(torch.optim.Adam, lr=8e-3), epochs=12)
