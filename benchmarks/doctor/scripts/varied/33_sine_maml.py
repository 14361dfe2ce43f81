import math
import torch
import torch.nn as nn
from torch.func import functional_call, grad, vmap

torch.manual_seed(33)
net = nn.Sequential(nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1))
INNER = 0.05


def tasks(n, k=10):
    amp = torch.rand(n, 1, 1) * 1.5 + 0.5
    phase = torch.rand(n, 1, 1) * math.pi
    x = torch.rand(n, 2 * k, 1) * 6 - 3
    y = amp * torch.sin(x + phase)
    return x[:, :k], y[:, :k], x[:, k:], y[:, k:]


def mse(params, x, y):
    return (functional_call(net, params, (x,)) - y).pow(2).mean()


def query_loss(params, xs, ys, xq, yq, steps):
    for _ in range(steps):
        g = grad(mse)(params, xs, ys)
        params = {n: params[n] - INNER * g[n] for n in params}
    return mse(params, xq, yq)


def meta_loss(batch, steps):
    params = dict(net.named_parameters())
    return vmap(lambda a, b, c, d: query_loss(params, a, b, c, d, steps))(*batch).mean()


val = tasks(100)
opt = torch.optim.Adam(net.parameters(), lr=1.5e-2)
iters = 300
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, iters)
for it in range(1, iters + 1):
    loss = meta_loss(tasks(16), steps=2)
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if it % 30 == 0:
        with torch.no_grad():
            v = [meta_loss(val, s).item() for s in (0, 1, 2)]
        print(f"iter {it} meta loss {loss.item():.4f} new tasks: 0 steps {v[0]:.4f}, 1 step {v[1]:.4f}, 2 steps {v[2]:.4f}")
