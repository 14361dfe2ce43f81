"""Pretrain an encoder on a large source table, then adapt to a small target table."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(77)
rng = np.random.default_rng(77)
A = rng.normal(0, 1, (24, 5))
W_src, W_tgt = rng.normal(0, 1, (5, 6)), rng.normal(0, 1, (5, 3))


def make(n, W, shift=0.0, gain=1.0):
    x = rng.normal(0, 1, (n, 24))
    latent = np.tanh(x @ A / 3)
    label = (latent @ W + rng.normal(0, 0.2, (n, W.shape[1]))).argmax(1)
    return torch.tensor(x * gain + shift, dtype=torch.float32), torch.tensor(label)


def encoder():
    return nn.Sequential(nn.Linear(24, 64), nn.BatchNorm1d(64), nn.ReLU(),
                         nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU())


def score(model, x, y):
    model.eval()
    with torch.no_grad():
        out = model(x)
    return nn.functional.cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()


xs, ys = make(6000, W_src)
backbone = encoder()
source = nn.Sequential(backbone, nn.Linear(32, 6))
opt = torch.optim.Adam(source.parameters(), lr=2e-3)
for epoch in range(6):
    source.train()
    for xb, yb in DataLoader(TensorDataset(xs[:5500], ys[:5500]), 128, shuffle=True):
        loss = nn.functional.cross_entropy(source(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print("source epoch %d val loss %.3f acc %.3f" % (epoch, *score(source, xs[5500:], ys[5500:])))

xt, yt = make(900, W_tgt)
train, val = (xt[:300], yt[:300]), (xt[300:], yt[300:])
head = nn.Linear(32, 3)
model = nn.Sequential(backbone, head)
opt = torch.optim.Adam(model.parameters(), lr=0.3)
for epoch in range(15):
    model.train()
    total = 0.0
    for xb, yb in DataLoader(TensorDataset(*train), 32, shuffle=True):
        loss = nn.functional.cross_entropy(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(yb)
    vl, va = score(model, *val)
    print(f"target epoch {epoch} train loss {total / 300:.3f} val loss {vl:.3f} acc {va:.3f}")
