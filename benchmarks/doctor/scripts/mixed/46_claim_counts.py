import argparse
import numpy as np
import torch
from torch import nn

cli = argparse.ArgumentParser(description="claim counts, GLM vs network")
cli.add_argument("-n", type=int, default=4000)
cli.add_argument("--lr", type=float, default=2e-3)
cli.add_argument("--epochs", type=int, default=12)
cfg = cli.parse_args()

rng = np.random.default_rng(42)
torch.manual_seed(42)
age = rng.uniform(18, 80, cfg.n)
power = rng.integers(4, 12, cfg.n)
urban = rng.integers(0, 2, cfg.n)
exposure = rng.uniform(0.3, 1.0, cfg.n)
rate = np.exp(-0.2 + 0.8 * ((age - 45) / 30) ** 2 + 0.12 * (power - 7) + 0.5 * urban * (age < 35))
claims = rng.poisson(rate * exposure)
feats = np.c_[(age - 49) / 18, (power - 7.5) / 2.3, urban - 0.5]
X = torch.tensor(feats, dtype=torch.float32)
off = torch.tensor(np.log(exposure), dtype=torch.float32)
Y = torch.tensor(claims, dtype=torch.float32)
k = int(cfg.n * 0.8)


class CountNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(3, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))

    def forward(self, x, offset):
        return self.f(x)[:, 0] + offset


net = CountNet()
nll = nn.PoissonNLLLoss(log_input=True)
opt = torch.optim.RMSprop(net.parameters(), lr=cfg.lr)
null = nll(torch.full((cfg.n - k,), float(Y[:k].sum() / off[:k].exp().sum())).log() + off[k:], Y[k:])
print(f"constant-rate model: {null:.4f}")
for epoch in range(cfg.epochs):
    net.train()
    losses = []
    for b in torch.randperm(k).split(64):
        loss = nll(net(X[b], off[b]), Y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        print(f"epoch {epoch}: train {np.mean(losses):.4f} valid {nll(net(X[k:], off[k:]), Y[k:]):.4f}")
