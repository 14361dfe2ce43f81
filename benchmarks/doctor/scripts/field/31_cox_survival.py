import copy

import numpy as np
import torch
import torch.nn as nn


def simulate(n, rng):
    x = rng.normal(size=(n, 6))
    risk = 1.0 * x[:, 0] - 0.8 * x[:, 1] + 0.9 * x[:, 2] * x[:, 3] + 0.5 * (x[:, 4] ** 2 - 1)
    time = rng.weibull(1.5, size=n) * np.exp(-risk / 1.5)
    censor = rng.exponential(2.5, size=n)
    event = time <= censor
    return [torch.tensor(v, dtype=torch.float32) for v in (x, np.minimum(time, censor), event)]


class CoxLoss(nn.Module):
    def forward(self, score, time, event):
        order = torch.argsort(time, descending=True)
        s, e = score[order], event[order]
        log_risk_set = torch.logcumsumexp(s, 0)
        return -((s - log_risk_set) * e).sum() / e.sum().clamp_min(1.0)


def concordance(score, time, event):
    first = (time[:, None] < time[None, :]) & (event[:, None] > 0)
    good = (score[:, None] > score[None, :]) & first
    return (good.sum() / first.sum()).item()


class RiskNet(nn.Module):
    def __init__(self, d, h=32):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(d, h), nn.LayerNorm(h), nn.SiLU(), nn.Dropout(0.1),
            nn.Linear(h, h), nn.LayerNorm(h), nn.SiLU(),
            nn.Linear(h, 1, bias=False),
        )

    def forward(self, x):
        return self.layers(x).squeeze(-1)


def main(seed=4, batch=128, max_epochs=50, patience=8):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    train, valid, test = simulate(2500, rng), simulate(800, rng), simulate(800, rng)
    net, loss_fn = RiskNet(6), CoxLoss()
    opt = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)

    best, best_net, wait = float("inf"), None, 0
    for epoch in range(max_epochs):
        net.train()
        for idx in torch.randperm(len(train[0])).split(batch):
            x, t, e = (v[idx] for v in train)
            loss = loss_fn(net(x), t, e)
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            opt.step()
        net.eval()
        with torch.no_grad():
            val = loss_fn(net(valid[0]), valid[1], valid[2]).item()
        if val < best - 1e-4:
            best, best_net, wait = val, copy.deepcopy(net), 0
        else:
            wait += 1
        if epoch % 8 == 0:
            print(f"epoch {epoch}: batch loss {loss.item():.3f} valid {val:.4f}")
        if wait >= patience:
            print("stopped at epoch", epoch)
            break
    with torch.no_grad():
        print("test concordance", round(concordance(best_net(test[0]), test[1], test[2]), 4))


main()
