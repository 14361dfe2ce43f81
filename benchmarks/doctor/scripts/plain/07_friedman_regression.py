"""Nonlinear regression benchmark (Friedman #1) with a small MLP."""
import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import make_friedman1
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(11)
np.random.seed(11)


class TableDataset(Dataset):
    def __init__(self, X, y):
        self.X = torch.tensor(X, dtype=torch.float32)
        self.y = torch.tensor(y, dtype=torch.float32)

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i], self.y[i]


X, y = make_friedman1(n_samples=3000, n_features=10, noise=1.0, random_state=11)
X_tr, X_te, y_tr, y_te = train_test_split(X, y, test_size=0.2, random_state=11)
xs, ys = StandardScaler().fit(X_tr), StandardScaler().fit(y_tr[:, None])
X_tr, X_te = xs.transform(X_tr), xs.transform(X_te)
y_tr_s = ys.transform(y_tr[:, None])[:, 0]
y_te_s = ys.transform(y_te[:, None])[:, 0]

train_loader = DataLoader(TableDataset(X_tr, y_tr_s), batch_size=64, shuffle=True)
test_loader = DataLoader(TableDataset(X_te, y_te_s), batch_size=256)

model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
loss_fn = nn.MSELoss()

for epoch in range(20):
    model.train()
    total = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        val = sum(loss_fn(model(xb), yb).item() for xb, yb in test_loader) / len(test_loader)
    print(f"epoch {epoch:2d} train mse {total / len(train_loader):.4f} test mse {val:.4f}")

with torch.no_grad():
    pred = torch.cat([model(xb) for xb, _ in test_loader]).numpy()
print("test R2:", r2_score(y_te, ys.inverse_transform(pred.reshape(-1, 1))[:, 0]))
