import copy

import numpy as np
import torch
from torch import nn
from sklearn.datasets import load_breast_cancer

torch.manual_seed(4)
rng = np.random.default_rng(4)

# Simulated cohort with the correlations of real tumour measurements:
# Weibull times, uniform censoring.
corr = np.corrcoef(np.log(load_breast_cancer().data + 0.01), rowvar=False)
X = rng.multivariate_normal(np.zeros(len(corr)), corr, size=3000)
risk = 0.9 * X[:, 0] + 0.7 * np.tanh(2 * X[:, 6]) - 0.6 * X[:, 1] * (X[:, 4] > 0)
time = 10 * (rng.exponential(size=3000) * np.exp(-risk)) ** (1 / 1.5)
censor = rng.uniform(2, 40, size=3000)
event = time <= censor
observed = np.minimum(time, censor)

X = torch.tensor(X, dtype=torch.float32)
T = torch.tensor(observed, dtype=torch.float32)
E = torch.tensor(event, dtype=torch.float32)
tr, va, te = slice(0, 2000), slice(2000, 2500), slice(2500, 3000)


def cox_loss(score, t, e):
    order = torch.argsort(t, descending=True)
    score, e = score[order], e[order]
    log_risk = torch.logcumsumexp(score, dim=0)
    return -((score - log_risk) * e).sum() / e.sum().clamp(min=1)


def concordance(score, t, e):
    earlier = (t[:, None] < t[None, :]) & (e[:, None] > 0)
    higher = (score[:, None] > score[None, :]).float()
    return (higher * earlier).sum().item() / earlier.sum().item()


class RiskNet(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2),
                                  nn.Linear(32, 16), nn.ReLU())
        self.out = nn.Linear(16, 1, bias=False)

    def forward(self, x):
        return self.out(self.body(x)).squeeze(-1)


net = RiskNet(X.shape[1])
opt = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
best, best_state, bad, patience = 0.0, None, 0, 15

for epoch in range(100):
    net.train()
    losses = []
    for idx in torch.randperm(2000).split(200):
        loss = cox_loss(net(X[tr][idx]), T[tr][idx], E[tr][idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        c = concordance(net(X[va]), T[va], E[va])
    if c > best:
        best, best_state, bad = c, copy.deepcopy(net.state_dict()), 0
    else:
        bad += 1
    if epoch % 5 == 0:
        print(f"epoch {epoch:3d} partial likelihood {np.mean(losses):.4f} validation C {c:.4f}")
    if bad == patience:
        break

net.load_state_dict(best_state)
net.eval()
with torch.no_grad():
    print(f"events {event.mean():.2f}; test C-index {concordance(net(X[te]), T[te], E[te]):.4f}")
