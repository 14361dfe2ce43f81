"""What does the recorder cost? Real loops over a DataLoader, with and without it, an epoch each in turn.

    python benchmarks/recorder.py                  # writes results/recorder.json
    python benchmarks/recorder.py --share 0.2 --out ""

Each epoch is trained twice from the same weights, with the same batches; the losses must be the same to the bit.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import hardware, today, versions, write_result
from scipy import stats
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import thalweg as tw
from thalweg.tasks import load_task

MOST = 1.05


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    )


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 49, 10),
    )


class Transformer(nn.Module):
    """A transformer block over the rows of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Linear(28, 64)
        self.block = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.1, batch_first=True)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns (B, 10) logits, of (B, 1, 28, 28) pictures."""
        return self.head(self.block(self.rows(x.squeeze(1))).mean(1))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "MLP 784-128-128-10": (mlp, 300),
    "CNN 16-32 on 28 x 28": (cnn, 80),
    "transformer block over 28 rows": (Transformer, 80),
}


def epoch(model: nn.Module, optimizer: torch.optim.Optimizer, loader: DataLoader[Any]) -> tuple[float, float]:
    """Returns the seconds of an epoch, and its last loss."""
    criterion, value = nn.CrossEntropyLoss(), 0.0
    begun = time.perf_counter()
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        value = loss.item()
    return time.perf_counter() - begun, value


def numbers(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Returns the weights and statistics of a model, and what its optimizer keeps of each weight."""
    kept = [value for state in optimizer.state.values() for value in state.values()]
    return [*model.state_dict().values(), *kept]


def compare(make: Callable[[], nn.Module], epochs: int, data: TensorDataset) -> np.ndarray:
    """Returns (epochs, 2) seconds, without and with the recorder: one model trains each epoch twice, in either order.

    Two copies of a model differed by 2.6% in one process with neither of them watched.
    """
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = DataLoader(data, batch_size=64, shuffle=True)
    epoch(model, optimizer, loader)
    run = tw.watch(model, optimizer)
    found = np.empty((epochs, 2))
    for number in range(epochs):
        losses, begun = [0.0, 0.0], [each.clone() for each in numbers(model, optimizer)]
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            for each, value in zip(numbers(model, optimizer), begun, strict=True):
                each.copy_(value)
            torch.manual_seed(number)
            with run if side else nullcontext():
                found[number, side], losses[side] = epoch(model, optimizer, loader)
        assert losses[0] == losses[1], "watching changed the training"
    return found


def overhead(seconds: np.ndarray) -> tuple[float, float, float]:
    """Returns by what factor watching is slower: the mean over pairs of epochs without a tenth at each end; 95%.

    The interval is of a bootstrap over pairs. The machine's own speed drifts by more than what is measured, so pairs
    lie a fraction of a second apart.
    """
    ratios = np.log(seconds[:, 1] / seconds[:, 0])
    drawn = np.random.default_rng(0).choice(ratios, (2_000, len(ratios)))
    low, high = np.quantile(stats.trim_mean(drawn, 0.1, axis=1), [0.025, 0.975])
    return math.exp(stats.trim_mean(ratios, 0.1)), math.exp(low), math.exp(high)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="of the epochs")
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "recorder.json"))
    given = parser.parse_args()
    torch.set_num_threads(hardware()["cores"])
    rows = load_task("fashion-mnist").train
    data = TensorDataset(torch.from_numpy(rows.x), torch.from_numpy(rows.y))
    found = {}
    for name, (make, epochs) in NETWORKS.items():
        compare(make, 2, data)
        seconds = compare(make, max(10, round(given.share * epochs)), data)
        ratio, low, high = overhead(seconds)
        found[name] = {
            "ratio": round(ratio, 4),
            "low": round(low, 4),
            "high": round(high, 4),
            "first epoch": round(float(seconds[0, 1] / seconds[0, 0]), 4),
            "seconds of a step": float(f"{np.median(seconds[:, 0]) / len(DataLoader(data, batch_size=64)):.4g}"),
            "epochs": len(seconds),
            "steps": len(seconds) * len(DataLoader(data, batch_size=64)),
        }
        print(f"{name}: {ratio:.3f} [{low:.3f}, {high:.3f}]", flush=True)
    claims = {f"{name}: watching takes less than 5% more": each["ratio"] < MOST for name, each in found.items()}
    for text, holds in claims.items():
        print(f"{'holds' if holds else 'FAILS'}: {text}")
    if given.out:
        about = {"date": today(), "hardware": hardware(), "versions": versions("torch")}
        write_result(Path(given.out), {**about, "networks": found, "claims": claims})
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
