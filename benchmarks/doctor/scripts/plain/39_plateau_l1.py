"""House-price-like regression: mean absolute error and ReduceLROnPlateau."""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(31)
rng = np.random.default_rng(31)

# simulated sales: area, rooms, age, distance, quality, garden
n = 5000
area = rng.gamma(8, 14, n)
rooms = np.clip(np.round(area / 28 + rng.normal(0, 0.8, n)), 1, 9)
age = rng.uniform(0, 80, n)
dist = rng.exponential(6, n)
quality = rng.integers(1, 6, n)
garden = rng.random(n) < 0.4
price = (40 + 1.9 * area * (1 + 0.08 * quality) + 6 * rooms - 0.8 * age + 0.006 * age ** 2
         + 90 * np.exp(-dist / 5) + 18 * garden + rng.laplace(0, 12, n))

X = np.column_stack([area, rooms, age, dist, quality, garden]).astype(np.float32)
split = torch.randperm(n).numpy()
tr, va, te = split[:3500], split[3500:4250], split[4250:]
x_mu, x_sd = X[tr].mean(0), X[tr].std(0)
p_mu, p_sd = price[tr].mean(), price[tr].std()
X = torch.from_numpy((X - x_mu) / x_sd)
y = torch.tensor((price - p_mu) / p_sd, dtype=torch.float32).unsqueeze(1)

train_loader = DataLoader(TensorDataset(X[tr], y[tr]), batch_size=64, shuffle=True)
model = nn.Sequential(nn.Linear(6, 48), nn.ReLU(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 1))
criterion = nn.L1Loss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.3, patience=2)

for epoch in range(25):
    model.train()
    total = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(xb)
    model.eval()
    with torch.no_grad():
        val = criterion(model(X[va]), y[va]).item()
    scheduler.step(val)
    print(f"epoch {epoch + 1:2d} train MAE {total / len(tr) * p_sd:.2f}k valid MAE {val * p_sd:.2f}k "
          f"lr {optimizer.param_groups[0]['lr']:.1e}")
with torch.no_grad():
    print(f"test MAE {criterion(model(X[te]), y[te]).item() * p_sd:.2f}k")
