import copy
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split
from sklearn.datasets import load_diabetes
from sklearn.metrics import r2_score

torch.manual_seed(42)
X, y = load_diabetes(return_X_y=True)
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32).unsqueeze(1)
train_set, val_set = random_split(TensorDataset(X, y), [332, 110], generator=torch.Generator().manual_seed(5))

xt, yt = X[train_set.indices], y[train_set.indices]
mu, sd = xt.mean(0), xt.std(0)
ymu, ysd = yt.mean(), yt.std()
loader = DataLoader(train_set, batch_size=16, shuffle=True)
xv, yv = (X[val_set.indices] - mu) / sd, y[val_set.indices]

net = nn.Sequential(nn.Linear(10, 32), nn.GELU(), nn.Dropout(0.2), nn.Linear(32, 1))
opt = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)
huber = nn.SmoothL1Loss()

best, best_state, wait = float("inf"), None, 0
for epoch in range(60):
    net.train()
    s = 0.0
    for xb, yb in loader:
        opt.zero_grad()
        loss = huber(net((xb - mu) / sd), (yb - ymu) / ysd)
        loss.backward()
        opt.step()
        s += loss.item() * len(xb)
    net.eval()
    with torch.no_grad():
        out = net(xv)
        vl = huber(out, (yv - ymu) / ysd).item()
        r2 = r2_score(yv.numpy(), (out * ysd + ymu).numpy())
    print(f"epoch {epoch:2d} train {s / 332:.4f} val {vl:.4f} R2 {r2:.3f}")
    if vl < best - 1e-4:
        best, best_state, wait = vl, copy.deepcopy(net.state_dict()), 0
    else:
        wait += 1
        if wait >= 12:
            break
net.load_state_dict(best_state)
print("best val loss", round(best, 4))
