# fit a damped, driven oscillator u(t) from noisy samples
import math
import torch
from torch import nn

torch.manual_seed(123)
g = torch.Generator().manual_seed(123)
t = torch.rand(1500, 1, generator=g) * 10
u = torch.exp(-0.15 * t) * torch.cos(2.0 * t) + 0.3 * torch.sin(0.7 * t)
u = u + 0.03 * torch.randn(u.shape, generator=g)
x = (t - 5.0) / 2.9
x_tr, u_tr, x_va, u_va = x[:1200], u[:1200], x[1200:], u[1200:]


def mlp(widths):
    layers = []
    for a, b in zip(widths[:-2], widths[1:-1]):
        layers.append(nn.Linear(a, b))
    layers.append(nn.Linear(widths[-2], widths[-1]))
    return nn.Sequential(*layers)


net = mlp([1, 64, 64, 1])
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
n_epochs = 60
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda e: 0.5 * (1 + math.cos(math.pi * e / n_epochs)))
for epoch in range(n_epochs):
    perm = torch.randperm(len(x_tr), generator=g)
    for b in perm.split(64):
        loss = ((net(x_tr[b]) - u_tr[b]) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    sched.step()
    with torch.no_grad():
        tr = ((net(x_tr) - u_tr) ** 2).mean().item()
        va = ((net(x_va) - u_va) ** 2).mean().item()
    print(f"epoch {epoch} train {tr:.5f} val {va:.5f}")
