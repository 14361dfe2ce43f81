import numpy as np
import polars as pl
import torch
from torch import nn

torch.manual_seed(12)
df = pl.read_csv("embedded/adult_train.csv.gz").sample(6000, seed=12, shuffle=True)
num = ["age", "education_num", "hours_per_week"]
X = np.column_stack([df[c].to_numpy().astype(np.float32) for c in num])
X = np.column_stack([X, np.log1p(df["capital_gain"].to_numpy()) > 0, np.log1p(df["capital_loss"].to_numpy()) > 0])
X[:, :3] = (X[:, :3] - X[:4800, :3].mean(0)) / X[:4800, :3].std(0)
X = torch.tensor(X.astype(np.float32))
cats = ["workclass", "marital_status", "occupation", "relationship"]
C = torch.tensor(np.column_stack([np.unique(df[c].to_numpy().astype(str), return_inverse=True)[1] for c in cats]).astype(np.int64))
sizes = [int(C[:, j].max()) + 1 for j in range(len(cats))]
y = torch.tensor((df["income"].str.strip_chars() == ">50K").to_numpy().astype(np.float32))


class TabNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.embs = nn.ModuleList(nn.Embedding(s, 4) for s in sizes)
        self.mlp = nn.Sequential(nn.Linear(X.shape[1] + 4 * len(sizes), 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1))

    def forward(self, x, c):
        e = [emb(c[:, j]) for j, emb in enumerate(self.embs)]
        return self.mlp(torch.cat([x, *e], 1)).squeeze(1)


model = TabNet()
opt = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
crit = nn.BCEWithLogitsLoss()
tr = torch.arange(4800)
va = torch.arange(4800, 6000)
for epoch in range(12):
    model.train()
    tr = tr[torch.randperm(len(tr))]
    s = 0.0
    for b in tr.split(96):
        opt.zero_grad()
        loss = crit(model(X[b], C[b]), y[b])
        loss.backward()
        opt.step()
        s += loss.item() * len(b)
    model.eval()
    with torch.no_grad():
        o = model(X[va], C[va])
        acc = ((o > 0) == (y[va] > 0.5)).float().mean().item()
        print(f"epoch {epoch}: train {s / len(tr):.4f} val {crit(o, y[va]).item():.4f} acc {acc:.4f} (base rate {1 - y[va].mean().item():.4f})")
