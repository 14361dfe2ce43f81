"""One conv trunk, three targets: digit, odd/even, and ink (mean pixel, standardised)."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class Digits(Dataset):
    def __init__(self, split, stats=None):
        with np.load("embedded/mnist_5k_1k.npz") as z:
            self.x = torch.from_numpy(z[f"x_{split}"]).float()[:, None] / 255
            self.y = torch.from_numpy(z[f"y_{split}"]).long()
        ink = self.x.mean((1, 2, 3))
        self.stats = stats or (self.x.mean(), self.x.std(), ink.mean(), ink.std())
        mx, sx, mi, si = self.stats
        self.ink = (ink - mi) / si
        self.x = (self.x - mx) / sx

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i], (self.y[i] % 2).float(), self.ink[i]


class MultiHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 12, 3, 2, 1), nn.BatchNorm2d(12), nn.ReLU(),
            nn.Conv2d(12, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU(),
            nn.Flatten(), nn.Linear(24 * 49, 64), nn.ReLU(), nn.Dropout(0.2))
        self.digit, self.odd, self.ink = nn.Linear(64, 10), nn.Linear(64, 1), nn.Linear(64, 1)

    def forward(self, x):
        h = self.trunk(x)
        return self.digit(h), self.odd(h)[:, 0], self.ink(h)[:, 0]


def losses(out, digit, odd, ink):
    return (F.cross_entropy(out[0], digit),
            F.binary_cross_entropy_with_logits(out[1], odd),
            F.mse_loss(out[2], ink))


WEIGHTS = (1.0, 0.5, 0.3)


def main(epochs=4):
    torch.manual_seed(8)
    train_set = Digits("train")
    test_set = Digits("test", train_set.stats)
    train = DataLoader(train_set, 64, shuffle=True)
    test = DataLoader(test_set, 500)
    net = MultiHead()
    opt = torch.optim.Adam(net.parameters(), weight_decay=1e-5)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=4e-3, epochs=epochs, steps_per_epoch=len(train))
    for epoch in range(epochs):
        net.train()
        for x, *targets in train:
            parts = losses(net(x), *targets)
            total = sum(w * p for w, p in zip(WEIGHTS, parts))
            opt.zero_grad()
            total.backward()
            opt.step()
            sched.step()
        net.eval()
        with torch.no_grad():
            rows = []
            for x, d, o, k in test:
                a, b, c = net(x)
                rows.append([(a.argmax(1) == d).float().mean(), ((b > 0) == o.bool()).float().mean(), (c - k).square().mean()])
            acc, odd, mse = torch.tensor(rows).mean(0).tolist()
        print(f"epoch {epoch}: total {total.item():.3f} | digit {acc:.3f} parity {odd:.3f} ink mse {mse:.3f}")


if __name__ == "__main__":
    main()
