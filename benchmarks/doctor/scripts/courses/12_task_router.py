"""Route an instruction to its task family (hashed trigrams + MLP)."""
import json
import zlib
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import TensorDataset, DataLoader, random_split

torch.manual_seed(8)
records = [json.loads(line) for line in open("data/instruct/reasoning_gym_sft.jsonl")]
tasks = sorted({r["task"] for r in records})
task_id = {t: i for i, t in enumerate(tasks)}
D = 192


def featurize(s):
    v = np.zeros(D, dtype="float32")
    for i in range(len(s) - 2):
        v[zlib.crc32(s[i:i + 3].encode()) % D] += 1
    return np.sqrt(v)


records = list({r["instruction"]: r for r in records}.values())
X = torch.tensor(np.stack([featurize(r["instruction"]) for r in records]))
X = (X - X.mean(0)) / (X.std(0) + 0.1)
y = torch.tensor([task_id[r["task"]] for r in records])
train_set, val_set = random_split(TensorDataset(X, y), [0.8, 0.2], generator=torch.Generator().manual_seed(0))
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
val_loader = DataLoader(val_set, batch_size=256)

model = nn.Sequential(nn.Linear(D, 64), nn.ReLU(), nn.Linear(64, len(tasks)))
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

for epoch in range(6):
    model.train()
    running = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        target = nn.functional.one_hot(yb, len(tasks)).float()
        loss = criterion(model(xb), target)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(xb)
    model.eval()
    ok = 0
    with torch.no_grad():
        for xb, yb in val_loader:
            ok += (model(xb).argmax(-1) == yb).sum().item()
    print(f"epoch {epoch + 1}/6 loss={running / len(train_set):.4f} val_acc={ok / len(val_set):.4f}")
