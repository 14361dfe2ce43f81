"""Recognise the waveform of a noisy sensor signal (four generators)."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(3)
torch.manual_seed(3)
T = 96
t = np.arange(T) / T


def make(kind, n):
    f = rng.uniform(2, 6, (n, 1))
    ph = rng.uniform(0, 1, (n, 1))
    u = (f * t + ph) % 1.0
    wave = {"sine": np.sin(2 * np.pi * u), "square": np.sign(u - 0.5),
            "saw": 2 * u - 1, "triangle": 4 * np.abs(u - 0.5) - 1}[kind]
    return wave + rng.normal(0, 0.45, (n, T))


kinds = ["sine", "square", "saw", "triangle"]
train_x, train_y, val_x, val_y = [], [], [], []
for label, kind in enumerate(kinds):
    w = make(kind, 500).astype("float32")
    train_x.append(w[:400]); train_y.append(np.full(400, label))
    val_x.append(w[400:]); val_y.append(np.full(100, label))
train = TensorDataset(torch.tensor(np.concatenate(train_x))[:, None], torch.tensor(np.concatenate(train_y)))
val = TensorDataset(torch.tensor(np.concatenate(val_x))[:, None], torch.tensor(np.concatenate(val_y)))
train_loader = DataLoader(train, batch_size=32)
val_loader = DataLoader(val, batch_size=200)

net = nn.Sequential(nn.Conv1d(1, 16, 7, padding=3), nn.ReLU(), nn.MaxPool1d(2),
                    nn.Conv1d(16, 32, 5, padding=2), nn.ReLU(), nn.AdaptiveAvgPool1d(6),
                    nn.Flatten(), nn.Linear(192, 4))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(10):
    net.train()
    running = 0.0
    for xb, yb in train_loader:
        opt.zero_grad()
        loss = criterion(net(xb), yb)
        loss.backward()
        opt.step()
        running += loss.item() * len(xb)
    net.eval()
    hit = 0
    with torch.no_grad():
        for xb, yb in val_loader:
            hit += (net(xb).argmax(1) == yb).sum().item()
    print(f"epoch {epoch}: loss {running / len(train):.3f}  val acc {hit / len(val):.3f}")
