import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(12)
m = np.load("embedded/mnist_5k_1k.npz")
x = torch.tensor(m["x_train"], dtype=torch.float32)[:, None] / 255
y = torch.tensor(m["y_train"], dtype=torch.long)
xt = torch.tensor(m["x_test"], dtype=torch.float32)[:, None] / 255
yt = torch.tensor(m["y_test"], dtype=torch.long)


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 12, 5, stride=2), nn.BatchNorm2d(12), nn.ReLU(),
            nn.Conv2d(12, 24, 5, stride=2), nn.BatchNorm2d(24), nn.ReLU(), nn.Flatten())

    def forward(self, z):
        return self.layers(z)


backbone = Backbone()
digit_head = nn.Linear(24 * 16, 10)
opt = torch.optim.Adam([*backbone.parameters(), *digit_head.parameters()], lr=2e-3)
for ep in range(3):
    backbone.train()
    for b in torch.randperm(4000).split(64):
        loss = F.cross_entropy(digit_head(backbone(x[b])), y[b])
        opt.zero_grad(); loss.backward(); opt.step()
    backbone.eval()
    with torch.no_grad():
        print("digits", ep, (digit_head(backbone(xt)).argmax(1) == yt).float().mean().item())

# new task on the shared features: is the digit one of 0, 6, 8, 9 (closed loops)?
loops = torch.tensor([1, 0, 0, 0, 0, 0, 1, 0, 1, 1.0])
for p in backbone.parameters():
    p.requires_grad = False
model = nn.Sequential(backbone, nn.Dropout(0.2), nn.Linear(24 * 16, 1))
opt = torch.optim.Adam(model[-1].parameters(), lr=3e-3)
xs, ys = x[4000:], loops[y[4000:]]
dim = lambda z: 0.35 + 0.5 * z
for ep in range(10):
    model.train()
    for b in torch.randperm(len(xs)).split(16):
        loss = F.binary_cross_entropy_with_logits(model(dim(xs[b])).squeeze(1), ys[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        acc = ((model(dim(xt)).squeeze(1) > 0) == (loops[yt] > 0)).float().mean().item()
        old = (digit_head(backbone(xt)).argmax(1) == yt).float().mean().item()
    print(f"loops epoch {ep} loss {loss.item():.4f} val acc {acc:.4f} | digits head acc {old:.4f}")
