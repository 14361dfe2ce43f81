# Sixteen residual blocks with LayerNorm on tabular data
import torch
from torch import nn
from sklearn.datasets import make_friedman1

torch.manual_seed(34)
X, y = make_friedman1(2400, 10, noise=1.0, random_state=34)
X = torch.tensor((X - X.mean(0)) / X.std(0)).float()
y = torch.tensor(y).float()
Xt, Xv, yt, yv = X[:1900], X[1900:], y[:1900], y[1900:]
m, s = yt.mean(), yt.std()
yt, yv = (yt - m) / s, (yv - m) / s


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.up, self.down = nn.Linear(d, d), nn.Linear(d, d)

    def forward(self, x):
        return x + self.down(nn.functional.gelu(self.up(self.norm(x))))


model = nn.Sequential(nn.Linear(10, 32), *[Block(32) for _ in range(16)], nn.LayerNorm(32), nn.Linear(32, 1))
epochs, bs = 8, 64
opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=2e-3, total_steps=epochs * 30, pct_start=0.2)
for epoch in range(epochs):
    model.train()
    tot = 0.0
    for b in torch.randperm(len(Xt)).split(bs):
        loss = nn.functional.mse_loss(model(Xt[b]).squeeze(-1), yt[b])
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
        tot += loss.item() * len(b)
    model.eval()
    with torch.no_grad():
        v = nn.functional.mse_loss(model(Xv).squeeze(-1), yv).item()
    print(f"epoch {epoch} train {tot / len(Xt):.4f} val {v:.4f} R2 {1 - v / yv.var().item():.4f}")
