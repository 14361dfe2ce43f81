import torch
from sklearn.datasets import load_diabetes

torch.manual_seed(0)
x, y = (torch.tensor(a, dtype=torch.float32) for a in load_diabetes(return_X_y=True))
p = torch.randperm(len(x))
x, y = x[p], y[p]
x[torch.rand(x.shape) < 0.04] = -999.
xt, yt, xv, yv = x[:340], y[:340], x[340:], y[340:]
m, s = xt.mean(0), xt.std(0)
xt, xv = (xt - m) / s, (xv - m) / s
m, s = yt.mean(), yt.std()
yt, yv = (yt - m) / s, (yv - m) / s

w1 = (torch.randn(10, 20) / 10 ** 0.5).requires_grad_()
b1 = torch.zeros(20, requires_grad=True)
w2 = (torch.randn(20, 1) / 20 ** 0.5).requires_grad_()
b2 = torch.zeros(1, requires_grad=True)
params = [w1, b1, w2, b2]
net = lambda x: torch.tanh(x @ w1 + b1) @ w2 + b2
mse = lambda p, y: ((y - p) ** 2).mean()
opt = torch.optim.SGD(params, lr=0.02, momentum=0.5)

for ep in range(20):
    for i in torch.randperm(340).split(20):
        loss = mse(net(xt[i])[:, 0], yt[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        print(ep, f"{mse(net(xt)[:, 0], yt):.4f} {mse(net(xv)[:, 0], yv):.4f}")
