import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import TensorDataset, DataLoader

np.random.seed(9)
torch.manual_seed(9)
N = 3000
X = np.random.uniform(-3, 3, (N, 3))
f = np.sin(X[:, 0]) + 0.5 * X[:, 1] * (X[:, 2] > 0)
sigma = 0.1 + 0.25 * np.abs(X[:, 1])
y = f + sigma * np.random.randn(N)
X = torch.tensor(X / X[:2400].std(0), dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32).view(-1, 1)
dl_train = DataLoader(TensorDataset(X[:2400], y[:2400]), batch_size=64, shuffle=True)
dl_val = DataLoader(TensorDataset(X[2400:], y[2400:]), batch_size=300)


class MeanVar(nn.Module):
    """Predicts a mean and a variance."""

    def __init__(self, d, h=64):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(d, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU())
        self.mean = nn.Linear(h, 1)
        self.var = nn.Linear(h, 1)

    def forward(self, x):
        h = self.trunk(x)
        return self.mean(h), nn.functional.softplus(self.var(h)) + 1e-4


net = MeanVar(3)
crit = nn.GaussianNLLLoss()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)

for epoch in range(20):
    net.train()
    run = 0.0
    for xb, yb in dl_train:
        m, v = net(xb)
        loss = crit(m, yb, v)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        run += loss.item()
    net.eval()
    nll, mse = 0.0, 0.0
    with torch.no_grad():
        for xb, yb in dl_val:
            m, v = net(xb)
            nll += crit(m, yb, v).item() / len(dl_val)
            mse += ((m - yb) ** 2).mean().item() / len(dl_val)
    print(f"[{epoch}] train nll {run / len(dl_train):.4f} val nll {nll:.4f} val mse {mse:.4f}")
