"""Pre-train on 28x28 digits, then adapt to a small set of 8x8 scans (120 labelled rows)."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(2)
rng = np.random.default_rng(2)


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, padding=1)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        return x.flatten(1)


def run_epoch(net, x, y, opt, bs):
    net.train()
    total = 0.0
    for idx in torch.randperm(len(x)).split(bs):
        opt.zero_grad()
        loss = F.cross_entropy(net(x[idx]), y[idx])
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    return total / len(x)


def score(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


d = np.load("embedded/mnist_5k_1k.npz")
big = lambda a: F.interpolate(F.avg_pool2d(torch.tensor(a).float()[:, None, 4:24, 4:24] / 255, 2), size=(12, 12)) * 2 - 0.6
xs, ys = big(d["x_train"]), torch.tensor(d["y_train"]).long()
net = nn.Sequential(Backbone(), nn.Linear(32 * 9, 10))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(3):
    print(f"pretrain {epoch} loss {run_epoch(net, xs, ys, opt, 64):.3f}")

images, labels = load_digits(return_X_y=True)
x = torch.tensor(images).float().view(-1, 1, 8, 8) / 16
x = F.interpolate(x, size=(12, 12), mode="bilinear") * 2 - 0.6
y = torch.tensor(labels)
order = torch.tensor(rng.permutation(len(x)))
tr, va = order[:120], order[120:]
print("zero-shot accuracy", score(net, x[va], y[va]))

opt = torch.optim.Adam(net.parameters(), lr=3e-2)
for epoch in range(15):
    loss = run_epoch(net, x[tr], y[tr], opt, 16)
    print(f"finetune {epoch} loss {loss:.3f} val acc {score(net, x[va], y[va]):.3f}")
