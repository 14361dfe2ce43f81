"""Baseball salaries, Huber loss on the log salary."""
import numpy as np
import polars as pl
import torch
from torch import nn

torch.manual_seed(14)
df = pl.read_csv("data/regression/hitters.csv", null_values=["NA", ""]).drop_nulls("Salary")
salary = np.log(df["Salary"].to_numpy())
flags = np.stack([(df[c] == v).to_numpy() for c, v in (("League", "N"), ("Division", "W"), ("NewLeague", "N"))], 1)
num = df.drop(["League", "Division", "NewLeague", "Salary"]).to_numpy().astype(float)
num = np.log1p(num)
X = np.hstack([num, flags.astype(float)])
rng = np.random.default_rng(14)
rows = rng.permutation(len(X))
tr, te = rows[:200], rows[200:]
X = (X - X[tr].mean(0)) / X[tr].std(0)
y = (salary - salary[tr].mean()) / salary[tr].std()
X, y = torch.tensor(X).float(), torch.tensor(y).float()


class Net(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.hidden = nn.Linear(d, 24)
        self.out = nn.Linear(24, 1)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x)))


net = Net(X.shape[1])
huber = nn.HuberLoss(delta=1.0)
opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.1)
for epoch in range(25):
    net.train()
    rng.shuffle(tr)
    loss_sum = 0.0
    for b in np.array_split(tr, 10):
        opt.zero_grad()
        loss = huber(net(X[b]), y[b])
        loss.backward()
        opt.step()
        loss_sum += loss.item()
    net.eval()
    with torch.no_grad():
        pred = net(X[te])
        val = huber(pred, y[te]).item()
        r2 = 1 - (pred - y[te]).pow(2).mean().item() / y[te].var().item()
    print(f"epoch {epoch:2d} train huber {loss_sum / 10:.4f} test huber {val:.4f} R2 {r2:.3f}")
