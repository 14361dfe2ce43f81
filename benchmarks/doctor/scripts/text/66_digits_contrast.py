import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

torch.manual_seed(40)
d = load_digits()
order = torch.randperm(len(d.data))
X = torch.tensor(d.data / 8.0 - 0.6, dtype=torch.float32)[order].view(-1, 8, 8)
y = torch.tensor(d.target)[order]
x_train, y_train, x_val, y_val = X[:1400], y[:1400], X[1400:], y[1400:]


def augment(x):
    dx, dy = torch.randint(-1, 2, (2,)).tolist()
    x = torch.roll(x, (dx, dy), (1, 2))
    x = x * (torch.rand_like(x) > 0.15)
    return x + 0.1 * torch.randn_like(x)


encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
projector = nn.Linear(64, 32)
opt = torch.optim.AdamW([*encoder.parameters(), *projector.parameters()], lr=2e-3)


def nt_xent(a, b, temperature=0.3):
    z = F.normalize(torch.cat([a, b]), dim=1)
    sim = z @ z.t() / temperature
    sim.fill_diagonal_(-1e9)
    n = len(a)
    partner = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return F.cross_entropy(sim, partner)


for epoch in range(12):
    encoder.train()
    total, steps = 0.0, 0
    for idx in torch.randperm(1400)[:1344].split(96):
        loss = nt_xent(projector(encoder(augment(x_train[idx]))), projector(encoder(augment(x_train[idx]))))
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item()
        steps += 1
    if epoch % 4 == 3:
        encoder.eval()
        with torch.no_grad():
            f_train, f_val = encoder(x_train).numpy(), encoder(x_val).numpy()
            val_loss = np.mean([nt_xent(projector(encoder(augment(c))), projector(encoder(augment(c)))).item() for c in x_val[:384].split(96)])
        probe = LogisticRegression(max_iter=300).fit(f_train, y_train)
        print(f"epoch {epoch} loss {total / steps:.3f} val loss {val_loss:.3f} probe {probe.score(f_val, y_val):.3f}")
    else:
        print(f"epoch {epoch} loss {total / steps:.3f}")
