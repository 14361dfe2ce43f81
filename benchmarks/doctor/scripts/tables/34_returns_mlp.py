# Weak signal: most of the variance of the target can't be predicted.
import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset, DataLoader

torch.manual_seed(64)
rs = np.random.RandomState(64)
X = rs.standard_t(6, size=(6000, 12))
signal = 0.35 * X[:, 0] - 0.25 * X[:, 3] + 0.3 * np.tanh(X[:, 5] * X[:, 7])
y = signal + rs.normal(0, 1.0, 6000)
X = (X - X[:4500].mean(0)) / X[:4500].std(0)
y = (y - y[:4500].mean()) / y[:4500].std()
X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
loader = DataLoader(TensorDataset(X[:4500], y[:4500]), batch_size=100, shuffle=True)

model = nn.Sequential(nn.Linear(12, 32), nn.LeakyReLU(), nn.Dropout(0.1), nn.Linear(32, 1), nn.Flatten(0))
opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=20.0)
for epoch in range(10):
    model.train()
    tot = 0.0
    for xb, yb in loader:
        loss = nn.functional.mse_loss(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() / len(loader)
    model.eval()
    with torch.no_grad():
        val = nn.functional.mse_loss(model(X[4500:]), y[4500:]).item()
    print(f"epoch {epoch} train mse {tot:.4f} val mse {val:.4f} R2 {1 - val / y[4500:].var().item():.4f}")
