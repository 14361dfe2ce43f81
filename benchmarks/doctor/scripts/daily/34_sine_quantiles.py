# Three quantiles of a heteroscedastic target
import numpy as np
import torch
from torch import nn

torch.manual_seed(15)
rng = np.random.default_rng(15)
x = rng.uniform(-2, 2, size=(3000, 1)).astype("float32")
y = (np.sin(2 * x) + (0.2 + 0.25 * np.abs(x)) * rng.normal(size=x.shape)).astype("float32")
x, y = torch.from_numpy(x), torch.from_numpy(y)
qs = torch.tensor([0.1, 0.5, 0.9])


def pinball(pred, target):
    diff = target - pred
    return torch.maximum(qs * diff, (qs - 1) * diff).mean()


net = nn.Sequential(nn.Linear(1, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 3))
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=25)
for epoch in range(25):
    net.train()
    tot = 0.0
    for b in torch.randperm(2400).split(64):
        loss = pinball(net(x[b]), y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(b) / 2400
    sched.step()
    net.eval()
    with torch.no_grad():
        p = net(x[2400:])
        cover = (y[2400:] <= p).float().mean(0)
    print(f"epoch {epoch} train {tot:.4f} val {pinball(p, y[2400:]).item():.4f} coverage {[round(c, 3) for c in cover.tolist()]}")
