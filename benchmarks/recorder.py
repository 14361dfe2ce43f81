"""What does the recorder cost? Real loops over a DataLoader, with and without it, in turn.

    python benchmarks/recorder.py                  # writes results/recorder.json
    python benchmarks/recorder.py --rounds 3 --out ""

A round trains each network twice from the same start on the same batches, watched and not, every second time in the
opposite order. Loops take 5 to 8 s: statistics are denser in the first 64 steps, which is 0.15 s for the CNN. The
claim: the median over rounds of the ratio of both times is below 1.05 for every network.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from machine import hardware, today, versions, write_result
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
    "MLP 784-128-128-10": (mlp, 40),
    "CNN 16-32 on 28 x 28": (cnn, 8),
    "transformer block over 28 rows": (Transformer, 4),
}


def train(make: Callable[[], nn.Module], epochs: int, data: TensorDataset, *, watched: bool) -> tuple[float, float]:
    """Returns the seconds of a loop, and its last loss."""
    torch.manual_seed(0)
    model, criterion = make(), nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = DataLoader(data, batch_size=64, shuffle=True)
    value = 0.0
    begun = time.perf_counter()
    with tw.watch(model, optimizer) if watched else nullcontext():
        for _ in range(epochs):
            for x, y in loader:
                optimizer.zero_grad()
                loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
                value = loss.item()
        seconds = time.perf_counter() - begun
    return seconds, value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "recorder.json"))
    given = parser.parse_args()
    torch.set_num_threads(hardware()["cores"])
    rows = load_task("fashion-mnist").train
    data = TensorDataset(torch.from_numpy(rows.x), torch.from_numpy(rows.y))
    found = {}
    for name, (make, epochs) in NETWORKS.items():
        ratios, plain = [], []
        train(make, 1, data, watched=True)
        for k in range(given.rounds):
            order = (False, True) if k % 2 == 0 else (True, False)
            times = {watched: train(make, epochs, data, watched=watched) for watched in order}
            assert times[True][1] == times[False][1], "watching changed the training"
            ratios.append(times[True][0] / times[False][0])
            plain.append(times[False][0])
        found[name] = {
            "ratio": round(statistics.median(ratios), 4),
            "ratios": [round(each, 4) for each in ratios],
            "seconds without": round(statistics.median(plain), 4),
            "steps": epochs * len(DataLoader(data, batch_size=64)),
        }
        print(f"{name}: {found[name]['ratio']:.3f} of {found[name]['seconds without']:.2f} s", flush=True)
    claims = {f"{name}: watching takes less than 5% more": each["ratio"] < MOST for name, each in found.items()}
    for text, holds in claims.items():
        print(f"{'holds' if holds else 'FAILS'}: {text}")
    if given.out:
        about = {"date": today(), "hardware": hardware(), "versions": versions("torch")}
        write_result(Path(given.out), {**about, "networks": found, "claims": claims})
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
