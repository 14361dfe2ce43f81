import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(22)
d = np.load("embedded/mnist_5k_1k.npz")
x = (torch.tensor(d["x_train"]).float() / 255 - 0.1307) / 0.3081
y = torch.tensor(d["y_train"]).long()
xt = (torch.tensor(d["x_test"]).float() / 255 - 0.1307) / 0.3081
yt = torch.tensor(d["y_test"]).long()

base = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
opt = torch.optim.Adam(base.parameters(), lr=1e-3)
for epoch in range(6):
    for b in torch.randperm(4000).split(100):
        loss = F.cross_entropy(base(x[b].flatten(1)), y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
with torch.no_grad():
    print("pretrained, upright test accuracy", (base(xt.flatten(1)).argmax(1) == yt).float().mean().item())


class LoRA(nn.Module):
    def __init__(self, layer, r=8, alpha=16):
        super().__init__()
        self.layer = layer
        for p in layer.parameters():
            p.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(r, layer.in_features) / layer.in_features ** 0.5)
        self.B = nn.Parameter(torch.zeros(layer.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.layer(x) + self.scale * (x @ self.A.T @ self.B.T)


for i in (0, 2, 4):
    base[i] = LoRA(base[i])
turned, turned_test = x.rot90(1, (1, 2)).flatten(1), xt.rot90(1, (1, 2)).flatten(1)
opt = torch.optim.AdamW([p for p in base.parameters() if p.requires_grad], lr=3e-3, weight_decay=0.01)
epochs = 10
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
for epoch in range(epochs):
    for b in torch.randperm(len(turned)).split(100):
        loss = F.cross_entropy(base(turned[b]), y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
    sched.step()
    with torch.no_grad():
        out = base(turned_test)
    print(f"lora epoch {epoch} loss {loss.item():.3f} rotated test loss {F.cross_entropy(out, yt).item():.3f} acc {(out.argmax(1) == yt).float().mean().item():.3f}")
