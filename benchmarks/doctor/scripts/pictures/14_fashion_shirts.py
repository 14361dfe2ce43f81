"""Spot the rare item: shirts against everything else, rare positives."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(9)
d = np.load("embedded/fashion_mnist_5k_1k.npz")


def make(split, keep):
    x, y = d["x_" + split], d["y_" + split]
    pos = np.where(y == 6)[0][:keep]
    neg = np.where(y != 6)[0]
    rows = np.concatenate([pos, neg])
    t = F.avg_pool2d(torch.tensor(x[rows]).float()[:, None] / 255, 2)
    return TensorDataset((t - 0.29) / 0.33, torch.tensor(y[rows] == 6).long())


train_ds, val_ds = make("train", 100), make("test", 25)
loader = DataLoader(train_ds, batch_size=64, shuffle=True)
net = nn.Sequential(nn.Conv2d(1, 12, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.ReLU(),
                    nn.Flatten(), nn.Linear(24 * 16, 2))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
for epoch in range(8):
    net.train()
    total = 0.0
    for x, y in loader:
        loss = criterion(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    net.eval()
    with torch.no_grad():
        xv, yv = val_ds.tensors
        pred = net(xv).argmax(1)
        acc = (pred == yv).float().mean().item()
        recall = pred[yv == 1].float().mean().item()
    print(f"epoch {epoch} loss {total / len(loader):.3f} acc {acc:.3f} recall {recall:.3f}")
