import argparse
import csv
import numpy as np
import torch
from torch import nn

parser = argparse.ArgumentParser(description="Predict log-ish salaries of ball players")
parser.add_argument("--csv", default="data/regression/hitters.csv")
parser.add_argument("--epochs", type=int, default=60)
parser.add_argument("--lr", type=float, default=3e-3)
parser.add_argument("--hidden", type=int, default=16)
parser.add_argument("--seed", type=int, default=3)
args = parser.parse_args()

torch.manual_seed(args.seed)
rng = np.random.default_rng(args.seed)

rows = []
with open(args.csv) as fh:
    for r in csv.DictReader(fh):
        if r["Salary"]:
            r["League"] = 1.0 if r["League"] == "N" else 0.0
            r["NewLeague"] = 1.0 if r["NewLeague"] == "N" else 0.0
            r["Division"] = 1.0 if r["Division"] == "E" else 0.0
            rows.append({k: float(v) for k, v in r.items()})
names = [k for k in rows[0] if k != "Salary"]
X = np.array([[r[k] for k in names] for r in rows])
y = np.array([r["Salary"] for r in rows])
order = rng.permutation(len(X))
X, y = X[order], y[order]
cut = int(0.75 * len(X))

counts = [j for j, k in enumerate(names) if k not in ('League', 'NewLeague', 'Division')]
X[:, counts] = np.log(X[:, counts])
X = (X - X[:cut].mean(0)) / X[:cut].std(0)
ym, ys = y[:cut].mean(), y[:cut].std()
t = (y - ym) / ys

X = torch.tensor(X, dtype=torch.float32)
t = torch.tensor(t, dtype=torch.float32).unsqueeze(1)
Xtr, Xva, ttr, tva = X[:cut], X[cut:], t[:cut], t[cut:]

model = nn.Sequential(nn.Linear(X.shape[1], args.hidden), nn.ReLU(), nn.Linear(args.hidden, 1))
optim = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.05)
lossf = nn.SmoothL1Loss()

for epoch in range(args.epochs):
    model.train()
    for b in torch.randperm(cut).split(16):
        optim.zero_grad()
        loss = lossf(model(Xtr[b]), ttr[b])
        loss.backward()
        optim.step()
    model.eval()
    with torch.no_grad():
        ptr, pva = model(Xtr), model(Xva)
        r2 = lambda p, q: 1 - ((p - q) ** 2).sum().item() / ((q - q.mean()) ** 2).sum().item()
        if epoch % 5 == 4:
            print(f"epoch {epoch + 1:3d}  loss {lossf(ptr, ttr):.4f}/{lossf(pva, tva):.4f}  R2 {r2(ptr, ttr):.3f}/{r2(pva, tva):.3f}")
