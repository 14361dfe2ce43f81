import gzip
import numpy as np
import polars as pl
import torch
import torch.nn as nn
from torch.utils.data import TensorDataset, DataLoader

torch.manual_seed(42)
np.random.seed(42)

with gzip.open("embedded/adult_train.csv.gz") as f:
    df = pl.read_csv(f.read(), infer_schema_length=10000)
df = df.sample(9000, seed=42, shuffle=True)

cat_cols = ["workclass", "education", "marital_status", "occupation", "relationship", "sex"]
num_cols = ["age", "education_num", "capital_gain", "capital_loss", "hours_per_week"]

cats = np.stack([np.unique(df[c].fill_null("NA").to_numpy(), return_inverse=True)[1] for c in cat_cols], axis=1)
nums = df.select(num_cols).to_numpy().astype("float32")
target = (df["income"].str.strip_chars() == ">50K").to_numpy().astype("float32")

n_tr = 7000
sizes = [int(cats[:, j].max()) + 1 for j in range(cats.shape[1])]

tens = [torch.tensor(cats), torch.tensor(nums), torch.tensor(target)]
tr = TensorDataset(*[t[:n_tr] for t in tens])
va = TensorDataset(*[t[n_tr:] for t in tens])
tr_dl = DataLoader(tr, batch_size=128, shuffle=True)
va_dl = DataLoader(va, batch_size=1000)


class TabNN(nn.Module):
    def __init__(self, sizes, n_num):
        super().__init__()
        self.embs = nn.ModuleList([nn.Embedding(s, min(8, (s + 1) // 2)) for s in sizes])
        d = sum(e.embedding_dim for e in self.embs) + n_num
        self.mlp = nn.Sequential(nn.Linear(d, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, c, x):
        z = torch.cat([e(c[:, j]) for j, e in enumerate(self.embs)] + [x], dim=1)
        return self.mlp(z).squeeze(1)


model = TabNN(sizes, len(num_cols))
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
loss_fn = nn.BCEWithLogitsLoss()

for epoch in range(5):
    model.train()
    tot = 0.0
    for c, x, t in tr_dl:
        opt.zero_grad()
        loss = loss_fn(model(c, x), t)
        loss.backward()
        opt.step()
        tot += loss.item() * len(t)
    model.eval()
    hits = vl = 0.0
    with torch.no_grad():
        for c, x, t in va_dl:
            z = model(c, x)
            vl += loss_fn(z, t).item() * len(t)
            hits += ((z > 0).float() == t).sum().item()
    print(f"epoch {epoch}: train {tot / len(tr):.4f} | valid {vl / len(va):.4f} | acc {hits / len(va):.4f}")
