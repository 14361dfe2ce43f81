# Pretrain on digits 0-4, then adapt to 5-9 from a few hundred labelled rows.
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(21)
z = np.load("embedded/mnist_5k_1k.npz")


def split(prefix, lo, hi):
    x, y = z[f"x_{prefix}"], z[f"y_{prefix}"]
    keep = (y >= lo) & (y < hi)
    x = torch.from_numpy(x[keep]).float().unsqueeze(1) / 255.0
    return (x - 0.13) / 0.31, torch.from_numpy(y[keep]).long() - lo


class Net(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2, padding=2), nn.GroupNorm(4, 8), nn.GELU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.GroupNorm(4, 16), nn.GELU(),
            nn.Flatten(), nn.Linear(16 * 49, 64), nn.GELU(),
        )
        self.head = nn.Linear(64, n_classes)

    def forward(self, x):
        return self.head(self.trunk(x))


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def fit(model, opt, x, y, epochs, held_out, tag, bs=32):
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(bs):
            loss = F.cross_entropy(model(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        if (epoch + 1) % max(1, epochs // 4) == 0:
            print(f"[{tag}] epoch {epoch + 1} loss {total / len(x):.3f} held-out acc {accuracy(model, *held_out):.3f}")


def optimizer_for(model, trunk_lr, head_lr):
    return torch.optim.AdamW([
        {"params": model.trunk.parameters(), "lr": trunk_lr},
        {"params": model.head.parameters(), "lr": head_lr},
    ], weight_decay=0.01)


x_a, y_a = split("train", 0, 5)
model = Net(5)
fit(model, optimizer_for(model, 1e-3, 1e-3), x_a, y_a, 4, split("test", 0, 5), "pretrain")

x_b, y_b = split("train", 5, 10)
few = torch.randperm(len(x_b))[:400]
opt = optimizer_for(model, trunk_lr=1e-5, head_lr=3e-3)
model.head = nn.Linear(64, 5)
fit(model, opt, x_b[few], y_b[few], 20, split("test", 5, 10), "adapt")
print("digits 5-9, held-out accuracy", round(accuracy(model, *split("test", 5, 10)), 4))
