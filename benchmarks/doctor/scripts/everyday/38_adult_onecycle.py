import csv
import gzip
import numpy as np
import torch
from torch import nn

torch.manual_seed(38)
with gzip.open("embedded/adult_train.csv.gz", "rt") as fh:
    rows = [r for _, r in zip(range(6000), csv.DictReader(fh))]
NUM = ["age", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
CAT = ["workclass", "marital_status", "occupation", "relationship", "sex"]
num = np.array([[float(r[c]) for c in NUM] for r in rows], dtype=np.float32)
num[:, 2:4] = np.log1p(num[:, 2:4])
levels = [sorted({r[c] for r in rows}) for c in CAT]
cat = torch.tensor([[lv.index(r[c]) for c, lv in zip(CAT, levels)] for r in rows])
y = torch.tensor([r["income"].startswith(">50K") for r in rows]).float()
n = 4800
num = torch.tensor((num - num[:n].mean(0)) / num[:n].std(0))


class Tabular(nn.Module):
    def __init__(self):
        super().__init__()
        self.embs = nn.ModuleList(nn.Embedding(len(lv), min(6, len(lv) // 2 + 1)) for lv in levels)
        width = sum(e.embedding_dim for e in self.embs) + len(NUM)
        self.mlp = nn.Sequential(nn.Linear(width, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.25), nn.Linear(64, 1))

    def forward(self, num, cat):
        e = [emb(cat[:, i]) for i, emb in enumerate(self.embs)]
        return self.mlp(torch.cat([num, *e], 1)).squeeze(1)


model = Tabular()
epochs, bs = 8, 64
opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.02)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=6e-3, epochs=epochs, steps_per_epoch=n // bs)
bce = nn.BCEWithLogitsLoss()
print(f"share above 50K: {y.mean().item():.3f}")

for epoch in range(epochs):
    model.train()
    perm = torch.randperm(n)
    tot = 0.0
    for k in range(n // bs):
        b = perm[k * bs:(k + 1) * bs]
        opt.zero_grad()
        loss = bce(model(num[b], cat[b]), y[b])
        loss.backward()
        opt.step()
        sched.step()
        tot += loss.item()
    model.eval()
    with torch.inference_mode():
        out = model(num[n:], cat[n:])
        acc = ((out > 0).float() == y[n:]).float().mean().item()
    print(f"epoch {epoch}: train {tot / (n // bs):.4f} val {bce(out, y[n:]).item():.4f} acc {acc:.4f}")
