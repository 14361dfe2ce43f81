import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(4)
d = np.load("embedded/mnist_5k_1k.npz")


def prep(x):
    return (torch.tensor(x).float().view(len(x), -1) / 255 - 0.13) / 0.31


xa, ya = prep(d["x_train"]), torch.tensor(d["y_train"]).long()
xt, yt = prep(d["x_test"]), torch.tensor(d["y_test"]).long()
shuffle_pixels = torch.arange(784).view(28, 28).t().flip(0).reshape(-1)
net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(4):
    for xb, yb in DataLoader(TensorDataset(xa[:3000], ya[:3000]), batch_size=64, shuffle=True):
        opt.zero_grad()
        F.cross_entropy(net(xb), yb).backward()
        opt.step()
with torch.no_grad():
    print("source accuracy", (net(xt).argmax(1) == yt).float().mean().item(),
          "rotated before tuning", (net(xt[:, shuffle_pixels]).argmax(1) == yt).float().mean().item())


class LoRALinear(nn.Module):
    def __init__(self, base, rank=8, alpha=16):
        super().__init__()
        self.base = base
        for p in self.base.parameters():
            p.requires_grad = False
        self.A = nn.Parameter(torch.randn(rank, base.in_features) * 0.02)
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.A.t()) @ self.B.t()


for i in (0, 2, 4):
    net[i] = LoRALinear(net[i])
trainable = [p for p in net.parameters() if p.requires_grad]
print("trainable parameters", sum(p.numel() for p in trainable))
optimizer = torch.optim.SGD(trainable, lr=0.01, momentum=0.9)
every = 10
train_loader = DataLoader(TensorDataset(xa[3000:, shuffle_pixels], ya[3000:]), batch_size=5, shuffle=True)
for epoch in range(5):
    net.train()
    total = 0.0
    for k, (xb, yb) in enumerate(train_loader, 1):
        loss = F.cross_entropy(net(xb), yb)
        loss.backward()
        if k % every == 0:
            optimizer.step()
            optimizer.zero_grad()
        total += loss.item() * len(yb)
    net.eval()
    with torch.no_grad():
        acc = (net(xt[:, shuffle_pixels]).argmax(1) == yt).float().mean().item()
    print(f"epoch {epoch} loss {total / 2000:.3f} rotated acc {acc:.3f}")
