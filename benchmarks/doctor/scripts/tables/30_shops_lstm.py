"""Weekly sales of many shops, LSTM over the last 12 weeks plus promotion flag."""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(50)
rng = np.random.default_rng(50)
shops, weeks, L = 60, 80, 12
base = rng.lognormal(4.5, 0.4, (shops, 1))
week = np.arange(weeks)
promo = rng.random((shops, weeks)) < 0.2
season = 1 + 0.3 * np.sin(2 * np.pi * week / 26 + rng.uniform(0, 6.28, (shops, 1)))
sales = base * season * (1 + 0.35 * promo) * np.exp(rng.normal(0, 0.06, (shops, weeks)))
series = np.log(sales)
fit = slice(0, 60)
series = (series - series[:, fit].mean(1, keepdims=True)) / series[:, fit].std(1, keepdims=True)

X, Y, when = [], [], []
for s in range(shops):
    for k in range(L, weeks):
        nxt = np.full(L, promo[s, k])
        X.append(np.stack([series[s, k - L:k], promo[s, k - L:k], nxt], 1))
        Y.append(series[s, k])
        when.append(k)
X, Y, when = torch.tensor(np.array(X)).float(), torch.tensor(Y).float(), torch.tensor(when)
Xtr, Ytr, Xva, Yva = X[when < 60], Y[when < 60], X[when >= 60], Y[when >= 60]


class SalesLSTM(nn.Module):
    def __init__(self, n_in=3, n_hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(n_in, n_hidden, batch_first=True)
        self.fc = nn.Sequential(nn.Linear(n_hidden, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.fc(h[-1]).squeeze(-1)


model = SalesLSTM()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
max_norm = 0.002
for epoch in range(12):
    model.train()
    total, norm_sum, steps = 0.0, 0.0, 0
    for rows in torch.randperm(len(Xtr)).split(48):
        optimizer.zero_grad()
        loss = nn.functional.l1_loss(model(Xtr[rows]), Ytr[rows])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        total += loss.item()
        steps += 1
    model.eval()
    with torch.no_grad():
        mae = (model(Xva) - Yva).abs().mean().item()
        naive = (Xva[:, -1, 0] - Yva).abs().mean().item()
    print(f"epoch {epoch}: train mae {total / steps:.4f} val mae {mae:.4f} (last value {naive:.4f})")
