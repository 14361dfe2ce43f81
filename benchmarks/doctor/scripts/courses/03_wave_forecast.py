# Forecast the next value of a quasi-periodic series from its last 24 values.
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(11)
n = 3000
t = torch.arange(n, dtype=torch.float32)
series = torch.sin(2 * math.pi * t / 24) * (1 + 0.4 * torch.sin(2 * math.pi * t / 150)) + 0.1 * torch.randn(n)
series = torch.sign(series) * series.abs().sqrt()
cut = 2400
series = (series - series[:cut].mean()) / series[:cut].std()
W = 24


def windows(s):
    u = s.unfold(0, W + 1, 1)
    return u[:, :W].contiguous(), u[:, W:].contiguous()


xtr, ytr = windows(series[:cut])
xva, yva = windows(series[cut:])


class Dense(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(n_in, n_out))
        self.b = nn.Parameter(torch.zeros(n_out))

    def forward(self, x):
        return x @ self.w + self.b


class Forecaster(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.l1 = Dense(W, hidden)
        self.l2 = Dense(hidden, hidden)
        self.l3 = Dense(hidden, 1)

    def forward(self, x):
        return self.l3(torch.tanh(self.l2(torch.tanh(self.l1(x)))))


model = Forecaster()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(15):
    order = torch.randperm(len(xtr))
    total = 0.0
    for idx in order.split(64):
        optimizer.zero_grad()
        loss = F.mse_loss(model(xtr[idx]), ytr[idx])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    with torch.inference_mode():
        val = F.mse_loss(model(xva), yva).item()
    print(f"{epoch:2d} train mse {total / len(xtr):.4f} val mse {val:.4f}")
