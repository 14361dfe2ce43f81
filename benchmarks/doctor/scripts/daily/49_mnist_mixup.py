import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(29)
rng = np.random.default_rng(29)
d = np.load("embedded/mnist_5k_1k.npz")
X = ((torch.from_numpy(d["x_train"]).float() / 255 - 0.1307) / 0.3081)[:2500, None]
y = torch.from_numpy(d["y_train"]).long()[:2500]
Xv = ((torch.from_numpy(d["x_test"]).float() / 255 - 0.1307) / 0.3081)[:, None]
yv = torch.from_numpy(d["y_test"]).long()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 12, 5, stride=2), nn.Conv2d(12, 24, 5, stride=2)
        self.f1, self.f2 = nn.Linear(384, 64), nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.c2(F.relu(self.c1(x)))).flatten(1)
        return self.f2(F.relu(self.f1(x)))


def mixup(x, t, alpha=0.4):
    lam = float(rng.beta(alpha, alpha))
    j = torch.randperm(len(x))
    return lam * x + (1 - lam) * x[j], t, t[j], lam


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=6e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=12)
for epoch in range(12):
    net.train()
    tot = 0.0
    for b in torch.randperm(len(X)).split(64):
        xm, ta, tb, lam = mixup(X[b], y[b])
        out = net(xm)
        loss = lam * F.cross_entropy(out, ta) + (1 - lam) * F.cross_entropy(out, tb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(b)
    sched.step()
    net.eval()
    with torch.no_grad():
        out = net(Xv)
    print(f"epoch {epoch} mixed train loss {tot / len(X):.4f} val loss {F.cross_entropy(out, yv).item():.4f} acc {(out.argmax(1) == yv).float().mean().item():.4f}")
