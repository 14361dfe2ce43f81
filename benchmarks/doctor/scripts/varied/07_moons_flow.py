import math
import torch
from torch import nn
from sklearn.datasets import make_moons

torch.manual_seed(5)
pts, _ = make_moons(4000, noise=0.06, random_state=5)
pts = torch.tensor(pts, dtype=torch.float32)
pts = (pts - pts[:3200].mean(0)) / pts[:3200].std(0)
train, val = pts[:3200], pts[3200:]


class Coupling(nn.Module):
    def __init__(self, flip):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 2))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x):
        a, b = (x[:, 1:], x[:, :1]) if self.flip else (x[:, :1], x[:, 1:])
        s, t = self.net(a).chunk(2, dim=1)
        s = 2 * torch.tanh(s / 2)
        b = b * s.exp() + t
        return (torch.cat([b, a], 1) if self.flip else torch.cat([a, b], 1)), s.sum(1)


class Flow(nn.Module):
    def __init__(self, n=6):
        super().__init__()
        self.layers = nn.ModuleList([Coupling(i % 2 == 1) for i in range(n)])

    def log_prob(self, x):
        logdet = 0
        for layer in self.layers:
            x, ld = layer(x)
            logdet = logdet + ld
        return -0.5 * x.pow(2).sum(1) - math.log(2 * math.pi) + logdet


flow = Flow()
opt = torch.optim.Adam(flow.parameters(), lr=3e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 20)
for epoch in range(20):
    flow.train()
    for b in torch.randperm(len(train)).split(128):
        nll = -flow.log_prob(train[b]).mean()
        opt.zero_grad()
        nll.backward()
        nn.utils.clip_grad_norm_(flow.parameters(), 10.0)
        opt.step()
    sched.step()
    flow.eval()
    with torch.no_grad():
        print(f"epoch {epoch + 1} nll {nll.item():.4f} val nll {-flow.log_prob(val).mean().item():.4f}")
