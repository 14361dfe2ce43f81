import torch
import torch.nn as nn

# solve u'' + 0.4 u' + 4 u = 0, u(0) = 1, u'(0) = 0 on [0, 4] with a network
torch.manual_seed(8)
torch.set_default_dtype(torch.float64)
z, w0 = 0.2, 2.0
wd = (w0 ** 2 - z ** 2) ** 0.5


def exact(t):
    return torch.exp(-z * t) * (torch.cos(wd * t) + z / wd * torch.sin(wd * t))


net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))


def u(t):
    return net(t / 2 - 1)


def d(y, t):
    return torch.autograd.grad(y, t, torch.ones_like(y), create_graph=True)[0]


opt = torch.optim.Adam(net.parameters(), lr=3e-2)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 1200, eta_min=1e-5)
grid = torch.linspace(0, 4, 101)[:, None]
for it in range(1, 1201):
    t = (torch.rand(64, 1) * 4).requires_grad_()
    y = u(t)
    y1 = d(y, t)
    y2 = d(y1, t)
    residual = (y2 + 0.4 * y1 + 4 * y).pow(2).mean()
    t0 = torch.zeros(1, 1, requires_grad=True)
    y0 = u(t0)
    start = (y0 - 1).pow(2).mean() + d(y0, t0).pow(2).mean()
    loss = residual + 20 * start
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if it % 100 == 0:
        with torch.no_grad():
            err = ((u(grid) - exact(grid)).pow(2).mean() / exact(grid).pow(2).mean()).sqrt()
        print(f"iter {it} residual {residual.item():.2e} start {start.item():.2e} rel. error {err.item():.4f}")
