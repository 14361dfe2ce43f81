# Volatility-like series: forecast log |return| one step ahead. Little can be known, so R2 stays modest.
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(117)
torch.manual_seed(117)
n = 3000
h = np.zeros(n)
for i in range(1, n):
    h[i] = 0.97 * h[i - 1] + 0.25 * rng.normal()
r = np.log(np.abs(np.exp(h) * rng.normal(size=n)) + 0.05)
cut, W = 2300, 20
r = ((r - r[:cut].mean()) / r[:cut].std()).astype("float32")
win = torch.tensor(np.lib.stride_tricks.sliding_window_view(r, W + 1).copy())
train, val = win[:cut - W], win[cut:]
dl = DataLoader(TensorDataset(train[:, :-1, None], train[:, -1]), batch_size=64, shuffle=True)


class LSTMModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 12, batch_first=True)
        self.fc = nn.Linear(12, 1)

    def forward(self, x):
        _, (hn, _) = self.lstm(x)
        return self.fc(hn[-1]).squeeze(1)


model = LSTMModel()
opt = torch.optim.NAdam(model.parameters(), lr=5e-3)
sched = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=2)
crit = nn.MSELoss()
for epoch in range(14):
    model.train()
    tot = 0.0
    for x, y in dl:
        opt.zero_grad()
        loss = crit(model(x), y)
        loss.backward()
        opt.step()
        tot += loss.item() * len(y)
    model.eval()
    with torch.no_grad():
        v = crit(model(val[:, :-1, None]), val[:, -1]).item()
    sched.step(v)
    print(f"epoch {epoch:2d} train {tot / len(train):.4f} val {v:.4f} R2 {1 - v / val[:, -1].var(unbiased=False).item():.3f}")
