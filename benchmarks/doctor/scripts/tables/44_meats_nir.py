"""Fat content from near-infrared spectra: small data, early stopping."""
import copy
import numpy as np
import torch
from torch import nn

torch.manual_seed(6)
z = np.load("data/regression/meats_nir.npz")
X, fat = z["X"].astype(np.float64), z["Y"][:, 1]
rows = np.random.default_rng(6).permutation(len(X))
tr, va = rows[:160], rows[160:]
X = (X - X.mean(1, keepdims=True)) / X.std(1, keepdims=True)
X = np.gradient(X, axis=1)
X = (X - X[tr].mean(0)) / X[tr].std(0)
y = (fat - fat[tr].mean()) / fat[tr].std()
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32).unsqueeze(1)

model = nn.Sequential(nn.Linear(100, 32), nn.ReLU(), nn.Linear(32, 1))
opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
crit = nn.MSELoss()
best, best_state, patience = 1e9, None, 15
for epoch in range(120):
    model.train()
    order = np.random.default_rng(epoch).permutation(tr)
    total = 0.0
    for k in range(0, len(order), 16):
        b = order[k:k + 16]
        loss = crit(model(X[b]), y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(b)
    model.eval()
    with torch.no_grad():
        v = crit(model(X[va]), y[va]).item()
    print(f"epoch {epoch} train {total / len(tr):.4f} val {v:.4f}")
    if v < best:
        best, best_state, bad = v, copy.deepcopy(model.state_dict()), 0
    else:
        bad += 1
        if bad >= patience:
            break
model.load_state_dict(best_state)
print(f"best val mse {best:.4f}  R2 {1 - best / y[va].var().item():.3f}")
