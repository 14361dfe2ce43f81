"""Which digits occur in a mosaic of two by two handwritten digits?"""
import math

import numpy as np
import torch
from torch import nn
from sklearn.metrics import average_precision_score

torch.manual_seed(55)
rng = np.random.default_rng(55)
z = np.load("embedded/mnist_5k_1k.npz")


def mosaics(part, n):
    x, y = z[f"x_{part}"], z[f"y_{part}"]
    pick = rng.integers(len(y), size=(n, 4))
    tiles = x[pick][:, :, ::2, ::2].astype(np.float32) / 255
    top = np.concatenate([tiles[:, 0], tiles[:, 1]], axis=2)
    bottom = np.concatenate([tiles[:, 2], tiles[:, 3]], axis=2)
    labels = np.zeros((n, 10), dtype=np.float32)
    for j in range(4):
        labels[np.arange(n), y[pick[:, j]]] = 1
    images = (np.concatenate([top, bottom], axis=1)[:, None] - 0.13) / 0.31
    return torch.from_numpy(images), torch.from_numpy(labels)


class MultiLabelNet(nn.Module):
    def __init__(self, prior=0.1):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 12, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(24 * 49, 96), nn.ReLU())
        self.head = nn.Linear(96, 10)
        self.reset(prior)

    def reset(self, prior):
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.constant_(m.bias, -math.log((1 - prior) / prior))
        nn.init.normal_(self.head.weight, std=0.01)

    def forward(self, x):
        return self.head(self.trunk(x))


x, y = mosaics("train", 5000)
xt, yt = mosaics("test", 1000)
model = MultiLabelNet()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.BCEWithLogitsLoss()

for epoch in range(1, 8):
    model.train()
    running = 0.0
    for idx in torch.randperm(len(x)).split(64):
        loss = criterion(model(x[idx]), y[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item() * len(idx)
    model.eval()
    with torch.no_grad():
        logits = model(xt)
    ap = average_precision_score(yt.numpy(), logits.numpy(), average="macro")
    print(f"epoch {epoch:2d}  bce {running / len(x):.4f}  test bce {criterion(logits, yt):.4f}  mAP {ap:.4f}")
