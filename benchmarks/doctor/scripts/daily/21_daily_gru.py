# Daily sales: weekly pattern and trend are taken out before the net sees the series
import numpy as np
import torch
from torch import nn

torch.manual_seed(21)
rng = np.random.default_rng(21)
n = 1600
t = np.arange(n)
ar = np.zeros(n)
for k in range(2, n):
    ar[k] = 1.3 * ar[k - 1] - 0.6 * ar[k - 2] + 0.4 * np.tanh(2 * ar[k - 1]) * (t[k] % 5 == 0) + 0.3 * rng.normal()
sales = 200 + 0.05 * t + 8 * np.sin(2 * np.pi * t / 7) + 6 * ar
cut, W = 1250, 14
coef = np.polyfit(t[:cut], sales[:cut], 1)
rest = sales - np.polyval(coef, t)
season = np.array([rest[:cut][t[:cut] % 7 == d].mean() for d in range(7)])
rest = rest - season[t % 7]
series = torch.tensor(rest / rest[:cut].std(), dtype=torch.float32)
windows = series.unfold(0, W + 1, 1)
train, valid = windows[:cut - W], windows[cut:]


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 24, batch_first=True)
        self.out = nn.Linear(24, 1)

    def forward(self, w):
        return self.out(self.gru(w.unsqueeze(-1))[0][:, -1]).squeeze(-1)


net = Forecaster()
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
sched = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=2)
print("persistence mse", round((valid[:, -2] - valid[:, -1]).pow(2).mean().item(), 4))
for epoch in range(15):
    net.train()
    tot = 0.0
    for b in torch.randperm(len(train)).split(32):
        loss = nn.functional.mse_loss(net(train[b, :-1]), train[b, -1])
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        tot += loss.item() * len(b)
    net.eval()
    with torch.no_grad():
        v = nn.functional.mse_loss(net(valid[:, :-1]), valid[:, -1]).item()
    sched.step(v)
    print(f"epoch {epoch} train mse {tot / len(train):.4f} val mse {v:.4f}")
