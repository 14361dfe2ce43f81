"""Will a customer cancel? Usage table with a handful of behavioural columns."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(32)
torch.manual_seed(32)
n = 3000
tenure = rng.gamma(2.0, 10.0, n)
logins = rng.poisson(8, n).astype(float)
tickets = rng.poisson(1.2, n).astype(float)
price = rng.choice([9.0, 15.0, 29.0], n)
discount = rng.random(n) < 0.3
minutes = rng.lognormal(3.0, 0.6, n)
risk = 0.6 * tickets - 0.25 * (logins - 8) - 0.03 * (tenure - 20) + 0.04 * (price - 15) - 0.5 * discount - 0.9
cancelled = (rng.random(n) < 1 / (1 + np.exp(-risk))).astype("float32")
retention_calls = np.where(cancelled == 1, rng.poisson(3, n) + 1, rng.poisson(0.05, n)).astype(float)
columns = [tenure, logins, tickets, price, discount.astype(float), minutes]
columns.append(retention_calls)
X = np.stack(columns, 1).astype("float32")
cut = 2400
X = (X - X[:cut].mean(0)) / X[:cut].std(0)
X, y = torch.from_numpy(X), torch.from_numpy(cancelled)
loader = DataLoader(TensorDataset(X[:cut], y[:cut]), batch_size=64, shuffle=True)

net = nn.Sequential(nn.Linear(X.shape[1], 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten(0))
opt = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3)
bce = nn.BCEWithLogitsLoss()
for epoch in range(8):
    net.train()
    tot = 0.0
    for xb, yb in loader:
        opt.zero_grad()
        loss = bce(net(xb), yb)
        loss.backward()
        opt.step()
        tot += loss.item() * len(xb)
    net.eval()
    with torch.no_grad():
        z = net(X[cut:])
        acc = ((z > 0).float() == y[cut:]).float().mean().item()
    print(f"epoch {epoch + 1}: train {tot / cut:.4f} | val {bce(z, y[cut:]).item():.4f} acc {acc:.3f}")
