"""Guess the kind of arithmetic exercise from nothing but its digit counts."""
import json
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(37)
rng = np.random.default_rng(37)
rows = [json.loads(l) for l in open("data/instruct/reasoning_gym_sft.jsonl")]
keep = ["gcd", "lcm", "chain_sum", "basic_arithmetic", "products", "simple_equations", "count_bits", "gsm_symbolic"]
rows = [r for r in rows if r["task"] in keep]
order = rng.permutation(len(rows))
rows = [rows[i] for i in order]


def digits_of(r):
    s = r["instruction"]
    return [s.count(c) for c in "0123456789"]


rows = list({tuple(digits_of(r)): r for r in rows}.values())      # distinct profiles only
raw = torch.tensor([digits_of(r) for r in rows], dtype=torch.float32).log1p()
y = torch.tensor([keep.index(r["task"]) for r in rows])
n = len(rows) * 4 // 5
X = (raw - raw[:n].mean(0)) / (raw[:n].std(0) + 1e-2)
train_loader = DataLoader(TensorDataset(X[:n], y[:n]), batch_size=32, shuffle=True)
val_loader = DataLoader(TensorDataset(X[n:], y[n:]), batch_size=64)

model = nn.Sequential(nn.Linear(X.shape[1], 128), nn.ReLU(), nn.Dropout(0.4),
                      nn.Linear(128, 64), nn.ReLU(), nn.Dropout(0.4), nn.Linear(64, len(keep)))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.CrossEntropyLoss()


def train_one_epoch():
    model.train()
    total = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(yb)
    return total / n


def validate():
    total, hits = 0.0, 0
    with torch.no_grad():
        for xb, yb in val_loader:
            out = model(xb)
            total += criterion(out, yb).item() * len(yb)
            hits += (out.argmax(1) == yb).sum().item()
    return total / (len(X) - n), hits / (len(X) - n)


for epoch in range(15):
    t = train_one_epoch()
    v, a = validate()
    print(f"epoch {epoch + 1}: train {t:.3f} valid {v:.3f} acc {a:.3f}")
