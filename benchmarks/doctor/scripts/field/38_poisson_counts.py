import numpy as np
import torch
from torch import nn


class Dense(nn.Module):
    """Linear layer followed by an optional ReLU."""

    def __init__(self, n_in, n_out, relu=True):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_out, n_in))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.relu = relu

    def forward(self, x):
        x = x @ self.weight.t() + self.bias
        return x.relu() if self.relu else x


def claims(n, rng):
    """Synthetic motor portfolio: exposure, driver and vehicle attributes, claim counts."""
    age = rng.uniform(18, 80, n)
    power = rng.gamma(4.0, 25.0, n)
    density = rng.normal(6, 1.5, n)
    urban = rng.random(n) < 0.4
    exposure = rng.uniform(0.2, 1.0, n)
    log_rate = (0.2 + 1.5 * np.exp(-(age - 18) / 8) + 0.004 * (power - 100)
                + 0.25 * (density - 6) * urban + 0.4 * np.sin(age / 10))
    y = rng.poisson(exposure * np.exp(log_rate))
    x = np.column_stack([age, power, density, urban])
    return x.astype(np.float32), np.log(exposure).astype(np.float32), y.astype(np.float32)


def deviance(y, mu):
    ratio = torch.where(y > 0, y / mu, torch.ones_like(y))
    return 2 * (y * ratio.log() - (y - mu)).mean().item()


seed = 12
rng = np.random.default_rng(seed)
torch.manual_seed(seed)
x_tr, off_tr, y_tr = claims(6000, rng)
x_te, off_te, y_te = claims(2000, rng)
m, s = x_tr.mean(0), x_tr.std(0)
x_tr, x_te = (torch.from_numpy((v - m) / s) for v in (x_tr, x_te))
off_tr, off_te, y_tr, y_te = map(torch.from_numpy, (off_tr, off_te, y_tr, y_te))

model = nn.Sequential(Dense(4, 48), Dense(48, 24), Dense(24, 1, relu=False))
criterion = nn.PoissonNLLLoss(log_input=True)
opt = torch.optim.Adagrad(model.parameters(), lr=0.03)

print("intercept-only deviance", round(deviance(y_te, off_te.exp() * (y_tr.sum() / off_tr.exp().sum())), 4))
for epoch in range(1, 25):
    perm = torch.randperm(len(x_tr))
    total = 0.0
    for i in range(0, len(perm), 64):
        b = perm[i:i + 64]
        log_mu = model(x_tr[b]).squeeze(1) + off_tr[b]
        loss = criterion(log_mu, y_tr[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(b)
    if epoch % 4 == 0:
        with torch.no_grad():
            mu = (model(x_te).squeeze(1) + off_te).exp()
        print(f"epoch {epoch}: train nll {total / len(perm):.4f}  test deviance {deviance(y_te, mu):.4f}")
