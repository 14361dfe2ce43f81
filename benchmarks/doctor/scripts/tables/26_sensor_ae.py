"""Compress sensor curves of 64 points into 4 numbers."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

torch.manual_seed(2)
rng = np.random.default_rng(2)
x = np.linspace(0, 1, 64)
curves = []
for _ in range(2000):
    c, w, a, s = rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.15), rng.uniform(0.5, 1.5), rng.normal(0, 0.5)
    curves.append(a * np.exp(-0.5 * ((x - c) / w) ** 2) + s * (x - 0.5) + rng.normal(0, 0.03, 64))
data = torch.tensor(np.array(curves), dtype=torch.float32)
train, val = data[:1600], data[1600:]
mu, sd = train.mean(0), train.std()
train, val = (train - mu) / sd, (val - mu) / sd


class AutoEncoder(nn.Module):
    def __init__(self, d=64, code=4):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(d, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, code))
        self.dec = nn.Sequential(nn.Linear(code, 32), nn.ReLU(), nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, d))

    def forward(self, x):
        z = self.enc(x)
        return self.dec(z), z


model = AutoEncoder()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=0.1)
loader = DataLoader(train, batch_size=64, shuffle=True)
for epoch in range(25):
    model.train()
    tot = 0.0
    for xb in loader:
        rec, z = model(xb)
        loss = nn.functional.mse_loss(rec, xb) + 1e-4 * z.pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        tot += loss.item() * len(xb)
    model.eval()
    with torch.no_grad():
        v = nn.functional.mse_loss(model(val)[0], val).item()
    print(f"epoch {epoch:2d} train {tot / len(train):.4f} val mse {v:.4f} (variance {val.var().item():.3f})")
