"""Claim counts: a log-linear model and a small network on top, Poisson likelihood."""
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(21)
torch.manual_seed(21)
n = 4000
age = rng.uniform(18, 80, n)
power = rng.integers(4, 16, n).astype(float)
density = rng.lognormal(5, 1.2, n)
region = rng.integers(0, 6, n)
log_rate = 0.2 + 0.0009 * (age - 45) ** 2 - 0.01 * (age - 45) + 0.06 * (power - 8) + 0.2 * (np.log(density) - 5) + 0.15 * (region % 3)
claims = rng.poisson(np.exp(log_rate)).astype(np.float32)
num = np.column_stack([age, power, np.log(density)])
num = (num - num.mean(0)) / num.std(0)
X = np.hstack([num, np.eye(6)[region]]).astype(np.float32)
X, y = torch.from_numpy(X), torch.from_numpy(claims)
split = int(0.8 * n)


class CountNet(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.linear = nn.Linear(d, 1)
        self.deep = nn.Sequential(nn.Linear(d, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        return (self.linear(x) + self.deep(x)).squeeze(-1)


def deviance(log_mu, y):
    mu = log_mu.exp()
    term = torch.where(y > 0, y * torch.log(y.clamp(min=1e-8) / mu), torch.zeros_like(y))
    return 2 * (term - (y - mu)).mean().item()


model = CountNet(X.shape[1])
criterion = nn.PoissonNLLLoss(log_input=True)
optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-2)
for epoch in range(12):
    model.train()
    perm = torch.randperm(split)
    for k in range(0, split, 64):
        idx = perm[k:k + 64]
        optimizer.zero_grad()
        loss = criterion(model(X[idx]), y[idx])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        d_tr, d_va = deviance(model(X[:split]), y[:split]), deviance(model(X[split:]), y[split:])
        null = deviance(torch.full((n - split,), y[:split].mean().log().item()), y[split:])
    print(f"epoch {epoch:2d} train deviance {d_tr:.4f} val deviance {d_va:.4f} (null {null:.4f})")
