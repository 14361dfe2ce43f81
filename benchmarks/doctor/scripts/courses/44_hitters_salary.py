"""Salaries of baseball players (in thousand dollars) from their season and career statistics."""
import polars as pl
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(30)
df = pl.read_csv("data/regression/hitters.csv", null_values=["", "NA"]).drop_nulls()
y = torch.tensor(df["Salary"].to_numpy()).float().unsqueeze(1)
num = df.drop(["Salary", "League", "Division", "NewLeague"]).to_numpy().astype("float32")
X = torch.tensor(num).clamp(min=0).sqrt()
gen = torch.Generator().manual_seed(3)
perm = torch.randperm(len(X), generator=gen)
tr, va = perm[:200], perm[200:]
X = (X - X[tr].mean(0)) / X[tr].std(0)
loader = DataLoader(TensorDataset(X[tr], y[tr]), batch_size=20, shuffle=True)

model = nn.Sequential(nn.Linear(X.shape[1], 24), nn.ReLU(), nn.Linear(24, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-4)
criterion = nn.MSELoss()
for epoch in range(25):
    model.train()
    total = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(xb)
    model.eval()
    with torch.no_grad():
        val = criterion(model(X[va]), y[va])
        r2 = 1 - val / y[va].var(unbiased=False)
    print(f"epoch {epoch + 1:2d} train mse {total / len(tr):.3f} val mse {val.item():.3f} val R2 {r2.item():.3f}")
