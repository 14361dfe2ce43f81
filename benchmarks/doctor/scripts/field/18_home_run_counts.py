import numpy as np
import pandas as pd
import torch
from torch import nn

torch.manual_seed(2)
df = pd.read_csv("data/regression/hitters.csv")
df["AL"] = (df["League"] == "A").astype(float)
# Career totals include the season at hand, so take it off; 100 average at-bats for rookies.
before = (df["CAtBat"] - df["AtBat"]).clip(lower=0)
for name, average in [("HmRun", 0.027), ("Hits", 0.265), ("Walks", 0.095)]:
    past = (df["C" + name] - df[name]).clip(lower=0)
    df["Past" + name] = (past + 100 * average) / (before + 100)
columns = ["Walks", "Years", "PastHmRun", "PastHits", "PastWalks", "PutOuts", "Assists", "AL"]
X, counts, exposure = df[columns].values, df["HmRun"].values, df["AtBat"].values


class CountNet(nn.Module):
    """Log-rate of home runs per time at bat, with the at-bats as an offset."""

    def __init__(self, n_in, start):
        super().__init__()
        self.hidden = nn.Linear(n_in, 16)
        self.out = nn.Linear(16, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.constant_(self.out.bias, start)

    def forward(self, x, log_exposure):
        return self.out(torch.tanh(self.hidden(x))).squeeze(1) + log_exposure


def deviance(log_mu, y):
    mu = log_mu.exp()
    return 2 * (torch.special.xlogy(y, y / mu) - (y - mu)).mean().item()


def to_tensors(rows, mu, sd):
    return (torch.tensor((X[rows] - mu) / sd, dtype=torch.float32),
            torch.tensor(np.log(exposure[rows]), dtype=torch.float32),
            torch.tensor(counts[rows], dtype=torch.float32))


order = np.random.default_rng(0).permutation(len(df))
fold = np.arange(len(df)) % 4
result = []
for k in range(4):
    tr, te = order[fold != k], order[fold == k]
    mu, sd = X[tr].mean(0), X[tr].std(0)
    x, off, y = to_tensors(tr, mu, sd)
    xt, offt, yt = to_tensors(te, mu, sd)
    base_rate = float(np.log(counts[tr].sum() / exposure[tr].sum()))
    model = CountNet(x.shape[1], base_rate)
    opt = torch.optim.RMSprop(model.parameters(), lr=2e-3, weight_decay=1e-3)
    loss_fn = nn.PoissonNLLLoss(log_input=True)
    for epoch in range(45):
        model.train()
        for idx in torch.randperm(len(y)).split(24):
            opt.zero_grad()
            loss = loss_fn(model(x[idx], off[idx]), y[idx])
            loss.backward()
            opt.step()
        if epoch % 15 == 14:
            model.eval()
            with torch.no_grad():
                print(f"fold {k} epoch {epoch + 1}: deviance train {deviance(model(x, off), y):.3f} "
                      f"held out {deviance(model(xt, offt), yt):.3f}")
    with torch.no_grad():
        result.append((deviance(model(xt, offt), yt), deviance(base_rate + offt, yt)))

ours, constant = np.mean(result, axis=0)
print(f"mean held-out deviance {ours:.3f}, constant rate {constant:.3f}")
