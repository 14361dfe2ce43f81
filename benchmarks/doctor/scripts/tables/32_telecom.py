"""Telecom churn, synthetic customers."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(30)
torch.manual_seed(30)
n = 5000
tenure = rng.exponential(24, n)
monthly = rng.normal(60, 18, n)
calls = rng.poisson(1.5, n)
contract = rng.integers(0, 3, n)
outages = rng.poisson(0.8, n)
logit = -1.2 - 0.05 * tenure + 0.03 * (monthly - 60) + 0.5 * calls - 0.9 * contract + 0.4 * outages + rng.normal(0, 0.6, n)
churn = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
final_bill = np.where(churn == 1, 0.0, monthly) + rng.normal(0, 3, n)
table = np.column_stack([tenure, final_bill, monthly, calls, outages, contract == 0, contract == 1])

split = 4000
X_train, X_test = table[:split], table[split:]
y_train, y_test = churn[:split], churn[split:]
mean, std = X_train.mean(0), X_train.std(0)
X_train, X_test = (X_train - mean) / std, (X_test - mean) / std

train_loader = DataLoader(TensorDataset(torch.tensor(X_train).float(), torch.tensor(y_train).float()), 64, shuffle=True)
test_loader = DataLoader(TensorDataset(torch.tensor(X_test).float(), torch.tensor(y_test).float()), 500)

model = nn.Sequential(nn.Linear(X_train.shape[1], 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))
bce = nn.BCEWithLogitsLoss()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(10):
    model.train()
    train_loss = 0
    for xb, yb in train_loader:
        opt.zero_grad()
        loss = bce(model(xb).squeeze(-1), yb)
        loss.backward()
        opt.step()
        train_loss += loss.item() / len(train_loader)
    model.eval()
    scores, labels = [], []
    with torch.no_grad():
        for xb, yb in test_loader:
            scores.append(model(xb).squeeze(-1))
            labels.append(yb)
    scores, labels = torch.cat(scores), torch.cat(labels)
    pred = scores > 0
    tp = (pred & (labels == 1)).sum().item()
    f1 = 2 * tp / max(1, pred.sum().item() + labels.sum().item())
    print(f"epoch {epoch} loss {train_loss:.4f} test loss {bce(scores, labels):.4f} "
          f"acc {(pred == labels.bool()).float().mean():.4f} f1 {f1:.3f} (rate {labels.mean():.3f})")
