"""Fashion classifier, compact convnet with batch norm."""
import argparse
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

ap = argparse.ArgumentParser()
ap.add_argument("--batch-size", type=int, default=2)
ap.add_argument("--lr", type=float, default=1e-3)
ap.add_argument("--epochs", type=int, default=4)
args = ap.parse_args()
torch.manual_seed(25)

d = np.load("embedded/fashion_mnist_5k_1k.npz")


def images(a):
    return F.avg_pool2d(torch.tensor(a).float().unsqueeze(1) / 255.0, 2).sub(0.286).div(0.32)


train = TensorDataset(images(d["x_train"][:1000]), torch.tensor(d["y_train"][:1000]).long())
loader = DataLoader(train, batch_size=args.batch_size, shuffle=True)
xv, yv = images(d["x_test"]), torch.tensor(d["y_test"]).long()

model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(12 * 49, 48), nn.BatchNorm1d(48), nn.ReLU(),
    nn.Linear(48, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 10))
opt = torch.optim.Adam(model.parameters(), lr=args.lr)
for epoch in range(args.epochs):
    model.train()
    total, n = 0.0, 0
    for xb, yb in loader:
        opt.zero_grad()
        loss = F.cross_entropy(model(xb), yb)
        loss.backward()
        opt.step()
        total += loss.item() * len(yb)
        n += len(yb)
    model.eval()
    with torch.no_grad():
        out = model(xv)
    print(f"epoch {epoch}: train {total / n:.3f}, val {F.cross_entropy(out, yv).item():.3f}, "
          f"val acc {(out.argmax(1) == yv).float().mean().item():.3f}")
