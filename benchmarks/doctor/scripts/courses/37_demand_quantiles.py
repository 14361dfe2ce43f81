"""Quantile forecasts (10, 50, 90 %) of daily demand with the pinball loss."""
import numpy as np
import torch
import torch.nn as nn

rng = np.random.default_rng(112)
torch.manual_seed(112)
days = 2200
t = np.arange(days)
level = 20 + 5 * np.sin(2 * np.pi * t / 365) + np.where(t % 7 >= 5, 6, 0)
demand = level + (1 + 0.15 * level) * rng.standard_gamma(2.0, days) / 2
X = np.stack([np.sin(2 * np.pi * t / 365), np.cos(2 * np.pi * t / 365), *[(t % 7 == k) for k in range(7)],
              *[np.roll(demand, lag) for lag in (1, 2, 7)]], 1)[7:]
y = demand[7:]
cut = 1700
X = (X - X[:cut].mean(0)) / X[:cut].std(0)
ym, ys = y[:cut].mean(), y[:cut].std()
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor((y - ym) / ys, dtype=torch.float32)
Q = torch.tensor([0.1, 0.5, 0.9])


class Pinball(nn.Module):
    def forward(self, pred, target):
        e = target.unsqueeze(1) - pred
        return torch.maximum(Q * e, (Q - 1) * e).mean()


net = nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 3))
opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)
loss_fn = Pinball()
for epoch in range(15):
    net.train()
    tot = 0.0
    for idx in torch.randperm(cut).split(32):
        loss = loss_fn(net(X[idx]), y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(idx)
    net.eval()
    with torch.no_grad():
        p = net(X[cut:])
        inside = ((y[cut:] > p[:, 0]) & (y[cut:] < p[:, 2])).float().mean().item()
    print(f"epoch {epoch:2d} pinball {tot / cut:.4f} val {loss_fn(p, y[cut:]).item():.4f} within 10-90%: {inside:.2f}")
