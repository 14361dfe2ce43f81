"""Learn features on clothes 0-4 first, then keep them fixed and fit a head for clothes 5-9 from 400 images."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(107)
d = np.load("embedded/fashion_mnist_5k_1k.npz")
img = lambda a: F.avg_pool2d(torch.tensor(a).float()[:, None].div(255).sub(0.286).div(0.353), 2)
x, y = img(d["x_train"]), torch.tensor(d["y_train"]).long()
xt, yt = img(d["x_test"]), torch.tensor(d["y_test"]).long()

trunk = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
                      nn.Conv2d(16, 24, 3), nn.BatchNorm2d(24), nn.ReLU(), nn.Flatten())


def epoch_of(forward, xs, ys, opt):
    total = 0.0
    for idx in torch.randperm(len(xs)).split(32):
        loss = F.cross_entropy(forward(xs[idx]), ys[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    return total / len(xs)


low, low_t = y < 5, yt < 5
head_a = nn.Linear(600, 5)
opt = torch.optim.Adam([*trunk.parameters(), *head_a.parameters()], lr=2e-3)
for e in range(3):
    trunk.train()
    l = epoch_of(lambda b: head_a(trunk(b)), x[low], y[low], opt)
    trunk.eval()
    with torch.no_grad():
        acc = (head_a(trunk(xt[low_t])).argmax(1) == yt[low_t]).float().mean()
    print(f"source epoch {e} loss {l:.3f} val acc {acc:.3f}")

trunk.requires_grad_(False)
trunk.eval()
hi, hi_t = (y >= 5).nonzero()[:400, 0], yt >= 5
head_b = nn.Linear(600, 5)
opt = torch.optim.Adam(head_b.parameters(), lr=2e-3)
for e in range(12):
    head_b.train()
    l = epoch_of(lambda b: head_b(trunk(b)), x[hi], y[hi] - 5, opt)
    head_b.eval()
    with torch.no_grad():
        out = head_b(trunk(xt[hi_t]))
    print(f"target epoch {e} loss {l:.3f} val acc {(out.argmax(1) == yt[hi_t] - 5).float().mean():.3f}")
