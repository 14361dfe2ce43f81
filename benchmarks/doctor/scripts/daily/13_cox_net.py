# Right-censored waiting times, Cox partial likelihood within batches
import numpy as np
import torch
from torch import nn

torch.manual_seed(18)
rng = np.random.default_rng(18)
n = 2400
X = rng.normal(size=(n, 10)).astype("float32")
risk = 0.8 * X[:, 0] - 0.6 * X[:, 1] + 0.5 * X[:, 2] ** 2
event_time = rng.exponential(1 / np.exp(risk - 0.5))
censor_time = rng.exponential(2.0, size=n)
time = torch.tensor(np.minimum(event_time, censor_time)).float()
event = torch.tensor((event_time <= censor_time).astype("float32"))
X = torch.from_numpy(X)
tr, va = slice(0, 1800), slice(1800, None)


def cox_loss(score, t, e):
    order = torch.argsort(t, descending=True)
    score, e = score[order], e[order]
    return -((score - torch.logcumsumexp(score, 0)) * e).sum() / e.sum().clamp(min=1)


def concordance(score, t, e):
    first = (t[:, None] < t[None]) & (e[:, None] > 0)
    return ((score[:, None] > score[None]) & first).sum().item() / first.sum().item()


net = nn.Sequential(nn.Linear(10, 32), nn.SELU(), nn.Linear(32, 1, bias=False))
opt = torch.optim.AdamW(net.parameters(), lr=8e-3, weight_decay=0.05)
for epoch in range(12):
    net.train()
    losses = []
    for b in torch.randperm(1800).split(100):
        loss = cox_loss(net(X[b]).squeeze(1), time[b], event[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        s = net(X[va]).squeeze(1)
    print(f"epoch {epoch} partial likelihood loss {np.mean(losses):.4f} val {cox_loss(s, time[va], event[va]).item():.4f} concordance {concordance(s, time[va], event[va]):.4f}")
