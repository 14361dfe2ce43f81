import polars as pl
import polars.selectors as cs
import torch
from torch import nn

torch.manual_seed(11)
df = pl.read_csv("data/regression/hitters.csv", null_values=["NA", ""]).drop_nulls()
df = df.with_columns([(pl.col(c) == df[c][0]).cast(pl.Int64) for c in ("League", "Division", "NewLeague")])
y = torch.tensor(df["Salary"].log().to_numpy(), dtype=torch.float32)
X = torch.tensor(df.select(cs.numeric()).cast(pl.Float64).to_numpy(), dtype=torch.float32)

n = len(y)
perm = torch.randperm(n)
tr, va = perm[:200], perm[200:]
mu, sd = X[tr].mean(0), X[tr].std(0)
X = (X - mu) / sd
ym, ys = y[tr].mean(), y[tr].std()
t = (y - ym) / ys

model = nn.Sequential(nn.Linear(X.shape[1], 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 1))
opt = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-3)


def r2(idx):
    model.eval()
    with torch.no_grad():
        res = t[idx] - model(X[idx]).squeeze(1)
    return 1 - (res ** 2).sum().item() / ((t[idx] - t[idx].mean()) ** 2).sum().item()


for epoch in range(30):
    model.train()
    for b in tr[torch.randperm(len(tr))].split(16):
        loss = nn.functional.mse_loss(model(X[b]).squeeze(1), t[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(f"epoch {epoch:3d} loss {loss.item():.4f} train R2 {r2(tr):.3f} val R2 {r2(va):.3f}")
