import math

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import make_friedman2
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

K = 5


class OrdinalHead(nn.Module):
    """Shared score with K-1 ordered thresholds."""

    def __init__(self, d):
        super().__init__()
        self.score = nn.Linear(d, 1, bias=False)
        self.first = nn.Parameter(torch.tensor(-1.5))
        self.gaps = nn.Parameter(torch.zeros(K - 2))

    def forward(self, h):
        cuts = torch.cat([self.first[None], self.first + F.softplus(self.gaps).cumsum(0)])
        return self.score(h) - cuts


def levels(y):
    return (y[:, None] > torch.arange(K - 1)).float()


def grade(logits):
    return (logits > 0).sum(1)


def dataset():
    X, t = make_friedman2(n_samples=5000, noise=60.0, random_state=9)
    cuts = np.quantile(t[:4000], [0.2, 0.4, 0.6, 0.8])
    y = torch.from_numpy(np.digitize(t, cuts))
    X = (X - X[:4000].mean(0)) / X[:4000].std(0)
    X = torch.tensor(X, dtype=torch.float32)
    return (X[:4000], y[:4000]), (X[4000:], y[4000:])


def build():
    return nn.Sequential(
        weight_norm(nn.Linear(4, 48)), nn.Tanh(),
        weight_norm(nn.Linear(48, 48)), nn.Tanh(),
        OrdinalHead(48))


torch.manual_seed(77)
(xa, ya), (xb, yb) = dataset()
model = build()
opt = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-4)
epochs, bs = 20, 100
total_steps = epochs * len(xa) // bs
warm = total_steps // 20
schedule = torch.optim.lr_scheduler.LambdaLR(
    opt, lambda s: (s + 1) / warm if s < warm else 0.5 * (1 + math.cos(math.pi * (s - warm) / (total_steps - warm))))

for epoch in range(epochs):
    model.train()
    running = 0.0
    for idx in torch.randperm(len(xa)).split(bs):
        loss = F.binary_cross_entropy_with_logits(model(xa[idx]), levels(ya[idx]))
        opt.zero_grad()
        loss.backward()
        opt.step()
        schedule.step()
        running += loss.item() * len(idx) / len(xa)
    if epoch % 5 == 4:
        model.eval()
        with torch.no_grad():
            out = model(xb)
            val = F.binary_cross_entropy_with_logits(out, levels(yb)).item()
            pred = grade(out)
        print(f"epoch {epoch + 1}: train {running:.4f} test {val:.4f} "
              f"acc {(pred == yb).float().mean():.3f} mean abs grade error {(pred - yb).abs().float().mean():.3f}")
