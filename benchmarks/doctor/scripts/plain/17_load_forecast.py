"""Next-hour electricity demand from calendar and lag features."""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(6)
rng = np.random.default_rng(6)

# one year of hourly demand: daily + weekly cycles, persistent weather term, noise
hours = np.arange(24 * 365)
weather = np.zeros(len(hours))
for k in range(1, len(hours)):
    weather[k] = 0.95 * weather[k - 1] + rng.normal(0, 1.0)
demand = (50 + 8 * np.sin(2 * np.pi * (hours % 24) / 24) - 5 * ((hours // 24) % 7 >= 5) + weather
          + rng.normal(0, 3.0, len(hours)))

WINDOW = 6
lag1 = np.roll(demand, 1)
lag24 = np.roll(demand, 24)
padded = np.concatenate([np.zeros(WINDOW), demand])
csum = np.concatenate([[0.0], np.cumsum(padded)])
t = np.arange(len(demand))
rolling_mean = (csum[t + WINDOW + 1] - csum[t + 1]) / WINDOW
features = np.stack([
    np.sin(2 * np.pi * (hours % 24) / 24), np.cos(2 * np.pi * (hours % 24) / 24),
    (hours // 24) % 7 >= 5, lag1, lag24, rolling_mean], axis=1)[48:]
target = demand[48:]

n_train, n_val = int(0.7 * len(target)), int(0.15 * len(target))
mu, sd = features[:n_train].mean(0), features[:n_train].std(0)
t_mu, t_sd = target[:n_train].mean(), target[:n_train].std()
X = torch.tensor((features - mu) / sd, dtype=torch.float32)
y = torch.tensor((target - t_mu) / t_sd, dtype=torch.float32).view(-1, 1)
X_tr, y_tr = X[:n_train], y[:n_train]
X_va, y_va = X[n_train:n_train + n_val], y[n_train:n_train + n_val]
X_te, y_te = X[n_train + n_val:], y[n_train + n_val:]

net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
loss_fn = nn.MSELoss()
for epoch in range(15):
    net.train()
    total = 0.0
    for idx in torch.randperm(n_train).split(64):
        opt.zero_grad()
        loss = loss_fn(net(X_tr[idx]), y_tr[idx])
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    net.eval()
    with torch.no_grad():
        val = loss_fn(net(X_va), y_va).item()
    print(f"epoch {epoch + 1:2d} train {total / n_train:.4f} valid {val:.4f}")

with torch.no_grad():
    mae = (net(X_te) - y_te).abs().mean().item() * t_sd
print(f"test MAE: {mae:.3f} MW")
