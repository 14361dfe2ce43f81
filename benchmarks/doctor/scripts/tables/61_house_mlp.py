import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

rng = np.random.default_rng(3)
torch.manual_seed(3)

# made-up house sales
n = 3000
area = rng.gamma(6.0, 22.0, n)
rooms = np.clip(np.round(area / 32 + rng.normal(0, 0.8, n)), 1, 9)
age = rng.uniform(0, 90, n)
dist = rng.exponential(6.0, n)
school = rng.uniform(1, 10, n)
garden = rng.binomial(1, 0.45, n)
price = (1800 * area + 9000 * rooms - 900 * age + 6 * age**2 - 22000 * np.log1p(dist)
         + 350 * school * np.sqrt(area) + 18000 * garden + rng.normal(0, 18000, n))

X = np.stack([area, rooms, age, dist, school, garden], 1).astype(np.float32)
perm = rng.permutation(n)
tr, va = perm[:2400], perm[2400:]
mu, sd = X[tr].mean(0), X[tr].std(0)
X = torch.from_numpy((X - mu) / sd)
y = torch.tensor(price, dtype=torch.float32).unsqueeze(1)


def train_epoch(net, opt, batch_size=64):
    net.train()
    order = torch.randperm(len(tr))
    total = 0.0
    for i in range(0, len(order), batch_size):
        rows = tr[order[i:i + batch_size]]
        pred = net(X[rows])
        loss = F.mse_loss(pred, y[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(rows)
    return total / len(tr)


@torch.no_grad()
def evaluate(net):
    net.eval()
    pred = net(X[va])
    err = F.mse_loss(pred, y[va]).item()
    return err, 1 - err / y[va].var().item()


net = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
for epoch in range(15):
    tl = train_epoch(net, opt)
    vl, r2 = evaluate(net)
    print(f"{epoch:02d} train mse {tl:.4g} val mse {vl:.4g} R2 {r2:.3f}")
