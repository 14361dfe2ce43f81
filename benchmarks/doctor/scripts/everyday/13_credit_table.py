import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
rng = np.random.default_rng(0)

n = 2500
income = np.round(rng.gamma(3.0, 1.2, n), 1)
income[rng.random(n) < 0.01] = 0.0
debt = rng.gamma(2.0, 1.5, n)
age = rng.integers(20, 70, n).astype(float)
accounts = rng.poisson(4, n).astype(float)
late = rng.poisson(0.6, n).astype(float)
score = 0.9 * debt - 0.7 * income + 0.8 * late - 0.03 * (age - 45) + rng.logistic(0, 0.8, n)
y = (score > 0.3).astype(np.float32)

dti = debt / income
X = np.column_stack([income, debt, age, accounts, late, dti])
n_train = 2000
centre = np.median(X[:n_train], axis=0)
spread = np.percentile(X[:n_train], 75, axis=0) - np.percentile(X[:n_train], 25, axis=0)
X = ((X - centre) / spread).astype(np.float32)

train_dl = DataLoader(TensorDataset(torch.from_numpy(X[:n_train]), torch.from_numpy(y[:n_train])),
                      batch_size=50, shuffle=True)
Xv, yv = torch.from_numpy(X[n_train:]), torch.from_numpy(y[n_train:])

model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten(0))
opt = torch.optim.RMSprop(model.parameters(), lr=1e-3)
bce = nn.BCEWithLogitsLoss()

for epoch in range(12):
    model.train()
    run = 0.0
    for xb, yb in train_dl:
        opt.zero_grad()
        loss = bce(model(xb), yb)
        loss.backward()
        opt.step()
        run += loss.item()
    model.eval()
    with torch.inference_mode():
        logit = model(Xv)
        acc = ((logit > 0) == yv.bool()).float().mean().item()
    print(f"epoch {epoch:02d} train {run / len(train_dl):.4f} val acc {acc:.3f} (base rate {yv.mean().item():.3f})")
