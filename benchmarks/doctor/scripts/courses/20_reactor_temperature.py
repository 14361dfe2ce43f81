# Predict the yield of a batch reactor from six temperature readings (kelvin).
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(13)
torch.manual_seed(13)
n = 2500
base = rng.normal(0, 1, (n, 6))
temps = np.array([290, 305, 320, 335, 350, 360]) + 1.5 * base
signal = np.sin(base[:, 0] * 1.3) + 0.6 * base[:, 1] * base[:, 2] + 0.4 * np.abs(base[:, 3]) - 0.3 * base[:, 5]
y = (signal - signal.mean()) / signal.std() + rng.normal(0, 0.15, n)
features = temps / temps[:2000].std(0)
X = torch.tensor(features, dtype=torch.float32)
Y = torch.tensor(y, dtype=torch.float32).unsqueeze(1)
loader = DataLoader(TensorDataset(X[:2000], Y[:2000]), batch_size=50, shuffle=True)

net = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
crit = nn.MSELoss()


def r2(pred, target):
    return 1 - ((pred - target) ** 2).sum() / ((target - target.mean()) ** 2).sum()


for epoch in range(20):
    net.train()
    losses = []
    for xb, yb in loader:
        opt.zero_grad()
        loss = crit(net(xb), yb)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        print(f"{epoch:2d}  mse {np.mean(losses):.4f}  val r2 {r2(net(X[2000:]), Y[2000:]).item():.3f}")
