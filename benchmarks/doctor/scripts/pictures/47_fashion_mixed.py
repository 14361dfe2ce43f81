# mixup on clothing pictures
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1234)
rng = np.random.default_rng(1234)
d = np.load("embedded/fashion_mnist_5k_1k.npz")
x = (F.avg_pool2d(torch.from_numpy(d["x_train"]).float()[:, None] / 255, 2) - 0.286) / 0.33
xv = (F.avg_pool2d(torch.from_numpy(d["x_test"]).float()[:, None] / 255, 2) - 0.286) / 0.33
y, yv = torch.from_numpy(d["y_train"]).long(), torch.from_numpy(d["y_test"]).long()

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(32 * 9, 10))
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=6)


def mix(xb, yb, alpha=0.2):
    lam = float(rng.beta(alpha, alpha))
    j = torch.randperm(len(xb))
    return lam * xb + (1 - lam) * xb[j], yb, yb[j], lam


for epoch in range(6):
    model.train()
    seen = 0.0
    for idx in torch.randperm(len(x)).split(100):
        xm, ya, yb, lam = mix(x[idx], y[idx])
        out = model(xm)
        loss = lam * F.cross_entropy(out, ya) + (1 - lam) * F.cross_entropy(out, yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        seen += loss.item() / 50
    sched.step()
    model.eval()
    with torch.no_grad():
        out = model(xv)
        print(f"epoch {epoch} mixed loss {seen:.3f} val loss {F.cross_entropy(out, yv).item():.3f} acc {(out.argmax(1) == yv).float().mean().item():.3f}")
