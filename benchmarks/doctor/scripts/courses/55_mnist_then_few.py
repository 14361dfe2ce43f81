"""Pre-train on digits 0-9, then adapt to a slanted version with only 300 labelled images."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(38)
d = np.load("embedded/mnist_5k_1k.npz")
prep = lambda a: F.avg_pool2d(torch.tensor(a).float()[:, None] / 255, 2).sub(0.13).div(0.28)
xa, ya = prep(d["x_train"]), torch.tensor(d["y_train"]).long()
xt, yt = prep(d["x_test"]), torch.tensor(d["y_test"]).long()

model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                      nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(800, 64), nn.ReLU(), nn.Linear(64, 10))


def fit(x, y, xv, yv, lr, epochs, tag):
    opt = torch.optim.Adam(model.parameters(), lr=lr)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(32):
            loss = F.cross_entropy(model(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        model.eval()
        with torch.no_grad():
            acc = (model(xv).argmax(1) == yv).float().mean().item()
        print(f"{tag} epoch {epoch + 1}: loss {total / len(x):.3f} val acc {acc:.3f}")


fit(xa[:4000], ya[:4000], xt, yt, 2e-3, 3, "base")


def shear(x):
    theta = torch.tensor([[1.0, 0.35, 0.0], [-0.1, 1.0, 0.0]]).expand(len(x), 2, 3)
    return F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners=False), padding_mode="border", align_corners=False)


small = slice(4000, 4300)
fit(shear(xa[small]), ya[small], shear(xt), yt, 2e-2, 8, "tune")
