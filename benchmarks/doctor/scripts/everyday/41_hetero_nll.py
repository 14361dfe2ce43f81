import numpy as np
import torch
from torch import nn

torch.manual_seed(41)
rng = np.random.default_rng(41)
n = 1600
x = rng.uniform(-2, 2, (n, 3)).astype(np.float32)
spread = 0.1 + 0.5 / (1 + np.exp(-3 * x[:, 1]))
y = (np.sin(2 * x[:, 0]) + 0.5 * x[:, 1] * x[:, 2] + spread * rng.standard_normal(n)).astype(np.float32)
x, y = torch.from_numpy(x), torch.from_numpy(y)
xt, yt, xv, yv = x[:1200], y[:1200], x[1200:], y[1200:]


class MeanAndSpread(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
        self.mean = nn.Linear(hidden, 1)
        self.logvar = nn.Linear(hidden, 1)

    def forward(self, x):
        h = self.body(x)
        return self.mean(h).squeeze(1), self.logvar(h).squeeze(1).clamp(-6, 3)


model = MeanAndSpread()
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=24)
nll = nn.GaussianNLLLoss()

for epoch in range(24):
    model.train()
    tot = 0.0
    for b in torch.randperm(len(xt)).split(40):
        mu, lv = model(xt[b])
        loss = nll(mu, yt[b], lv.exp())
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        opt.step()
        tot += loss.item() * len(b)
    sched.step()
    model.eval()
    with torch.no_grad():
        mu, lv = model(xv)
        v = nll(mu, yv, lv.exp()).item()
        inside = ((mu - yv).abs() < 1.96 * (0.5 * lv).exp()).float().mean().item()
        r2 = 1 - (mu - yv).pow(2).mean().item() / yv.var().item()
    print(f"epoch {epoch:2d}: train nll {tot / 1200:.3f} val nll {v:.3f} R2 {r2:.3f} 95% cover {inside:.3f}")
