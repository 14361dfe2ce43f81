import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(31)


def tensors(part):
    z = np.load("embedded/mnist_5k_1k.npz")
    x = torch.tensor(z[f"x_{part}"] / 255.0, dtype=torch.float32).unsqueeze(1)
    return (x - 0.1307) / 0.3081, torch.tensor(z[f"y_{part}"], dtype=torch.long)


def select(x, y, digits):
    lut = {d: i for i, d in enumerate(digits)}
    keep = torch.tensor([int(v) in lut for v in y])
    return x[keep], torch.tensor([lut[int(v)] for v in y[keep]])


class Backbone(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.ReLU(),
                         nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
                         nn.Flatten(), nn.Linear(32 * 49, 64), nn.LayerNorm(64), nn.ReLU())


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def fit(model, opt, x, y, epochs, batch=32, tag="", test=None):
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(batch):
            opt.zero_grad()
            loss = F.cross_entropy(model(x[idx]), y[idx])
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        print(f"{tag} epoch {epoch + 1}: loss {total / len(x):.4f}  test acc {accuracy(model, *test):.4f}")


train, test = tensors("train"), tensors("test")
low, high = [0, 1, 2, 3, 4], [5, 6, 7, 8, 9]

backbone = Backbone()
source = nn.Sequential(backbone, nn.Linear(64, 5))
fit(source, torch.optim.Adam(source.parameters(), lr=1e-3), *select(*train, low), epochs=3,
    tag="pretrain", test=select(*test, low))

x_new, y_new = select(*train, high)
x_new, y_new = x_new[:800], y_new[:800]
test_new = select(*test, high)
head = nn.Linear(64, 5)
target = nn.Sequential(backbone, head)

for p in backbone.parameters():
    p.requires_grad_(False)
fit(target, torch.optim.Adam(head.parameters(), lr=3e-3), x_new, y_new, epochs=5,
    tag="head", test=test_new)

for p in backbone.parameters():
    p.requires_grad_(True)
opt = torch.optim.Adam([
    {"params": backbone.parameters(), "lr": 3e-4},
    {"params": head.parameters(), "lr": 1e-3},
])
fit(target, opt, x_new, y_new, epochs=6, tag="all", test=test_new)
