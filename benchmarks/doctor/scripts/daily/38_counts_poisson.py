# Accident counts with exposure offsets
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(16)
rng = np.random.default_rng(16)
n = 5000
X = rng.normal(size=(n, 6)).astype("float32")
exposure = rng.uniform(0.2, 2.0, size=n).astype("float32")
rate = np.exp(-0.3 + 0.5 * X[:, 0] - 0.4 * X[:, 1] + 0.3 * np.tanh(2 * X[:, 2]) * X[:, 3])
y = rng.poisson(rate * exposure).astype("float32")
X, off, y = torch.from_numpy(X), torch.from_numpy(np.log(exposure)), torch.from_numpy(y)
train = DataLoader(TensorDataset(X[:4000], off[:4000], y[:4000]), batch_size=64, shuffle=True)
model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))
nll = nn.PoissonNLLLoss(log_input=True)
opt = torch.optim.Adam(model.parameters(), lr=4e-3, weight_decay=1e-5)


def deviance(log_mu, t):
    mu = log_mu.exp()
    return 2 * (torch.xlogy(t, t / mu) - (t - mu)).mean().item()


null = torch.log(y[:4000].sum() / off[:4000].exp().sum()) + off[4000:]
print("deviance of a constant rate", round(deviance(null, y[4000:]), 4))
for epoch in range(9):
    model.train()
    tot = 0.0
    for xb, ob, yb in train:
        loss = nll(model(xb).squeeze(1) + ob, yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() / len(train)
    model.eval()
    with torch.no_grad():
        lm = model(X[4000:]).squeeze(1) + off[4000:]
    print(f"epoch {epoch} train nll {tot:.4f} val nll {nll(lm, y[4000:]).item():.4f} val deviance {deviance(lm, y[4000:]):.4f}")
