# 200 measurements, six matter: absolute-value penalty on a linear model
import numpy as np
import torch
from torch import nn

torch.manual_seed(39)
rng = np.random.default_rng(39)
X = rng.normal(size=(600, 200)).astype("float32")
w = np.zeros(200, dtype="float32")
w[rng.choice(200, 6, replace=False)] = [1.0, -0.8, 0.7, 0.6, -0.9, 0.5]
y = X @ w + rng.normal(scale=1.0, size=600).astype("float32")
X, y = torch.from_numpy(X), torch.from_numpy(y)
Xt, yt, Xv, yv = X[:300], y[:300], X[300:], y[300:]
model = nn.Linear(200, 1)
nn.init.zeros_(model.weight)
opt = torch.optim.SGD(model.parameters(), lr=0.02)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=40)
L1 = 0.15
print("variance of the target", round(yv.var().item(), 3), "noise 1.0")
for epoch in range(40):
    model.train()
    tot = 0.0
    for b in torch.randperm(300).split(30):
        fit = (model(Xt[b]).squeeze(1) - yt[b]).pow(2).mean()
        loss = fit + L1 * model.weight.abs().sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += fit.item() / 10
    sched.step()
    model.eval()
    with torch.no_grad():
        v = (model(Xv).squeeze(1) - yv).pow(2).mean().item()
        used = (model.weight.abs() > 0.02).sum().item()
    print(f"epoch {epoch} train mse {tot:.4f} val mse {v:.4f} weights in use {used}")
