import torch
import torch.nn as nn
from sklearn.datasets import make_friedman1

# Friedman data has 5 real inputs; 15 more are noise. A group lasso on the columns of the first layer, by proximal steps, keeps those small.
torch.manual_seed(41)
X, y = make_friedman1(1200, n_features=20, noise=1.0, random_state=41)
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32)
X = (X - X[:800].mean(0)) / X[:800].std(0)
y = (y - y[:800].mean()) / y[:800].std()
xt, yt, xv, yv = X[:800], y[:800], X[800:], y[800:]

first = nn.Linear(20, 32)
net = nn.Sequential(first, nn.SiLU(), nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 1))
LR, LAM = 0.06, 0.02
opt = torch.optim.SGD([{"params": first.parameters()}, {"params": net[2:].parameters(), "weight_decay": 1e-3}], lr=LR, momentum=0.8)


@torch.no_grad()
def shrink(t):
    norm = first.weight.norm(dim=0, keepdim=True)
    first.weight.mul_((1 - t / norm.clamp(min=1e-12)).clamp(min=0))


for epoch in range(50):
    net.train()
    tot = 0.0
    for b in torch.randperm(800).split(32):
        loss = (net(xt[b]).squeeze(1) - yt[b]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        shrink(LR * LAM)
        tot += loss.item() * len(b) / 800
    net.eval()
    if epoch == 34:
        for g in opt.param_groups:
            g["lr"] = LR = 0.012
    with torch.no_grad():
        v = (net(xv).squeeze(1) - yv).pow(2).mean().item()
    if epoch % 3 == 1:
        norms = first.weight.norm(dim=0)
        print(f"epoch {epoch} mse {tot:.4f} val mse {v:.4f} val R2 {1 - v / yv.var().item():.4f} mean column norm real {norms[:5].mean().item():.3f} noise {norms[5:].mean().item():.3f}")
