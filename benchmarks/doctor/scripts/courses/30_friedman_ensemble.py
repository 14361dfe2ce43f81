import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import make_friedman1
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(20)
X, y = make_friedman1(n_samples=1500, n_features=8, noise=0.7, random_state=20)
y = (y - y[:1200].mean()) / y[:1200].std()
sx = StandardScaler().fit(X[:1200])
X = torch.tensor(sx.transform(X), dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32)
train_loader = DataLoader(TensorDataset(X[:1200], y[:1200]), batch_size=40, shuffle=True)
test_loader = DataLoader(TensorDataset(X[1200:], y[1200:]), batch_size=100)


class Regressor(nn.Module):
    def __init__(self, n_in):
        super().__init__()
        self.inp = nn.Linear(n_in, 64)
        self.mid = nn.Linear(64, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        x = nn.functional.silu(self.inp(x))
        x = nn.functional.silu(self.mid(x))
        return self.out(x)


model = Regressor(8)
criterion = nn.SmoothL1Loss()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)


def evaluate():
    model.eval()
    preds, truth = [], []
    with torch.inference_mode():
        for xb, yb in test_loader:
            preds.append(model(xb).flatten())
            truth.append(yb)
    p, t = torch.cat(preds), torch.cat(truth)
    return (1 - (p - t).square().sum() / (t - t.mean()).square().sum()).item()


for epoch in range(15):
    model.train()
    losses = []
    for xb, yb in train_loader:
        loss = criterion(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"epoch {epoch} huber {np.mean(losses):.4f} test R2 {evaluate():.3f}")
