# Dilated causal convolutions, next value at every position
import math
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(22)
T = 2400
t = torch.arange(T).float()
load = torch.sin(2 * math.pi * t / 24) + 0.5 * torch.sin(2 * math.pi * t / 168) * torch.cos(2 * math.pi * t / 12)
noise = torch.zeros(T)
for k in range(1, T):
    noise[k] = 0.7 * noise[k - 1] + 0.15 * torch.randn(())
series = load + noise
mu, sd = series[:1800].mean(), series[:1800].std()
series = (series - mu) / sd
L = 64
train = series[:1800].unfold(0, L + 1, 3)
valid = series[1800:].unfold(0, L + 1, 8)


class CausalBlock(nn.Module):
    def __init__(self, c, dilation):
        super().__init__()
        self.pad = 2 * dilation
        self.conv = nn.Conv1d(c, c, 3, dilation=dilation)
        self.mix = nn.Conv1d(c, c, 1)

    def forward(self, x):
        return x + self.mix(F.relu(self.conv(F.pad(x, (self.pad, 0)))))


tcn = nn.Sequential(nn.Conv1d(1, 24, 1), *[CausalBlock(24, d) for d in (1, 2, 4, 8)], nn.Conv1d(24, 1, 1))
opt = torch.optim.AdamW(tcn.parameters(), lr=5e-3, weight_decay=1e-2)
epochs = 12
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=epochs)
warm = 30
print("persistence", round((valid[:, warm:-1] - valid[:, warm + 1:]).pow(2).mean().item(), 4))
for epoch in range(epochs):
    tcn.train()
    tot = 0.0
    for b in torch.randperm(len(train)).split(32):
        out = tcn(train[b, None, :-1])[:, 0]
        loss = F.mse_loss(out[:, warm:], train[b, warm + 1:])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(b)
    sched.step()
    tcn.eval()
    with torch.no_grad():
        v = F.mse_loss(tcn(valid[:, None, :-1])[:, 0][:, warm:], valid[:, warm + 1:]).item()
    print(f"epoch {epoch} train {tot / len(train):.4f} val {v:.4f}")
