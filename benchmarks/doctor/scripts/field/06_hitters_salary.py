import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(42)
rng = np.random.default_rng(42)


class LogCoshLoss(nn.Module):
    """Smooth, robust regression loss."""

    def forward(self, pred, target):
        err = pred - target
        return (err + nn.functional.softplus(-2.0 * err) - np.log(2.0)).mean()


df = pd.read_csv("data/regression/hitters.csv").dropna(subset=["Salary"])
for col, pos in [("League", "A"), ("Division", "E"), ("NewLeague", "A")]:
    df[col] = (df[col] == pos).astype(float)
target = np.log(df.pop("Salary").values)
feats = df.values.astype(float)
feats[:, 7:13] = np.log1p(feats[:, 7:13])

perm = rng.permutation(len(feats))
tr, te = perm[:200], perm[200:]
mu, sd = feats[tr].mean(0), feats[tr].std(0)
ymu, ysd = target[tr].mean(), target[tr].std()
X = torch.tensor((feats - mu) / sd, dtype=torch.float32)
y = torch.tensor((target - ymu) / ysd, dtype=torch.float32)

train_loader = DataLoader(TensorDataset(X[tr], y[tr]), batch_size=20, shuffle=True)
test_loader = DataLoader(TensorDataset(X[te], y[te]), batch_size=64)

model = nn.Sequential(
    nn.Linear(X.shape[1], 24), nn.Tanh(),
    nn.Linear(24, 1),
)
criterion = LogCoshLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-3)


def train_one_epoch():
    model.train()
    total = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        out = model(xb)
        loss = criterion(out, yb)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(train_loader)


def evaluate():
    model.eval()
    preds, truth = [], []
    with torch.no_grad():
        for xb, yb in test_loader:
            preds.append(model(xb).flatten())
            truth.append(yb)
    p, t = torch.cat(preds), torch.cat(truth)
    r2 = 1 - ((p - t) ** 2).sum() / ((t - t.mean()) ** 2).sum()
    return r2.item(), ysd * (p - t).abs().mean().item()


for epoch in range(1, 61):
    tl = train_one_epoch()
    if epoch % 10 == 0:
        r2, mae = evaluate()
        print(f"epoch {epoch:3d} loss {tl:.4f} | test r2 {r2:.3f} log-salary mae {mae:.3f}")
