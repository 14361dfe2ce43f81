# Frozen feature extractor from digits, new head for clothing
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
ROOT = "embedded/"


def get(name, n=None):
    d = np.load(ROOT + name)
    x = torch.from_numpy(d["x_train"]).float().unsqueeze(1) / 255
    xt = torch.from_numpy(d["x_test"]).float().unsqueeze(1) / 255
    x, xt = nn.functional.avg_pool2d(x, 2), nn.functional.avg_pool2d(xt, 2)
    return (TensorDataset(x[:n], torch.from_numpy(d["y_train"]).long()[:n]),
            TensorDataset(xt, torch.from_numpy(d["y_test"]).long()))


features = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(),
)
criterion = nn.CrossEntropyLoss()

src_train, src_val = get("mnist_5k_1k.npz")
model = nn.Sequential(features, nn.Linear(288, 10))
opt = torch.optim.AdamW(model.parameters(), lr=3e-3)
for epoch in range(2):
    model.train()
    for xb, yb in DataLoader(src_train, batch_size=64, shuffle=True):
        opt.zero_grad()
        criterion(model(xb), yb).backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        hits = (model(src_val.tensors[0]).argmax(1) == src_val.tensors[1]).float().mean()
    print(f"source epoch {epoch}: accuracy {hits:.3f}")

for p in features.parameters():
    p.requires_grad_(False)
tgt_train, tgt_val = get("fashion_mnist_5k_1k.npz", 2000)
model = nn.Sequential(features, nn.Linear(288, 10))
opt = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
loader = DataLoader(tgt_train, batch_size=32, shuffle=True)
for epoch in range(8):
    model.train()
    total = 0.0
    for xb, yb in loader:
        opt.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        opt.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        out = model(tgt_val.tensors[0])
    print(f"target epoch {epoch}: loss {total / len(loader):.3f} val loss {criterion(out, tgt_val.tensors[1]):.3f} "
          f"val acc {(out.argmax(1) == tgt_val.tensors[1]).float().mean():.3f}")
