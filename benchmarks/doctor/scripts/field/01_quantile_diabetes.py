import copy

import numpy as np
import torch
from torch import nn
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

torch.manual_seed(3)
np.random.seed(3)

QUANTILES = torch.tensor([0.1, 0.5, 0.9])


class PinballLoss(nn.Module):
    def forward(self, pred, target):
        diff = target.unsqueeze(1) - pred
        return torch.maximum(QUANTILES * diff, (QUANTILES - 1) * diff).mean()


X, y = load_diabetes(return_X_y=True)
X_tr, X_te, y_tr, y_te = train_test_split(X, y, test_size=0.2, random_state=0)
X_tr, X_va, y_tr, y_va = train_test_split(X_tr, y_tr, test_size=0.2, random_state=0)

x_mu, x_sd = X_tr.mean(0), X_tr.std(0)
y_mu, y_sd = y_tr.mean(), y_tr.std()


def prep(X, y):
    X = torch.tensor((X - x_mu) / x_sd, dtype=torch.float32)
    y = torch.tensor((y - y_mu) / y_sd, dtype=torch.float32)
    return X, y


X_tr, y_tr = prep(X_tr, y_tr)
X_va, y_va = prep(X_va, y_va)
X_te, y_te = prep(X_te, y_te)

model = nn.Sequential(nn.Linear(10, 32), nn.SiLU(), nn.Dropout(0.2),
                      nn.Linear(32, 3))
loss_fn = PinballLoss()
opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)

best_loss, best_model, wait = float("inf"), None, 0
for epoch in range(400):
    model.train()
    order = torch.randperm(len(X_tr))
    total = 0.0
    for idx in order.split(32):
        opt.zero_grad()
        loss = loss_fn(model(X_tr[idx]), y_tr[idx])
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)

    model.eval()
    with torch.no_grad():
        val = loss_fn(model(X_va), y_va).item()
    if val < best_loss - 1e-4:
        best_loss, best_model, wait = val, copy.deepcopy(model), 0
    else:
        wait += 1
    if epoch % 20 == 0:
        print(f"epoch {epoch:3d}  train {total / len(X_tr):.4f}  val {val:.4f}")
    if wait >= 40:
        print("stopping at", epoch)
        break

best_model.eval()
with torch.no_grad():
    q = best_model(X_te)
    base = loss_fn(torch.quantile(y_tr, QUANTILES).expand(len(y_te), 3), y_te)
    cover = ((y_te >= q[:, 0]) & (y_te <= q[:, 2])).float().mean()
    print(f"test pinball {loss_fn(q, y_te):.4f} (constant {base:.4f}), "
          f"80% interval covers {cover:.2f}")
