"""Diabetes progression: noisy, small, with early stopping on a validation split."""
import copy
import torch
import torch.nn as nn
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(103)
X, y = load_diabetes(return_X_y=True)
Xa, Xb, ya, yb = train_test_split(X, y, test_size=0.25, random_state=103)
sx, sy = StandardScaler().fit(Xa), StandardScaler().fit(ya[:, None])
f = lambda a: torch.tensor(a, dtype=torch.float32)
Xa, Xb = f(sx.transform(Xa)), f(sx.transform(Xb))
ya, yb = f(sy.transform(ya[:, None])), f(sy.transform(yb[:, None]))

model = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))
opt = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-3)
mse = nn.MSELoss()
best, best_state, patience = float("inf"), None, 0
for epoch in range(80):
    model.train()
    run = 0.0
    for idx in torch.randperm(len(Xa)).split(16):
        loss = mse(model(Xa[idx]), ya[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        run += loss.item() * len(idx)
    model.eval()
    with torch.inference_mode():
        val = mse(model(Xb), yb).item()
    print(f"epoch {epoch:2d} train {run / len(Xa):.3f} val {val:.3f} R2 {1 - val / yb.var(unbiased=False).item():.3f}")
    if val < best - 1e-4:
        best, best_state, patience = val, copy.deepcopy(model.state_dict()), 0
    else:
        patience += 1
        if patience >= 8:
            break
model.load_state_dict(best_state)
print(f"best validation mse {best:.3f}")
