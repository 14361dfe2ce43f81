"""Small batches with gradient accumulation, regression on a correlated design."""
import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import make_regression
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(25)
X, y = make_regression(n_samples=3000, n_features=25, n_informative=8, effective_rank=15, tail_strength=0.5, random_state=25)
X = (X - X.mean(0)) / X.std(0)
y = y / y.std()
y = y - y.mean() + 0.4 * np.maximum(0, X[:, 0]) * X[:, 1] + 0.15 * np.random.default_rng(25).normal(size=len(y))
full = TensorDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32))
train_set, val_set = random_split(full, [2400, 600])
train_loader = DataLoader(train_set, batch_size=8, shuffle=True, drop_last=True)
val_loader = DataLoader(val_set, batch_size=200)

ACCUM = 8
model = nn.Sequential(nn.Linear(25, 64), nn.GELU(), nn.Linear(64, 1), nn.Flatten(0))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.995)
loss_fn = nn.MSELoss()


def validate():
    model.eval()
    with torch.inference_mode():
        return sum(loss_fn(model(a), b).item() * len(b) for a, b in val_loader) / len(val_set)


for epoch in range(12):
    model.train()
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for step, (xb, yb) in enumerate(train_loader):
        loss = loss_fn(model(xb), yb)
        (loss / ACCUM).backward()
        total += loss.item()
        if (step + 1) % ACCUM == 0:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    print(f"epoch {epoch} train {total / len(train_loader):.4f} val {validate():.4f}")
