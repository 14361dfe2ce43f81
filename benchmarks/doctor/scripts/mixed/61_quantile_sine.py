import torch
import torch.nn as nn

torch.manual_seed(19)
n = 2400
x = torch.rand(n, 1) * 6 - 3
y = torch.sin(x) + (0.1 + 0.25 * x.abs() / 3) * torch.randn(n, 1)
xt, yt, xv, yv = x[:1800] / 1.73, y[:1800], x[1800:] / 1.73, y[1800:]
taus = torch.tensor([0.1, 0.5, 0.9])


def pinball(q, y):
    d = y - q
    return torch.maximum(taus * d, (taus - 1) * d).mean()


net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 3))
opt = torch.optim.Adam(net.parameters(), lr=4e-3)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.93)
for epoch in range(25):
    tot = 0.0
    for idx in torch.randperm(len(xt)).split(60):
        loss = pinball(net(xt[idx]), yt[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(idx)
    sched.step()
    with torch.no_grad():
        q = net(xv)
        cover = (yv <= q).float().mean(0)
        print(f"{epoch:2d} train {tot / len(xt):.4f} val {pinball(q, yv):.4f} coverage", [round(c, 3) for c in cover.tolist()])
