"""Low-rank adapters by hand: pre-train an MLP on MNIST digits, adapt to shifted images."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(108)
d = np.load("embedded/mnist_5k_1k.npz")
prep = lambda a: F.avg_pool2d(torch.tensor(a).float()[:, None] / 255, 2).sub(0.13).div(0.28)
x, y = prep(d["x_train"]), torch.tensor(d["y_train"]).long()
xt, yt = prep(d["x_test"]), torch.tensor(d["y_test"]).long()
shift = lambda a: torch.roll(a, (2, -1), dims=(2, 3))


class LoRALinear(nn.Module):
    def __init__(self, base, rank=8, alpha=16):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features ** 0.5)
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + (x @ self.A.T @ self.B.T) * self.scale


def train(model, params, x, y, xv, yv, lr, epochs, name):
    opt = torch.optim.AdamW(params, lr=lr, weight_decay=0.0)
    for ep in range(epochs):
        model.train()
        tot = 0.0
        for idx in torch.randperm(len(x)).split(50):
            loss = F.cross_entropy(model(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            tot += loss.item() * len(idx)
        model.eval()
        with torch.no_grad():
            acc = (model(xv).argmax(1) == yv).float().mean().item()
        print(f"{name} {ep}: loss {tot / len(x):.3f} val acc {acc:.3f}")


net = nn.Sequential(nn.Flatten(), nn.Linear(196, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
train(net, net.parameters(), x[:3500], y[:3500], xt, yt, 2e-3, 4, "base")
for i in (1, 3):
    net[i] = LoRALinear(net[i])
net[5].requires_grad_(False)
trainable = [p for p in net.parameters() if p.requires_grad]
print("trainable", sum(p.numel() for p in trainable), "of", sum(p.numel() for p in net.parameters()))
train(net, trainable, shift(x[3500:]), y[3500:], shift(xt), yt, 3e-3, 8, "adapt")
