import torch as th, torch.nn.functional as F
from sklearn.datasets import make_moons
th.manual_seed(2)
x, y = make_moons(1500, noise=0.18, random_state=2)
x, y = th.tensor(x, dtype=th.float32), th.tensor(y, dtype=th.float32)
x = (x - x[:1000].mean(0)) / x[:1000].std(0)
xt, yt, xv, yv = x[:1000], y[:1000], x[1000:], y[1000:]
W = [th.empty(24, 2), th.empty(24, 24), th.empty(1, 24)]
for w in W: th.nn.init.zeros_(w)
b = [th.zeros(len(w)) for w in W]
P = W + b
for p in P: p.requires_grad_()

def f(x):
    for w, c in zip(W[:2], b[:2]): x = th.tanh(F.linear(x, w, c))
    return F.linear(x, W[2], b[2]).squeeze(1)

bce = lambda z, y: F.binary_cross_entropy_with_logits(z, y)
acc = lambda z, y: ((z > 0) == (y > 0.5)).float().mean().item()
lr, mu = 0.1, 0.9
v = [th.zeros_like(p) for p in P]
for epoch in range(12):
    for i in th.randperm(1000).split(25):
        loss = bce(f(xt[i]), yt[i])
        g = th.autograd.grad(loss, P)
        with th.no_grad():
            for p, m, d in zip(P, v, g):
                m.mul_(mu).add_(d)
                p.sub_(lr * m)
    with th.no_grad():
        print(epoch, round(bce(f(xt), yt).item(), 4), round(bce(f(xv), yv).item(), 4), round(acc(f(xv), yv), 3))
